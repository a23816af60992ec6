//! Logging in at a provider: the flows that end with a stored login.

use crate::{
    cli::Options,
    error::Result,
    source::{Requirements, Token},
};

/// Offers to log in at a provider of the service, where somebody is there to say yes.
///
/// # Errors
/// When the user wants to and it fails; `None` when nobody can be asked or the answer is no.
pub(crate) fn offer(_options: &Options, _needs: &dyn Requirements) -> Result<Option<Token>> {
    Ok(None)
}
