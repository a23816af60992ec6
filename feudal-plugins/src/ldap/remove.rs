//! Takes accounts away: the entry where motley made it, else only what made it somebody's.

use super::{LdapDirectory, Mode};
use crate::backend::BackendError;
use motley_proto::{
    Identity, UserName,
    task::{HomeFate, Removal},
};

impl LdapDirectory {
    /// True for an entry of the site that carries nothing in the identity attribute.
    async fn is_nobodys(&self, name: &UserName) -> Result<bool, BackendError> {
        if self.config().mode != Mode::PreCreated {
            return Ok(false);
        }
        let attribute = &self.config().attributes.identity;
        Ok(self.named(name).await?.is_some_and(|user| user.entry.all(attribute).is_empty()))
    }

    /// An account that is gone already is no error. Homes are on the hosts and stay there.
    pub(super) async fn take_away(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<Removal, BackendError> {
        let user = match self.changeable(identity, name).await {
            Ok(user) => user,
            Err(BackendError::NoAccount) => return Ok(Removal::default()),
            // Given back to the site before, which is all that there was to do.
            Err(BackendError::Refused(_)) if self.is_nobodys(name).await? => {
                return Ok(Removal::default());
            }
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
