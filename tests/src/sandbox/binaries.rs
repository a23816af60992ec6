//! Finding what cargo has built: the programs and the PAM module under test.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The same directory inside a sandbox.
pub(crate) const INSIDE: &str = "/run/sandbox/bin";

/// Path of a program of this workspace, e.g. `motley-daemon`.
///
/// # Errors
/// When it has not been built.
pub fn built(program: &str) -> Result<PathBuf> {
    find(program)
}

/// Path of a shared library of this workspace, e.g. `pam_oidc_token`.
///
/// # Errors
/// When it has not been built.
pub fn library(name: &str) -> Result<PathBuf> {
    find(&format!("lib{name}.so"))
}

/// Where cargo puts programs: `MOTLEY_BIN_DIR`, or the directory of this program without `deps`.
pub(crate) fn dir() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("MOTLEY_BIN_DIR") {
        return Ok(PathBuf::from(dir));
    }
    let exe = env::current_exe().context("cannot name this program")?;
    let dir = exe.parent().context("this program lies nowhere")?;
    Ok(if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir }.to_path_buf())
}

fn find(file: &str) -> Result<PathBuf> {
    // Inside a sandbox the directory is also here, open to users who may not enter the checkout.
    let inside = Path::new(INSIDE).join(file);
    if inside.is_file() {
        return Ok(inside);
    }
    let path = dir()?.join(file);
    if !path.is_file() {
        bail!("no {}: run `cargo build --workspace` or set MOTLEY_BIN_DIR", path.display());
    }
    Ok(path)
}
