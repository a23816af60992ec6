//! Reads files of the site's that nobody but root can change.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Why a file does not count.
#[derive(Debug)]
pub enum OwnedError {
    /// It can't be read.
    Io(io::Error),
    /// Somebody other than root could change this path.
    Foreign(String),
    /// It is longer than allowed, or no text.
    Unfit,
}

impl std::fmt::Display for OwnedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Foreign(path) => write!(f, "{path} does not belong to root alone"),
            Self::Unfit => f.write_str("it is too long, or no text"),
        }
    }
}

impl From<io::Error> for OwnedError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a text. It must belong to root and be closed to other writers, as must every directory above.
///
/// # Errors
/// When it can't be read, is too long, or is not root's alone.
pub fn read(path: &Path, limit: u64) -> Result<String, OwnedError> {
    let real = path.canonicalize()?;
    for part in real.ancestors() {
        let meta = std::fs::symlink_metadata(part)?;
        if !is_roots(meta.uid(), meta.mode()) {
            return Err(OwnedError::Foreign(part.display().to_string()));
        }
    }
    let mut bytes = Vec::new();
    File::open(&real)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(OwnedError::Unfit);
    }
    String::from_utf8(bytes).map_err(|_| OwnedError::Unfit)
}

fn is_roots(uid: u32, mode: u32) -> bool {
    uid == 0 && mode & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r33_what_others_could_change_does_not_count() {
        assert!(is_roots(0, 0o100644) && is_roots(0, 0o40755));
        assert!(!is_roots(0, 0o100664) && !is_roots(0, 0o41777) && !is_roots(1000, 0o100600));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, "ls = /bin/ls\n").unwrap();
        // Below /tmp, where everybody may write.
        assert!(matches!(read(&path, 100), Err(OwnedError::Foreign(_))));
        assert!(matches!(read(Path::new("/nowhere"), 100), Err(OwnedError::Io(_))));
        assert!(read(Path::new("/etc/passwd"), 1 << 20).unwrap().starts_with("root:"));
        assert!(matches!(read(Path::new("/etc/passwd"), 1), Err(OwnedError::Unfit)));
    }
}
