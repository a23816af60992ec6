//! A user entry read as an account.

use super::{Attributes, entry::Entry, note::Note};
use crate::{backend::Account, shells::is_nologin};
use ldap3::dn_escape;
use motley_proto::{Identity, UniqueId, UserName, rest::AccountState};

/// `pwdAccountLockedTime` that means: until somebody unlocks it (draft-behera-ldap-password-policy §5.3.3).
pub(super) const LOCKED: &str = "000001010000Z";
/// `shadowExpire` of suspended accounts: the second day of 1970, for 0 means never to some.
pub(super) const EXPIRED: i64 = 1;

/// A user's entry.
#[derive(Debug, Clone)]
pub(super) struct User {
    /// The entry as it came.
    pub(super) entry: Entry,
    /// What it says, without groups.
    pub(super) account: Account,
    /// `shadowExpire`, in days since 1970-01-01.
    pub(super) expire: Option<i64>,
    /// What motley noted in it.
    pub(super) notes: Vec<Note>,
}

impl User {
    /// Attributes that have to be asked for.
    pub(super) fn attributes(names: &Attributes) -> Vec<&str> {
        let mut all = vec!["objectClass", "uidNumber", "gidNumber", "homeDirectory", "loginShell"];
        all.extend(["shadowExpire", "pwdAccountLockedTime", "sn", "cn", "givenName", "mail"]);
        all.extend([names.identity.as_str(), names.name.as_str(), names.notes.as_str()]);
        all
    }

    /// Reads an entry; `None` when it has no name that an account can have. `today` counts days since
    /// 1970-01-01.
    pub(super) fn read(entry: Entry, names: &Attributes, today: i64) -> Option<Self> {
        let name = name_in(&entry, &names.name)?;
        let expire: Option<i64> = entry.number("shadowExpire");
        let shell = entry.one("loginShell").unwrap_or_default().to_owned();
        let is_expired = expire.is_some_and(|day| (0..=today).contains(&day));
        let state = if is_expired || entry.one("pwdAccountLockedTime") == Some(LOCKED) {
            AccountState::Suspended
        } else if is_nologin(&shell) {
            AccountState::Limited
        } else {
            AccountState::Deployed
        };
        let account = Account {
            identity: identity_in(&entry, &names.identity),
            name,
            uid: entry.number("uidNumber"),
            gid: entry.number("gidNumber"),
            home: entry.one("homeDirectory").unwrap_or_default().to_owned(),
            shell,
            state,
            groups: Vec::new(),
        };
        let notes = entry.all(&names.notes).iter().filter_map(|text| Note::parse(text)).collect();
        Some(Self { entry, account, expire, notes })
    }

    /// The noted `shadowExpire` that a suspension replaced, if one did.
    pub(super) fn replaced_expiry(&self) -> Option<Option<i64>> {
        self.notes.iter().find_map(|note| match note {
            Note::Expiry(before) => Some(*before),
            _ => None,
        })
    }
}

/// The identity that an entry carries: one value that is exactly the text of an identity.
pub(super) fn identity_in(entry: &Entry, attribute: &str) -> Option<Identity> {
    match entry.all(attribute) {
        [text] => UniqueId::parse(text).ok(),
        _ => None,
    }
}

/// The name of an account: the only value, or of several the one that names the entry.
fn name_in(entry: &Entry, attribute: &str) -> Option<UserName> {
    let named = |value: &&String| {
        let start = format!("{attribute}={},", dn_escape(value.as_str())).to_lowercase();
        entry.dn.to_lowercase().starts_with(&start)
    };
    let value = match entry.all(attribute) {
        [value] => Some(value),
        values => values.iter().find(named),
    };
    value.and_then(|value| UserName::new(value.as_str()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3::SearchEntry;

    fn names() -> Attributes {
        let [identity, name, notes] = ["gecos", "uid", "description"].map(str::to_owned);
        Attributes { identity, name, notes }
    }

    fn read(values: &[(&str, &str)]) -> Option<User> {
        let mut attrs = std::collections::HashMap::<String, Vec<String>>::new();
        for (name, value) in values {
            attrs.entry((*name).to_owned()).or_default().push((*value).to_owned());
        }
        let dn = "uid=jdoe,ou=users,dc=example".to_owned();
        User::read(
            Entry::new(SearchEntry { dn, attrs, bin_attrs: Default::default() }),
            &names(),
            20_000,
        )
    }

    #[test]
    fn an_account_is_suspended_from_its_day_of_expiry_on() {
        let state =
            |expire| read(&[("uid", "jdoe"), ("shadowExpire", expire)]).unwrap().account.state;
        for (expire, expected) in [
            ("1", AccountState::Suspended),
            ("20000", AccountState::Suspended),
            ("20001", AccountState::Deployed),
            ("-1", AccountState::Deployed),
        ] {
            assert_eq!(state(expire), expected, "{expire}");
        }
        let locked = read(&[("uid", "jdoe"), ("pwdAccountLockedTime", LOCKED)]).unwrap();
        assert_eq!(locked.account.state, AccountState::Suspended);
        // Failed binds lock for a while; that is no suspension.
        let failed = read(&[("uid", "jdoe"), ("pwdAccountLockedTime", "20260101000000Z")]).unwrap();
        assert_eq!(failed.account.state, AccountState::Deployed);
    }

    #[test]
    fn r20_an_entry_without_a_name_of_ours_is_no_account() {
        assert!(read(&[("uid", "root")]).is_none());
        assert!(read(&[("uid", "JDoe")]).is_none());
        assert!(read(&[]).is_none());
        let several = read(&[("uid", "alias"), ("uid", "jdoe")]).unwrap();
        assert_eq!(several.account.name.as_str(), "jdoe");
        assert!(read(&[("uid", "alias"), ("uid", "other")]).is_none());
    }

    #[test]
    fn an_entry_carries_an_identity_only_if_that_is_all_that_the_attribute_holds() {
        let mine = "sub@https%3A%2F%2Fop.example";
        let carried = |values: &[&str]| {
            let mut all = vec![("uid", "jdoe")];
            all.extend(values.iter().map(|value| ("gecos", *value)));
            read(&all).unwrap().account.identity
        };
        assert!(carried(&[mine]).is_some());
        assert!(carried(&[mine, "other@https%3A%2F%2Fop.example"]).is_none());
        assert!(carried(&["Jane Doe"]).is_none());
    }
}
