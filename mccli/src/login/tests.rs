//! What is asked for, and what is believed.

use super::{
    Flow, Order, Request, id_token,
    provider::{Provider, with_scheme},
    refresh, scopes_for,
    token::{Granted, audience_fields},
};
use crate::{
    claims::tests::unsigned,
    cli::Options,
    config::OpRule,
    http::Http,
    logins::{Client, Keeping, Label},
};
use motley_proto::Secret;
use serde_json::{Value, json};

fn provider(scopes: &[&str]) -> Provider {
    serde_json::from_value(json!({
        "issuer": "https://op.example",
        "token_endpoint": "https://op.example/token",
        "scopes_supported": scopes,
    }))
    .unwrap()
}

fn order(scopes: &[&str]) -> Order {
    Order {
        issuer: "https://op.example".to_owned(),
        scopes: scopes.iter().map(|&s| s.to_owned()).collect(),
        audience: None,
        client_id: None,
        client_secret: None,
        suggested_client: None,
        flow: Flow::Fitting,
        store: None,
        qr: false,
    }
}

fn label(scopes: &[&str]) -> Label {
    Label {
        issuer: "https://op.example".to_owned(),
        client_id: "mccli".to_owned(),
        store: Keeping::File,
        scopes: scopes.iter().map(|&s| s.to_owned()).collect(),
        since_s: 0,
    }
}

#[test]
fn scopes_are_those_of_service_rule_and_earlier_login_and_what_makes_a_login() {
    let none = OpRule::default();
    let rule = OpRule { scopes: Some(vec!["groups".to_owned()]), ..OpRule::default() };
    for (supported, rule, wanted, earlier, expected) in [
        (&[][..], &none, &["email"][..], None, "email openid offline_access"),
        (&[], &none, &[], None, "openid profile email eduperson_entitlement offline_access"),
        (&["openid", "email"], &none, &[], None, "openid email"),
        (&["openid"], &none, &["rare"], None, "rare openid"),
        (&[], &rule, &["email"], None, "groups email openid offline_access"),
        (&[], &none, &["a"], Some(&["openid", "b"][..]), "a openid offline_access b"),
    ] {
        let earlier = earlier.map(label);
        let scopes = scopes_for(&provider(supported), rule, &order(wanted), earlier.as_ref());
        assert_eq!(scopes.join(" "), expected);
    }
}

#[test]
fn an_audience_is_a_resource_too_if_it_is_a_uri() {
    assert_eq!(audience_fields(None), []);
    assert_eq!(audience_fields(Some("ssh")), [("audience", "ssh")]);
    let both = [("audience", "https://ssh.example"), ("resource", "https://ssh.example")];
    assert_eq!(audience_fields(Some("https://ssh.example")), both);
}

#[test]
fn issuers_are_https_unless_written_otherwise() {
    assert_eq!(with_scheme(" op.example "), "https://op.example");
    assert_eq!(with_scheme("http://127.0.0.1:1"), "http://127.0.0.1:1");
}

#[test]
fn r38_an_issuer_with_https_names_no_endpoint_without() {
    let http = Http::new(Options::default().trust()).unwrap();
    for (issuer, endpoint, is_fine) in [
        ("https://op.example", "https://op.example/token", true),
        ("https://op.example", "http://127.0.0.1:1/token", false),
        ("https://op.example", "HTTP://localhost/token", false),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/token", true),
    ] {
        let provider = Provider {
            issuer: issuer.to_owned(),
            token_endpoint: endpoint.to_owned(),
            ..provider(&[])
        };
        assert_eq!(provider.check_endpoints(&http).is_ok(), is_fine, "{issuer} {endpoint}");
    }
}

#[test]
fn tokens_are_looked_up_by_scopes_whatever_their_order_and_without_what_only_logs_in() {
    let key = |text: &str| {
        refresh::key_of(&text.split(' ').map(str::to_owned).collect::<Vec<_>>()).join(" ")
    };
    assert_eq!(key("openid email offline_access email"), "email openid");
}

#[test]
fn an_id_token_that_was_asked_for_must_come() {
    let provider = provider(&[]);
    let client = Client { id: "mccli".to_owned(), secret: None, secret_in_form: false };
    let nonce = Secret::new("n".to_owned());
    let asked = ["openid".to_owned()];
    for (scopes, granted, nonce, is_fine) in [
        (&asked[..], None, Some(&nonce), false),
        (&asked, Some(vec!["openid".to_owned()]), Some(&nonce), false),
        (&asked, Some(vec!["email".to_owned()]), Some(&nonce), true),
        (&[], None, Some(&nonce), true),
        (&asked, None, None, true),
    ] {
        let request = Request { provider: &provider, client: &client, scopes, audience: None };
        let mut granted = Granted {
            access_token: Secret::new("t".to_owned()),
            refresh_token: None,
            expires_at_s: 0.0,
            scopes: granted,
            id_token: None,
            subject: None,
            name: None,
        };
        let outcome = id_token::check(&mut granted, &request, nonce, 1000.0);
        assert_eq!(outcome.is_ok(), is_fine, "{scopes:?} {:?}", granted.scopes);
    }
}

fn checked(payload: &Value, nonce: Option<&str>) -> Result<Option<String>, String> {
    let provider = provider(&[]);
    let client = Client { id: "mccli".to_owned(), secret: None, secret_in_form: false };
    let request = Request { provider: &provider, client: &client, scopes: &[], audience: None };
    let mut granted = Granted {
        access_token: Secret::new("t".to_owned()),
        refresh_token: None,
        expires_at_s: 0.0,
        scopes: None,
        id_token: Some(unsigned(payload)),
        subject: None,
        name: None,
    };
    let nonce = nonce.map(|text| Secret::new(text.to_owned()));
    id_token::check(&mut granted, &request, nonce.as_ref(), 1000.0)
        .map(|()| granted.subject)
        .map_err(|error| error.to_string())
}

#[test]
fn an_id_token_must_be_of_this_provider_for_this_client_of_this_login_and_of_now() {
    let good = json!({
        "iss": "https://op.example", "aud": "mccli", "exp": 1500, "nonce": "n", "sub": "alice",
    });
    assert_eq!(checked(&good, Some("n")).unwrap().as_deref(), Some("alice"));
    let with = |name: &str, value: Value| {
        let mut payload = good.clone();
        payload[name] = value;
        payload
    };
    for (payload, said) in [
        (with("iss", json!("https://op.example/")), "another issuer"),
        (with("iss", Value::Null), "another issuer"),
        (with("aud", json!("other")), "another client"),
        (with("aud", json!(["other"])), "another client"),
        (with("aud", json!(["mccli", "other"])), "another client"),
        (with("aud", Value::Null), "another client"),
        (with("azp", json!("other")), "another client"),
        (with("exp", json!(800)), "expired"),
        (with("exp", json!("1500")), "expired"),
        (with("exp", Value::Null), "expired"),
        (with("nonce", json!("m")), "another login"),
        (with("nonce", Value::Null), "another login"),
    ] {
        let error = checked(&payload, Some("n")).unwrap_err();
        assert!(error.contains(said), "{payload}: {error}");
    }
    let mut several = with("aud", json!(["mccli", "other"]));
    several["azp"] = json!("mccli");
    assert!(checked(&several, Some("n")).is_ok());
    assert!(checked(&with("exp", json!(900)), Some("n")).is_ok(), "clocks differ");
    assert!(checked(&with("nonce", Value::Null), None).is_ok(), "the device flow has none");
}
