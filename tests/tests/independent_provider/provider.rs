//! npm's oidc-provider, a certified OpenID provider that shares no line with this project.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use motley_tests::op::TestCa;
use motley_tests::sandbox::{Rest, Sandbox, Service};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::cache;

/// Package list, lock file and the program that serves.
const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/partners/oidc-provider");
/// Where it listens.
pub(crate) const ISSUER: &str = "https://localhost:9444";
/// The audience of its signed tokens.
pub(crate) const AUDIENCE: &str = "https://login-node.example";
/// Id of the one client.
pub(crate) const CLIENT: &str = "login-node";
/// Secret of the one client.
pub(crate) const SECRET: &str = "login-node-secret";
/// Nobody listens there: the browser stops when it is sent there.
const CALLBACK: &str = "https://client.example/back";
/// Group of everybody but strangers.
pub(crate) const GROUP: &str = "urn:example:org:group:shell#login.example";

/// Installs it, with the versions of the lock file.
pub(crate) fn install() -> Result<PathBuf> {
    let version = cache::version_of("node", "nodejs")?;
    let major =
        version.trim_start_matches('v').split('.').next().and_then(|text| text.parse().ok());
    if major.is_none_or(|major: u32| major < 18) {
        bail!("node is {version:?}; install nodejs 18 or later");
    }
    let lock = fs::read_to_string(Path::new(RECIPE).join("package-lock.json"))?;
    cache::installed("oidc-provider", &format!("{version}\n{lock}"), |folder| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(Path::new(RECIPE).join(file), folder.join(file))?;
        }
        let output = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"])
            .args(["--fetch-retries=2", "--fetch-retry-mintimeout=1000"])
            .arg("--prefix")
            .arg(folder)
            .current_dir(folder)
            .output()
            .context("cannot start npm: install npm")?;
        if !output.status.success() {
            bail!("npm ci: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    })
}

/// It, running.
#[derive(Debug)]
pub(crate) struct IndependentProvider {
    /// Vouches for it.
    pub(crate) ca: TestCa,
    modules: PathBuf,
    dir: PathBuf,
    service: Option<Service>,
}

impl IndependentProvider {
    /// Starts it from its folder in the cache.
    ///
    /// # Errors
    /// When it does not come up; the text carries what it wrote.
    pub(crate) fn start(sb: &Sandbox, modules: &Path) -> Result<Self> {
        let ca = TestCa::new()?;
        let dir = sb.dir().join("oidc-provider");
        fs::create_dir_all(&dir)?;
        let (certificate, key) = ca.issue_pem(&["localhost"])?;
        fs::write(dir.join("certificate.pem"), certificate)?;
        fs::write(dir.join("key.pem"), key)?;
        let mut provider = Self { ca, modules: modules.to_path_buf(), dir, service: None };
        provider.start_with_keys(sb, "keys.json")?;
        Ok(provider)
    }

    /// Starts it again with new signing keys; it forgets all else.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn change_keys(&mut self, sb: &Sandbox) -> Result<()> {
        self.start_with_keys(sb, "new-keys.json")
    }

    /// An opaque token of a person.
    ///
    /// # Errors
    /// What it answers instead.
    pub(crate) fn opaque_token(&self, person: &str) -> Result<String> {
        access_token(&self.sign_in(person, "")?)
    }

    /// A signed token of a person for [`AUDIENCE`].
    ///
    /// # Errors
    /// What it answers instead.
    pub(crate) fn signed_token(&self, person: &str, alg: &str) -> Result<String> {
        access_token(&self.sign_in(person, &format!("&resource={AUDIENCE}/{alg}"))?)
    }

    /// A refresh token of a person (OpenID Connect Core 1.0 §11).
    ///
    /// # Errors
    /// What it answers instead.
    pub(crate) fn refresh_token(&self, person: &str) -> Result<String> {
        let answer = self.sign_in(person, "%20offline_access&prompt=consent")?;
        let token = answer["refresh_token"].as_str().map(str::to_owned);
        token.context("no refresh_token")
    }

    /// Revokes a token (RFC 7009).
    ///
    /// # Errors
    /// What it answers instead of 200.
    pub(crate) fn revoke(&self, token: &str) -> Result<()> {
        let reply = self.post("/token/revocation", &format!("token={token}"))?;
        if reply.0 != 200 {
            bail!("revocation answered {}: {}", reply.0, reply.1);
        }
        Ok(())
    }

    /// The authorisation code flow (OpenID Connect Core 1.0 §3.1), browser and client in one.
    ///
    /// `more` follows the scope in the query.
    fn sign_in(&self, person: &str, more: &str) -> Result<Value> {
        let request = format!(
            "{ISSUER}/auth?client_id={CLIENT}&response_type=code&login_hint={person}\
             &redirect_uri={CALLBACK}&scope=openid%20profile%20email%20entitlements%20shell{more}"
        );
        let landed = Browser::new(self.ca.pem())?.follow(&request, CALLBACK)?;
        let code = landed.split(['?', '&']).find_map(|part| part.strip_prefix("code="));
        let code = code.with_context(|| format!("no code in {landed}"))?;
        let form = format!("grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}");
        let (status, text) = self.post("/token", &form)?;
        if status != 200 {
            bail!("/token answered {status}: {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }

    fn post(&self, path: &str, form: &str) -> Result<(u16, String)> {
        let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
        let reply = Rest::new(ISSUER, Some(self.ca.pem()))?.post_form(path, Some(&basic), form)?;
        Ok((reply.status, reply.text))
    }

    fn start_with_keys(&mut self, sb: &Sandbox, keys: &str) -> Result<()> {
        self.service = None;
        let file = self.dir.join("settings.json");
        let settings = json!({
            "modules": self.modules,
            "issuer": ISSUER,
            "port": 9444,
            "certificate": self.dir.join("certificate.pem"),
            "key": self.dir.join("key.pem"),
            "keys": self.dir.join(keys),
            "client": { "client_id": CLIENT, "client_secret": SECRET, "redirect_uris": [CALLBACK] },
            "people": people(),
        });
        fs::write(&file, settings.to_string())?;
        let mut command = Command::new("node");
        command.arg(Path::new(RECIPE).join("server.mjs")).arg(&file);
        let mut service = Service::start(sb, "oidc-provider", command)?;
        let discovery = Rest::new(ISSUER, Some(self.ca.pem()))?;
        service.wait_ready(Duration::from_secs(30), || {
            let reply = discovery.get("/.well-known/openid-configuration", None);
            reply.is_ok_and(|reply| reply.status == 200)
        })?;
        self.service = Some(service);
        Ok(())
    }
}

fn access_token(answer: &Value) -> Result<String> {
    answer["access_token"].as_str().map(str::to_owned).context("no access_token")
}

/// Claims by subject: a member, a member of so many groups that her token exceeds 1 KB, a stranger.
fn people() -> BTreeMap<&'static str, Value> {
    let many: Vec<String> =
        std::iter::once(GROUP.to_owned()).chain((0..60).map(|n| format!("{GROUP}-{n}"))).collect();
    BTreeMap::from([
        ("sub-of-alice", person("alice", &[GROUP.to_owned()])),
        ("sub-of-berta", person("berta", &many)),
        ("sub-of-mallory", person("mallory", &[])),
    ])
}

fn person(name: &str, groups: &[String]) -> Value {
    json!({
        "name": name,
        "preferred_username": name,
        "email": format!("{name}@login.example"),
        "email_verified": true,
        "eduperson_entitlement": groups,
    })
}
