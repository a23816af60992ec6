//! A directory of a test, a back end on it, and people to give accounts to.
#![allow(unreachable_pub)]

use feudal_plugins::{
    Account, Intent, Person, Shells,
    groups::{GroupLimits, Groups},
    ldap::{Attributes, Depth, LdapConfig, LdapDirectory, Login, Mode, Protection},
    local_unix::NameService,
};
use motley_proto::{
    GroupName, Identity, Issuer, Secret, Subject, Uid, UserName, task::AccountPath,
};
use motley_tests::slapd::{GROUPS, PASSWORD, SERVICE, Slapd, USERS};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Days since 1970-01-01 in every test.
pub const TODAY: u64 = 20_000;

pub fn config(slapd: &Slapd, mode: Mode) -> LdapConfig {
    LdapConfig {
        backend: "ldap",
        mode,
        host: slapd.host().to_owned(),
        port: slapd.port(),
        protection: Protection::Plain,
        ca_file: None,
        login: Some(Login { dn: SERVICE.to_owned(), password: Secret::new(PASSWORD.to_owned()) }),
        user_base: USERS.to_owned(),
        group_base: GROUPS.to_owned(),
        depth: Depth::Subtree,
        attributes: Attributes {
            identity: "gecos".to_owned(),
            name: "uid".to_owned(),
            notes: "description".to_owned(),
        },
        shells: Shells::standard().unwrap(),
        home_base: AccountPath::new("/home").unwrap(),
        uids: 10_000..=19_999,
        gids: 30_000..=39_999,
        groups: GroupLimits::default(),
        claim: None,
        ppolicy: false,
        limit: Duration::from_secs(10),
        connections: 4,
    }
}

/// Names and ids of a host besides the directory.
#[derive(Default)]
pub struct Host {
    pub users: BTreeMap<String, u32>,
    pub groups: BTreeMap<String, u32>,
    /// Names that groups list.
    pub members: BTreeSet<String>,
    /// A source of names of this host can't be asked.
    pub is_silent: bool,
}

impl Host {
    fn told<T>(&self, answer: T) -> io::Result<T> {
        if self.is_silent { Err(io::ErrorKind::NotConnected.into()) } else { Ok(answer) }
    }
}

impl NameService for Host {
    fn has_user(&self, name: &UserName) -> io::Result<bool> {
        self.told(self.users.contains_key(name.as_str()))
    }

    fn has_uid(&self, uid: Uid) -> io::Result<bool> {
        self.told(self.users.values().any(|known| *known == uid.get()))
    }

    fn uid_of(&self, name: &UserName) -> io::Result<Option<u32>> {
        self.told(self.users.get(name.as_str()).copied())
    }

    fn gid_of(&self, group: &GroupName) -> io::Result<Option<u32>> {
        self.told(self.groups.get(group.as_str()).copied())
    }

    fn has_gid(&self, gid: u32) -> io::Result<bool> {
        self.told(self.groups.values().any(|known| *known == gid))
    }

    fn is_member(&self, name: &UserName) -> io::Result<bool> {
        self.told(self.members.contains(name.as_str()))
    }
}

/// A back end on a host that has nobody else.
pub fn back_end(config: LdapConfig) -> LdapDirectory {
    back_end_on(config, Host::default(), "root:x:0:0:root:/root:/bin/sh\n")
}

pub fn back_end_on(config: LdapConfig, host: Host, passwd: &str) -> LdapDirectory {
    let root = tempfile::tempdir().unwrap().keep();
    account_files(&root, passwd);
    LdapDirectory::with_sources(config, &root, Arc::new(host), Arc::new(|| TODAY * 86_400))
}

fn account_files(root: &Path, passwd: &str) {
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/passwd"), passwd).unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nlocalstaff:x:2000:infile\n").unwrap();
}

pub fn identity(subject: &str) -> Identity {
    Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new(subject).unwrap())
}

pub fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

pub fn groups(names: &[&str]) -> Vec<GroupName> {
    names.iter().map(|name| GroupName::new(*name).unwrap()).collect()
}

pub fn intent(subject: &str, text: &str, names: &[&str]) -> Intent {
    let primary = GroupName::new("people").unwrap();
    let mut supplementary = groups(names);
    supplementary.push(primary.clone());
    Intent {
        identity: identity(subject),
        name: name(text),
        uid: None,
        uid_floor: None,
        person: Person {
            full_name: Some("Jane Doe".to_owned()),
            preferred_username: Some(text.to_owned()),
            email: Some(format!("{text}@example.org")),
            email_verified: true,
            ..Person::default()
        },
        groups: Groups { primary, supplementary, dropped: Vec::new() },
        shell: AccountPath::new("/bin/sh").unwrap(),
        home_base: AccountPath::new("/home").unwrap(),
    }
}

pub fn dn(text: &str) -> String {
    format!("uid={text},{USERS}")
}

pub fn group_dn(text: &str) -> String {
    format!("cn={text},{GROUPS}")
}

/// One value of an entry.
pub fn value(slapd: &Slapd, dn: &str, attribute: &str) -> Option<String> {
    slapd.entry(dn).unwrap()?.get(attribute)?.first().cloned()
}

/// All values of an entry's attribute, sorted.
pub fn values(slapd: &Slapd, dn: &str, attribute: &str) -> Vec<String> {
    let entry = slapd.entry(dn).unwrap().unwrap_or_default();
    let mut all = entry.get(attribute).cloned().unwrap_or_default();
    all.sort();
    all
}

/// A user's entry as a site makes it.
pub fn user_ldif(text: &str, uid: u32, more: &str) -> String {
    format!(
        "dn: {}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: {text}\ncn: {text}\n\
         sn: {text}\nuidNumber: {uid}\ngidNumber: 30000\nhomeDirectory: /home/{text}\n\
         loginShell: /bin/bash\n{more}\n",
        dn(text)
    )
}

pub fn group_ldif(text: &str, gid: u32, more: &str) -> String {
    format!(
        "dn: {}\nobjectClass: posixGroup\ncn: {text}\ngidNumber: {gid}\n{more}\n",
        group_dn(text)
    )
}

pub fn uid_of(account: &Account) -> u32 {
    account.uid.unwrap()
}
