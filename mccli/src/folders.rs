//! Where mccli's files are: the folders of the XDG base directory specification.

use crate::{
    error::{Error, Result},
    source::environment,
};
use std::{os::unix::fs::MetadataExt, path::PathBuf};

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

/// The runtime directory: `$XDG_RUNTIME_DIR`, or where systemd has it, if it is ours alone.
pub(crate) fn runtime() -> Option<PathBuf> {
    let uid = nix::unistd::geteuid().as_raw();
    let usual = || Some(PathBuf::from(format!("/run/user/{uid}")));
    environment("XDG_RUNTIME_DIR").map(PathBuf::from).or_else(usual).filter(|path| {
        path.is_absolute()
            && std::fs::metadata(path)
                .is_ok_and(|it| it.is_dir() && it.uid() == uid && it.mode() & 0o077 == 0)
    })
}

/// The name under which ssh logs in when nobody says otherwise.
///
/// # Errors
/// When the account has no name.
pub(crate) fn user_name() -> Result<String> {
    account()
        .map(|user| user.name)
        .ok_or_else(|| Error::Ssh("your user id has no name; ssh needs one too".to_owned()))
}

/// The user's home, by the variable or by the account.
pub(crate) fn home() -> PathBuf {
    environment("HOME")
        .map(PathBuf::from)
        .or_else(|| account().map(|user| user.dir))
        .unwrap_or_else(|| PathBuf::from("/"))
}

/// Where ssh has its files: it looks at the account and not at the variable.
pub(crate) fn ssh() -> PathBuf {
    account().map_or_else(home, |user| user.dir).join(".ssh")
}

fn account() -> Option<nix::unistd::User> {
    nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten()
}
