//! Every mode under the suite for all back ends.

use crate::behaviour::{self, Abilities, Rig};
use crate::support::*;
use async_trait::async_trait;
use feudal_plugins::{
    Backend,
    ldap::{Attributes, Depth, LdapConfig, LdapDirectory, Mode},
};
use motley_proto::{GroupName, Identity, UserName};
use motley_tests::slapd::{Slapd, USERS};
use std::sync::atomic::{AtomicU32, Ordering};

struct Directory {
    slapd: Slapd,
    backend: LdapDirectory,
    mode: Mode,
    attributes: Attributes,
    next: AtomicU32,
}

/// Attributes of a site's own, which its users and groups may have beside those of the standard
/// classes.
const SITE_SCHEMA: &str = "\
attributetype ( 1.3.6.1.4.1.4203.666.11.3 NAME 'sitePerson' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.11.4 NAME 'siteLogin' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.11.5 NAME 'siteNote' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
ditcontentrule ( 2.16.840.1.113730.3.2.2 NAME 'sitePeople' AUX ( posixAccount $ shadowAccount ) MAY ( sitePerson $ siteLogin $ siteNote ) )
ditcontentrule ( 1.3.6.1.1.1.2.2 NAME 'siteGroups' MAY siteNote )
";

fn site_attributes(config: &mut LdapConfig) {
    let [identity, name, notes] = ["sitePerson", "siteLogin", "siteNote"].map(str::to_owned);
    config.attributes = Attributes { identity, name, notes };
}

fn bonsai(config: &mut LdapConfig) {
    config.backend = "bonsai_ldap";
    config.depth = Depth::OneLevel;
}

/// Where motley makes no groups, the site has made those that the cases speak of.
fn groups_of_the_cases() -> Vec<String> {
    let words = ["alpha", "beta", "gamma", "delta", "twice", "given", "asserted", "meddled"];
    words.iter().flat_map(|word| (1..150).map(move |number| format!("{word}{number}"))).collect()
}

impl Directory {
    fn new(mode: Mode, adjust: fn(&mut LdapConfig)) -> Self {
        let names = if mode == Mode::PreCreated { groups_of_the_cases() } else { Vec::new() };
        let entries = (31_000..).zip(&names).map(|(gid, name)| group_ldif(name, gid, ""));
        let entries = entries.collect::<Vec<_>>().join("\n");
        let slapd = Slapd::builder().schema(SITE_SCHEMA).entries(&entries).start().unwrap();
        let mut config = config(&slapd, mode);
        adjust(&mut config);
        let attributes = config.attributes.clone();
        config
            .groups
            .allowed
            .extend(names.iter().map(|name| GroupName::new(name.as_str()).unwrap()));
        Self { backend: back_end(config), slapd, mode, attributes, next: AtomicU32::new(18_000) }
    }

    fn dn(&self, name: &UserName) -> String {
        format!("{}={name},{USERS}", self.attributes.name)
    }

    /// Where another attribute holds the name, `uid` holds something that is nobody's name.
    fn add_user(&self, name: &UserName, more: &str) {
        let uid = self.next.fetch_add(1, Ordering::Relaxed);
        let mut ldif = user_ldif(name.as_str(), uid, more).replace("/bin/bash", "/bin/sh");
        if self.attributes.name != "uid" {
            let own = format!("uid: number{uid}\n{}: {name}\n", self.attributes.name);
            ldif = ldif.replace(&dn(name.as_str()), &self.dn(name));
            ldif = ldif.replace(&format!("uid: {name}\n"), &own);
        }
        self.slapd.change(&ldif).unwrap();
    }

    fn carry(&self, identity: &Identity, name: &UserName) {
        let attribute = &self.attributes.identity;
        let text = format!("{attribute}: {}\n", identity.unique_id().as_str());
        let dn = self.dn(name);
        if self.slapd.entry(&dn).unwrap().is_some() {
            let head = format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n");
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
        let head = format!("dn: {}\nchangetype: modify\n", self.dn(name));
        self.slapd.change(&format!("{head}replace: gidNumber\ngidNumber: {gid}\n")).unwrap();
        true
    }

    async fn picture(&self, name: &UserName) -> String {
        let mut entry = self.slapd.entry(&self.dn(name)).unwrap();
        if let Some(entry) = &mut entry {
            entry.retain(|attribute, _| attribute != "entryCSN" && attribute != "modifyTimestamp");
        }
        format!("{entry:?}")
    }
}

async fn under_the_suite(test: &str, mode: Mode, adjust: fn(&mut LdapConfig)) {
    if Slapd::is_there(test) {
        behaviour::run_all(&Directory::new(mode, adjust)).await;
    }
}

#[tokio::test]
async fn full_access_behaves_as_every_back_end_must() {
    under_the_suite("full_access", Mode::FullAccess, |_| ()).await;
}

#[tokio::test]
async fn read_only_behaves_as_every_back_end_must() {
    under_the_suite("read_only", Mode::ReadOnly, |_| ()).await;
}

#[tokio::test]
async fn pre_created_behaves_as_every_back_end_must() {
    under_the_suite("pre_created", Mode::PreCreated, |_| ()).await;
}

#[tokio::test]
async fn full_access_does_so_by_attributes_of_the_site() {
    under_the_suite("full_access by attributes", Mode::FullAccess, site_attributes).await;
}

#[tokio::test]
async fn read_only_does_so_by_attributes_of_the_site() {
    under_the_suite("read_only by attributes", Mode::ReadOnly, site_attributes).await;
}

#[tokio::test]
async fn pre_created_does_so_by_attributes_of_the_site() {
    under_the_suite("pre_created by attributes", Mode::PreCreated, site_attributes).await;
}

#[tokio::test]
async fn full_access_does_so_by_searches_of_one_level() {
    under_the_suite("full_access by one level", Mode::FullAccess, bonsai).await;
}

#[tokio::test]
async fn pre_created_does_so_by_searches_of_one_level() {
    under_the_suite("pre_created by one level", Mode::PreCreated, bonsai).await;
}
