//! Software of others, installed once into a cache folder before the sandbox is entered.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use motley_tests::sandbox::{self, Sandbox};

/// Tells, in a folder of the cache, from what the folder was made.
const STAMP: &str = "installed-from";

/// Runs `body` in a sandbox with the folder of a partner, which is installed first if need be.
///
/// # Errors
/// What `body` answers. Without the partner (no network, say) the test is skipped and says so,
/// unless `REQUIRE_E2E=1` demands it.
pub(crate) fn run_with(
    test: &str,
    partner: impl FnOnce() -> Result<PathBuf>,
    body: impl FnOnce(&Sandbox, &Path) -> Result<()>,
) -> Result<()> {
    match partner() {
        Ok(folder) => sandbox::run(test, |sb| body(sb, &folder)),
        Err(why) if env::var_os("REQUIRE_E2E").is_some_and(|value| value == "1") => {
            Err(why.context("REQUIRE_E2E=1, but a partner of this test is missing"))
        }
        Err(why) => {
            eprintln!("SKIPPED {test}: a partner of this test is missing: {why:#}");
            Ok(())
        }
    }
}

/// The folder `name` of the cache (`MOTLEY_CACHE`, else `~/.cache/motley`), filled by `install`
/// unless that was done before from the same `recipe`.
///
/// # Errors
/// When there is no place for it, or `install` fails; then nothing is taken for installed.
pub(crate) fn installed(
    name: &str,
    recipe: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let cache = cache_folder()?;
    let folder = cache.join(name);
    if is_made_from(&folder, recipe) {
        return Ok(folder);
    }
    if Sandbox::current().is_ok() {
        bail!(
            "{} is not visible in this sandbox; set MOTLEY_CACHE to another place",
            folder.display()
        );
    }
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    // Tests run side by side, and each of them may be the first.
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock()?;
    if !is_made_from(&folder, recipe) {
        eprintln!("installing {name} into {} (once; takes up to a minute)", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        install(&folder).with_context(|| format!("cannot install {name}"))?;
        fs::write(folder.join(STAMP), recipe)?;
        eprintln!("installed {name}");
    }
    Ok(folder)
}

/// What a program says about its version: part of a recipe, because what is installed for one
/// version of an interpreter need not work with the next.
///
/// # Errors
/// When the program is missing; the text names the package that brings it.
pub(crate) fn version_of(program: &str, package: &str) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot start {program}: install {package}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("MOTLEY_CACHE") {
        return Ok(folder.into());
    }
    let home = env::var_os("HOME").context("neither MOTLEY_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/motley"))
}

fn is_made_from(folder: &Path, recipe: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == recipe)
}
