//! Logins with the tokens of a certified OpenID provider that none of us wrote.

mod agent;
mod browser;
#[path = "../../partners/cache.rs"]
mod cache;
mod logins;
mod provider;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use motley_tests::sandbox::{
    Answer, Daemon, Mccli, Outcome, PamStack, Reply, Root, Sandbox, Ssh, Sshd, test_name,
};

use provider::{AUDIENCE, CLIENT, GROUP, ISSUER, IndependentProvider, SECRET};

/// Declares a test whose body is given the sandbox and the provider's folder in the cache.
macro_rules! provider_test {
    (fn $name:ident($sb:ident, $folder:ident) $body:block) => {
        #[test]
        fn $name() {
            let test = test_name(module_path!(), stringify!($name));
            let body = |$sb: &Sandbox, $folder: &Path| $body;
            if let Err(error) = cache::run_with(&test, provider::install, body) {
                panic!("{error:#}");
            }
        }
    };
}

/// A login node that trusts the provider.
struct LoginNode {
    provider: IndependentProvider,
    daemon: Daemon,
    _root: Root,
    _sshd: Sshd,
}

impl LoginNode {
    /// `rules` are lines of the provider's section, beside the group that is let in.
    fn start(sb: &Sandbox, folder: &Path, rules: &str) -> Result<Self> {
        let provider = IndependentProvider::start(sb, folder)?;
        let root = Root::start(sb)?;
        let section = format!(
            "\n[authorisation.independent]\nop_url = {ISSUER}\nauthorised_vos = [\"{GROUP}\"]\n{rules}"
        );
        let daemon = Daemon::with_defaults().section(&section).ca(provider.ca.path()).start(sb)?;
        let sshd = Sshd::new(sb).pam(PamStack::token_only()).start()?;
        Ok(Self { provider, daemon, _root: root, _sshd: sshd })
    }

    fn deploy(&self, token: &str) -> Result<Reply> {
        self.daemon.rest()?.get("/user/deploy", Some(token))
    }

    /// Pastes a token at the prompt and runs `id`.
    fn paste(&self, sb: &Sandbox, user: &str, token: &str) -> Result<Outcome> {
        let ssh = Ssh::to(user).prompts(1).command("id");
        ssh.on_terminal(sb, &[Answer::line("Access Token:", token)])
    }

    /// `mccli ssh OWN… 127.0.0.1 id`.
    fn mccli(&self, sb: &Sandbox, own: &[&str]) -> Result<Mccli> {
        let keys = sb.host_key_options();
        let mut words = vec!["ssh", "--mc-endpoint", self.daemon.url()];
        words.extend_from_slice(own);
        words.extend(keys.iter().map(String::as_str));
        words.extend(["127.0.0.1", "id"]);
        Ok(Mccli::new(words)?.ca(self.provider.ca.path()))
    }

    fn mccli_ssh(&self, sb: &Sandbox, token: &str) -> Result<Outcome> {
        self.mccli(sb, &["--token", token])?.run(sb)
    }
}

fn assert_ran_as(user: &str, outcome: &Outcome) {
    assert!(outcome.is_success(), "{outcome:?}");
    assert!(outcome.stdout.contains(&format!("({user})")), "{}", outcome.stdout);
}

provider_test! {
    fn a_signed_token_of_an_independent_provider_logs_in_whatever_its_algorithm(sb, folder) {
        let rules = format!("audience = {AUDIENCE}\nuserinfo = when_needed");
        let node = LoginNode::start(sb, folder, &rules)?;
        for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
            let token = node.provider.signed_token("sub-of-alice", alg)?;
            let reply = node.deploy(&token)?;
            assert_eq!(reply.json()["credentials"]["ssh_user"], "alice", "{alg}: {}", reply.text);
            assert_ran_as("alice", &node.paste(sb, "alice", &token)?);
        }
        let long = node.provider.signed_token("sub-of-berta", "RS256")?;
        assert!(long.len() > 1024, "{}", long.len());
        assert_ran_as("berta", &node.mccli_ssh(sb, &long)?);
        let stranger = node.provider.signed_token("sub-of-mallory", "RS256")?;
        assert_eq!(node.deploy(&stranger)?.status, 403);
        Ok(())
    }
}

provider_test! {
    fn a_new_signing_key_of_an_independent_provider_is_found_without_a_restart(sb, folder) {
        let mut node = LoginNode::start(sb, folder, "userinfo = when_needed")?;
        let before = node.provider.signed_token("sub-of-alice", "ES256")?;
        assert_ran_as("alice", &node.mccli_ssh(sb, &before)?);
        node.provider.change_keys(sb)?;
        let after = node.provider.signed_token("sub-of-alice", "ES256")?;
        // The daemon asks for keys at most once in some seconds, so the first try may be too early.
        let start = Instant::now();
        while node.deploy(&after)?.status != 200 {
            assert!(start.elapsed() < Duration::from_secs(20), "{}", node.daemon.log(sb));
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_ran_as("alice", &node.paste(sb, "alice", &after)?);
        Ok(())
    }
}

provider_test! {
    fn an_opaque_token_of_an_independent_provider_logs_in_until_it_is_revoked(sb, folder) {
        let introspection = format!(
            "opaque_tokens = yes\nintrospection_client_id = {CLIENT}\nintrospection_client_secret = {SECRET}"
        );
        for (user, rules) in [("alice", "opaque_tokens = yes"), ("berta", introspection.as_str())] {
            let node = LoginNode::start(sb, folder, rules)?;
            let token = node.provider.opaque_token(&format!("sub-of-{user}"))?;
            assert!(!token.contains('.'), "an opaque token");
            assert_ran_as(user, &node.mccli_ssh(sb, &token)?);
            assert_ran_as(user, &node.paste(sb, user, &token)?);
            let second = node.provider.opaque_token(&format!("sub-of-{user}"))?;
            node.provider.revoke(&second)?;
            assert!(!node.paste(sb, user, &second)?.is_success());
            assert_eq!(node.deploy(&second)?.status, 401);
        }
        Ok(())
    }
}

provider_test! {
    fn a_signed_token_that_userinfo_refuses_counts_as_revoked_unless_it_is_not_asked(sb, folder) {
        // oidc-provider takes no token at userinfo that was issued for another audience (RFC 8707 §2),
        // and says of it what it says of a revoked one (RFC 6750 §3.1).
        for (rules, status) in [("userinfo = always", 401), ("userinfo = when_needed", 200)] {
            let node = LoginNode::start(sb, folder, rules)?;
            let token = node.provider.signed_token("sub-of-alice", "RS256")?;
            let reply = node.deploy(&token)?;
            assert_eq!(reply.status, status, "{rules}: {}", reply.text);
        }
        Ok(())
    }
}

provider_test! {
    fn a_token_from_an_agent_at_an_independent_provider_logs_in(sb, folder) {
        let node = LoginNode::start(sb, folder, "opaque_tokens = yes")?;
        let agent = agent::Agent::start(sb, &node.provider, "sub-of-alice")?;
        let own = ["--oidc", agent::ACCOUNT];
        let mccli = node.mccli(sb, &own)?.env("OIDC_SOCK", &agent.socket().to_string_lossy());
        assert_ran_as("alice", &mccli.run(sb)?);
        Ok(())
    }
}
