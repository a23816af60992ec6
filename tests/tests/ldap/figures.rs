//! How long operations take among 100 000 accounts: `cargo nextest run --test ldap --run-ignored only --no-capture`.

use crate::directory_test;
use crate::support::*;
use feudal_plugins::{Backend, ldap::Mode};
use motley_tests::slapd::Slapd;
use std::{
    fmt::Write as _,
    future::Future,
    time::{Duration, Instant},
};

const ACCOUNTS: u32 = 100_000;
const RUNS: usize = 200;

/// Median and largest of the times that the runs take, one after the other.
async fn times<F: Future>(mut run: impl FnMut(usize) -> F) -> (Duration, Duration) {
    let mut all = Vec::new();
    for n in 0..RUNS {
        let begin = Instant::now();
        run(n).await;
        all.push(begin.elapsed());
    }
    all.sort();
    (all[RUNS / 2], all[RUNS - 1])
}

fn entries() -> String {
    let mut ldif = group_ldif("people", 30_000, "description: motley:made\n");
    for n in 0..ACCOUNTS {
        let id = identity(&format!("s{n}"));
        let carried = format!("gecos: {}\n", id.unique_id().as_str());
        let _ = writeln!(ldif, "\n{}", user_ldif(&format!("p{n}"), 100_000 + n, &carried));
    }
    ldif
}

directory_test! {
    #[ignore = "measures, and takes a minute"]
    async fn operations_among_100000_accounts() {
        let slapd = Slapd::builder().entries(&entries()).start().unwrap();
        let mut config = config(&slapd, Mode::FullAccess);
        config.uids = 100_000..=999_999;
        let ldap = back_end(config);
        let begin = Instant::now();
        ldap.deploy(&intent("first", "first", &[])).await.unwrap();
        eprintln!("first deployment, which makes the counters: {:?}", begin.elapsed());
        let found = times(|n| {
            let (ldap, id) = (&ldap, identity(&format!("s{}", n * 499)));
            async move { assert!(ldap.find(&id).await.unwrap().is_some()) }
        });
        eprintln!("look up an account (median, largest): {:?}", found.await);
        let made = times(|n| {
            let (ldap, wish) = (&ldap, intent(&format!("n{n}"), &format!("new{n}"), &["lab"]));
            async move { assert!(ldap.deploy(&wish).await.unwrap().created) }
        });
        eprintln!("deploy a new account with a group: {:?}", made.await);
        let again = times(|n| {
            let (ldap, wish) = (&ldap, intent(&format!("n{n}"), &format!("new{n}"), &["lab"]));
            async move { assert!(!ldap.deploy(&wish).await.unwrap().created) }
        });
        eprintln!("deploy it again: {:?}", again.await);
        let begin = Instant::now();
        let count = ldap.accounts().await.unwrap().len();
        eprintln!("list {count} accounts: {:?}", begin.elapsed());
        assert!(count > 100_000);
    }
}
