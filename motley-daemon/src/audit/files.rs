//! The files of one audit log: the one that is written, and those put aside as `NAME.1`, `NAME.2` and so on.

use std::{
    io,
    path::{Path, PathBuf},
};

/// One file of the log. The current one has the next number after those put aside, so its number
/// stays the same when it is put aside, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) number: u32,
    pub(super) path: PathBuf,
}

impl Piece {
    /// Its name without its directory.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// All files, oldest first; the current one is the last.
pub(super) fn pieces(path: &Path) -> io::Result<Vec<Piece>> {
    let mut found = aside(path)?;
    let number = found.last().map_or(1, |newest| newest.number.saturating_add(1));
    if path.exists() {
        found.push(Piece { number, path: path.to_owned() });
    }
    Ok(found)
}

/// The newest file that was put aside.
pub(super) fn newest_aside(path: &Path) -> io::Result<Option<Piece>> {
    Ok(aside(path)?.pop())
}

/// Where the current file is to be put aside.
pub(super) fn next_aside(path: &Path) -> io::Result<Piece> {
    let number = newest_aside(path)?.map_or(1, |newest| newest.number.saturating_add(1));
    Ok(Piece { number, path: with_ending(path, &number.to_string()) })
}

/// Where a new file is made before it takes its name.
pub(super) fn draft(path: &Path) -> PathBuf {
    with_ending(path, "new")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn aside(path: &Path) -> io::Result<Vec<Piece>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Some(name) = path.file_name() else { return Ok(Vec::new()) };
    let prefix = format!("{}.", name.to_string_lossy());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let name = entry.file_name();
        let ending = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        let digits =
            |text: &&str| !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(number) = ending.filter(digits).and_then(|text| text.parse().ok()) {
            found.push(Piece { number, path: entry.path() });
        }
    }
    found.sort_by_key(|piece| piece.number);
    Ok(found)
}
