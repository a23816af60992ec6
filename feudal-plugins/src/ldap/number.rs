//! Numbers for new accounts and groups: no number twice, also when several services make accounts at once.

use super::{
    LdapDirectory,
    directory::Query,
    entry::{all_of, equals},
    fault::code,
    lock::{add, delete},
    look::{ACCOUNT, GROUP},
};
use crate::{backend::BackendError, local_unix::ask_names};
use ldap3::Scope;
use motley_proto::{Uid, names::is_protected_id};
use std::{collections::HashSet, ops::RangeInclusive};

/// How often a counter may change under our hands before the attempt ends.
const RACES: usize = 200;
/// Numbers tried one by one before the largest one is looked for.
const PATIENCE: u32 = 16;

/// A number that was in nobody's use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Free {
    /// Taken from the counter: nobody else is given it.
    Reserved(u32),
    /// There is no counter: somebody else may be taking it at this moment.
    Guessed(u32),
}

impl Free {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Reserved(number) | Self::Guessed(number) => number,
        }
    }
}

/// One kind of number, and where it is kept.
pub(super) struct Numbers<'a> {
    /// Entry that holds the next number.
    counter: String,
    /// `uidNumber` or `gidNumber`.
    attribute: &'static str,
    /// Name of the counter's entry.
    cn: &'static str,
    /// Filter of the entries that have such a number.
    class: &'static str,
    base: &'a str,
    range: &'a RangeInclusive<u32>,
    /// Option that widens the range.
    option: &'static str,
}

