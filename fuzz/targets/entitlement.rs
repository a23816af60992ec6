//! Entitlements in both readings (AARC-G002, AARC-G069), and what satisfies what.
#![no_main]

use feudal_plugins::entitlement::Entitlement;
use feudal_plugins::entitlement::g069::{parse_g069, satisfies};
use libfuzzer_sys::fuzz_target;
use motley_fuzz::bounded;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (one, other) = text.split_once('\n').unwrap_or((text, text));
    bounded(text.len(), || {
        check_group_name_reading(one);
        check_authorisation_reading(one, other);
    });
});

fn check_group_name_reading(text: &str) {
    let Some(read) = Entitlement::parse(text) else { return };
    assert_eq!(read.to_string(), text, "it is not written as it was read");
    assert!(!read.group.is_empty() && !read.authority.is_empty());
    assert!(!read.subgroups.iter().any(|group| group.is_empty() || group.contains(':')));
}

fn check_authorisation_reading(required_text: &str, actual_text: &str) {
    let Some(required) = parse_g069(required_text) else { return };
    assert!(satisfies(&required, &required), "it does not satisfy itself");
    assert!(!required.group.is_empty() && !required.delegated_namespace.is_empty());
    // A component that was dropped can have kept two readings apart.
    if !required_text.contains(['#', '?']) {
        assert_eq!(parse_g069(&required.to_string()).as_ref(), Some(&required));
    }
    let Some(actual) = parse_g069(actual_text) else { return };
    if !satisfies(&required, &actual) {
        return;
    }
    assert_eq!(required.group, actual.group);
    assert!(required.role.is_none() || required.role == actual.role);
    // Who asks for less is satisfied, too.
    let mut less = required.clone();
    less.subnamespaces.pop();
    assert!(satisfies(&less, &actual));
    less.role = None;
    less.subgroups.pop();
    assert!(satisfies(&less, &actual));
    // Somebody of the same group without the role or outside the sub-group is not.
    if required.role.is_some() {
        let mut plain = actual;
        plain.role = None;
        assert!(!satisfies(&required, &plain));
    }
}
