//! What follows a deployment on the host: the site's script, and keys of ssh.
//!
//! None of it decides whether there is an account: what fails is told in the log and the audit trail.

use super::Accounts;
use crate::audit::Event;
use feudal_plugins::{BackendError, Person};
use motley_proto::{Identity, UserName, task::HookRun, text::escape};

impl Accounts {
    /// Has the site's script for new accounts run, and writes down how it ended.
    pub(super) async fn greet(&self, identity: &Identity, name: &UserName, request: &str) {
        let outcome = match self.host.created(identity, name).await {
            Ok(HookRun::NotDue) => return,
            Ok(HookRun::Ended(Some(0))) => {
                self.audit_script(identity, name, request, "exit status 0");
                return;
            }
            Ok(HookRun::Ended(Some(status))) => format!("exit status {status}"),
            Ok(HookRun::Ended(None)) => "ended by a signal".to_owned(),
            Ok(HookRun::Failed(why)) => format!("not run: {}", escape(&why, 400)),
            Err(error) => format!("not known: {error}"),
        };
        tracing::error!(request, %name, outcome, "the script for new accounts did not succeed; the account stays");
        self.audit_script(identity, name, request, &outcome);
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
