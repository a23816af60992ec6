//! Numbers: none twice, whoever makes accounts at the same time and whatever the directory offers.

use crate::directory_test;
use crate::support::*;
use feudal_plugins::{
    Backend, BackendError, Intent,
    ldap::{Depth, LdapConfig, LdapDirectory, Mode},
};
use motley_tests::slapd::{GROUPS, Slapd, USERS};
use std::{collections::BTreeSet, sync::Arc};

const CLASSES: &str = "\
objectclass ( 1.3.6.1.4.1.4203.666.11.1 NAME 'uidNext' SUP top STRUCTURAL MUST ( cn $ uidNumber ) )
objectclass ( 1.3.6.1.4.1.4203.666.11.2 NAME 'gidNext' SUP top STRUCTURAL MUST ( cn $ gidNumber ) )
";
const COUNTERS: &str = "\
dn: cn=uidNext,ou=users,dc=example
objectClass: uidNext
cn: uidNext
uidNumber: 12000

dn: cn=gidNext,ou=groups,dc=example
objectClass: gidNext
cn: gidNext
gidNumber: 32000
";
/// Nobody sees the counters, and so nobody can make them either.
const NO_COUNTERS: &str = "\
access to dn.exact=\"cn=uidNext,ou=users,dc=example\" by * none
access to dn.exact=\"cn=gidNext,ou=groups,dc=example\" by * none
";

/// Makes 20 accounts at once, half of them by each back end, and yields their uids.
async fn crowd(both: [Arc<LdapDirectory>; 2]) -> Vec<u32> {
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let ldap = Arc::clone(&both[n % 2]);
            let wish = intent(&format!("s{n}"), &format!("person{n}"), &[&format!("lab{}", n % 3)]);
            tokio::spawn(async move { uid_of(&ldap.deploy(&wish).await.unwrap().account) })
        })
        .collect();
    let mut uids = Vec::new();
    for task in tasks {
        uids.push(task.await.unwrap());
    }
    uids
}

fn two(slapd: &Slapd) -> [Arc<LdapDirectory>; 2] {
    [0, 1].map(|_| Arc::new(back_end(config(slapd, Mode::FullAccess))))
}

/// As the original's back end for one level, whose counters stood still.
fn bonsai(slapd: &Slapd) -> LdapConfig {
    LdapConfig { backend: "bonsai_ldap", depth: Depth::OneLevel, ..config(slapd, Mode::FullAccess) }
}

directory_test! {
    async fn r24_searches_of_one_level_give_20_uids_to_20_accounts_with_and_without_counters() {
        for access in ["", NO_COUNTERS] {
            let slapd = Slapd::builder().access(access).start().unwrap();
            let uids = crowd([0, 1].map(|_| Arc::new(back_end(bonsai(&slapd))))).await;
            assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), 20, "{uids:?}");
            assert_eq!(slapd.find(USERS, "(objectClass=posixAccount)").unwrap().len(), 20);
        }
    }
}

directory_test! {
    async fn searches_of_one_level_move_the_counters_on() {
        let slapd = Slapd::builder().schema(CLASSES).entries(COUNTERS).start().unwrap();
        let ldap = back_end(bonsai(&slapd));
        for n in 0..3 {
            let wish = intent(&format!("s{n}"), &format!("p{n}"), &[&format!("lab{n}")]);
            let account = ldap.deploy(&wish).await.unwrap().account;
            // The first lab is made before the primary group.
            assert_eq!((account.uid, account.gid), (Some(12_000 + n), Some(32_001)));
        }
        let next = |dn: &str, attribute| value(&slapd, dn, attribute).unwrap();
        assert_eq!(next("cn=uidNext,ou=users,dc=example", "uidNumber"), "12003");
        assert_eq!(next("cn=gidNext,ou=groups,dc=example", "gidNumber"), "32004", "people and 3 labs");
    }
}

directory_test! {
    async fn r24_two_services_that_make_20_accounts_at_once_give_20_uids() {
        let slapd = Slapd::builder().start().unwrap();
        let uids = crowd(two(&slapd)).await;
        assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), 20, "{uids:?}");
        let gids: BTreeSet<_> = (0..3).map(|n| value(&slapd, &group_dn(&format!("lab{n}")), "gidNumber")).collect();
        assert_eq!(gids.len(), 3);
        assert_eq!(slapd.find(USERS, "(objectClass=posixAccount)").unwrap().len(), 20);
    }
}

