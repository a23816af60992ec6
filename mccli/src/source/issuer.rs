//! A token of one issuer: from the login stored for it, else from oidc-agent.

use super::{Requirements, Token, TokenSource, agent::AgentToken, stored};
use crate::{cli::Options, report};

/// What `--iss` names.
pub(super) struct OfIssuer<'a> {
    pub(super) options: &'a Options,
    pub(super) issuer: String,
    pub(super) agent: AgentToken,
}

impl TokenSource for OfIssuer<'_> {
    fn name(&self) -> String {
        self.agent.name()
    }

    fn fetch(&self, needs: &dyn Requirements) -> Result<Token, String> {
        let mut failures = Vec::new();
        for login in stored::for_issuer(self.options, &self.issuer) {
            match login.fetch(needs) {
                Ok(token) => return Ok(token),
                Err(why) => failures.push(format!("{}: {why}", login.name())),
            }
        }
        match self.agent.fetch(needs) {
            Ok(token) => {
                failures.iter().for_each(|failure| report::warning(failure));
                Ok(token)
            }
            Err(why) => {
                failures.push(why);
                Err(failures.join("\n"))
            }
        }
    }
}
