//! Keeps the ssh keys that a provider tells in a marked part of the owner's `authorized_keys`.
//!
//! The home is its owner's, and may be on a network that does not answer, so nothing is done in there
//! within the turn that all tasks share: one account's keys wait for one another, and nobody else for
//! them. A mount in the home is not entered. What remains is a home that is a mount of its own, or in
//! one: a thread of the helper waits with it, one for each account, until it answers.

use super::{Accounts, Asker, failed};
use crate::{
    authorized_keys::{self, KeysError},
    database::UserEntry,
    ledger::RemovalPlan,
};
use motley_proto::{
    Identity, SshKey, Uid, UserName,
    task::{AccountPath, KeysKept, TaskAnswer, TaskDone, TaskRefusal},
};
use std::time::Duration;

/// How long keys of the same account are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

impl Accounts {
    pub(super) fn set_keys(
        &self,
        identity: &Identity,
        name: &UserName,
        keys: &[SshKey],
        asker: &dyn Asker,
    ) -> TaskAnswer {
        if !self.world.wishes.keys {
            let reason = "keys are written only where deploy_user_ssh_keys = yes stands in \
                          [backend.local_unix] of root's feudal_adapter.conf";
            return Err(TaskRefusal::Forbidden(reason.to_owned()));
        }
        // A removal that begins from here on waits for this before it looks after the keys.
        let _alone = self.keys.alone_with(name, asker, PATIENCE)?;
        let (entry, base) = {
            let _turn = self.take_turn_for(asker)?;
            self.keyed(identity, name)?
        };
        let home = self.home_base(&base)?.open_home(name.as_str(), entry.uid)?;
        let Some(home) = home else {
            return Err(TaskRefusal::Forbidden(format!("{name} has no home of its own")));
        };
        let changed = authorized_keys::keep(&home, entry.uid, entry.gid, keys).map_err(refused)?;
        let keys = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        Ok(TaskDone::Keys(KeysKept { keys, changed }))
    }

    /// The account and the directory in which its home lies.
    fn keyed(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<(UserEntry, AccountPath), TaskRefusal> {
        let (_, entry) = self.managed(identity, name)?;
        let base = entry.home.rsplit_once('/').map(|(base, _)| base).unwrap_or_default();
        let base = AccountPath::new(base).ok().filter(|base| {
            self.world.limits.home_bases.contains(base) && entry.home == format!("{base}/{name}")
        });
        match base {
            Some(base) => Ok((entry, base)),
            None => {
                let reason = format!("the home {} of {name} is not in home_bases", entry.home);
                Err(TaskRefusal::Forbidden(reason))
            }
        }
    }

    /// Takes what was written out of the home of an account that is taken away: whoever gets the
    /// home back must not find keys that nobody vouches for.
    ///
    /// # Errors
    /// [`TaskRefusal::Busy`] while keys are still being written there.
    pub(super) fn forget_keys(
        &self,
        name: &UserName,
        uid: Uid,
        plan: &RemovalPlan,
        asker: &dyn Asker,
    ) -> Result<(), TaskRefusal> {
        let Some(base) = &plan.home_base else { return Ok(()) };
        let Some(entry) = self.read()?.users.named(name.as_str()) else { return Ok(()) };
        let _alone = self.keys.alone_with(name, asker, PATIENCE)?;
        // The home may be its owner's trap, which is no reason to keep the account.
        let home = self.home_base(base)?.open_home(name.as_str(), uid.get());
        if let Ok(Some(home)) = home {
            let _ = authorized_keys::keep(&home, uid.get(), entry.gid, &[]);
        }
        Ok(())
    }
}

fn refused(error: KeysError) -> TaskRefusal {
    match error {
        KeysError::Unsafe { .. } => TaskRefusal::Forbidden(error.to_string()),
        error => failed("write ssh keys", error),
    }
}
