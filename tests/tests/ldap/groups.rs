//! Groups: only those that motley made or the configuration names, and only what was asked for.

use crate::directory_test;
use crate::support::*;
use feudal_plugins::{Backend, BackendError, ldap::Mode};
use motley_proto::GroupName;
use motley_tests::slapd::Slapd;

fn refused(error: &BackendError) -> &GroupName {
    match error {
        BackendError::GroupRefused { group, .. } => group,
        other => panic!("{other:?}"),
    }
}

directory_test! {
    async fn r22_a_group_of_the_site_is_joined_only_if_the_configuration_names_it() {
        let entries = group_ldif("admins", 30_500, "") + "\n" + &group_ldif("users1", 30_501, "");
        let slapd = Slapd::builder().entries(&entries).start().unwrap();
        let mut config = config(&slapd, Mode::FullAccess);
        config.groups.allowed.insert(GroupName::new("users1").unwrap());
        let ldap = back_end(config);
        let error = ldap.deploy(&intent("jane", "jdoe", &["admins", "users1"])).await.unwrap_err();
        assert_eq!(refused(&error).as_str(), "admins");
        assert_eq!(slapd.entry(&dn("jdoe")).unwrap(), None, "nothing was made before");
        let done = ldap.deploy(&intent("jane", "jdoe", &["users1"])).await.unwrap();
        assert_eq!(done.joined, groups(&["users1"]));
        assert!(values(&slapd, &group_dn("admins"), "memberUid").is_empty());
    }
}

directory_test! {
    async fn r22_a_group_with_a_gid_of_the_system_or_of_the_hosts_own_is_refused_whatever_names_it() {
        let slapd = Slapd::builder().entries(&group_ldif("sneaky", 27, "")).start().unwrap();
        let mut config = config(&slapd, Mode::FullAccess);
        for group in ["sneaky", "localstaff", "hostgroup"] {
            config.groups.allowed.insert(GroupName::new(group).unwrap());
        }
        let mut host = Host::default();
        host.groups.insert("hostgroup".to_owned(), 2500);
        let ldap = back_end_on(config, host, "");
        for group in ["sneaky", "localstaff", "hostgroup"] {
            let error = ldap.deploy(&intent("jane", "jdoe", &[group])).await.unwrap_err();
            assert_eq!(refused(&error).as_str(), group);
        }
    }
}

directory_test! {
    async fn r22_with_a_prefix_groups_of_the_site_can_be_joined_and_others_not_be_made() {
        let slapd = Slapd::builder().entries(&group_ldif("vo-physics", 30_500, "")).start().unwrap();
        let mut config = config(&slapd, Mode::FullAccess);
        config.groups.prefix = "vo-".to_owned();
        config.groups.allowed.insert(GroupName::new("people").unwrap());
        let ldap = back_end(config);
        let done = ldap.deploy(&intent("jane", "jdoe", &["vo-physics", "vo-new"])).await.unwrap();
        assert_eq!(done.joined, groups(&["vo-new", "vo-physics"]));
        let error = ldap.deploy(&intent("jane", "jdoe", &["lab"])).await.unwrap_err();
        assert_eq!(refused(&error).as_str(), "lab");
        assert_eq!(slapd.entry(&group_dn("lab")).unwrap(), None);
    }
}

directory_test! {
    async fn r22_a_membership_given_by_hand_stays_also_in_a_group_of_ours() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        ldap.deploy(&intent("other", "other", &["lab"])).await.unwrap();
        ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap();
        slapd.change(&format!("dn: {}\nchangetype: modify\nadd: memberUid\nmemberUid: jdoe\n", group_dn("lab"))).unwrap();
        let done = ldap.deploy(&intent("jane", "jdoe", &["lab", "wlcg"])).await.unwrap();
        assert_eq!(done.joined, groups(&["wlcg"]), "she was in lab before");
        assert_eq!(ldap.managed_groups(&name("jdoe")).await.unwrap(), groups(&["wlcg"]));
        let done = ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap();
        assert_eq!(done.left, groups(&["wlcg"]));
        assert_eq!(done.account.groups, ["lab"]);
        assert_eq!(values(&slapd, &group_dn("lab"), "memberUid"), ["jdoe", "other"]);
        assert_eq!(values(&slapd, &group_dn("wlcg"), "description"), ["motley:made"], "no note is left");
    }
}

directory_test! {
    async fn a_group_that_an_admin_took_away_in_between_is_no_obstacle() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        ldap.deploy(&intent("jane", "jdoe", &["lab"])).await.unwrap();
        slapd.change(&format!("dn: {}\nchangetype: delete\n", group_dn("lab"))).unwrap();
        let done = ldap.deploy(&intent("jane", "jdoe", &["lab"])).await.unwrap();
        assert_eq!(done.joined, groups(&["lab"]));
        slapd.change(&format!("dn: {}\nchangetype: modify\ndelete: memberUid\nmemberUid: jdoe\n", group_dn("lab"))).unwrap();
        let done = ldap.deploy(&intent("jane", "jdoe", &[])).await.unwrap();
        assert_eq!(done.left, groups(&[]), "she was not in it any more");
        assert_eq!(ldap.managed_groups(&name("jdoe")).await.unwrap(), []);
    }
}

directory_test! {
    async fn people_who_bring_no_group_get_nogroup_as_their_primary_one() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        let mut jane = intent("jane", "jdoe", &[]);
        jane.groups.primary = GroupName::new("nogroup").unwrap();
        jane.groups.supplementary = vec![jane.groups.primary.clone()];
        let done = ldap.deploy(&jane).await.unwrap();
        assert_eq!((done.account.gid, done.account.groups.len()), (Some(65_534), 0));
    }
}

directory_test! {
    async fn r22_a_primary_group_and_the_note_about_it_change_together() {
        let slapd = Slapd::builder().start().unwrap();
        let ldap = back_end(config(&slapd, Mode::FullAccess));
        ldap.deploy(&intent("jane", "jdoe", &["wlcg"])).await.unwrap();
        let mut without = intent("jane", "jdoe", &["wlcg"]);
        without.groups.primary = GroupName::new("wlcg").unwrap();
        without.groups.supplementary = groups(&["wlcg"]);
        let done = ldap.deploy(&without).await.unwrap();
        assert_eq!(done.message(), "User already existed and was removed from groups people.");
        let gid = value(&slapd, &group_dn("wlcg"), "gidNumber").unwrap();
        assert_eq!(values(&slapd, &dn("jdoe"), "gidNumber"), [gid.as_str()]);
        assert_eq!(values(&slapd, &dn("jdoe"), "description"), [format!("motley:primary:{gid}")]);
        assert!(values(&slapd, &group_dn("wlcg"), "memberUid").is_empty());
        // Who brings none at last is in the group that grants nothing.
        without.groups.primary = GroupName::new("nogroup").unwrap();
        without.groups.supplementary = Vec::new();
        ldap.deploy(&without).await.unwrap();
        assert_eq!(values(&slapd, &dn("jdoe"), "gidNumber"), ["65534"]);
        assert_eq!(ldap.managed_primary(&name("jdoe")).await.unwrap().unwrap().as_str(), "nogroup");
    }
}
