//! Where mccli's files are: the folders of the XDG base directory specification.

use crate::source::environment;
use std::path::PathBuf;

/// `$XDG_CONFIG_HOME/mccli`: what the user writes.
pub(crate) fn config() -> PathBuf {
    below("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_STATE_HOME/mccli`: what must not be lost.
pub(crate) fn state() -> PathBuf {
    below("XDG_STATE_HOME", ".local/state")
}

/// `$XDG_CACHE_HOME/mccli`: what can be asked again.
pub(crate) fn cache() -> PathBuf {
    below("XDG_CACHE_HOME", ".cache")
}

/// The specification has relative paths ignored.
fn below(variable: &str, usual: &str) -> PathBuf {
    environment(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| home().join(usual))
        .join("mccli")
}

/// The user's home, by the variable or by the account.
pub(crate) fn home() -> PathBuf {
    environment("HOME").map(PathBuf::from).unwrap_or_else(|| {
        nix::unistd::User::from_uid(nix::unistd::getuid())
            .ok()
            .flatten()
            .map_or_else(|| PathBuf::from("/"), |user| user.dir)
    })
}
