//! What follows a deployment on the host: the site's script, and keys of ssh.
//!
//! A script that failed does not undo an account, but nobody is let in before it has ended: it works as
//! root in the home, and whoever is in there could lead it astray.

use super::Accounts;
use crate::audit::Event;
use feudal_plugins::{BackendError, Person};
use motley_proto::{Identity, UserName, task::HookRun, text::escape};

impl Accounts {
    /// Has the site's script for new accounts run, and writes down how it ended.
    ///
    /// # Errors
    /// When it is not known to have ended: the account must not be used yet.
    pub(super) async fn greet(
        &self,
        identity: &Identity,
        name: &UserName,
        request: &str,
    ) -> Result<(), BackendError> {
        let outcome = match self.host.created(identity, name).await {
            Ok(HookRun::NotDue) => return Ok(()),
            Ok(HookRun::Ended(Some(0))) => {
                self.audit_script(identity, name, request, "exit status 0");
                return Ok(());
            }
            Ok(HookRun::Ended(Some(status))) => format!("exit status {status}"),
            Ok(HookRun::Ended(None)) => "ended by a signal".to_owned(),
            Ok(HookRun::Failed(why)) => format!("not run: {}", escape(&why, 400)),
            Err(error @ (BackendError::Refused(_) | BackendError::NoAccount)) => {
                format!("not run: {error}")
            }
            Err(error) => {
                tracing::error!(request, %name, %error, "the script for new accounts waits; the account does too");
                return Err(error);
            }
        };
        tracing::error!(request, %name, outcome, "the script for new accounts did not succeed; the account stays");
        self.audit_script(identity, name, request, &outcome);
        Ok(())
    }

    fn audit_script(&self, identity: &Identity, name: &UserName, request: &str, outcome: &str) {
        let event = Event::ScriptRan {
            request: request.to_owned(),
            identity: identity.clone(),
            name: name.clone(),
            outcome: outcome.to_owned(),
        };
        if let Err(error) = self.audit.record(event) {
            tracing::error!(request, %name, %error, "how the script ended could not be written down");
        }
    }

    /// Has the provider's keys of ssh written, where the site wants it.
    pub(super) async fn equip(
        &self,
        identity: &Identity,
        name: &UserName,
        person: &Person,
        request: &str,
    ) {
        let Some(keys) = person.ssh_keys.as_ref().filter(|_| self.rules.deploy_keys) else {
            return;
        };
        match self.host.set_keys(identity, name, keys).await {
            Ok(kept) if kept.changed => {
                tracing::info!(request, %name, keys = kept.keys, "keys of the provider were written");
            }
            Ok(_) | Err(BackendError::NoAccount) => {}
            Err(error) => {
                tracing::warn!(request, %name, %error, "keys of the provider were not written");
            }
        }
    }
}
