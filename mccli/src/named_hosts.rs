//! Hosts at which a login may begin by itself: those that the user named, in the configuration, to a
//! command, or by a yes.
//!
//! A program decides which hosts the ssh below it goes to, and anybody can run a service that asks for
//! tokens: the name of a host that only turns up, in a submodule for instance, must not get one.

use crate::{
    cli::Options,
    context,
    error::{Error, Result},
    files, folders, report, tty,
};
use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::PathBuf,
};

/// Name of the file.
const FILE: &str = "hosts.json";

/// The hosts that commands were told, each with the service that was found there.
struct Remembered {
    folder: PathBuf,
}

impl Remembered {
    fn of_user() -> Self {
        Self { folder: folders::state() }
    }

    fn read(&self) -> io::Result<BTreeMap<String, String>> {
        match files::read_own(&self.folder.join(FILE)) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    fn has(&self, host: &str) -> bool {
        let read = self.read().inspect_err(|error| self.ignored(error));
        read.is_ok_and(|hosts| hosts.contains_key(&host.to_ascii_lowercase()))
    }

    /// Of two that write at once one is lost, and asked for again.
    fn add(&self, host: &str, endpoint: &str) -> io::Result<()> {
        let mut hosts = self.read().unwrap_or_default();
        let before = hosts.insert(host.to_ascii_lowercase(), endpoint.to_owned());
        if before.as_deref() == Some(endpoint) {
            return Ok(());
        }
        files::private_folder(&self.folder)?;
        files::replace(&self.folder.join(FILE), &serde_json::to_vec_pretty(&hosts)?, 0o600)
    }

    fn ignored(&self, error: &io::Error) {
        let path = self.folder.join(FILE);
        report::warning(&format!("{} is ignored: {error}\nRemove it.", path.display()));
    }
}

/// Remembers a host that the user named to a command, once its service was found. What was found
/// without a look at certificates is not worth remembering.
pub(crate) fn remember(options: &Options, host: &str, endpoint: &str) {
    if options.insecure {
        return;
    }
    if let Err(error) = Remembered::of_user().add(host, endpoint) {
        report::debug(&format!("{host} is not remembered: {error}"));
    }
}

/// True if the user named this host at some time.
///
/// # Errors
/// [`Error::Config`].
pub(crate) fn has(options: &Options, host: &str) -> Result<bool> {
    Ok(context::configuration(options)?.names(host) || Remembered::of_user().has(host))
}

/// Asks the user to name a host that turned up, and remembers a yes.
///
/// # Errors
/// [`Error::UnnamedHost`] when nobody can be asked, [`Error::NotConfirmed`], [`Error::Interrupted`].
pub(crate) fn ask(options: &Options, host: &str, endpoint: &str) -> Result<()> {
    if !tty::is_there() {
        return Err(unnamed(host, endpoint));
    }
    let question = format!("Log in at {host} with your token, by the service at {endpoint}?");
    tty::confirm(&question, "")?;
    remember(options, host, endpoint);
    Ok(())
}

/// What is to be done about a host that the user never named.
pub(crate) fn unnamed(host: &str, endpoint: &str) -> Error {
    // `[host]:port`, as ssh takes it on a line.
    let parts = host.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"));
    let words = parts.map_or_else(|| host.to_owned(), |(host, port)| format!("-p {port} {host}"));
    Error::UnnamedHost { host: host.to_owned(), words, endpoint: endpoint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn r38_hosts_are_remembered_privately_and_what_others_could_write_names_none() {
        let folder = tempfile::tempdir().unwrap();
        let hosts = Remembered { folder: folder.path().join("mccli") };
        assert!(!hosts.has("cue.example.org"));
        hosts.add("Cue.example.org", "https://cue.example.org").unwrap();
        hosts.add("two.example.org", "https://two.example.org").unwrap();
        assert!(hosts.has("cue.example.ORG") && hosts.has("two.example.org"));
        assert!(!hosts.has("evil.example"));
        let path = hosts.folder.join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(!hosts.has("cue.example.org"));
    }
}
