//! The browser flow (RFC 8252), with a browser that only follows links.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use motley_tests::op::{Endpoint, Fault};
use motley_tests::sandbox::Terminal;
use reqwest::Url;
use serde_json::json;

use crate::desk::{Desk, PATIENCE, Running};

/// The link that mccli shows.
fn link(login: &mut Running) -> Url {
    Url::parse(&login.line_with("response_type=code")).unwrap()
}

fn start(desk: &Desk) -> Running {
    desk.op.add_client("native", None);
    let words =
        ["login", desk.op.issuer(), "--browser", "--client-id", "native", "--store", "file"];
    Running::start(desk.mccli(&words))
}

/// Where the provider sends a browser that opens the link.
fn followed(desk: &Desk, link: &Url) -> Url {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([reqwest::Certificate::from_pem(desk.ca.pem().as_bytes()).unwrap()])
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(client.get(link.clone()).send()).unwrap();
    Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap()
}

/// Opens an address of mccli's own port; status line and page.
fn visit(address: &Url) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", address.port().unwrap())).unwrap();
    let target = address.as_str().splitn(4, '/').nth(3).unwrap_or_default();
    write!(stream, "GET /{target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text
}

fn member(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned()).unwrap_or_default()
}

#[test]
fn a_login_comes_back_to_a_port_of_ours_with_state_nonce_and_pkce() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    let mut login = start(&desk);
    let link = link(&mut login);
    assert_eq!(member(&link, "code_challenge_method"), "S256");
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(member(&link, name).len(), 43, "{name}");
    }
    assert!(member(&link, "redirect_uri").starts_with("http://127.0.0.1:"));
    let page = visit(&followed(&desk, &link));
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("close this window"), "{page}");
    assert!(page.contains("default-src 'none'") && page.contains("no-referrer"), "{page}");
    let ran = login.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let who = desk.run(&["whoami", "--json"]).json();
    assert_eq!(who["logins"][0]["claims"]["sub"], "sub-alice");
}

#[test]
fn r38_only_the_answer_with_our_state_is_taken_and_only_one() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    let mut login = start(&desk);
    let link = link(&mut login);
    let right = followed(&desk, &link);
    let base = member(&link, "redirect_uri");
    for wrong in ["?code=evil", "?code=evil&state=guessed", "favicon.ico", "?error=access_denied"] {
        let page = visit(&Url::parse(&format!("{base}{wrong}")).unwrap());
        assert!(page.starts_with("HTTP/1.1 404"), "{wrong}: {page}");
    }
    // One that says nothing holds nobody up.
    let _silent = TcpStream::connect(("127.0.0.1", right.port().unwrap())).unwrap();
    assert!(visit(&right).starts_with("HTTP/1.1 200"));
    let port = right.port().unwrap();
    assert_eq!(login.end().code, Some(0));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
}

#[test]
fn a_code_that_another_client_asked_for_is_worth_nothing() {
    let desk = Desk::new();
    desk.op.sign_in(Some("mallory"));
    let mut login = start(&desk);
    let mut link = link(&mut login);
    // Somebody who saw the link logs in with a challenge of the own, and sends the code here.
    let pairs: Vec<(String, String)> = link
        .query_pairs()
        .filter(|(name, _)| name != "code_challenge" && name != "code_challenge_method")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    link.query_pairs_mut()
        .clear()
        .extend_pairs(&pairs)
        .append_pair("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        .append_pair("code_challenge_method", "S256");
    visit(&followed(&desk, &link));
    let ran = login.end();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("invalid_grant"), "{ran:?}");
    assert_eq!(desk.run(&["token", "--check"]).code, Some(3));
}

