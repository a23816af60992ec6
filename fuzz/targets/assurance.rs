//! Expressions over assurance: more values never lower a tier, and none fulfil nothing but `*` (R34).
#![no_main]

use libfuzzer_sys::fuzz_target;
use motley_daemon::policy::assurance::Expression;
use motley_fuzz::bounded;
use std::collections::BTreeSet;

const PREFIX: &str = "https://refeds.org/assurance";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, values) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(expression) = bounded(text.len(), || Expression::parse(text, PREFIX)) else { return };
    let values: Vec<String> = values.split('\n').take(16).map(str::to_owned).collect();
    let mut held = expression.holds(&BTreeSet::new());
    assert!(!held || text.contains('*'), "it holds for people without any assurance");
    for count in 1..=values.len() {
        let holds = expression.holds(&values.iter().take(count).cloned().collect());
        assert!(holds || !held, "one value more takes it away");
        held = holds;
    }
    // Blanks around operators mean nothing.
    let spaced: String = text
        .chars()
        .map(|c| if "()&|".contains(c) { format!(" {c} ") } else { c.to_string() })
        .collect();
    assert_eq!(Expression::parse(&spaced, PREFIX), Ok(expression));
});
