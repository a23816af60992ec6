//! Takes accounts away: the entry where motley made it, else only what made it somebody's.

use super::{LdapDirectory, Mode};
use crate::backend::BackendError;
use motley_proto::{
    Identity, UserName,
    task::{HomeFate, Removal},
};

impl LdapDirectory {
    /// An account that is gone already is no error. Homes are on the hosts and stay there.
    pub(super) async fn take_away(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<Removal, BackendError> {
        let user = match self.changeable(identity, name).await {
            Ok(user) => user,
            Err(BackendError::NoAccount) => return Ok(Removal::default()),
            Err(error) => return Err(error),
        };
        if self.config().mode == Mode::FullAccess {
            self.leave_all(name).await?;
            let step = "remove the account";
            self.directory.delete(&user.entry.dn).await.map_err(self.failed(step))?;
        } else {
            self.release(&user).await?;
        }
        let home = match user.account.home {
            home if home.is_empty() => HomeFate::Nothing,
            home => HomeFate::Left(home),
        };
        Ok(Removal { home, ..Removal::default() })
    }
}
