//! oidc-agent's answers from a double, and what is made of them.

use super::{Supports, two_issuers};
use crate::source::{
    OpInfo, TokenSource,
    agent::{Agent, AgentToken, AnyProvider, Chosen},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::mpsc,
    time::Duration,
};

/// A token of the agent behind this socket.
fn behind(socket: Option<PathBuf>, chosen: Chosen, limit: Duration) -> AgentToken {
    AgentToken { name: "--oidc".to_owned(), chosen, agent: Agent::behind(socket, limit) }
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
        let source = behind(Some(path), account(), Duration::from_secs(5));
        source.fetch(&Supports(vec!["https://op"], op)).ok().unwrap().recipe
    };
    for word in ["$(id)", "`id`", "a\"; id; \"", "a;id", "a\nid", "a'b", "a\\", "a&b", "a>b", "*"] {
        assert_eq!(hostile(word, ""), None, "{word:?}");
        assert_eq!(hostile("openid", word), None, "{word:?}");
    }
    assert!(hostile("eduperson_entitlement:x", "https://ssh.example").is_some());
    let (_folder, path, _requests) = agent_double(vec![success("token")]);
    let chosen = Chosen::Issuer("https://op/$(id)".to_owned());
    let only = behind(Some(path), chosen, Duration::from_secs(5));
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
    let source = behind(Some(path), account(), Duration::from_secs(5));
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
        let source = behind(Some(path), chosen, Duration::from_secs(5));
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
        let source = behind(socket, account(), Duration::from_millis(200));
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

/// Answers in pieces with pauses, on a socket that the test scripts byte by byte.
fn slow_agent(pieces: Vec<&'static [u8]>, pause: Duration) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slow.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0u8; 65536]).unwrap();
            for piece in &pieces {
                std::thread::sleep(pause);
                if stream.write_all(piece).is_err() {
                    break;
                }
            }
        }
    });
    (folder, path)
}

#[test]
fn an_answer_in_pieces_is_put_together_and_one_that_drips_for_ever_is_cut_off() {
    let pieces: Vec<&[u8]> = vec![
        b"{",
        b"\"status\":\"succ",
        b"ess\",\"access_token\":\"to",
        b"ken\",\"iss",
        b"uer\":\"https://op/\"}",
    ];
    let chosen = || Chosen::Issuer("https://op".to_owned());
    let (_folder, path) = slow_agent(pieces, Duration::from_millis(20));
    let source = behind(Some(path), chosen(), Duration::from_secs(20));
    assert!(source.fetch(&two_issuers()).ok().unwrap().secret.expose() == "token");

    let (_folder, path) = slow_agent(vec![b" "; 10_000], Duration::from_millis(20));
    let source = behind(Some(path), chosen(), Duration::from_millis(200));
    assert!(source.fetch(&two_issuers()).err().unwrap().contains("did not answer within"));
}

#[test]
fn an_agent_that_takes_no_more_connections_does_not_hold_up_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let mut held = Vec::new();
    // Until the queue is full: then the kernel would have a connection wait.
    loop {
        let stream = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Unix,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_NONBLOCK,
            None,
        )
        .unwrap();
        let address = nix::sys::socket::UnixAddr::new(&path).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&stream);
        if nix::sys::socket::connect(fd, &address).is_err() || held.len() > 10_000 {
            break;
        }
        held.push(stream);
    }
    let source = behind(Some(path), account(), Duration::from_millis(100));
    assert!(source.fetch(&two_issuers()).err().unwrap().contains("no oidc-agent behind"));
}

fn any_provider(answers: Vec<String>) -> (Result<String, String>, Vec<Value>) {
    let (_folder, path, requests) = agent_double(answers);
    let agent = Agent::behind(Some(path), Duration::from_secs(5));
    let found = AnyProvider { agent }.fetch(&two_issuers());
    (found.map(|token| token.secret.expose().to_owned()), requests.try_iter().collect())
}

#[test]
fn where_several_providers_are_supported_the_agents_accounts_decide_in_the_services_order() {
    let unknown = failure("Bad Request: Unknown request type.");
    let loaded = json!({"status": "success", "info": ["work"]}).to_string();
    let (found, requests) = any_provider(vec![
        unknown.clone(),
        loaded.clone(),
        failure("account not loaded"),
        success("second"),
    ]);
    assert_eq!(found, Ok("second".to_owned()));
    let asked: Vec<&str> = requests.iter().map(|r| r["request"].as_str().unwrap()).collect();
    assert_eq!(asked, ["account_info", "loaded_accounts", "access_token", "access_token"]);
    assert_eq!(requests[2]["issuer"], "https://op");
    assert_eq!(requests[3]["issuer"], "https://other");

    let not = || failure("account not loaded");
    let (found, _) = any_provider(vec![unknown.clone(), loaded, not(), not()]);
    let why = found.unwrap_err();
    assert!(why.starts_with("it has the accounts work, and none for a provider"), "{why}");
    let none = json!({"status": "success", "info": []}).to_string();
    let (found, requests) = any_provider(vec![unknown, none]);
    assert!(found.unwrap_err().contains("it has no account"));
    assert_eq!(requests.len(), 2, "an agent without accounts is not asked for tokens");
}

