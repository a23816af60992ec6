//! Jobs and lingering services of accounts with a lower shell: held as long as they have it.
//!
//! Neither cron nor at nor a user manager asks the shell of an account, so whoever may do little in it
//! could do everything in a job.

use super::{AccountError, Accounts, deployment::Wish, suspend::note_once};
use crate::store::{AccountRecord, LowerJobs};
use feudal_plugins::{Account, BackendError};
use motley_proto::{Identity, UserName, admin::Receipt, task::Held};

impl Accounts {
    /// After a deployment: holds or puts back as the shell has it. What fails keeps nobody from their
    /// account, and is tried again by [`Accounts::reconcile`].
    pub(super) async fn follow_shell(&self, account: &Account, wish: &Wish<'_>, limited: bool) {
        let (identity, name, request) = (wish.identity, &account.name, wish.request);
        let lower = limited || self.rules.shells.is_lower(&account.shell);
        let done = match self.store.carried_out(identity).await.map(|own| own.jobs) {
            Ok(LowerJobs::Held) if lower => return,
            Ok(LowerJobs::Free) if !lower => return,
            Ok(_) if lower => self.hold_lower(identity, name).await,
            Ok(_) => self.release_lower(identity, name).await,
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(Held { jobs: 0, linger: false, .. }) => {}
            Ok(Held { jobs, linger, .. }) => {
                tracing::info!(request, %name, lower, jobs, linger, "jobs and services follow the shell");
            }
            Err(error) => {
                tracing::error!(request, %name, lower, %error, "jobs and services do not follow the shell yet; retrying");
            }
        }
    }

    /// As a part of carrying marks out, while the person is not suspended.
    pub(super) async fn settle_jobs(
        &self,
        identity: &Identity,
        was_suspended: bool,
        receipt: &mut Receipt,
    ) {
        let mut unknown = Vec::new();
        let name = self.local_name(identity, &mut unknown).await;
        unknown.into_iter().for_each(|why| note_once(&mut receipt.pending, why));
        let Some(name) = name else { return };
        match self.lower_jobs(identity).await {
            Ok((true, _)) => match self.hold_lower(identity, &name).await {
                Ok(held) => {
                    let sessions = &mut receipt.sessions;
                    sessions.jobs_held = sessions.jobs_held.saturating_add(held.jobs);
                    sessions.linger_ended |= held.linger;
                }
                Err(error) => receipt.pending.push(format!("hold jobs and services: {error}")),
            },
            Ok((false, noted)) => {
                let done = self.release_lower(identity, &name).await;
                let Err(error) = done else { return };
                if was_suspended || noted != LowerJobs::Free {
                    receipt.pending.push(format!("put jobs and services back: {error}"));
                } else {
                    // Where it is refused, nothing was held before.
                    tracing::debug!(%name, %error, "nothing was known to be held");
                }
            }
            Err(error) => note_once(&mut receipt.pending, format!("look for the shell: {error}")),
        }
    }

    /// As a part of carrying a suspension out, which holds everything by itself: notes whether
    /// something is to stay held when it ends.
    pub(super) async fn keep_jobs_held(&self, identity: &Identity, receipt: &mut Receipt) {
        if !receipt.pending.is_empty() {
            return;
        }
        let noted = match self.lower_jobs(identity).await {
            Ok((true, LowerJobs::Held) | (false, LowerJobs::Free)) => return,
            Ok((true, _)) => self.store.note_lower_jobs(identity, LowerJobs::Held).await,
            Ok((false, _)) => self.store.note_lower_jobs(identity, LowerJobs::Free).await,
            Err(error) => {
                receipt.pending.push(format!("look for the shell: {error}"));
                return;
            }
        };
        if let Err(error) = noted {
            receipt.pending.push(format!("note what is held: {error}"));
        }
    }

    /// Whether the account is limited or has a lower shell on this node, and what is noted about it.
    async fn lower_jobs(&self, identity: &Identity) -> Result<(bool, LowerJobs), AccountError> {
        let record = self.store.account_of(identity).await?;
        let account = self.backend.find(identity).await?;
        let lower = record.as_ref().is_some_and(AccountRecord::is_limited)
            || account.is_some_and(|account| self.rules.shells.is_lower(&account.shell));
        Ok((lower, self.store.carried_out(identity).await?.jobs))
    }

    /// Noted before, so that what a crash leaves half done is found again.
    async fn hold_lower(&self, identity: &Identity, name: &UserName) -> Result<Held, AccountError> {
        self.store.note_lower_jobs(identity, LowerJobs::Changing).await?;
        let held = match self.host.hold(identity, name).await {
            Err(BackendError::NoAccount) => Held::default(),
            done => done?,
        };
        self.store.note_lower_jobs(identity, LowerJobs::Held).await?;
        Ok(held)
    }

    /// The person may do everything again by now: a job that can't be put back keeps nobody out.
    async fn release_lower(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<Held, AccountError> {
        let noted = self.store.carried_out(identity).await?.jobs;
        if noted == LowerJobs::Held {
            self.store.note_lower_jobs(identity, LowerJobs::Changing).await?;
        }
        let back = match self.host.release(identity, name).await {
            Err(BackendError::NoAccount) => Held::default(),
            done => done?,
        };
        if back.left > 0 {
            tracing::warn!(%name, left = back.left, "jobs stay aside in /var/spool/cron/.motley-held, for others stand in their place");
        }
        if noted != LowerJobs::Free {
            self.store.note_lower_jobs(identity, LowerJobs::Free).await?;
        }
        Ok(back)
    }
}
