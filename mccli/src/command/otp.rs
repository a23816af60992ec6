//! `mccli otp`: makes a one-time password, to be typed where ssh asks for the token.

use super::account::Visit;
use crate::{cli::Options, credential, error::Result, report};
use serde::Serialize;

/// What is printed as JSON.
#[derive(Serialize)]
struct Told<'a> {
    one_time_password: &'a str,
}

/// Prints the one-time password, and nothing else, on standard output.
pub(super) fn run(options: &Options, host: Option<&str>) -> Result<()> {
    Visit::new(options, host)?.with_token(options, |service, token| {
        let password = credential::one_time_password(service, token)?;
        let told = Told { one_time_password: password.expose() };
        report::facts(&told, || format!("{}\n", password.expose()))?;
        Ok(())
    })
}
