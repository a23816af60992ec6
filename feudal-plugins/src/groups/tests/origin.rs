//! Which texts make one local name, and who is left out of it.

use super::*;

fn origins(rules: &GroupRules, value: serde_json::Value) -> Origins {
    Origins::of(rules, &claims(value)).unwrap()
}

fn entitled(group: &str) -> serde_json::Value {
    json!({ "entitlements": [format!("urn:geant:x.org:group:{group}#a.org")] })
}

fn name(text: &str) -> GroupName {
    GroupName::new(text).unwrap()
}

#[test]
fn r22_texts_that_become_one_name_are_told_apart() {
    let long = |end: &str| format!("kit-edu_{end}-very-long-group-name-that-exceeds");
    let cut = "kit-edu_..roup-name-that-exceeds".to_owned();
    let cases = [
        (json!({"groups": ["a.b"]}), json!({"groups": ["a-b"]}), "a-b".to_owned()),
        (json!({"groups": [long("a")]}), json!({"groups": [long("b")]}), cut),
        (json!({"groups": ["/vo"]}), json!({"groups": ["vo"]}), "vo".to_owned()),
        (entitled("a:b"), entitled("a_b"), "x-org_a_b".to_owned()),
        (entitled("a.b"), entitled("a-b"), "x-org_a-b".to_owned()),
        (entitled("a"), json!({"groups": ["x.org_a"]}), "x-org_a".to_owned()),
    ];
    for (one, other, made) in cases {
        let made = name(&made);
        let (ours, theirs) = (origins(&rules(), one), origins(&rules(), other));
        assert_eq!(ours.names().chain(theirs.names()).collect::<Vec<_>>(), [&made, &made]);
        let kept = ours.first(&made).unwrap();
        assert!(ours.agrees(&made, kept), "{kept}");
        assert!(!theirs.agrees(&made, kept), "{kept}");
    }
}

#[test]
fn authorities_roles_namespaces_and_case_make_no_other_text() {
    let one = origins(&rules(), entitled("physics"));
    let kept = one.first(&name("x-org_physics")).unwrap();
    assert_eq!(kept, "x.org:group:physics");
    for same in ["urn:geant:x.org:group:physics#b.org", "urn:mace:x.org:group:physics#a.org"] {
        let other = origins(&rules(), json!({ "entitlements": [same] }));
        assert_eq!(other.first(&name("x-org_physics")), Some(kept), "{same}");
    }
    for same in ["physics:role=admin", "PHYSICS"] {
        let other = origins(&rules(), entitled(same));
        assert_eq!(other.first(&name("x-org_physics")), Some(kept), "{same}");
    }
    let stripped = GroupRules { sub_groups: SubGroups::Strip, ..rules() };
    assert_eq!(
        origins(&stripped, entitled("physics:lab")).first(&name("x-org_physics")),
        Some(kept)
    );
}

#[test]
fn what_a_site_maps_together_by_a_rule_stays_together() {
    let method = Method::Regex(Mapping::parse("^.*:group:.*$ -> team").unwrap());
    let rules = GroupRules { method, ..rules() };
    let (one, other) = (origins(&rules, entitled("a")), origins(&rules, entitled("b")));
    assert_eq!(one, other);
    assert_eq!(one.first(&name("team")), Some("team"));
}

#[test]
fn who_asserts_the_text_on_record_beside_another_one_has_the_group() {
    let both = origins(&rules(), json!({ "groups": ["a.b", "a-b"] }));
    for kept in ["a.b", "a-b", "A.B"] {
        assert!(both.agrees(&name("a-b"), kept), "{kept}");
    }
    assert!(!both.agrees(&name("a-b"), "a b"));
}

#[test]
fn groups_that_the_configuration_names_are_nobodys_text() {
    let rules = GroupRules {
        primary_group: Some("users".to_owned()),
        fallback_group: Some("guests".to_owned()),
        additional_groups: vec!["cluster".to_owned()],
        ..rules()
    };
    let asserted = json!({ "groups": ["Users", "guests", "cluster", "lab"] });
    let found = origins(&rules, asserted);
    assert_eq!(found.names().map(GroupName::as_str).collect::<Vec<_>>(), ["lab"]);
}

#[test]
fn r22_a_group_of_another_text_is_left_out_with_both_texts_and_the_cure() {
    let others = [(name("a-b"), "a.b".to_owned())].into();
    let barred = Barred { others, ..Barred::default() };
    let asserted = claims(json!({ "groups": ["a-b", "lab"] }));
    let found = groups_without(&rules(), &asserted, &barred).unwrap();
    assert_eq!((names(&found), found.primary.as_str()), (vec!["lab"], "lab"));
    assert_eq!(found.dropped.len(), 1);
    let reason = found.dropped[0].reason.to_string();
    assert_eq!(found.dropped[0].group, "a-b");
    assert!(reason.contains("`a.b`"), "{reason}");
    assert!(reason.contains("motleyctl groups release a-b"), "{reason}");
    // The site's own word counts more than what a provider made of that name.
    let additional = GroupRules { additional_groups: vec!["a-b".to_owned()], ..rules() };
    assert_eq!(names(&groups_without(&additional, &asserted, &barred).unwrap()), ["a-b", "lab"]);
}

proptest! {
    #[test]
    fn each_group_that_claims_give_has_a_text_or_is_the_sites(
        asserted in proptest::collection::vec("[a-cA-C._:/-]{1,6}", 0..6)
    ) {
        let value = json!({ "groups": asserted });
        let origins = origins(&rules(), value.clone());
        for group in groups(&rules(), &claims(value)).unwrap().supplementary {
            prop_assert!(origins.first(&group).is_some() || group.as_str() == "nogroup");
        }
    }
}