#[test]
fn an_agent_that_tells_its_issuers_is_asked_for_no_other() {
    let info = json!({"status": "success", "info": {
        "https://op": {"pubclient": true},
        "https://other/": {"accounts": {"private": false}},
        "https://foreign": {"accounts": {"work": true}},
    }})
    .to_string();
    let (found, requests) = any_provider(vec![info, success("theirs")]);
    assert_eq!(found, Ok("theirs".to_owned()));
    assert_eq!(requests[1]["issuer"], "https://other");
}

#[test]
fn a_locked_agent_is_asked_once() {
    let locked = failure("Agent locked");
    let (found, requests) = any_provider(vec![locked.clone(), locked]);
    assert!(found.unwrap_err().contains("oidc-add --unlock"));
    assert_eq!(requests.len(), 2);
}

#[test]
fn accounts_of_well_known_providers_come_with_the_scopes_to_ask_for() {
    for (issuer, expected) in [
        ("https://aai.egi.eu/auth/realms/egi/", "eduperson_unique_id\" egi"),
        ("https://login.helmholtz.de/oauth2/", "eduperson_unique_id\" helmholtz"),
        ("https://wlcg.cloud.cnaf.infn.it/", "wlcg.groups wlcg\" wlcg"),
        ("https://accounts.google.com", "--flow device --scope max google"),
    ] {
        let (_folder, path, _requests) = agent_double(vec![failure("account not loaded")]);
        let source = behind(Some(path), Chosen::issuer(issuer), Duration::from_secs(5));
        let why = source.fetch(&Supports(vec![issuer], OpInfo::default())).err().unwrap();
        assert!(why.ends_with(expected), "{why}");
    }
}

/// The agents that these variables name.
fn agents(variables: &[(&str, &str)], allow_plain: bool) -> AgentToken {
    let lookup = |name: &str| {
        let value = variables.iter().find(|(known, _)| *known == name)?.1;
        Some(value.to_owned())
    };
    let agent = Agent::from_environment(&lookup, allow_plain).within(Duration::from_secs(5));
    AgentToken { name: "--oidc".to_owned(), chosen: Chosen::issuer("op"), agent }
}

#[test]
fn the_session_agents_of_version_5_and_4_are_found_in_directories_of_the_users_own() {
    let uid = nix::unistd::getuid();
    let tmp = tempfile::tempdir().unwrap();
    let variables = [("TMPDIR", tmp.path().to_str().unwrap())];
    let ask = || agents(&variables, false).fetch(&two_issuers());
    assert!(ask().err().unwrap().starts_with("OIDC_SOCK env var not set"));
    for (folder, token) in [
        (format!("oidc-agent-service/{uid}"), "four"),
        (format!("oidc-agent-service-{uid}"), "five"),
    ] {
        let folder = tmp.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let (kept, path, _requests) = agent_double(vec![success(token)]);
        std::fs::rename(path, folder.join("oidc-agent.sock")).unwrap();
        assert!(ask().ok().unwrap().secret.expose() == token, "{token}");
        drop(kept);
    }
    if uid.is_root() {
        for folder in [format!("oidc-agent-service/{uid}"), format!("oidc-agent-service-{uid}")] {
            std::os::unix::fs::chown(tmp.path().join(folder), Some(12_345), None).unwrap();
        }
        assert!(ask().err().unwrap().starts_with("OIDC_SOCK env var not set"));
    }
}

#[test]
fn r38_an_agent_on_the_network_is_asked_only_on_this_machine_unless_plain_text_is_allowed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0u8; 65536]).unwrap();
            stream.write_all(success("remote").as_bytes()).unwrap();
        }
    });
    let near = agents(&[("OIDC_REMOTE_SOCK", &address)], false);
    assert!(near.fetch(&two_issuers()).ok().unwrap().secret.expose() == "remote");

    // The nearer one says no, so the farther one is asked.
    let (_folder, path, _requests) = agent_double(vec![failure("account not loaded")]);
    let both = [("OIDC_SOCK", path.to_str().unwrap()), ("OIDC_REMOTE_SOCK", address.as_str())];
    assert!(agents(&both, false).fetch(&two_issuers()).ok().unwrap().secret.expose() == "remote");

    for far in ["192.0.2.1", "192.0.2.1:42424", "agent.example.org", "localhost.example.org"] {
        let why = agents(&[("OIDC_REMOTE_SOCK", far)], false).fetch(&two_issuers()).err().unwrap();
        assert!(why.contains("beyond this machine") && why.contains("ssh -L"), "{far}: {why}");
    }
    let why =
        agents(&[("OIDC_REMOTE_SOCK", "name.invalid")], true).fetch(&two_issuers()).err().unwrap();
    assert!(why.contains("no oidc-agent at name.invalid:42424"), "{why}");
}
