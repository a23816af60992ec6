//! Reads a file only if nobody but root or this process's own user could have written it.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Largest file that is read, in bytes.
const LIMIT_BYTES: u64 = 64 * 1024;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It can't be opened or read.
    #[error("{path}: {source}; create the file or drop config= from the PAM line")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path depends on the directory that the process happens to stand in.
    #[error("{0}: must be an absolute path")]
    Relative(PathBuf),
    /// It is a directory, a pipe or a device.
    #[error("{0}: is not a regular file")]
    NotAFile(PathBuf),
    /// Somebody else owns it, or a directory above it.
    #[error("{path}: belongs to uid {uid}; run: chown root {path}")]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Others could change it, or replace it from a directory above.
    #[error("{path}: mode {mode:03o} lets others write; run: chmod go-w {path}")]
    Writable {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is too large for a file of options.
    #[error("{0}: is larger than 64 KiB, so it is no file of options for this module")]
    TooLarge(PathBuf),
    /// It is no text.
    #[error("{0}: is not UTF-8 text")]
    NotText(PathBuf),
}

fn check(path: &Path, meta: &Metadata, own_uid: u32) -> Result<(), FileError> {
    let uid = meta.uid();
    if uid != 0 && uid != own_uid {
        return Err(FileError::Owner { path: path.to_owned(), uid });
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(FileError::Writable { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Reads the file if it and all directories above it belong to root or `own_uid` and nobody else
/// can write them, both along the path as given and along the path without symbolic links.
///
/// # Errors
/// Says which file or directory is wrong, and the command that mends it.
pub(crate) fn read_trusted(path: &Path, own_uid: u32) -> Result<String, FileError> {
    if !path.is_absolute() {
        return Err(FileError::Relative(path.to_owned()));
    }
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let real = fs::canonicalize(path).map_err(failed)?;
    for start in [path, real.as_path()] {
        for above in start.ancestors().skip(1).filter(|it| it.as_os_str() != OsStr::new("")) {
            check(above, &fs::metadata(above).map_err(failed)?, own_uid)?;
        }
    }
    // Non-blocking, as opening a pipe would otherwise wait for its writer for ever.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(&real)
        .map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(FileError::NotAFile(real));
    }
    check(&real, &meta, own_uid)?;
    read_text(file, real)
}

fn read_text(file: File, path: PathBuf) -> Result<String, FileError> {
    let mut bytes = Vec::new();
    let mut bounded = file.take(LIMIT_BYTES.saturating_add(1));
    if let Err(source) = bounded.read_to_end(&mut bytes) {
        return Err(FileError::Read { path, source });
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LIMIT_BYTES {
        return Err(FileError::TooLarge(path));
    }
    String::from_utf8(bytes).map_err(|_| FileError::NotText(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A place whose directories above are trusted, as those of `/tmp` are not: beside the test, in
    /// the home directory, or in root's.
    fn place() -> tempfile::TempDir {
        let beside = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let trusted = |dir: &PathBuf| {
            dir.ancestors().all(|above| {
                fs::metadata(above).is_ok_and(|meta| check(above, &meta, own_uid()).is_ok())
            })
        };
        let places = [Some(beside), home, Some(PathBuf::from("/run"))];
        let place =
            places.into_iter().flatten().find(trusted).expect("a place that others can't write");
        tempfile::tempdir_in(place).unwrap()
    }

    fn own_uid() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn r33_a_file_that_others_can_write_is_refused() {
        let dir = place();
        let path = dir.path().join("options");
        fs::write(&path, "debug = yes\n").unwrap();
        for (mode, taken) in [
            (0o600, true),
            (0o644, true),
            (0o444, true),
            (0o664, false),
            (0o646, false),
            (0o666, false),
            (0o620, false),
        ] {
            set_mode(&path, mode);
            assert_eq!(read_trusted(&path, own_uid()).is_ok(), taken, "mode {mode:o}");
        }
    }

    #[test]
    fn r33_a_directory_above_that_others_can_write_is_refused() {
        let dir = place();
        let middle = dir.path().join("a");
        fs::create_dir_all(middle.join("b")).unwrap();
        let path = middle.join("b/options");
        fs::write(&path, "").unwrap();
        set_mode(&path, 0o644);
        set_mode(&middle.join("b"), 0o755);
        for (mode, taken) in [(0o755, true), (0o775, false), (0o757, false), (0o1777, false)] {
            set_mode(&middle, mode);
            assert_eq!(read_trusted(&path, own_uid()).is_ok(), taken, "mode {mode:o}");
        }
    }

    #[test]
    fn r33_a_file_of_another_user_is_refused() {
        let meta = fs::metadata("/proc/self/exe").unwrap();
        let owner = meta.uid();
        assert!(check(Path::new("/x"), &meta, owner).is_ok());
        let stranger = FileError::Owner { path: "/x".into(), uid: 1234 }.to_string();
        assert_eq!(stranger, "/x: belongs to uid 1234; run: chown root /x");
    }

    #[test]
    fn r33_a_link_in_a_place_that_others_can_write_is_refused() {
        let dir = place();
        let good = dir.path().join("options");
        fs::write(&good, "debug = yes\n").unwrap();
        set_mode(&good, 0o644);
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        symlink(&good, open.join("link")).unwrap();
        set_mode(&open, 0o755);
        assert!(read_trusted(&open.join("link"), own_uid()).is_ok());
        set_mode(&open, 0o777);
        assert!(matches!(
            read_trusted(&open.join("link"), own_uid()),
            Err(FileError::Writable { .. })
        ));
    }

    #[test]
    fn a_pipe_or_directory_or_missing_file_is_refused_at_once() {
        let dir = place();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert!(matches!(read_trusted(&pipe, own_uid()), Err(FileError::NotAFile(_))));
        assert!(matches!(read_trusted(dir.path(), own_uid()), Err(FileError::NotAFile(_))));
        let missing = dir.path().join("missing");
        assert!(matches!(read_trusted(&missing, own_uid()), Err(FileError::Read { .. })));
        assert!(matches!(
            read_trusted(Path::new("options"), own_uid()),
            Err(FileError::Relative(_))
        ));
    }

    #[test]
    fn a_huge_or_binary_file_is_refused() {
        let dir = place();
        let path = dir.path().join("options");
        fs::write(&path, "#".repeat(65 * 1024)).unwrap();
        set_mode(&path, 0o600);
        assert!(matches!(read_trusted(&path, own_uid()), Err(FileError::TooLarge(_))));
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read_trusted(&path, own_uid()), Err(FileError::NotText(_))));
    }
}
