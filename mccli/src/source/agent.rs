//! Asks a running oidc-agent for a token over its Unix socket.

use super::{Needs, Requirements, Token, TokenSource, environment, scope_and_audience};
use crate::shell_words;
use motley_proto::Secret;
use serde::{Deserialize, Serialize};
use std::{
    io::{ErrorKind, Read, Write},
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::PathBuf,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// Longest wait for the agent, which may ask its user something in a window.
const LIMIT: Duration = Duration::from_secs(30);
/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Seconds that a token must still be valid.
const MIN_VALID_S: u32 = 60;

/// Which of the agent's tokens is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The account with this short name.
    Account(String),
    /// The agent's default account for this issuer.
    Issuer(String),
}

impl Chosen {
    /// An issuer as users write it: https is added when it has no scheme.
    pub(super) fn issuer(text: &str) -> Self {
        let text = text.trim();
        if text.starts_with("http") {
            Self::Issuer(text.to_owned())
        } else {
            Self::Issuer(format!("https://{text}"))
        }
    }

    fn word(&self) -> &str {
        match self {
            Self::Account(text) | Self::Issuer(text) => text,
        }
    }
}

/// Where the agent listens.
pub(crate) struct Agent {
    socket: Option<PathBuf>,
    limit: Duration,
}

impl Agent {
    /// `OIDC_SOCK`, or the socket of the agent that a desktop session starts.
    pub(crate) fn from_environment() -> Self {
        let named = environment("OIDC_SOCK").map(PathBuf::from);
        Self { socket: named.or_else(service_socket), limit: LIMIT }
    }
}

/// The session agent's socket, only if its directory is ours: others can make one in /tmp first.
fn service_socket() -> Option<PathBuf> {
    let uid = nix::unistd::getuid().as_raw();
    let base = environment("TMPDIR").unwrap_or_else(|| "/tmp".to_owned());
    let folder = PathBuf::from(base).join(format!("oidc-agent-service-{uid}"));
    let facts = std::fs::symlink_metadata(&folder).ok()?;
    let socket = folder.join("oidc-agent.sock");
    (facts.is_dir() && facts.uid() == uid && socket.exists()).then_some(socket)
}

#[derive(Serialize)]
struct Request<'a> {
    request: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    min_valid_period: u32,
    application_hint: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    audience: &'a str,
}

#[derive(Deserialize)]
struct Reply {
    status: String,
    access_token: Option<Secret>,
    issuer: Option<String>,
    error: Option<String>,
    info: Option<String>,
}

/// A token from the agent.
pub(crate) struct AgentToken {
    pub(super) name: String,
    pub(super) chosen: Chosen,
    pub(super) agent: Agent,
}

impl TokenSource for AgentToken {
    fn name(&self) -> String {
        format!("{} {}", self.name, self.chosen.word())
    }

    fn fetch(&self, needs: &dyn Requirements) -> Result<Token, String> {
        let issuer = match &self.chosen {
            Chosen::Issuer(issuer) => issuer.clone(),
            Chosen::Account(_) => {
                let (secret, issuer) = self.ask("", "")?;
                match issuer {
                    Some(issuer) => issuer,
                    None => return Ok(self.with_recipe(secret, "", "")),
                }
            }
        };
        let (scope, audience) = match needs.of(&issuer) {
            Needs::Op(op) => scope_and_audience(&op),
            Needs::Unknown => (String::new(), String::new()),
            Needs::Unsupported => {
                return Err(format!("the service does not support the issuer {issuer}"));
            }
        };
        let (secret, _) = self.ask(&scope, &audience)?;
        Ok(self.with_recipe(secret, &scope, &audience))
    }
}

impl AgentToken {
    /// Scopes, audience and a provider may be the service's words, and the recipe is there to be
    /// pasted into a shell: no recipe is given for words that a shell would act on.
    fn with_recipe(&self, secret: Secret, scope: &str, audience: &str) -> Token {
        let words = scope.split(' ').chain(audience.split(' ')).chain([self.chosen.word()]);
        if !words.filter(|word| !word.is_empty()).all(shell_words::is_plain) {
            return Token { secret, recipe: None };
        }
        let mut recipe = "oidc-token".to_owned();
        if !scope.is_empty() {
            recipe.push_str(&format!(" --scope \"{scope}\""));
        }
        match audience {
            "" => {}
            several if several.contains(' ') => recipe.push_str(&format!(" --aud \"{several}\"")),
            one => recipe.push_str(&format!(" --aud {one}")),
        }
        recipe.push_str(&format!(" {}", self.chosen.word()));
        Token { secret, recipe: Some(recipe) }
    }

