//! Entries that carry an identity and are nobody's account, for the admin to mend.

use super::{
    LdapDirectory,
    directory::Query,
    entry::{Entry, all_of},
    look::ACCOUNT,
    user::{User, identity_in},
};
use crate::backend::BackendError;
use motley_proto::{Identity, text::escape};
use std::collections::BTreeMap;

/// How much of a name of an entry is shown, in characters.
const SHOWN: usize = 200;

impl LdapDirectory {
    /// Entries without a name that an account can have, and those that share an identity.
    pub(super) async fn odd_entries(&self) -> Result<Vec<String>, BackendError> {
        let config = self.config();
        let attributes = &config.attributes;
        let query = Query {
            base: &config.user_base,
            scope: self.directory.scope(),
            filter: &all_of(&[ACCOUNT, &format!("({}=*)", attributes.identity)]),
            attributes: &User::attributes(attributes),
        };
        let found = self.directory.search_all(query).await;
        let found = found.map_err(self.failed("list the accounts"))?;
        let mut owned: BTreeMap<Identity, Vec<Entry>> = BTreeMap::new();
        for entry in found {
            if let Some(identity) = identity_in(&entry, &attributes.identity) {
                owned.entry(identity).or_default().push(entry);
            }
        }
        let mut odd = Vec::new();
        for entries in owned.into_values() {
            let names: Vec<String> = entries.iter().map(|entry| escape(&entry.dn, SHOWN)).collect();
            if names.len() > 1 {
                let names = names.join(" and ");
                odd.push(format!(
                    "{names} carry one identity, which has no account until one of them is left"
                ));
                continue;
            }
            for entry in entries {
                let dn = escape(&entry.dn, SHOWN);
                if User::read(entry, attributes, self.today()).is_none() {
                    odd.push(format!(
                        "{dn} carries an identity, but no name that an account can have in {}",
                        attributes.name
                    ));
                }
            }
        }
        Ok(odd)
    }
}