impl LdapDirectory {
    pub(super) fn uids(&self) -> Numbers<'_> {
        let config = self.config();
        Numbers {
            counter: format!("cn=uidNext,{}", config.user_base),
            attribute: "uidNumber",
            cn: "uidNext",
            class: ACCOUNT,
            base: &config.user_base,
            range: &config.uids,
            option: "uid_max",
        }
    }

    pub(super) fn gids(&self) -> Numbers<'_> {
        let config = self.config();
        Numbers {
            counter: format!("cn=gidNext,{}", config.group_base),
            attribute: "gidNumber",
            cn: "gidNext",
            class: GROUP,
            base: &config.group_base,
            range: &config.gids,
            option: "gid_max",
        }
    }

    /// A number that nobody has, at least `floor`: a counter, and who is in the directory, may know less
    /// than the caller of whom numbers were.
    pub(super) async fn next_number(
        &self,
        numbers: &Numbers<'_>,
        floor: Option<u32>,
    ) -> Result<Free, BackendError> {
        let floor = floor.unwrap_or_default();
        let _alone = self.numbering.lock().await;
        for _ in 0..RACES {
            let Some(next) = self.counter(numbers).await? else {
                if self.make_counter(numbers).await? {
                    continue;
                }
                let first = self.after_the_largest(numbers).await?;
                return self.first_free(numbers, first.max(floor)).await.map(Free::Guessed);
            };
            let free = self.first_free(numbers, next.max(floor)).await?;
            let changes = vec![
                delete(numbers.attribute, &next.to_string()),
                add(numbers.attribute, &free.saturating_add(1).to_string()),
            ];
            let condition = equals(numbers.attribute, &next.to_string());
            match self.directory.modify(&numbers.counter, changes, &condition).await {
                Ok(()) => return Ok(Free::Reserved(free)),
                Err(fault)
                    if fault.is(code::NO_SUCH_ATTRIBUTE) || fault.is(code::ASSERTION_FAILED) => {}
                Err(fault) => return Err(self.failed("move the counter on")(fault)),
            }
        }
        Err(BackendError::Busy)
    }

    async fn counter(&self, numbers: &Numbers<'_>) -> Result<Option<u32>, BackendError> {
        let query = Query {
            base: &numbers.counter,
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes: &[numbers.attribute],
        };
        let found = self.directory.search(query).await.map_err(self.failed("read the counter"))?;
        let Some(entry) = found.first() else { return Ok(None) };
        entry.number(numbers.attribute).map(Some).ok_or_else(|| {
            BackendError::Refused(format!(
                "{} holds no number in {}; write the next free one there",
                numbers.counter, numbers.attribute
            ))
        })
    }

    /// Makes the counter; false where schema or rights do not allow it.
    async fn make_counter(&self, numbers: &Numbers<'_>) -> Result<bool, BackendError> {
        let first = self.after_the_largest(numbers).await?;
        let one = |text: &str| HashSet::from([text.to_owned()]);
        let classes = ["top", "organizationalRole", "extensibleObject"].map(str::to_owned);
        let entry = vec![
            ("objectClass".to_owned(), HashSet::from(classes)),
            ("cn".to_owned(), one(numbers.cn)),
            (numbers.attribute.to_owned(), one(&first.to_string())),
        ];
        match self.directory.add(&numbers.counter, entry).await {
            Ok(()) => {
                tracing::info!(counter = numbers.counter, first, "a counter was made");
                Ok(true)
            }
            Err(fault) if fault.is(code::ENTRY_ALREADY_EXISTS) => Ok(true),
            Err(fault) if !fault.ends_connection() => {
                tracing::warn!(
                    counter = numbers.counter,
                    ?fault,
                    "there is no counter and none can be made; taking the largest number and one"
                );
                Ok(false)
            }
            Err(fault) => Err(self.failed("make the counter")(fault)),
        }
    }

    /// One more than the largest number in use within the range.
    async fn after_the_largest(&self, numbers: &Numbers<'_>) -> Result<u32, BackendError> {
        let query = Query {
            base: numbers.base,
            scope: self.directory.scope(),
            filter: numbers.class,
            attributes: &[numbers.attribute],
        };
        let all = self.directory.search_all(query).await;
        let all = all.map_err(self.failed("find the largest number"))?;
        let used = all.iter().filter_map(|entry| entry.number::<u32>(numbers.attribute));
        let largest = used.filter(|number| numbers.range.contains(number)).max();
        Ok(largest.map_or(*numbers.range.start(), |number| number.saturating_add(1)))
    }

    /// The first number from here on that nobody has.
    async fn first_free(&self, numbers: &Numbers<'_>, from: u32) -> Result<u32, BackendError> {
        let mut number = from.max(*numbers.range.start());
        let mut tried = 0;
        while numbers.range.contains(&number) {
            if !is_protected_id(number) {
                if !self.is_number_taken(numbers, number).await? {
                    return Ok(number);
                }
                tried += 1;
            }
            number = number.saturating_add(1);
            if tried == PATIENCE {
                // A counter that was left behind: the way through all accounts is shorter.
                number = number.max(self.after_the_largest(numbers).await?);
            }
        }
        Err(BackendError::Refused(format!(
            "there is no free {} between {} and {}; raise {}",
            numbers.attribute,
            numbers.range.start(),
            numbers.range.end(),
            numbers.option
        )))
    }

    /// True when an entry or the host uses this number.
    pub(super) async fn is_number_taken(
        &self,
        numbers: &Numbers<'_>,
        number: u32,
    ) -> Result<bool, BackendError> {
        let query = Query {
            base: numbers.base,
            scope: self.directory.scope(),
            filter: &all_of(&[numbers.class, &equals(numbers.attribute, &number.to_string())]),
            attributes: &["1.1"],
        };
        let found = self.directory.search(query).await;
        if !found.map_err(self.failed("find the owner of a number"))?.is_empty() {
            return Ok(true);
        }
        let is_uid = numbers.attribute == "uidNumber";
        ask_names(&self.names, move |names| match Uid::new(number) {
            Ok(uid) if is_uid => names.has_uid(uid),
            Err(_) if is_uid => Ok(true),
            _ => names.has_gid(number),
        })
        .await
    }
}
