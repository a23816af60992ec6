//! What a deployment would give somebody now, without reserving anything.

use super::{AccountError, Accounts};
use crate::verified::Verified;
use feudal_plugins::{Claims, Naming, Person, groups::Groups, names::candidates};
use motley_proto::UserName;
use std::collections::BTreeSet;

/// Most candidates that are told, and most that are tried.
const SHOWN_CANDIDATES: usize = 20;
const TRIED_CANDIDATES: usize = 2000;

/// Name and groups that somebody would get.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preview {
    /// The name that he has, was promised, or would get.
    pub name: Option<UserName>,
    /// The names that would be tried, best first; those behind the twentieth are left out.
    pub candidates: Vec<UserName>,
    /// The groups, or why there are none.
    pub groups: Option<Result<Groups, String>>,
}

impl Accounts {
    /// Looks what a deployment would do.
    ///
    /// # Errors
    /// When store or back end do not answer.
    pub async fn preview(&self, verified: &Verified) -> Result<Preview, AccountError> {
        let from = verified.sources();
        let claims =
            Claims::merge(from.userinfo.as_ref(), from.introspection.as_ref(), from.token.as_ref());
        let groups =
            self.groups_of(&claims, &BTreeSet::new()).await?.map_err(|error| error.to_string());
        let primary = groups.as_ref().map_or("", |groups| groups.primary.as_str()).to_owned();
        let record = self.store.account_of(verified.identity()).await?;
        let held = match self.backend.find(verified.identity()).await? {
            Some(account) => Some(account.name),
            None => record.and_then(|record| record.name),
        };
        let mut preview = Preview { groups: Some(groups), ..Preview::default() };
        if self.backend.naming() == Naming::Known {
            let person = Person::from_claims(&claims);
            let prepared = self.backend.prepared_name(verified.identity(), &person).await?;
            preview.name = held.or(prepared);
            return Ok(preview);
        }
        let promised = self.store.promised_names().await?;
        let tried = candidates(&self.rules.names, &claims, &primary).take(TRIED_CANDIDATES);
        for candidate in tried {
            let is_free = preview.name.is_none()
                && !promised.contains(candidate.name.as_str())
                && !self.backend.is_taken(&candidate.name).await?;
            if is_free {
                preview.name = Some(candidate.name.clone());
            }
            if preview.candidates.len() < SHOWN_CANDIDATES {
                preview.candidates.push(candidate.name);
            } else if preview.name.is_some() {
                break;
            }
        }
        preview.name = held.or(preview.name);
        Ok(preview)
    }
}
