//! What policy promises for every configuration and every person.

use crate::policy::assurance::{AssurancePolicy, Expression, ExpressionError};
use crate::policy::{
    AdminScope, Advice, AudienceRule, Decision, OpPolicy, Rule, VoMatch, VoRule, authorise,
    authorise_admin, explain, tier,
};
use crate::verified::{ClaimMap, ClaimSources, Verified};
use feudal_plugins::Tier;
use motley_proto::{Audience, Identity, Issuer, Subject};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

const GROUPS: [&str; 7] = [
    "a",
    "b",
    "/a/b",
    "urn:geant:x:group:g",
    "urn:geant:x:group:g:sub",
    "urn:geant:x:group:g:role=r",
    "urn:geant:x:group:g:sub:role=r#y",
];

fn subject(text: &str) -> Subject {
    Subject::new(text).unwrap()
}

fn policies() -> impl Strategy<Value = OpPolicy> {
    let matching = select(vec!["one", "all", "2", "3"]);
    let vos = (vec(select(GROUPS.to_vec()), 1..4), matching);
    (
        any::<bool>(),
        vec(select(vec!["s", "t"]), 0..2),
        option::of(vos),
        vec(select(vec!["x", "y"]), 0..3),
    )
        .prop_map(|(authorise_all, users, vos, audiences)| OpPolicy {
            authorise_all,
            users: users.into_iter().map(subject).collect(),
            vos: vos.map(|(required, matching)| {
                let required = required.into_iter().map(str::to_owned);
                VoRule::new("groups", required, VoMatch::parse(matching).unwrap())
            }),
            audience: AudienceRule {
                accepted: audiences.into_iter().map(|a| Audience::new(a).unwrap()).collect(),
                text: String::new(),
            },
            admins: vec![subject("s")],
            admin_scope: AdminScope::OwnProvider,
            assurance: no_assurance(),
        })
}

fn no_assurance() -> AssurancePolicy {
    AssurancePolicy { claims: Vec::new(), expressions: Vec::new(), default: None, max: None }
}

const LEVELS: [&str; 4] = ["x", "y", "https://refeds.org/x", "z"];

/// Policies under which nobody without assurance gets more than somebody with.
fn tier_policies() -> impl Strategy<Value = AssurancePolicy> {
    let texts = ["", "x", "y", "x & y", "x | z", "+", "(x | y) & z"];
    let expressions = (select(texts.to_vec()), select(texts.to_vec()), select(texts.to_vec()));
    let tiers = || option::of(select(vec![Tier::Full, Tier::Limited, Tier::Restricted]));
    (expressions, tiers(), tiers()).prop_map(|((full, limited, restricted), default, max)| {
        let by_tier =
            [(Tier::Full, full), (Tier::Limited, limited), (Tier::Restricted, restricted)];
        let expressions: Vec<_> = by_tier
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(tier, text)| (tier, Expression::parse(text, "https://refeds.org").unwrap()))
            .collect();
        let lowest = expressions.iter().map(|(tier, _)| *tier).min();
        let default = default.filter(|default| lowest.is_none_or(|lowest| *default <= lowest));
        let claims = vec!["groups".to_owned(), "aud".to_owned(), "other".to_owned()];
        AssurancePolicy { claims, expressions, default, max }
    })
}

fn assured_sources() -> impl Strategy<Value = ClaimSources> {
    let value = prop_oneof![
        Just(Value::Null),
        select(LEVELS.to_vec()).prop_map(Value::from),
        vec(select(LEVELS.to_vec()), 0..4).prop_map(Value::from),
    ];
    let claims = vec((select(vec!["groups", "aud", "other"]), value), 0..4).prop_map(|claims| {
        claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<ClaimMap>()
    });
    (option::of(claims.clone()), option::of(claims)).prop_map(|(userinfo, token)| ClaimSources {
        userinfo,
        introspection: None,
        token,
    })
}

fn claim_values() -> impl Strategy<Value = Value> {
    let words = || select([&GROUPS[..], &["x", "y", "z"]].concat());
    prop_oneof![
        Just(Value::Null),
        words().prop_map(Value::from),
        vec(words(), 0..4).prop_map(Value::from),
        Just(json!({"a": 1})),
    ]
}

