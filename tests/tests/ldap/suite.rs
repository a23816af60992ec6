//! Every mode under the suite for all back ends.

use crate::behaviour::{self, Abilities, Rig};
use crate::support::*;
use async_trait::async_trait;
use feudal_plugins::{
    Backend,
    ldap::{LdapDirectory, Mode},
};
use motley_proto::{GroupName, Identity, UserName};
use motley_tests::slapd::Slapd;
use std::sync::atomic::{AtomicU32, Ordering};

struct Directory {
    slapd: Slapd,
    backend: LdapDirectory,
    mode: Mode,
    next: AtomicU32,
}

/// Where motley makes no groups, the site has made those that the cases speak of.
fn groups_of_the_cases() -> Vec<String> {
    let words = ["alpha", "beta", "gamma", "delta", "twice", "given", "asserted", "meddled"];
    words.iter().flat_map(|word| (1..150).map(move |number| format!("{word}{number}"))).collect()
}

impl Directory {
    fn new(mode: Mode) -> Self {
        let names = if mode == Mode::PreCreated { groups_of_the_cases() } else { Vec::new() };
        let entries = (31_000..).zip(&names).map(|(gid, name)| group_ldif(name, gid, ""));
        let slapd =
            Slapd::builder().entries(&entries.collect::<Vec<_>>().join("\n")).start().unwrap();
        let mut config = config(&slapd, mode);
        config
            .groups
            .allowed
            .extend(names.iter().map(|name| GroupName::new(name.as_str()).unwrap()));
        Self { backend: back_end(config), slapd, mode, next: AtomicU32::new(18_000) }
    }

    fn add_user(&self, name: &UserName, more: &str) {
        let uid = self.next.fetch_add(1, Ordering::Relaxed);
        let ldif = user_ldif(name.as_str(), uid, more).replace("/bin/bash", "/bin/sh");
        self.slapd.change(&ldif).unwrap();
    }

    fn carry(&self, identity: &Identity, name: &UserName) {
        let text = format!("gecos: {}\n", identity.unique_id().as_str());
        if self.slapd.entry(&dn(name.as_str())).unwrap().is_some() {
            let head = format!("dn: {}\nchangetype: modify\nreplace: gecos\n", dn(name.as_str()));
            self.slapd.change(&(head + &text)).unwrap();
        } else {
            self.add_user(name, &text);
        }
    }
}

#[async_trait]
impl Rig for Directory {
    fn backend(&self) -> &dyn Backend {
        &self.backend
    }

    fn abilities(&self) -> Abilities {
        match self.mode {
            Mode::ReadOnly => Abilities { lists: true, ..Abilities::NONE },
            Mode::PreCreated => {
                Abilities { keeps_names: false, primary_groups: false, ..Abilities::ALL }
            }
            Mode::FullAccess => Abilities { keeps_names: false, ..Abilities::ALL },
        }
    }

    async fn prepare(&self, identity: &Identity, name: &UserName) {
        if self.mode != Mode::FullAccess {
            self.carry(identity, name);
        }
    }

    async fn foreign_account(&self, name: &UserName) -> bool {
        // An entry of nobody and one that was given back are the same here; see `pre_created.rs`.
        if self.mode == Mode::PreCreated {
            return false;
        }
        self.add_user(name, "");
        true
    }

    async fn inherited_account(&self, identity: &Identity, name: &UserName) -> bool {
        self.carry(identity, name);
        true
    }

    async fn list_in_group(&self, name: &UserName) -> bool {
        let group = GroupName::new(format!("of-{name}")).unwrap();
        self.mode == Mode::FullAccess && self.give_membership(name, &group).await
    }

    async fn give_membership(&self, name: &UserName, group: &GroupName) -> bool {
        if self.mode == Mode::ReadOnly {
            return false;
        }
        let (dn, member) = (group_dn(group.as_str()), format!("memberUid: {name}\n"));
        let ldif = if self.slapd.entry(&dn).unwrap().is_some() {
            format!("dn: {dn}\nchangetype: modify\nadd: memberUid\n{member}")
        } else {
            group_ldif(group.as_str(), self.next.fetch_add(1, Ordering::Relaxed), &member)
        };
        self.slapd.change(&ldif).unwrap();
        true
    }

    async fn give_primary(&self, name: &UserName, group: &GroupName) -> bool {
        if self.mode != Mode::FullAccess {
            return false;
        }
        let gid = self.next.fetch_add(1, Ordering::Relaxed);
        self.slapd.change(&group_ldif(group.as_str(), gid, "")).unwrap();
        let head = format!("dn: {}\nchangetype: modify\n", dn(name.as_str()));
        self.slapd.change(&format!("{head}replace: gidNumber\ngidNumber: {gid}\n")).unwrap();
        true
    }

    async fn picture(&self, name: &UserName) -> String {
        let mut entry = self.slapd.entry(&dn(name.as_str())).unwrap();
        if let Some(entry) = &mut entry {
            entry.retain(|attribute, _| attribute != "entryCSN" && attribute != "modifyTimestamp");
        }
        format!("{entry:?}")
    }
}

async fn under_the_suite(test: &str, mode: Mode) {
    if Slapd::is_there(test) {
        behaviour::run_all(&Directory::new(mode)).await;
    }
}

#[tokio::test]
async fn full_access_behaves_as_every_back_end_must() {
    under_the_suite("full_access", Mode::FullAccess).await;
}

#[tokio::test]
async fn read_only_behaves_as_every_back_end_must() {
    under_the_suite("read_only", Mode::ReadOnly).await;
}

#[tokio::test]
async fn pre_created_behaves_as_every_back_end_must() {
    under_the_suite("pre_created", Mode::PreCreated).await;
}
