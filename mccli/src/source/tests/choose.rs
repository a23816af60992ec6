//! Which token is taken, and what is said when there is none.

use super::{Supports, two_issuers};
use crate::{
    claims::tests::unsigned,
    source::{Candidate, Requirements, Standing, Token, TokenSource, first_token},
};
use motley_proto::{Secret, rest::OpInfo};
use serde_json::json;

struct Fixed(&'static str, Result<Secret, String>);

impl TokenSource for Fixed {
    fn name(&self) -> String {
        self.0.to_owned()
    }
    fn fetch(&self, _: &dyn Requirements) -> Result<Token, String> {
        self.1.clone().map(|secret| Token { secret, recipe: None })
    }
}

fn first(sources: Vec<(Standing, Fixed)>, needs: &dyn Requirements) -> Result<Secret, String> {
    let candidates = sources
        .into_iter()
        .map(|(standing, source)| Candidate { source: Box::new(source), standing });
    match first_token(candidates, needs, 1000.0) {
        Ok(token) => Ok(token.secret),
        Err(error) => Err(error.to_string()),
    }
}

fn named(name: &'static str, found: Result<Secret, String>) -> (Standing, Fixed) {
    (Standing::Named, Fixed(name, found))
}

fn jwt(issuer: &str, exp: u32, scope: &str) -> Secret {
    unsigned(&json!({"iss": issuer, "exp": exp, "scope": scope}))
}

fn wants_email() -> Supports {
    let op = OpInfo { scopes: vec!["email".into()], ..OpInfo::default() };
    Supports(vec!["https://op"], op)
}

#[test]
fn an_expired_token_falls_through_and_an_insufficient_one_is_the_last_resort() {
    let needs = wants_email();
    let good = jwt("https://op", 2000, "openid email");
    let poor = jwt("https://op", 2000, "openid");
    let old = jwt("https://op", 999, "email");
    let found = first(
        vec![
            named("a", Ok(old.clone())),
            named("b", Ok(poor.clone())),
            named("c", Err("down".into())),
            named("d", Ok(good.clone())),
        ],
        &needs,
    );
    assert!(found == Ok(good));
    let found = first(vec![named("a", Ok(old.clone())), named("b", Ok(poor.clone()))], &needs);
    assert!(found == Ok(poor));
    let failed = first(vec![named("a", Ok(old)), named("b", Err("down".into()))], &needs);
    let Err(text) = failed else { panic!("a token was found") };
    assert_eq!(
        text,
        "No Access Token found. Try 'mccli --help' for help on specifying the Access Token source.\n  \
         a: the token is expired; get a new one\n  b: down\nLog in with: mccli login https://op"
    );
}

#[test]
fn a_token_of_a_provider_that_the_service_does_not_support_is_skipped_with_a_note() {
    let foreign = jwt("https://foreign", 2000, "email");
    let good = jwt("https://op", 2000, "email");
    let sources = |last| vec![named("a", Ok(foreign.clone())), named("b", last)];
    assert!(first(sources(Ok(good.clone())), &wants_email()) == Ok(good));
    let Err(text) = first(sources(Err("down".into())), &wants_email()) else {
        panic!("a token was found")
    };
    let note = "a: the service does not support the issuer https://foreign; it supports https://op";
    assert!(text.contains(note), "{text}");
}

#[test]
fn an_opaque_token_is_used_at_once_where_it_was_named_and_last_where_it_lay_around() {
    let opaque = Secret::new("opaque".to_owned());
    let good = jwt("https://op", 2000, "email");
    for (standing, expected) in
        [(Standing::Named, &opaque), (Standing::Known, &opaque), (Standing::Found, &good)]
    {
        let row = vec![
            (standing, Fixed("a", Ok(opaque.clone()))),
            (Standing::Known, Fixed("b", Ok(good.clone()))),
        ];
        assert!(first(row, &wants_email()) == Ok(expected.clone()), "{standing:?}");
    }
    let alone = vec![(Standing::Found, Fixed("a", Ok(opaque.clone())))];
    assert!(first(alone, &wants_email()) == Ok(opaque.clone()));
    let without_service = vec![
        (Standing::Found, Fixed("a", Ok(opaque.clone()))),
        (Standing::Known, Fixed("b", Ok(good))),
    ];
    assert!(first(without_service, &Supports(vec![], OpInfo::default())) == Ok(opaque));
}

#[test]
fn without_any_source_the_providers_to_choose_from_are_listed() {
    let Err(text) = first(vec![], &two_issuers()) else { panic!("a token was found") };
    assert!(text.starts_with("No Access Token found."), "{text}");
    assert!(
        text.contains("mccli login, or choose one with --iss:\n  https://op\n  https://other"),
        "{text}"
    );
}