fn claim_maps() -> impl Strategy<Value = Option<ClaimMap>> {
    let claims = vec((select(vec!["groups", "aud", "other"]), claim_values()), 0..4);
    option::of(claims.prop_map(|claims| {
        claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }))
}

fn all_sources() -> impl Strategy<Value = ClaimSources> {
    (claim_maps(), claim_maps(), claim_maps()).prop_map(|(userinfo, introspection, token)| {
        ClaimSources { userinfo, introspection, token }
    })
}

fn someone(sources: ClaimSources) -> Verified {
    let issuer = Issuer::new("https://op.example").unwrap();
    Verified::attest(Identity::new(issuer, subject("s")), sources, None)
}

fn each(sources: &mut ClaimSources) -> impl Iterator<Item = &mut ClaimMap> {
    [&mut sources.userinfo, &mut sources.introspection, &mut sources.token].into_iter().flatten()
}

proptest! {
    #[test]
    fn r34_taking_a_claim_away_never_grants_more(
        policy in policies(),
        sources in all_sources(),
        name in select(vec!["groups", "aud", "other"]),
    ) {
        let mut fewer = sources.clone();
        each(&mut fewer).for_each(|claims| { claims.remove(name); });
        let (before, after) = (someone(sources), someone(fewer));
        if !authorise(&policy, &before).is_granted() {
            prop_assert!(!authorise(&policy, &after).is_granted());
        }
        if !authorise_admin(&policy, &before).is_granted() {
            prop_assert!(!authorise_admin(&policy, &after).is_granted());
        }
    }

    #[test]
    fn r34_taking_a_value_out_of_a_claim_never_grants_more(
        policy in policies(),
        sources in all_sources(),
        value in select([&GROUPS[..], &["x", "y", "z"]].concat()),
    ) {
        let mut fewer = sources.clone();
        for claim in each(&mut fewer).flat_map(|claims| claims.values_mut()) {
            match claim {
                Value::Array(items) => items.retain(|item| item != value),
                Value::String(text) if text == value => *claim = json!([]),
                _ => {}
            }
        }
        if !authorise(&policy, &someone(sources)).is_granted() {
            prop_assert!(!authorise(&policy, &someone(fewer)).is_granted());
        }
    }

    #[test]
    fn r34_taking_assurance_away_never_raises_the_tier(
        policy in tier_policies(),
        sources in assured_sources(),
        name in select(vec!["groups", "aud", "other"]),
        value in select(LEVELS.to_vec()),
    ) {
        let before = tier(&policy, &someone(sources.clone())).tier;
        let mut without_claim = sources.clone();
        each(&mut without_claim).for_each(|claims| { claims.remove(name); });
        prop_assert!(tier(&policy, &someone(without_claim)).tier <= before);
        let mut without_value = sources;
        for claim in each(&mut without_value).flat_map(|claims| claims.values_mut()) {
            match claim {
                Value::Array(items) => items.retain(|item| item != value),
                Value::String(text) if text == value => *claim = json!([]),
                _ => {}
            }
        }
        prop_assert!(tier(&policy, &someone(without_value)).tier <= before);
    }

    #[test]
    fn r34_what_is_explained_is_what_is_decided(
        policy in policies(),
        sources in all_sources(),
    ) {
        let who = someone(sources);
        let explained = explain(&policy, &who);
        let is_met = |rule: Rule| {
            explained.rules.iter().any(|result| result.rule == rule && result.outcome.is_ok())
        };
        let by_people = [Rule::AuthoriseAll, Rule::AuthorisedVos, Rule::AuthorisedUsers];
        let audience = policy.audience.accepted.is_empty() || is_met(Rule::Audience);
        prop_assert_eq!(explained.authorised, by_people.into_iter().any(is_met) && audience);
        prop_assert!(!explained.sentences(Advice::default()).is_empty());
        match authorise(&policy, &who) {
            Decision::Grant { because } => {
                prop_assert!(explained.authorised && explained.missing.is_empty());
                let first = explained.rules.iter().find_map(|result| result.outcome.as_ref().ok());
                prop_assert_eq!(first.map(ToString::to_string), Some(because));
            }
            Decision::Refuse(refusal) => {
                prop_assert!(!explained.authorised);
                prop_assert_eq!(refusal.missing, explained.missing);
            }
        }
    }

    #[test]
    fn r34_a_section_without_any_rule_lets_nobody_in(sources in all_sources()) {
        let policy = OpPolicy {
            authorise_all: false,
            users: Vec::new(),
            vos: None,
            audience: AudienceRule::default(),
            admins: Vec::new(),
            admin_scope: AdminScope::AllProviders,
            assurance: no_assurance(),
        };
        let who = someone(sources);
        prop_assert!(!authorise(&policy, &who).is_granted());
        prop_assert!(!authorise_admin(&policy, &who).is_granted());
    }

    #[test]
    fn r17_whoever_is_let_in_has_a_token_for_one_of_the_audiences(
        policy in policies(),
        sources in all_sources(),
    ) {
        let who = someone(sources);
        if authorise(&policy, &who).is_granted() && !policy.audience.accepted.is_empty() {
            let named = who.sources().token.as_ref().and_then(|token| token.get("aud"))
                .or_else(|| who.claim("aud")).cloned();
            prop_assert!(named.is_some());
        }
    }

    #[test]
    fn r45_any_text_is_an_expression_or_refused(text in "[ab+*&|() ]{0,40}|\\PC{0,40}") {
        let _ = Expression::parse(&text, "https://refeds.org");
    }
}