directory_test! {
    async fn r24_the_same_holds_where_there_can_be_no_counters() {
        let slapd = Slapd::builder().access(NO_COUNTERS).start().unwrap();
        let uids = crowd(two(&slapd)).await;
        assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), 20, "{uids:?}");
        assert_eq!(slapd.find(USERS, "(objectClass=posixAccount)").unwrap().len(), 20);
        let names = ["people", "lab0", "lab1", "lab2"];
        let gids: BTreeSet<_> =
            names.iter().map(|name| value(&slapd, &group_dn(name), "gidNumber").unwrap()).collect();
        assert_eq!(gids.len(), 4, "{gids:?}");
        let all = slapd.find(GROUPS, "(objectClass=posixGroup)").unwrap();
        assert_eq!(all.len(), 4, "nothing is left behind: {all:?}");
        for n in 0..20 {
            let primary = value(&slapd, &dn(&format!("person{n}")), "gidNumber");
            assert_eq!(primary, value(&slapd, &group_dn("people"), "gidNumber"));
        }
    }
}

directory_test! {
    async fn r23_no_account_gets_a_uid_below_the_floor_with_or_without_counters() {
        for access in ["", NO_COUNTERS] {
            let slapd = Slapd::builder().access(access).start().unwrap();
            let ldap = back_end(config(&slapd, Mode::FullAccess));
            let first = uid_of(&ldap.deploy(&intent("a", "ada", &[])).await.unwrap().account);
            let floor = Some(first + 40);
            let wish = Intent { uid_floor: floor, ..intent("b", "bob", &[]) };
            let next = uid_of(&ldap.deploy(&wish).await.unwrap().account);
            assert_eq!(Some(next), floor);
            assert!(ldap.numbers().unwrap().contains(&next));
        }
    }
}

directory_test! {
    async fn the_counters_of_the_python_stack_are_moved_on() {
        let slapd = Slapd::builder().schema(CLASSES).entries(COUNTERS).start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let done = ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap();
        assert_eq!((done.account.uid, done.account.gid), (Some(12_000), Some(32_000)));
        let next = |dn: &str, attribute| value(&slapd, dn, attribute).unwrap();
        assert_eq!(next("cn=uidNext,ou=users,dc=example", "uidNumber"), "12001");
        assert_eq!(next("cn=gidNext,ou=groups,dc=example", "gidNumber"), "32001");
    }
}

directory_test! {
    async fn numbers_in_use_are_passed_over_wherever_they_are_used() {
        let mut entries = COUNTERS.to_owned();
        for uid in 12_000..12_030 {
            entries += &format!("\n{}", user_ldif(&format!("old{uid}"), uid, ""));
        }
        let slapd = Slapd::builder().schema(CLASSES).entries(&entries).start().unwrap();
        let mut host = Host::default();
        host.users.insert("local".to_owned(), 12_030);
        let ldap = back_end_on(config(&slapd, Mode::FullAccess), host, "");
        let done = ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap();
        assert_eq!(done.account.uid, Some(12_031));
        assert_eq!(value(&slapd, "cn=uidNext,ou=users,dc=example", "uidNumber").as_deref(), Some("12032"));
    }
}

directory_test! {
    async fn r23_a_uid_does_not_come_back_when_its_owner_is_gone() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let jane = intent("jane", "jdoe", &[]);
        let first = uid_of(&ldap.deploy(&jane).await.unwrap().account);
        ldap.remove(&jane.identity, &jane.name).await.unwrap();
        let second = uid_of(&ldap.deploy(&intent("joe", "joe", &[])).await.unwrap().account);
        assert!(second > first, "{second} {first}");
    }
}

directory_test! {
    async fn an_exhausted_range_says_what_to_raise() {
        let slapd = Slapd::builder().start().unwrap();
        let mut config = config(&slapd, Mode::FullAccess);
        config.uids = 10_000..=10_001;
        let ldap = back_end(config);
        for n in 0..2 {
            ldap.deploy(&intent(&format!("s{n}"), &format!("p{n}"), &[])).await.unwrap();
        }
        let error = ldap.deploy(&intent("s2", "p2", &[])).await.unwrap_err();
        assert!(matches!(error, BackendError::Refused(_)) && error.to_string().contains("uid_max"), "{error}");
    }
}
