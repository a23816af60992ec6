//! Groups of a person, seen from outside.

mod origin;

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn claims(value: serde_json::Value) -> Claims {
    serde_json::from_value(value).unwrap()
}

fn rules() -> GroupRules {
    GroupRules { fallback_group: Some("nogroup".to_owned()), ..GroupRules::default() }
}

fn names(groups: &Groups) -> Vec<&str> {
    groups.supplementary.iter().map(GroupName::as_str).collect()
}

#[test]
fn each_claim_that_is_said_to_be_read_gives_groups() {
    for claim in claims_read().names() {
        let asserted = json!({ claim: ["urn:geant:x.org:group:physics#x.org"] });
        let found = groups(&rules(), &claims(asserted)).unwrap();
        assert_ne!(names(&found), ["nogroup"], "{claim}");
    }
}

#[test]
fn r22_groups_of_the_system_are_out_of_reach_for_a_provider() {
    let asserted = ["root", "sudo", "Docker", "shadow", "disk", "lxd", "wheel", "adm", "wlcg"];
    let found = groups(&rules(), &claims(json!({ "groups": asserted }))).unwrap();
    assert_eq!(names(&found), ["wlcg"]);
    assert_eq!(found.primary.as_str(), "wlcg");
    assert_eq!(found.dropped.len(), 8);
    for dropped in &found.dropped {
        assert_eq!(
            dropped.reason.to_string(),
            format!("`{}` is a protected name of the system", dropped.group)
        );
    }
}

#[test]
fn r22_an_entitlement_made_to_end_as_a_system_group_is_dropped() {
    let rules =
        GroupRules { method: Method::Regex(Mapping::parse("^.*:group: ->").unwrap()), ..rules() };
    let hostile = claims(json!({"entitlements": ["urn:geant:x:group:docker#x"]}));
    let found = groups(&rules, &hostile).unwrap();
    assert_eq!(names(&found), ["nogroup"]);
    assert_eq!(found.dropped.len(), 1);
}

#[test]
fn one_group_without_a_name_is_left_out_and_ends_nothing() {
    let long = "urn:geant:kit.edu:group:a:b:ccccccccccccccccccccccccccccccccccc#x";
    let found =
        groups(&rules(), &claims(json!({"entitlements": [long, "urn:geant:kit.edu:group:ok#x"]})))
            .unwrap();
    assert_eq!(names(&found), ["kit-edu_ok"]);
    assert_eq!(found.dropped[0].reason, DropReason::NoName(NoName::TooLong));
}

#[test]
fn people_without_a_group_get_the_fallback_or_an_error_that_names_the_option() {
    assert_eq!(groups(&rules(), &claims(json!({}))).unwrap().primary.as_str(), "nogroup");
    let none = GroupRules::default();
    let error = groups(&none, &claims(json!({}))).unwrap_err();
    assert!(error.to_string().contains("fallback_group"), "{error}");
}

#[test]
fn a_configured_group_that_can_not_be_used_is_found_at_the_start() {
    for (option, rules) in [
        ("primary_group", GroupRules { primary_group: Some("sudo".to_owned()), ..rules() }),
        ("fallback_group", GroupRules { fallback_group: Some("😀".to_owned()), ..rules() }),
        ("additional_groups", GroupRules { additional_groups: vec!["root".to_owned()], ..rules() }),
    ] {
        let error = rules.check().unwrap_err();
        assert!(error.to_string().contains(option), "{error}");
    }
    assert!(rules().check().is_ok());
}

#[test]
fn groups_that_shortening_makes_one_are_told() {
    let long = |end: &str| format!("kit-edu_{end}-very-long-group-name-that-exceeds");
    let found = groups(&rules(), &claims(json!({"groups": [long("a"), long("b")]}))).unwrap();
    assert_eq!(names(&found), ["kit-edu_..roup-name-that-exceeds"]);
    assert!(matches!(&found.dropped[0].reason, DropReason::Collides(name, other)
        if name == "kit-edu_..roup-name-that-exceeds" && *other == long("a")));
}