#[test]
fn r33_an_empty_list_lets_nobody_in() {
    let text = "[authorisation.a]\nop_url = https://op.example\nauthorised_users = []\n\
                authorised_vos = []\nauthorised_admins = []\nvo_match = all\n";
    let case = json!({"config": {"motley_cue.conf": text}});
    let config = super::config(&case).unwrap();
    let who = someone(ClaimSources::default());
    assert!(!authorise(&config.ops[0].policy, &who).is_granted());
    assert!(!authorise_admin(&config.ops[0].policy, &who).is_granted());
}

#[test]
fn r33_half_a_file_never_lets_more_people_in() {
    let text = "[DEFAULT]\nvo_claim = groups\n[authorisation.a]\nop_url = https://op.example\n\
                authorised_vos = [\n  a,\n  b ]\nvo_match = all\naudience = ssh\n";
    let claims = json!({"groups": ["c"], "aud": "ssh", "sub": "s"});
    let who = someone(ClaimSources { token: claims.as_object().cloned(), ..Default::default() });
    for end in 0..=text.len() {
        let case = json!({"config": {"motley_cue.conf": &text[..end]}});
        let Ok(config) = super::config(&case) else { continue };
        assert!(config.ops.iter().all(|op| !authorise(&op.policy, &who).is_granted()), "{end}");
    }
}

#[test]
fn r17_the_token_decides_what_it_is_for_not_userinfo() {
    let aud = |value: &str| Some(ClaimMap::from_iter([("aud".to_owned(), json!(value))]));
    let rule =
        AudienceRule { accepted: vec![Audience::new("ssh").unwrap()], text: "ssh".to_owned() };
    let sources = |token: Option<ClaimMap>, userinfo| ClaimSources {
        token,
        userinfo,
        ..ClaimSources::default()
    };
    assert!(rule.check(&someone(sources(aud("ssh"), aud("web")))).is_ok());
    assert!(rule.check(&someone(sources(aud("web"), aud("ssh")))).is_err());
    assert!(rule.check(&someone(sources(None, aud("ssh")))).is_ok());
}

#[test]
fn r17_the_token_of_an_admin_must_be_meant_for_this_service_too() {
    let text = "[authorisation.a]\nop_url = https://op.example\nauthorise_all = yes\n\
                authorised_admins = [s]\naudience = [ssh, other]\n";
    let config = super::config(&json!({"config": {"motley_cue.conf": text}})).unwrap();
    for (named, granted) in [
        (json!({"aud": "ssh"}), true),
        (json!({"aud": ["web", "other"]}), true),
        (json!({"aud": "web"}), false),
        (json!({"aud": "sshd"}), false),
        (json!({"aud": []}), false),
        (json!({}), false),
    ] {
        let sources = ClaimSources { token: named.as_object().cloned(), ..Default::default() };
        let who = someone(sources);
        assert_eq!(authorise_admin(&config.ops[0].policy, &who).is_granted(), granted, "{named}");
    }
}

#[test]
fn r45_a_million_parentheses_are_refused_without_a_stack_overflow() {
    let deep = "(".repeat(1_000_000);
    assert_eq!(Expression::parse(&deep, ""), Err(ExpressionError::TooDeep));
}
