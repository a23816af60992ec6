//! `mccli exec`: runs a program whose ssh logs in by itself.

use crate::{
    cli::Options,
    error::{Error, Result},
};
use std::{convert::Infallible, ffi::OsString};

/// Never comes back on success.
pub(super) fn run(_options: &Options, _words: &[OsString]) -> Result<Infallible> {
    Err(Error::Usage("this command is not built yet".to_owned()))
}
