//! Checks that a file can be changed by root only: the file itself and every directory above it.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Why a file is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// It can't be looked at.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// It belongs to somebody else.
    #[error("{path} belongs to uid {uid}; run: chown root {path}")]
    Owner {
        /// The file or directory.
        path: String,
        /// Its owner.
        uid: u32,
    },
    /// Somebody else may write it.
    #[error("{path} is writable by group or others (mode {mode:04o}); run: chmod go-w {path}")]
    Writable {
        /// The file or directory.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
}

/// Resolves the path and checks it and all directories above it.
///
/// # Errors
/// Names the first of them that somebody other than root could change.
pub fn require_root_only(path: &Path) -> Result<PathBuf, OwnershipError> {
    let failed =
        |path: &Path, source| OwnershipError::Io { path: path.display().to_string(), source };
    let real = path.canonicalize().map_err(|error| failed(path, error))?;
    for part in real.ancestors() {
        let meta = std::fs::symlink_metadata(part).map_err(|error| failed(part, error))?;
        check(part, meta.uid(), meta.mode())?;
    }
    Ok(real)
}

fn check(path: &Path, uid: u32, mode: u32) -> Result<(), OwnershipError> {
    let path = || path.display().to_string();
    // In a sticky directory nobody but its owner can replace what root put there.
    let shared_but_sticky = mode & 0o41000 == 0o41000;
    if uid != 0 {
        Err(OwnershipError::Owner { path: path(), uid })
    } else if mode & 0o022 != 0 && !shared_but_sticky {
        Err(OwnershipError::Writable { path: path(), mode: mode & 0o7777 })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r33_only_what_root_alone_can_change_is_trusted() {
        let path = Path::new("/x");
        for (uid, mode, trusted) in [
            (0, 0o100644, true),
            (0, 0o100600, true),
            (0, 0o040755, true),
            (0, 0o041777, true),
            (0, 0o040777, false),
            (0, 0o100664, false),
            (0, 0o100646, false),
            (0, 0o101666, false),
            (990, 0o100644, false),
        ] {
            assert_eq!(check(path, uid, mode).is_ok(), trusted, "{uid} {mode:o}");
        }
    }

    #[test]
    fn r33_the_refusal_names_the_cure() {
        let error = check(Path::new("/etc/x"), 0, 0o100666).unwrap_err();
        assert!(error.to_string().ends_with("run: chmod go-w /etc/x"), "{error}");
    }
}
