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

impl Directory {
    fn new(mode: Mode) -> Self {
        let slapd = Slapd::builder().start().unwrap();
        let mut config = config(&slapd, mode);
        if mode == Mode::PreCreated {
            // The site has no groups for motley.
            config.groups.prefix = "none-".to_owned();
        }
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
            Mode::ReadOnly => Abilities::NONE,
            Mode::PreCreated => Abilities { groups: false, keeps_names: false, ..Abilities::ALL },
            Mode::FullAccess => Abilities { keeps_names: false, ..Abilities::ALL },
        }
    }

    async fn prepare(&self, identity: &Identity, name: &UserName) {
        if self.mode != Mode::FullAccess {
            self.carry(identity, name);
        }
    }

    async fn foreign_account(&self, name: &UserName) -> bool {
        self.add_user(name, "");
        true
    }

    async fn inherited_account(&self, identity: &Identity, name: &UserName) -> bool {
        self.carry(identity, name);
        true
    }

    async fn give_membership(&self, name: &UserName, group: &GroupName) -> bool {
        if self.mode != Mode::FullAccess {
            return false;
        }
        let gid = self.next.fetch_add(1, Ordering::Relaxed);
        let member = format!("memberUid: {name}\n");
        self.slapd.change(&group_ldif(group.as_str(), gid, &member)).unwrap();
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
