//! The files with the cases: read outside the sandbox, which hides most folders, and kept for it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use motley_tests::sandbox::Sandbox;
use serde_json::{Map, Value};

use super::case::Case;

/// The file that describes what lies behind the cases.
const SETUP: &str = "_setup.json";
/// The folder of the checkout.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rest");

/// The name of a file with its cases.
pub(crate) type File = (String, Vec<Case>);

/// Gathers all files of the folder `MOTLEY_REST_CASES`, else of the checkout, in one beside this
/// program, where they can be seen from inside the sandbox. Does nothing inside.
///
/// # Errors
/// When a file cannot be read or is no JSON.
pub(crate) fn bring_along() -> Result<()> {
    if Sandbox::current().is_ok() {
        return Ok(());
    }
    let folder = env::var_os("MOTLEY_REST_CASES").map_or_else(|| OWN.into(), PathBuf::from);
    let mut files = Map::new();
    files.insert(SETUP.to_owned(), read(&Path::new(OWN).join(SETUP))?);
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, read(&path)?);
        }
    }
    Ok(fs::write(gathered()?, Value::Object(files).to_string())?)
}

/// The set-up, and the cases of each file in the order of their names. A file that is no list of
/// cases has none.
///
/// # Errors
/// When nothing was brought along, or a file holds something else than cases.
pub(crate) fn open() -> Result<(Value, Vec<File>)> {
    let mut all = read(&gathered()?)?;
    let setup = all[SETUP].take();
    let mut files = Vec::new();
    for (name, value) in all.as_object_mut().into_iter().flatten() {
        if value.is_array() {
            let cases = serde_json::from_value(value.take()).with_context(|| name.clone())?;
            files.push((name.clone(), cases));
        }
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok((setup, files))
}

fn gathered() -> Result<PathBuf> {
    Ok(env::current_exe()?.with_extension("cases"))
}

fn read(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
}