    /// The token and its issuer.
    fn ask(&self, scope: &str, audience: &str) -> Result<(Secret, Option<String>), String> {
        let (account, issuer) = match &self.chosen {
            Chosen::Account(account) => (Some(account.as_str()), None),
            Chosen::Issuer(issuer) => (None, Some(issuer.as_str())),
        };
        let reply = self.agent.exchange(&Request {
            request: "access_token",
            account,
            issuer,
            min_valid_period: MIN_VALID_S,
            application_hint: "mccli",
            scope,
            audience,
        })?;
        match (reply.status.as_str(), reply.access_token) {
            ("success", Some(token)) if !token.is_empty() => Ok((token, reply.issuer)),
            _ => Err(self.explain(reply.error.as_deref(), reply.info.as_deref())),
        }
    }

    fn explain(&self, error: Option<&str>, info: Option<&str>) -> String {
        let said = error.unwrap_or("no token and no reason");
        let lower = said.to_lowercase();
        let next = if lower.contains("locked") {
            "unlock the agent with: oidc-add --unlock".to_owned()
        } else if lower.contains("not loaded") || lower.contains("no account") {
            match &self.chosen {
                Chosen::Account(account) => format!("load it with: oidc-add {account}"),
                Chosen::Issuer(issuer) => format!(
                    "load an account for it with oidc-add, or make one with: oidc-gen --iss {issuer}"
                ),
            }
        } else {
            info.unwrap_or("see the messages of oidc-agent").to_owned()
        };
        format!("oidc-agent says: {said}; {next}")
    }
}

impl Agent {
    fn exchange(&self, request: &Request<'_>) -> Result<Reply, String> {
        let Some(path) = &self.socket else {
            return Err("OIDC_SOCK env var not set; start the agent with: eval $(oidc-agent), and load an account with oidc-add".to_owned());
        };
        let mut stream = UnixStream::connect(path).map_err(|error| {
            format!(
                "no oidc-agent behind {}: {error}; start one with: eval $(oidc-agent)",
                path.display()
            )
        })?;
        let deadline = Instant::now() + self.limit;
        send(&mut stream, request, self.limit).map_err(|error| format!("oidc-agent: {error}"))?;
        let answer = receive(&mut stream, deadline).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!("oidc-agent did not answer within {} seconds; does it wait for you in another window?", self.limit.as_secs())
            }
            _ => format!("oidc-agent: {error}"),
        })?;
        serde_json::from_slice(&answer).map_err(|_| {
            "oidc-agent gave an answer that is not understood; is OIDC_SOCK its socket?".to_owned()
        })
    }
}

fn send(
    stream: &mut UnixStream,
    request: &Request<'_>,
    limit: Duration,
) -> Result<(), std::io::Error> {
    let text = serde_json::to_vec(request)?;
    stream.set_write_timeout(Some(limit))?;
    // One write: the agent takes what the first read gives it for the whole request.
    match stream.write(&text)? {
        count if count == text.len() => Ok(()),
        _ => Err(std::io::Error::other("the request did not fit into one write")),
    }
}

fn receive(
    stream: &mut UnixStream,
    deadline: Instant,
) -> Result<Zeroizing<Vec<u8>>, std::io::Error> {
    let mut answer = Zeroizing::new(Vec::with_capacity(MAX_ANSWER_BYTES));
    let mut piece = Zeroizing::new([0u8; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(piece.as_mut_slice()) {
            Ok(0) => return Ok(answer),
            Ok(count) if answer.len() + count <= MAX_ANSWER_BYTES => {
                answer.extend(piece.iter().take(count));
            }
            Ok(_) => return Err(std::io::Error::other("the answer is too long")),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
impl AgentToken {
    /// A token of the agent behind this socket.
    pub(super) fn behind(socket: Option<PathBuf>, chosen: Chosen, limit: Duration) -> Self {
        Self { name: "--oidc".to_owned(), chosen, agent: Agent { socket, limit } }
    }
}
