//! `otp`: a code for one login, for whom an admin of the host vouches.

use super::{
    ask::{Daemon, Failure, unexpected},
    cli::Whom,
    show::Output,
};
use motley_proto::admin::{AdminAnswer, AdminRequest};
use std::process::ExitCode;

/// Gives out a code. It is shown here and never again.
pub(crate) fn issue(daemon: &Daemon, output: Output, whom: Whom) -> Result<ExitCode, Failure> {
    let request = AdminRequest::IssueCode { target: whom.target()? };
    let AdminAnswer::Code(issued) = daemon.ask(&request)? else { return unexpected() };
    if output.json {
        output.write_json(&issued)?;
    } else {
        output.write_facts(&[
            ("code", issued.code.shown().expose().to_owned()),
            ("name", issued.name.to_string()),
            ("subject", issued.identity.subject.to_string()),
            ("issuer", issued.identity.issuer.to_string()),
            ("good for", format!("{} s, once", issued.lifetime)),
        ])?;
    }
    Ok(ExitCode::SUCCESS)
}
