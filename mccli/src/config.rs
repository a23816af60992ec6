//! The user's configuration file: profiles, and what is different for some hosts and providers.

use crate::error::{Error, Result};
use motley_proto::Issuer;
use serde::Deserialize;
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// `config.toml`, read once.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    profile: toml::Table,
    #[serde(default)]
    host: toml::Table,
    #[serde(default)]
    op: toml::Table,
}

/// `[profile.NAME]`: a source of tokens with a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// A file with an access token.
    pub(crate) token_file: Option<String>,
    /// A command that prints one.
    pub(crate) token_cmd: Option<String>,
    /// An account of oidc-agent.
    pub(crate) oidc: Option<String>,
    /// An issuer: its stored login, or the agent's account for it.
    pub(crate) iss: Option<String>,
    /// A file with a mytoken.
    pub(crate) mytoken_file: Option<PathBuf>,
    /// The server of a short mytoken.
    pub(crate) mytoken_server: Option<String>,
}

/// `[host."PATTERN"]`: what is different for hosts of this name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostRule {
    /// Where the service is.
    pub(crate) endpoint: Option<String>,
    /// Which profile has the token.
    pub(crate) profile: Option<String>,
    /// Whether the socket of oidc-agent is forwarded; not unless somebody says so.
    pub(crate) agent_forward: Option<Forwarding>,
    /// Certificate authorities to trust too.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Whether the socket of oidc-agent is forwarded to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Forwarding {
    /// Always.
    Always,
    /// After a question on the terminal.
    Ask,
    /// Not.
    Never,
}

/// `[op."ISSUER"]`: how to log in at this provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpRule {
    /// Client that mccli is registered as.
    pub(crate) client_id: Option<String>,
    /// File with the client's secret.
    pub(crate) client_secret_file: Option<PathBuf>,
    /// Scopes to ask for.
    pub(crate) scopes: Option<Vec<String>>,
}

impl Config {
    /// Reads a file; one that was not named may be absent.
    ///
    /// # Errors
    /// [`Error::Config`] with the line and the cure.
    pub(crate) fn read(named: Option<&Path>, usual: &Path) -> Result<Self> {
        let path = named.unwrap_or(usual);
        let wrong = |reason: String| Error::Config { path: path.to_owned(), reason };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(wrong),
            Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check()?;
        Ok(config)
    }

    /// Every table is understood now, not on the day when it is first needed.
    fn check(&self) -> std::result::Result<(), String> {
        for name in self.profile.keys() {
            self.profile(name)?;
        }
        for (pattern, value) in &self.host {
            let rule: HostRule = entry("host", pattern, value)?;
            if let Some(name) = rule.profile.filter(|name| !self.profile.contains_key(name)) {
                return Err(format!(
                    "[host.\"{pattern}\"] names the profile {name}, which is not there; add [profile.{name}]"
                ));
            }
        }
        for (issuer, value) in &self.op {
            entry::<OpRule>("op", issuer, value)?;
        }
        Ok(())
    }

    /// The profile of this name.
    ///
    /// # Errors
    /// Which profiles there are.
    pub(crate) fn profile(&self, name: &str) -> std::result::Result<Profile, String> {
        let value = self.profile.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.profile.keys().map(String::as_str).collect();
            format!("there is no profile {name}; there are: {}", known.join(", "))
        })?;
        entry("profile", name, value)
    }

    /// What holds for a host: the first pattern in the file that fits, as in ssh_config(5).
    pub(crate) fn host(&self, host: &str) -> HostRule {
        self.host
            .iter()
            .find(|(pattern, _)| fits(pattern, host))
            .and_then(|(pattern, value)| entry("host", pattern, value).ok())
            .unwrap_or_default()
    }

    /// What holds for a provider.
    pub(crate) fn op(&self, issuer: &str) -> OpRule {
        let wanted = Issuer::canonical(issuer);
        self.op
            .iter()
            .find(|(name, _)| Issuer::canonical(name) == wanted)
            .and_then(|(name, value)| entry("op", name, value).ok())
            .unwrap_or_default()
    }
}

fn entry<'de, T: Deserialize<'de>>(
    table: &str,
    name: &str,
    value: &toml::Value,
) -> std::result::Result<T, String> {
    let wrong = |error: toml::de::Error| format!("[{table}.\"{name}\"]: {}", error.message());
    value.clone().try_into().map_err(wrong)
}

/// Matches a host with `*` and `?` as ssh_config(5) does, without regard to case.
pub(crate) fn fits(pattern: &str, host: &str) -> bool {
    fn rest_fits(pattern: &[u8], host: &[u8]) -> bool {
        match (pattern.split_first(), host.split_first()) {
            (None, None) => true,
            (Some((b'*', behind)), _) => {
                rest_fits(behind, host)
                    || host.split_first().is_some_and(|(_, later)| rest_fits(pattern, later))
            }
            (Some((b'?', behind)), Some((_, later))) => rest_fits(behind, later),
            (Some((one, behind)), Some((other, later))) => {
                one.eq_ignore_ascii_case(other) && rest_fits(behind, later)
            }
            _ => false,
        }
    }
    rest_fits(pattern.as_bytes(), host.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"
        [profile.work]
        oidc = "egi"
        [profile.batch]
        token_file = "/run/token"
        [host."login*.example.org"]
        endpoint = "https://cue.example.org"
        profile = "work"
        [host."*.example.org"]
        agent_forward = "ask"
        [op."https://op.example.org/"]
        client_id = "mccli"
        scopes = ["openid", "offline_access"]
    "#;

    #[test]
    fn the_first_pattern_that_fits_decides_for_a_host() {
        let config = Config::parse(SAMPLE).unwrap();
        assert_eq!(config.host("login1.example.org").profile.as_deref(), Some("work"));
        assert_eq!(config.host("login1.example.org").agent_forward, None);
        assert_eq!(config.host("OTHER.example.org").agent_forward, Some(Forwarding::Ask));
        assert_eq!(config.host("example.com"), HostRule::default());
        assert_eq!(config.op("https://op.example.org").client_id.as_deref(), Some("mccli"));
        assert_eq!(config.profile("batch").unwrap().token_file.as_deref(), Some("/run/token"));
        assert!(config.profile("none").unwrap_err().contains("work, batch"));
    }

    #[test]
    fn what_is_not_understood_is_said_at_once() {
        for (text, named) in [
            ("[profile.a]\noidcc = \"x\"", "oidcc"),
            ("[host.\"*\"]\nprofile = \"none\"", "[profile.none]"),
            ("[host.\"*\"]\nagent_forward = \"sometimes\"", "sometimes"),
            ("[op.\"x\"]\nscopes = 1", "scopes"),
            ("[what.x]", "what"),
            ("a", "line 1"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn patterns_are_those_of_ssh() {
        for (pattern, host, expected) in [
            ("*", "a", true),
            ("*.b", "a.b", true),
            ("*.b", "b", false),
            ("a?", "ab", true),
            ("a?", "a", false),
            ("a*c*e", "abcde", true),
            ("A", "a", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, host), expected, "{pattern} {host}");
        }
    }
}
