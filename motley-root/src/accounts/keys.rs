//! Keeps the ssh keys that a provider tells in a marked part of the owner's `authorized_keys`.

use super::{Accounts, failed};
use crate::authorized_keys::{self, KeysError};
use motley_proto::{
    Identity, SshKey, UserName,
    task::{AccountPath, KeysKept, TaskAnswer, TaskDone, TaskRefusal},
};

impl Accounts {
    pub(super) fn set_keys(
        &self,
        identity: &Identity,
        name: &UserName,
        keys: &[SshKey],
    ) -> TaskAnswer {
        if !self.world.wishes.keys {
            let reason = "keys are written only where deploy_user_ssh_keys = yes stands in \
                          [backend.local_unix] of root's feudal_adapter.conf";
            return Err(TaskRefusal::Forbidden(reason.to_owned()));
        }
        let (_, entry) = self.managed(identity, name)?;
        let base = entry.home.rsplit_once('/').map(|(base, _)| base).unwrap_or_default();
        let base = AccountPath::new(base).ok().filter(|base| {
            self.world.limits.home_bases.contains(base) && entry.home == format!("{base}/{name}")
        });
        let Some(base) = base else {
            let reason = format!("the home {} of {name} is not in home_bases", entry.home);
            return Err(TaskRefusal::Forbidden(reason));
        };
        let home = self.home_base(&base)?.open_home(name.as_str(), entry.uid)?;
        let Some(home) = home else {
            return Err(TaskRefusal::Forbidden(format!("{name} has no home of its own")));
        };
        let changed = authorized_keys::keep(&home, entry.uid, entry.gid, keys).map_err(refused)?;
        let keys = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        Ok(TaskDone::Keys(KeysKept { keys, changed }))
    }

    /// Takes what was written out of the home of an account that is taken away: whoever gets the
    /// home back must not find keys that nobody vouches for.
    pub(super) fn forget_keys(
        &self,
        base: &AccountPath,
        name: &UserName,
        uid: u32,
        gid: u32,
    ) -> Result<(), TaskRefusal> {
        let Some(home) = self.home_base(base)?.open_home(name.as_str(), uid)? else {
            return Ok(());
        };
        authorized_keys::keep(&home, uid, gid, &[]).map(drop).map_err(refused)
    }
}

fn refused(error: KeysError) -> TaskRefusal {
    match error {
        KeysError::Unsafe { .. } => TaskRefusal::Forbidden(error.to_string()),
        error => failed("write ssh keys", error),
    }
}