#[test]
fn the_answer_and_the_id_token_must_be_of_this_login() {
    for (add, patch, text) in [
        ("&iss=https://other.example", None, "another provider"),
        (
            "",
            Some((
                Endpoint::Discovery,
                json!({"authorization_response_iss_parameter_supported": true}),
            )),
            "which provider",
        ),
        ("", Some((Endpoint::Token, json!({"id_token": "x"}))), "the id token is none"),
        ("", Some((Endpoint::Token, json!({"token_type": "mac"}))), "no bearer tokens"),
    ] {
        let desk = Desk::new();
        desk.op.sign_in(Some("alice"));
        if let Some((endpoint, members)) = patch {
            desk.op.fault(endpoint, Fault::Patch(members));
        }
        let mut login = start(&desk);
        let link = link(&mut login);
        let back = followed(&desk, &link);
        visit(&Url::parse(&format!("{back}{add}")).unwrap());
        let ran = login.end();
        assert_eq!(ran.code, Some(3), "{text}: {ran:?}");
        assert!(ran.err.contains(text), "{text}: {ran:?}");
        assert_eq!(desk.run(&["token", "--check"]).code, Some(3), "{text}");
    }
}

#[test]
fn an_answer_that_says_no_ends_the_login() {
    let desk = Desk::new();
    let mut login = start(&desk);
    let link = link(&mut login);
    let state = member(&link, "state");
    let base = member(&link, "redirect_uri");
    let page = visit(&Url::parse(&format!("{base}?error=access_denied&state={state}")).unwrap());
    assert!(page.contains("did not succeed"), "{page}");
    let ran = login.end();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("denied in the browser"), "{ran:?}");
}

#[test]
fn the_address_can_be_pasted_where_the_browser_is_elsewhere() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    desk.op.add_client("native", None);
    let words = [
        "login",
        desk.op.issuer(),
        "--browser",
        "--client-id",
        "native",
        "--store",
        "file",
        "--color",
        "never",
    ];
    let mut command = desk.bare(&words);
    for name in ["DISPLAY", "BROWSER", "DBUS_SESSION_BUS_ADDRESS"] {
        command.env_remove(name);
    }
    let mut terminal = Terminal::start(&command).unwrap();
    let shown = terminal.expect("Paste here", PATIENCE).unwrap();
    let link: String = shown
        .split_whitespace()
        .find(|word| word.contains("response_type=code"))
        .unwrap()
        .to_owned();
    terminal.type_line("https://somewhere.else/").unwrap();
    terminal.expect("not the address of this login", PATIENCE).unwrap();
    terminal.type_line(followed(&desk, &Url::parse(&link).unwrap()).as_str()).unwrap();
    let outcome = terminal.wait(PATIENCE).unwrap();
    assert!(outcome.is_success(), "{}", outcome.stdout);
    assert_eq!(desk.run(&["token", "--check"]).code, Some(0));
}

#[test]
fn a_browser_is_found_by_its_variable_and_given_a_page_that_leads_to_the_link() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    desk.op.add_client("native", None);
    let (program, seen) = (desk.home().join("browser"), desk.home().join("seen"));
    let script = format!("printf '%s\\n' \"$#\" \"$@\" > {}\n", seen.display());
    fs::write(&program, script).unwrap();
    let mut command = desk.mccli(&[
        "--debug",
        "login",
        desk.op.issuer(),
        "--client-id",
        "native",
        "--store",
        "file",
    ]);
    command
        .env("BROWSER", format!("/:/no/such/browser:/bin/sh {} --new %s", program.display()))
        .env("DISPLAY", ":7");
    let mut login = Running::start(command);
    login.line_with("A browser opens");
    let link = link(&mut login);
    crate::desk::wait_until("the browser", || {
        seen.exists() && fs::read_to_string(&seen).unwrap().lines().count() == 3
    });
    let words = fs::read_to_string(&seen).unwrap();
    let words: Vec<&str> = words.lines().collect();
    assert_eq!(words[..2], ["2", "--new"]);
    let page = Url::parse(words[2]).unwrap().to_file_path().unwrap();
    let leads = fs::read_to_string(&page).unwrap().replace("&amp;", "&");
    assert!(leads.contains(&format!("url={link}\"")), "{leads}");
    visit(&followed(&desk, &link));
    assert_eq!(login.end().code, Some(0));
    assert!(!page.exists());
}
