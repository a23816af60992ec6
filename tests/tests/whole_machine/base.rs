//! The bare Debian from which machines are made: bootstrapped once, kept outside the repository.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Uid;

/// The release of Debian, unless `MOTLEY_DEBIAN_SUITE` names another (`trixie`).
const SUITE: &str = "bookworm";
/// The release after it.
pub(crate) const NEWER: &str = "trixie";
/// What a login node has besides a minimal Debian.
const PACKAGES: &str =
    "systemd,systemd-sysv,dbus,openssh-server,libpam-systemd,iproute2,ca-certificates,cron,at";
/// Changes with the packages, so that a base that was made without them is made anew.
const EDITION: u32 = 2;

/// Why no machine can be booted here; `None` when one can.
pub(crate) fn unavailable() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some("it needs root".into());
    }
    let missing: Vec<_> =
        ["debootstrap", "systemd-nspawn", "nsenter", "unshare", "sshpass", "curl"]
            .into_iter()
            .filter(|program| !is_installed(program))
            .collect();
    match missing.as_slice() {
        [] => None,
        programs => Some(format!("not installed: {}", programs.join(", "))),
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from);
    env::split_paths(&path).chain(usual).any(|dir| dir.join(program).is_file())
}

/// The release of the machines.
pub(crate) fn suite() -> String {
    env::var("MOTLEY_DEBIAN_SUITE").unwrap_or_else(|_| SUITE.to_owned())
}

/// The directory with the bootstrapped system. The first call on a computer downloads it.
///
/// `MOTLEY_CACHE` names another place than `~/.cache/motley`; `MOTLEY_DEBIAN_MIRROR` another
/// mirror than that of debootstrap.
pub(crate) fn base(suite: &str) -> Result<PathBuf> {
    let cache = cache_dir();
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = File::create(cache.join("lock"))?;
    let _held = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let base = cache.join(format!("{suite}-{EDITION}"));
    if !base.join("etc/debian_version").is_file() {
        bootstrap(suite, &cache, &base)?;
    }
    Ok(base)
}

fn cache_dir() -> PathBuf {
    let checkout = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache");
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache/motley"));
    env::var_os("MOTLEY_CACHE").map(PathBuf::from).or_else(home).unwrap_or_else(checkout)
}

fn bootstrap(suite: &str, cache: &Path, base: &Path) -> Result<()> {
    eprintln!("bootstrapping Debian {suite} into {} (once)", base.display());
    let draft = cache.join(format!("{suite}.new"));
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    let mut words: Vec<OsString> = vec![
        "--variant=minbase".into(),
        format!("--include={PACKAGES}").into(),
        suite.into(),
        draft.clone().into(),
    ];
    words.extend(env::var_os("MOTLEY_DEBIAN_MIRROR"));
    let output = Command::new("debootstrap")
        .args(words)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .context("cannot start debootstrap")?;
    if !output.status.success() {
        bail!("debootstrap failed:\n{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(fs::rename(draft, base)?)
}
