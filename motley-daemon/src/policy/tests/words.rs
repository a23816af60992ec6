//! What people are told about the decision on them.

use super::{config, person};
use crate::policy::{Advice, explain};
use crate::verified::{ClaimSources, Verified};
use motley_proto::{Identity, Issuer, Subject};
use serde_json::{Value, json};

const SCOPES: [&str; 2] = ["openid", "entitlements"];

/// The sentences for somebody of a provider with these options whose token holds these claims.
fn told(options: &str, claims: Value) -> Vec<String> {
    let text = format!("[authorisation.a]\nop_url = https://op.example\n{options}");
    let config = config(&json!({"config": {"motley_cue.conf": text}})).unwrap();
    let mut token = json!({"iss": "https://op.example", "sub": "alice"});
    token.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let case = json!({"input": {"access_token": token}});
    let who = person(&config, &case).unwrap();
    let scopes = SCOPES.map(str::to_owned);
    let advice = Advice { scopes: &scopes, contact: Some("help@site.example") };
    explain(&config.ops[0].policy, &who).sentences(advice)
}

#[test]
fn whoever_is_let_in_learns_which_rule_does_it() {
    let vos = "authorised_vos = [urn:x:y:group:a, urn:x:y:group:b]\nvo_claim = e\naudience = ssh\n";
    assert_eq!(
        told(vos, json!({"e": ["urn:x:y:group:b:role=r"], "aud": "ssh"})),
        ["You are let in as a member of urn:x:y:group:b.", "Your token is meant for this service."]
    );
    assert_eq!(
        told("authorise_all = yes\n", json!({})),
        ["Everybody of your home organisation is let in."]
    );
    assert_eq!(
        told("authorised_users = [alice]\n", json!({})),
        ["You are on the list of people who are let in by name."]
    );
}

#[test]
fn whoever_lacks_a_membership_learns_which_and_whom_to_ask() {
    let one = "authorised_vos = [urn:x:y:group:a]\nvo_claim = e\n";
    assert_eq!(
        told(one, json!({"e": []})),
        [
            "You are not a member of urn:x:y:group:a. Ask its managers, or help@site.example, to add \
          you."
        ]
    );
    let all = "authorised_vos = [a, b, c]\nvo_claim = e\nvo_match = all\n";
    assert_eq!(
        told(all, json!({"e": ["b"]})),
        ["You are not a member of a, c, and all of them are needed. Ask their managers, or \
          help@site.example, to add you."]
    );
    let two = "authorised_vos = [a, b, c]\nvo_claim = e\nvo_match = 2\n";
    assert_eq!(
        told(two, json!({"e": ["b"]})),
        ["Membership in 2 groups is needed, and you are in 1 of those that count. You are not a \
          member of a, c. Ask their managers, or help@site.example, to add you."]
    );
}

#[test]
fn whose_token_lacks_the_scope_for_memberships_learns_the_scope() {
    let vos = "authorised_vos = [a]\nvo_claim = e\n";
    let without = told(vos, json!({"scope": "openid profile"}));
    assert_eq!(without.len(), 1);
    assert!(without[0].contains("claim e") && without[0].contains("lacks the scope entitlements;"));
    let silent = told(vos, json!({}));
    assert!(silent[0].ends_with("Ask for a token with the scopes openid entitlements."));
    let with = told(vos, json!({"scope": "openid entitlements"}));
    assert!(with[0].ends_with("Ask your home organisation why it does not tell them."), "{with:?}");
}

#[test]
fn whose_token_is_meant_for_others_learns_the_audience() {
    let rules = "authorise_all = yes\naudience = [\"ssh\", \"https://ssh.example\"]\n";
    assert_eq!(
        told(rules, json!({"aud": "web"})),
        ["Your token is meant for another service. Ask for a token with the audience ssh or \
          https://ssh.example."]
    );
    assert!(told(rules, json!({}))[0].starts_with("Your token does not say"));
}

#[test]
fn what_people_are_told_holds_no_value_of_their_claims() {
    let rules = "authorised_vos = [a]\nvo_claim = e\nauthorised_users = [bob]\naudience = ssh\n\
                 assurance_based_shell_tier_full = secret-level\n";
    let claims = json!({"e": ["canary"], "aud": "canary", "scope": "canary", "email": "canary",
        "acr": "canary"});
    let told = told(rules, claims.clone());
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(!told.concat().contains("canary"), "{told:?}");
    let text = format!("[authorisation.a]\nop_url = https://op.example\n{rules}");
    let config = config(&json!({"config": {"motley_cue.conf": text}})).unwrap();
    let who = Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new("a").unwrap());
    let sources = ClaimSources { token: claims.as_object().cloned(), ..Default::default() };
    let tier = explain(&config.ops[0].policy, &Verified::attest(who, sources, None)).tier;
    assert!(!tier.sentence().contains("canary") && !tier.sentence().contains("secret-level"));
    assert!(tier.sentence().contains("tier restricted"), "{}", tier.sentence());
}
