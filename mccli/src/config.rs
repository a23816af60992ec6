//! The user's configuration file: profiles, and what is different for some hosts and providers.

use crate::{
    error::{Error, Result},
    folders,
};
use motley_proto::Issuer;
use serde::Deserialize;
use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::unix::fs::MetadataExt,
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
    /// Where the file is.
    #[serde(skip)]
    folder: PathBuf,
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
        match read_trusted(path) {
            Ok(text) => {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                Self::parse(&text).map(|config| Self { folder, ..config }).map_err(wrong)
            }
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
        let mut profile: Profile = entry("profile", name, value)?;
        let text = |path: String| self.file(Path::new(&path)).to_string_lossy().into_owned();
        profile.token_file = profile.token_file.map(text);
        profile.mytoken_file = profile.mytoken_file.map(|path| self.file(&path));
        Ok(profile)
    }

    /// What holds for a host: the first pattern in the file that fits, as in ssh_config(5).
    pub(crate) fn host(&self, host: &str) -> HostRule {
        let mut rule: HostRule = self
            .host
            .iter()
            .find(|(pattern, _)| fits(pattern, host))
            .and_then(|(pattern, value)| entry("host", pattern, value).ok())
            .unwrap_or_default();
        rule.ca_file = rule.ca_file.map(|path| self.file(&path));
        rule
    }

    /// True if a pattern names this host: one that fits every host names none. A host behind another
    /// port than sshd's is written `[host]:port`.
    pub(crate) fn names(&self, host: &str) -> bool {
        let is_name = |pattern: &str| pattern.chars().any(char::is_alphanumeric);
        let same_form = |pattern: &str| pattern.starts_with('[') == host.starts_with('[');
        self.host.keys().any(|it| is_name(it) && same_form(it) && fits(it, host))
    }

    /// A file that the configuration names: from the user's home, or from beside the configuration.
    fn file(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(below) => folders::home().join(below),
            Err(_) => self.folder.join(path),
        }
    }

    /// What holds for a provider.
    pub(crate) fn op(&self, issuer: &str) -> OpRule {
        let wanted = Issuer::canonical(issuer);
        let mut rule: OpRule = self
            .op
            .iter()
            .find(|(name, _)| Issuer::canonical(name) == wanted)
            .and_then(|(name, value)| entry("op", name, value).ok())
            .unwrap_or_default();
        rule.client_secret_file = rule.client_secret_file.map(|path| self.file(&path));
        rule
    }
}

/// Reads a file that nobody else can have written: it may hold commands, and names who gets tokens.
fn read_trusted(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let it = file.metadata()?;
    let shown = path.display();
    if ![0, nix::unistd::geteuid().as_raw()].contains(&it.uid()) {
        return Err(io::Error::other(format!(
            "it belongs to somebody else, who could have your commands run; take it over with: sudo chown \"$USER\" '{shown}'"
        )));
    }
    // A device or a pipe holds nothing that others could have left there before.
    if it.is_file() && it.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "others may write to it, and could have your commands run; look through it, then: chmod go-w '{shown}'"
        )));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn entry<'de, T: Deserialize<'de>>(
    table: &str,
    name: &str,
    value: &toml::Value,
) -> std::result::Result<T, String> {
    let wrong = |error: toml::de::Error| {
        let told: Vec<&str> = error.message().lines().collect();
        let place = error.to_string();
        let key = place.lines().find(|line| line.starts_with("in `")).unwrap_or_default();
        format!("[{table}.\"{name}\"]: {} {key}", told.join(" ")).trim_end().to_owned()
    };
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
    fn r38_a_pattern_that_fits_every_host_names_none() {
        let config = Config::parse("[host.'*']\n[host.'*.example.org']").unwrap();
        assert!(config.names("login.Example.org"));
        assert!(!config.names("evil.example") && !config.names("example.org.evil.example"));
        let config = Config::parse("[host.'*example*']\n[host.'[cue.test]:2222']").unwrap();
        assert!(config.names("cue.example.org") && config.names("[cue.test]:2222"));
        assert!(!config.names("[cue.example.org]:2222") && !config.names("cue.test"));
    }

    #[test]
    fn the_documented_sample_is_understood_and_has_every_key() {
        let text = include_str!("../../docs/mccli/config.toml");
        let config = Config::parse(text).unwrap();
        let whole = |table: &toml::Table| -> std::collections::BTreeSet<String> {
            let tables = table.values().filter_map(toml::Value::as_table);
            tables.flat_map(|entry| entry.keys().cloned()).collect()
        };
        let keys = [whole(&config.profile), whole(&config.host), whole(&config.op)];
        let expected = [
            &["iss", "mytoken_file", "mytoken_server", "oidc", "token_cmd", "token_file"][..],
            &["agent_forward", "ca_file", "endpoint", "profile"],
            &["client_id", "client_secret_file", "scopes"],
        ];
        assert_eq!(keys.map(|set| set.into_iter().collect::<Vec<_>>()), expected);
        let unknown = Config::parse("[profile.x]\nx = 1").unwrap_err();
        let (_, known) = unknown.split_once("expected one of").unwrap();
        let count = known.matches(", ").count() + 1;
        assert_eq!(count, 6, "a key of profiles that the sample lacks: {unknown}");
    }

    #[test]
    fn files_count_from_the_home_or_from_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let text = "[host.a]\nca_file = 'ca.pem'\n[host.b]\nca_file = '~/ca.pem'\n[host.c]\nca_file = '/ca.pem'";
        std::fs::write(&path, text).unwrap();
        let config = Config::read(Some(&path), Path::new("/none")).unwrap();
        for (host, expected) in [
            ("a", folder.path().join("ca.pem")),
            ("b", folders::home().join("ca.pem")),
            ("c", PathBuf::from("/ca.pem")),
        ] {
            assert_eq!(config.host(host).ca_file, Some(expected), "{host}");
        }
    }

    #[test]
    fn r38_a_file_that_others_may_have_written_is_refused_with_the_cure() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, SAMPLE).unwrap();
        for (mode, is_fine) in [(0o644, true), (0o400, true), (0o664, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = Config::read(Some(&path), Path::new("/none")).err().map(|e| e.to_string());
            assert_eq!(error.is_none(), is_fine, "{mode:o}");
            let says = |text: &str| error.as_ref().is_none_or(|error| error.contains(text));
            assert!(says("chmod go-w") && says("c.toml"), "{error:?}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(4242), None).unwrap();
            let error = Config::read(Some(&path), Path::new("/none")).unwrap_err().to_string();
            assert!(error.contains("chown"), "{error}");
        }
        assert!(Config::read(Some(Path::new("/dev/null")), Path::new("/none")).is_ok());
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