#[test]
fn r22_authorities_share_a_group_unless_the_site_tells_them_apart() {
    let asserted = |authority: &str| {
        claims(json!({"entitlements": [format!("urn:geant:x.org:group:physics#{authority}")]}))
    };
    let (ours, theirs) = (asserted("login.x.org"), asserted("login.evil.example"));
    for claims in [&ours, &theirs] {
        assert_eq!(names(&groups(&rules(), claims).unwrap()), ["x-org_physics"]);
    }
    let policy = Policy::Listed {
        entitlements: vec![crate::pattern::Pattern::new(r"#login\.x\.org$").unwrap()],
        groups: vec![crate::pattern::Pattern::new("^$").unwrap()],
    };
    let listed = GroupRules { policy, ..rules() };
    assert_eq!(names(&groups(&listed, &ours).unwrap()), ["x-org_physics"]);
    assert_eq!(names(&groups(&listed, &theirs).unwrap()), ["nogroup"]);
}

#[test]
fn a_group_name_that_shortening_would_leave_a_character_too_long_is_no_group() {
    // One character more in the second part than what is too much.
    let asserted = format!("aaaaaaaa_bb_{}", "c".repeat(21));
    for text in [asserted.as_str(), "aaaaaaaa_bbb_cccccccccccccccccccccc"] {
        let found = groups(&rules(), &claims(json!({ "groups": [text] }))).unwrap();
        assert!(found.supplementary.iter().all(|name| name.as_str().len() <= 32), "{found:?}");
    }
    let error = make("aaaaaaaa_bb_cccccccccccccccccccccc", ShadowVariant::Default).unwrap_err();
    assert_eq!(error, NoName::TooLong);
}

#[test]
fn a_group_of_punch_that_does_not_fit_is_not_its_parent() {
    let rules = GroupRules { shadow: ShadowVariant::Punch, ..rules() };
    let asserted = "ns_punch4nfdi-a-group-of-admins-with-a-very-long-name";
    let found = groups(&rules, &claims(json!({ "groups": [asserted] }))).unwrap();
    assert_eq!(names(&found), ["nogroup"]);
    assert_eq!(found.dropped[0].reason, DropReason::NoName(NoName::TooLong));
}

#[test]
fn a_person_with_very_many_groups_gets_the_first_of_them() {
    let many: Vec<String> = (0..300).map(|n| format!("group-{n:03}")).collect();
    let found = groups(&rules(), &claims(json!({ "groups": many }))).unwrap();
    assert_eq!(found.supplementary.len() + 1, MAX_GROUPS);
    assert_eq!(found.dropped.len() + found.supplementary.len(), 300);
    assert!(found.dropped.iter().all(|dropped| dropped.reason == DropReason::TooMany));
}

proptest! {
    #[test]
    fn r45_whatever_a_provider_asserts_the_groups_are_valid_and_nothing_is_lost_silently(
        asserted in proptest::collection::vec("\\PC{0,40}|[a-z_]{1,50}", 0..6)
    ) {
        let found = groups(&rules(), &claims(json!({ "groups": asserted.clone() }))).unwrap();
        for name in &found.supplementary {
            prop_assert_eq!(&GroupName::new(name.as_str()).unwrap(), name);
        }
        prop_assert!(found.supplementary.contains(&found.primary));
        for text in &asserted {
            let plain = mask(text);
            let named = group_name(&plain, ShadowVariant::Default)
                .is_ok_and(|name| found.supplementary.contains(&name));
            prop_assert!(named || found.dropped.iter().any(|dropped| dropped.group == plain));
        }
    }

    #[test]
    fn fewer_groups_asserted_never_give_more(
        asserted in proptest::collection::vec("[a-c]{1,2}", 1..6)
    ) {
        let all = groups(&rules(), &claims(json!({ "groups": asserted.clone() }))).unwrap();
        let fewer = groups(&rules(), &claims(json!({ "groups": asserted[1..] }))).unwrap();
        prop_assert!(fewer.supplementary.iter().all(
            |name| all.supplementary.contains(name) || name.as_str() == "nogroup"));
    }
}

#[test]
fn who_brings_no_group_and_may_not_have_the_fallback_group_gets_nogroup() {
    let mut rules = rules();
    rules.fallback_group = Some("guests".to_owned());
    let refused = [GroupName::new("guests").unwrap()].into();
    let barred = Barred { refused, ..Barred::default() };
    let chosen = groups_without(&rules, &Claims::default(), &barred).unwrap();
    assert_eq!(chosen.primary.as_str(), "nogroup");
}
