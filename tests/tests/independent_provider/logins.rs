//! Logins of `mccli` at the independent provider, with a real browser that clicks, as people do.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context, Result, ensure};
use motley_tests::browser::{self, Browser};
use motley_tests::sandbox::{Mccli, Sandbox, built, test_name};

use crate::provider::ISSUER;
use crate::{LoginNode, assert_ran_as, cache, provider};

const RULES: &str = "opaque_tokens = yes\nscopes = [openid, profile, email, entitlements]";
const ALICE: &str = "button[value=sub-of-alice]";

/// Declares a test that needs the provider and a browser.
macro_rules! login_test {
    (fn $name:ident($sb:ident, $node:ident, $browser:ident) $body:block) => {
        #[test]
        fn $name() {
            let test = test_name(module_path!(), stringify!($name));
            if let Some(why) = browser::unavailable() {
                let required = std::env::var_os("REQUIRE_E2E").is_some_and(|value| value == "1");
                assert!(!required, "REQUIRE_E2E=1, but there is no browser: {why}");
                eprintln!("SKIPPED {test}: there is no browser: {why}");
                return;
            }
            let body = |$sb: &Sandbox, folder: &Path| -> Result<()> {
                let $node = LoginNode::start($sb, folder, RULES)?;
                let mut $browser = Browser::start(&$sb.dir().join("browser"))?;
                $browser.trust_everybody()?;
                $body
            };
            if let Err(error) = cache::run_with(&test, provider::install, body) {
                panic!("{error:#}");
            }
        }
    };
}

/// `mccli login` under way, without a terminal.
struct Login {
    child: Child,
    lines: BufReader<ChildStderr>,
    shown: String,
}

impl Login {
    fn start(node: &LoginNode, how: &[&str]) -> Result<Self> {
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(built("mccli")?).args([
            "login",
            "--mc-endpoint",
            node.daemon.url(),
        ]);
        command.args(["--store", "file"]).args(how).env("SSL_CERT_FILE", node.provider.ca.path());
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let lines = BufReader::new(child.stderr.take().context("no pipe")?);
        Ok(Self { child, lines, shown: String::new() })
    }

    /// The next link with this text in it that mccli shows.
    fn link(&mut self, part: &str) -> Result<String> {
        loop {
            let mut line = String::new();
            ensure!(self.lines.read_line(&mut line)? > 0, "no link in {}", self.shown);
            self.shown.push_str(&line);
            let link = line.split_whitespace().find(|word| word.starts_with("https://"));
            if let Some(link) = link.filter(|link| link.contains(part)) {
                return Ok(link.to_owned());
            }
        }
    }

    fn end(mut self) -> Result<()> {
        self.lines.read_to_string(&mut self.shown)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {}", self.shown);
        Ok(())
    }
}

/// `mccli ssh` with nothing but what the login has left.
fn ssh(sb: &Sandbox, node: &LoginNode) -> Result<()> {
    assert_ran_as("alice", &node.mccli(sb, &[])?.run(sb)?);
    Ok(())
}

/// A refresh with a scope fewer, whose rotated token serves once more.
fn refresh_twice(sb: &Sandbox, node: &LoginNode) -> Result<()> {
    for seconds in ["590", "595"] {
        let words = ["token", ISSUER, "--min-valid", seconds];
        let ran = Mccli::new(words)?.ca(node.provider.ca.path()).run(sb)?;
        ensure!(ran.is_success(), "{}", ran.stderr);
    }
    Ok(())
}

login_test! {
    fn a_login_by_device_flow_at_an_independent_provider_leads_onto_the_machine(sb, node, browser) {
        let mut login = Login::start(&node, &["--device"])?;
        let link = login.link("user_code=")?;
        browser.open(&link)?;
        browser.click("button[type=submit]")?;
        browser.click(ALICE)?;
        browser.wait_for("document.body?.innerText.includes('Sign-in Success')")?;
        login.end()?;
        ssh(sb, &node)?;
        refresh_twice(sb, &node)?;
        ssh(sb, &node)
    }
}

login_test! {
    fn a_login_by_browser_at_an_independent_provider_leads_onto_the_machine(sb, node, browser) {
        let mut login = Login::start(&node, &["--browser"])?;
        let link = login.link("code_challenge=")?;
        browser.open(&link)?;
        browser.click(ALICE)?;
        browser.wait_for("document.body?.innerText.includes('close this window')")?;
        let complaints = browser.complaints();
        ensure!(!complaints.iter().any(|text| text.contains("127.0.0.1")), "{complaints:?}");
        login.end()?;
        ssh(sb, &node)?;
        let out = Mccli::new(["logout"])?.ca(node.provider.ca.path()).run(sb)?;
        ensure!(out.is_success(), "{}", out.stderr);
        let after = node.mccli(sb, &[])?.run(sb)?;
        ensure!(!after.is_success(), "logged out: {}", after.stdout);
        Ok(())
    }
}
