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
            settings.finding(FindingKind::Value, "node", what, "write a short name, as node1")
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
