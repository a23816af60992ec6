//! Where the store is, and for which node: section `[store]`.

use super::finding::{Finding, FindingKind, Findings, quoted};
use super::permissions::{Owners, read_private};
use super::raw::Settings;
use crate::store::{StoreSettings, StoreUrl, StoreUrlError};
use motley_proto::{NodeName, Secret, node::NodeNameError};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use zeroize::Zeroize;

/// What stands for a wrong URL until its finding stops the start.
const DEFAULT_URL: &str = "sqlite:/var/lib/motley_cue/motley.db";
const DEFAULT_FILE: &str = "/var/lib/motley_cue/motley.db";
/// Longest offline window, in seconds: a day.
const MAX_OFFLINE: i64 = 86_400;

/// Section `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The database.
    pub url: StoreUrl,
    /// Name of this node; `None`: the host name.
    pub node: Option<NodeName>,
    /// For how long the last answer about somebody serves while the database gives none.
    pub offline_window: Duration,
}

impl StoreConfig {
    /// What the store is opened with, on a host of that name.
    pub fn settings(&self, host: NodeName) -> StoreSettings {
        StoreSettings {
            url: self.url.clone(),
            node: self.node.clone().unwrap_or(host),
            offline_window: self.offline_window,
        }
    }

    /// A file in the folder of the database, or where that would be if it were a file.
    pub(super) fn file_beside(&self, name: &str) -> PathBuf {
        let file = self.url.file().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        file.with_file_name(name)
    }
}

/// Validates the section; `None` only if the table lacks the url.
pub(super) fn store(
    settings: &Settings,
    owners: Owners,
    found: &mut Findings,
) -> Option<StoreConfig> {
    let mut url = settings.database("url").cloned().or_else(|| StoreUrl::new(DEFAULT_URL).ok())?;
    if url.trusts_the_network() {
        let what = "the certificate of the database's host is not checked, so whoever stands \
                    between can read one-time passwords and lift suspensions";
        let cure = "add ?sslmode=verify-full, and sslrootcert=FILE for an authority of your own";
        found.warn(settings.finding(FindingKind::Value, "url", what, cure));
    }
    if let Some(file) = settings.filled("password_file") {
        match store_password(&url, file, owners) {
            Ok(complete) => url = complete,
            Err(Finding { kind, what, cure, .. }) => {
                found.problem(settings.finding(kind, "password_file", what, cure));
            }
        }
    }
    let node = settings.filled("node").and_then(|name| {
        let wrong = |error: NodeNameError| {
            let what = format!("{} {error}", quoted(name));
            let cure = "write 1 to 64 ASCII letters, digits, dots, - and _, of which the first is a letter \
                        or digit, as node-1.example.org";
            settings.finding(FindingKind::Value, "node", what, cure)
        };
        NodeName::new(name).map_err(|error| found.problem(wrong(error))).ok()
    });
    let seconds = settings.number("offline_window");
    if !(0..=MAX_OFFLINE).contains(&seconds) {
        let what = format!("the window is not between 0 and {MAX_OFFLINE} seconds");
        let cure = "write a number of seconds that a suspension may go unnoticed for, or 0";
        found.problem(settings.finding(FindingKind::Value, "offline_window", what, cure));
    }
    let offline_window = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    Some(StoreConfig { url, node, offline_window })
}

fn store_password(url: &StoreUrl, file: &str, owners: Owners) -> Result<StoreUrl, Finding> {
    let mut text = read_private(Path::new(file), owners).map_err(|mut finding| {
        finding.what = format!("{file}: {}", finding.what);
        finding
    })?;
    let password = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
    text.zeroize();
    url.with_password(&password).map_err(|error| {
        let what = format!("the url {error}");
        let cure = match error {
            StoreUrlError::Scheme => "remove the option: a file has no password",
            _ => error.cure(),
        };
        Finding::new(FindingKind::Value, file, what, cure)
    })
}

#[cfg(test)]
mod tests {
    use crate::config::permissions::Owners;
    use crate::config::{Config, ConfigError, Source, Warning, validate};
    use std::{fs, os::unix::fs::PermissionsExt};

    fn read(lines: &str) -> Result<(Config, Vec<Warning>), ConfigError> {
        let source = |text: String| Source { path: "c".into(), text, is_public: false };
        let owners = Owners { service: nix::unistd::geteuid().as_raw() };
        validate(source(format!("[store]\n{lines}")), source(String::new()), owners)
    }

    #[test]
    fn r06_the_password_of_the_database_is_told_nowhere() {
        let url = "url = postgresql://motley:canary@127.0.0.1/motley\n";
        let (config, _) = read(url).unwrap();
        let shown = format!("{:?}", config.store)
            + &config.effective().iter().map(|it| it.value.clone()).collect::<String>();
        assert!(!shown.contains("canary") && shown.contains("(secret)"), "{shown}");
        let wrong = read("url = postgresql://motley:canary@127.0.0.1\n").err().unwrap();
        assert!(!wrong.to_string().contains("canary"), "{wrong}");
    }

    #[test]
    fn the_password_comes_from_a_file_that_others_can_not_read() {
        let folder = tempfile::Builder::new().tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "canary\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let lines = format!("password_file = {}\n", file.display());
        let postgres = "url = postgresql://motley@127.0.0.1/motley\n";
        let (config, _) = read(&format!("{postgres}{lines}")).unwrap();
        assert!(config.store.url.has_password());
        assert!(read(&lines).is_err(), "a file has no password");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&format!("{postgres}{lines}")).is_err());
    }

    #[test]
    fn the_node_and_the_window_are_checked_and_an_open_network_is_told_of() {
        for bad in ["node = a b\n", "offline_window = -1\n", "offline_window = 86401\n"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let warned = |url: &str| {
            let (_, warnings) = read(&format!("url = {url}\n")).unwrap();
            warnings.iter().any(|it| it.to_string().contains("verify-full"))
        };
        assert!(warned("postgresql://motley@db.example/motley"));
        assert!(!warned("postgresql://motley@db.example/motley?sslmode=verify-full"));
        let (config, _) = read("node = node-1\noffline_window = 60\n").unwrap();
        let host = motley_proto::NodeName::new("host").unwrap();
        assert_eq!(config.store.settings(host).node.as_str(), "node-1");
    }
}
