//! Recorded cases of states and messages (`tests/vectors/states.json`) over the in-memory back end.
//!
//! Run are those that were recorded with local accounts, with and without approval; what shell commands
//! of a case do to an account is done to the one in memory. Those with a directory are played over a
//! real one, in `tests/tests/ldap/states.rs`. `MOTLEY_VECTORS` names another folder.

mod divergence;
mod left;
mod play;

use left::Left;
use play::{Case, Outcome};
use std::collections::BTreeMap;

fn cases() -> Vec<Case> {
    let folder = std::env::var_os("MOTLEY_VECTORS").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors"),
        std::path::PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join("states.json")).unwrap();
    let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    all.into_iter().map(Case).collect()
}

#[tokio::test]
async fn states_and_messages_are_the_recorded_ones_but_for_those_with_a_reason() {
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut accounts: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut equal, mut same_account) = (0, 0);
    for case in cases().iter().filter(|case| case.is_ours()) {
        if let Some(reason) = divergence::not_played(case) {
            *used.entry(reason).or_default() += 1;
            continue;
        }
        let (ours, left) = case.play().await;
        let recorded = Outcome::recorded(case);
        if ours.agrees_with(&recorded) {
            equal += 1;
        } else if let Some(reason) = divergence::reason(case, &ours, &recorded) {
            *used.entry(reason).or_default() += 1;
        } else {
            wrong.push(format!("{}\n  ours:     {ours:?}\n  recorded: {recorded:?}", case.name()));
        }
        let Some(left) = left else { continue };
        let recorded = Left::recorded(case);
        if left == recorded {
            same_account += 1;
        } else if let Some(reason) = divergence::reason_of_account(case, &left, &recorded) {
            *accounts.entry(reason).or_default() += 1;
        } else {
            wrong.push(format!("{}\n  left:     {left:?}\n  recorded: {recorded:?}", case.name()));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal >= 150, "only {equal} cases are equal");
    assert!(same_account >= 400, "only {same_account} accounts are equal");
    eprintln!("{equal} equal; {used:#?}; {same_account} accounts equal; {accounts:#?}");
    if std::env::var_os("MOTLEY_VECTORS").is_none() {
        // With the 295 of a directory and the one of bwIDM these are all 760.
        assert_eq!(equal + used.values().sum::<usize>(), 464, "no case is left out");
        assert_eq!(used, divergence::REASONS.iter().copied().collect(), "cases by reason");
        for reason in divergence::ACCOUNT_REASONS {
            assert!(accounts.contains_key(reason), "no account differs for this reason: {reason}");
        }
    }
}
