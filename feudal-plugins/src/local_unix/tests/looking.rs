//! Looking accounts up.

use super::*;

#[tokio::test]
async fn an_account_is_found_by_the_identity_in_its_gecos_field() {
    let bench = bench([inspected(facts("jdoe", "sub-1"))]);
    let account = bench.backend.find(&identity("sub-1")).await.unwrap().unwrap();
    assert_eq!(account.name, name("jdoe"));
    assert_eq!(account.identity, Some(identity("sub-1")));
    assert_eq!((account.uid, account.gid), (Some(2001), Some(2000)));
    assert_eq!(account.groups, ["alpha", "zeta"]);
    assert_eq!(account.state, AccountState::Deployed);
    assert!(bench.backend.find(&identity("sub-9")).await.unwrap().is_none());
}

#[tokio::test]
async fn other_fields_of_gecos_do_not_detach_an_account() {
    let bench = bench([]);
    let account = bench.backend.find(&identity("sub-2")).await.unwrap().unwrap();
    assert_eq!(account.name, name("moved"));
    assert_eq!(account.state, AccountState::Limited);
}

#[tokio::test]
async fn of_two_accounts_with_one_identity_the_last_line_counts() {
    let bench = bench([]);
    let issuer = Issuer::new("https://other.example").unwrap();
    let twice = Identity::new(issuer, Subject::new("sub-1").unwrap());
    assert_eq!(bench.backend.find(&twice).await.unwrap().unwrap().name, name("again"));
}

#[tokio::test]
async fn r08_an_expired_account_is_suspended_whatever_its_shell() {
    let expired = AccountFacts { expired: true, ..facts("jdoe", "sub-1") };
    let bench = bench([inspected(expired)]);
    let account = bench.backend.by_name(&name("jdoe")).await.unwrap().unwrap();
    assert_eq!(account.state, AccountState::Suspended);
}

#[tokio::test]
async fn r08_without_the_helper_the_state_of_a_managed_account_is_not_guessed() {
    let bench = bench([]);
    fs::remove_file(bench.root.path().join("task.sock")).unwrap();
    let error = bench.backend.find(&identity("sub-1")).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("check the service motley-root"), "{error}");
}

#[tokio::test]
async fn accounts_of_local_people_do_not_depend_on_the_helper() {
    let bench = bench([]);
    fs::remove_file(bench.root.path().join("task.sock")).unwrap();
    let account = bench.backend.by_name(&name("local")).await.unwrap().unwrap();
    assert_eq!(account.identity, None);
    assert_eq!(account.shell, "/bin/zsh");
    assert!(bench.helper.asked().is_empty());
}

#[tokio::test]
async fn a_change_of_the_files_is_seen_at_once() {
    let bench = bench([]);
    assert!(bench.backend.find(&identity("new")).await.unwrap().is_none());
    let passwd = bench.root.path().join("etc/passwd");
    let line = "new:x:2100:2000:new@https%3A%2F%2Fop.example%2F:/home/new:/bin/sh\n";
    fs::write(&passwd, format!("{PASSWD}{line}")).unwrap();
    assert!(bench.backend.find(&identity("new")).await.unwrap().is_some());
    let changed = line.replace("new@", "old@").replace("new:x", "old:x");
    fs::write(&passwd, format!("{PASSWD}{changed}")).unwrap();
    assert!(bench.backend.find(&identity("new")).await.unwrap().is_none());
    assert!(bench.backend.find(&identity("old")).await.unwrap().is_some());
}

#[tokio::test]
async fn names_and_uids_of_other_sources_are_taken() {
    let bench = bench([]);
    for (user, taken) in [("jdoe", true), ("local", true), ("ldapuser", true), ("free", false)] {
        assert_eq!(bench.backend.is_taken(&name(user)).await.unwrap(), taken, "{user}");
    }
    for (uid, taken) in [(2001, true), (5000, true), (4999, false)] {
        let uid = Uid::new(uid).unwrap();
        assert_eq!(bench.backend.is_uid_taken(uid).await.unwrap(), taken, "{uid}");
    }
}

#[tokio::test]
async fn r23_a_source_of_names_that_fails_leaves_no_name_and_no_uid_free() {
    let bench = bench([]);
    let by_name = bench.backend.is_taken(&name("unsure")).await.unwrap_err();
    let by_uid = bench.backend.is_uid_taken(Uid::new(5999).unwrap()).await.unwrap_err();
    for error in [by_name, by_uid] {
        assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("/etc/nsswitch.conf"), "{error}");
    }
}

#[tokio::test]
async fn all_accounts_with_an_identity_are_listed() {
    let bench = bench([]);
    let mut names: Vec<String> =
        bench.backend.accounts().await.unwrap().into_iter().map(|a| a.name.into()).collect();
    names.sort();
    assert_eq!(names, ["again", "jdoe", "moved"]);
}

#[tokio::test]
async fn a_warm_look_up_among_50_000_users_takes_microseconds_and_asks_nobody() {
    let known = || inspected(facts("u49999", "u49999"));
    let bench = bench(std::iter::repeat_with(known).take(10_000));
    let line = |n: u32| {
        format!("u{n}:x:{}:2000:u{n}@https%3A%2F%2Fop.example%2F:/home/u{n}:/bin/sh\n", 100_000 + n)
    };
    let many: String = (0..50_000).map(line).collect();
    fs::write(bench.root.path().join("etc/passwd"), many).unwrap();
    let wanted = identity("u49999");
    // The first look-ups read the files, which are too young to be trusted for a moment.
    let settled = async {
        while bench.backend.kept_expiry(&name("u49999")).is_none()
            || !bench.backend.files.is_settled()
        {
            assert!(bench.backend.find(&wanted).await.unwrap().is_some());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled).await.unwrap();
    let asked = bench.helper.asked().len();
    let begun = Instant::now();
    for _ in 0..1000 {
        assert!(bench.backend.find(&wanted).await.unwrap().is_some());
    }
    let each = begun.elapsed() / 1000;
    println!("one look-up among 50 000 users: {each:?}");
    assert!(each < Duration::from_millis(2), "{each:?}");
    assert_eq!(bench.helper.asked().len(), asked);
}
