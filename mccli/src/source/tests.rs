//! Order of the sources, and oidc-agent's answers from a double.

use super::*;
use crate::claims::tests::unsigned;
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::mpsc,
    time::Duration,
};

struct Supports(Vec<&'static str>, OpInfo);

impl Requirements for Supports {
    fn of(&self, issuer: &str) -> Needs {
        match self.0.contains(&issuer) {
            true => Needs::Op(self.1.clone()),
            false => Needs::Unsupported,
        }
    }
    fn issuers(&self) -> Vec<String> {
        self.0.iter().map(|&issuer| issuer.to_owned()).collect()
    }
}

fn two_issuers() -> Supports {
    Supports(vec!["https://op", "https://other"], OpInfo::default())
}

fn names(options: &Options, variables: &[(&str, &str)], needs: &dyn Requirements) -> Vec<String> {
    let lookup = |name: &str| -> Option<String> {
        let value = variables.iter().find(|(n, _)| *n == name)?.1;
        (!value.is_empty()).then(|| value.to_owned())
    };
    in_order(options, &lookup, needs).iter().map(|source| source.name()).collect()
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_only_issuer() {
    let options = Options { oa_account: Some("work".into()), ..Options::default() };
    let variables = [("ACCESS_TOKEN", ""), ("OIDC", "t"), ("OIDC_ISSUER", "op")];
    assert_eq!(
        names(&options, &variables, &two_issuers()),
        ["--oidc work", "OIDC", "OIDC_ISSUER https://op"]
    );
    let one = Supports(vec!["https://op"], OpInfo::default());
    assert_eq!(names(&Options::default(), &[], &one), ["the service's only provider https://op"]);
}

#[test]
fn compat_0_7_orders_by_kind_and_lets_an_option_replace_its_variable() {
    let options = Options {
        oa_account: Some("work".into()),
        iss: Some("https://op".into()),
        ..Options::default()
    };
    let variables =
        [("MCCLI_COMPAT", "0.7"), ("WATTS_TOKEN", "t"), ("OIDC_AGENT_ACCOUNT", "private")];
    assert_eq!(
        names(&options, &variables, &two_issuers()),
        ["WATTS_TOKEN", "--oidc work", "--iss https://op"]
    );
}

struct Fixed(&'static str, std::result::Result<Secret, String>);

impl TokenSource for Fixed {
    fn name(&self) -> String {
        self.0.to_owned()
    }
    fn fetch(&self, _: &dyn Requirements) -> std::result::Result<Token, String> {
        self.1.clone().map(|secret| Token { secret, recipe: None })
    }
}

fn first(sources: Vec<Fixed>, needs: &dyn Requirements) -> std::result::Result<Secret, String> {
    let sources: Vec<Box<dyn TokenSource>> =
        sources.into_iter().map(|s| Box::new(s) as Box<dyn TokenSource>).collect();
    match first_token(&sources, needs, 1000.0) {
        Ok(token) => Ok(token.secret),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn an_expired_token_falls_through_and_an_insufficient_one_is_the_last_resort() {
    let needs = Supports(
        vec!["https://op"],
        OpInfo { scopes: vec!["email".into()], audience: String::new(), ..OpInfo::default() },
    );
    let jwt =
        |exp: u32, scope: &str| unsigned(&json!({"iss": "https://op", "exp": exp, "scope": scope}));
    let good = jwt(2000, "openid email");
    let poor = jwt(2000, "openid");
    let old = jwt(999, "email");
    let found = first(
        vec![
            Fixed("a", Ok(old.clone())),
            Fixed("b", Ok(poor.clone())),
            Fixed("c", Err("down".into())),
            Fixed("d", Ok(good.clone())),
        ],
        &needs,
    );
    assert!(found == Ok(good));
    let found = first(vec![Fixed("a", Ok(old.clone())), Fixed("b", Ok(poor.clone()))], &needs);
    assert!(found == Ok(poor));
    let failed = first(vec![Fixed("a", Ok(old)), Fixed("b", Err("down".into()))], &needs);
    let Err(text) = failed else { panic!("a token was found") };
    assert_eq!(text, "a: the token is expired; get a new one\nb: down");
}

#[test]
fn without_any_source_the_providers_to_choose_from_are_listed() {
    let Err(text) = first(vec![], &two_issuers()) else { panic!("a token was found") };
    assert!(text.starts_with("No Access Token found."), "{text}");
    assert!(text.contains("--iss:\n  https://op\n  https://other"), "{text}");
}

/// Stands in for oidc-agent: answers each connection in turn, reports each first read.
fn agent_double(answers: Vec<String>) -> (tempfile::TempDir, PathBuf, mpsc::Receiver<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (heard, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0u8; 65536];
            let count = stream.read(&mut buffer).unwrap();
            heard.send(serde_json::from_slice(&buffer[..count]).unwrap()).unwrap();
            for piece in answer.as_bytes().chunks(100) {
                stream.write_all(piece).unwrap();
            }
        }
    });
    (folder, path, requests)
}

fn success(token: &str) -> String {
    json!({"status": "success", "access_token": token, "issuer": "https://op", "expires_at": 1})
        .to_string()
}

fn failure(error: &str) -> String {
    json!({"status": "failure", "error": error}).to_string()
}

fn account() -> Chosen {
    Chosen::Account("work".to_owned())
}

#[test]
fn r38_words_of_a_hostile_service_do_not_become_part_of_a_command_to_paste() {
    let hostile = |scope: &str, audience: &str| {
        let (_folder, path, _requests) = agent_double(vec![success("first"), success("second")]);
        let op = OpInfo {
            scopes: vec![scope.to_owned()],
            audience: audience.to_owned(),
            ..OpInfo::default()
        };
        let source = AgentToken::behind(Some(path), account(), Duration::from_secs(5));
        source.fetch(&Supports(vec!["https://op"], op)).ok().unwrap().recipe
    };
    for word in ["$(id)", "`id`", "a\"; id; \"", "a;id", "a\nid", "a'b", "a\\", "a&b", "a>b", "*"] {
        assert_eq!(hostile(word, ""), None, "{word:?}");
        assert_eq!(hostile("openid", word), None, "{word:?}");
    }
    assert!(hostile("eduperson_entitlement:x", "https://ssh.example").is_some());
    let (_folder, path, _requests) = agent_double(vec![success("token")]);
    let chosen = Chosen::Issuer("https://op/$(id)".to_owned());
    let only = AgentToken::behind(Some(path), chosen, Duration::from_secs(5));
    let op = OpInfo { scopes: Vec::new(), audience: String::new(), ..OpInfo::default() };
    let fetched = only.fetch(&Supports(vec!["https://op/$(id)"], op)).ok().unwrap();
    assert_eq!(fetched.recipe, None, "the service's only provider");
}

#[test]
fn an_account_is_asked_for_its_issuer_and_then_with_scopes_and_audience() {
    let long = "t".repeat(5000);
    let (_folder, path, requests) = agent_double(vec![success("first"), success(&long)]);
    let op = OpInfo {
        scopes: vec!["openid".into(), "email".into()],
        audience: "ssh".into(),
        ..OpInfo::default()
    };
    let source = AgentToken::behind(Some(path), account(), Duration::from_secs(5));
    let token = source.fetch(&Supports(vec!["https://op"], op)).ok().unwrap();
    assert!(token.secret.expose() == long);
    assert_eq!(token.recipe.unwrap(), "oidc-token --scope \"openid email\" --aud ssh work");
    let common = json!({"request": "access_token", "account": "work", "min_valid_period": 60, "application_hint": "mccli"});
    assert_eq!(requests.recv().unwrap(), common);
    let second = requests.recv().unwrap();
    assert_eq!(second["scope"], "openid email");
    assert_eq!(second["audience"], "ssh");
}

#[test]
fn the_agents_refusals_name_the_next_step() {
    for (chosen, said, expected) in [
        (account(), "account not loaded", "load it with: oidc-add work"),
        (account(), "Agent locked", "oidc-add --unlock"),
        (Chosen::issuer("op"), "No account loaded for this issuer", "oidc-gen --iss https://op"),
        (account(), "Bad Request: Unknown request type.", "Unknown request type"),
    ] {
        let (_folder, path, _requests) = agent_double(vec![failure(said)]);
        let source = AgentToken::behind(Some(path), chosen, Duration::from_secs(5));
        let Err(text) = source.fetch(&Supports(vec!["https://op"], OpInfo::default())) else {
            panic!("{said} gave a token")
        };
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn an_agent_that_is_absent_dead_silent_or_strange_gives_a_clear_error_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |socket: Option<PathBuf>| {
        let source = AgentToken::behind(socket, account(), Duration::from_millis(200));
        source.fetch(&two_issuers()).err().unwrap()
    };
    assert!(ask(None).starts_with("OIDC_SOCK env var not set"));
    assert!(ask(Some(folder.path().join("gone"))).contains("no oidc-agent behind"));

    let silent = folder.path().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    assert!(ask(Some(silent)).contains("did not answer within"));

    let (_folder, strange, _requests) = agent_double(vec!["<html>".to_owned()]);
    assert!(ask(Some(strange)).contains("is OIDC_SOCK its socket?"));
}
