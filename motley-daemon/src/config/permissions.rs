//! Reads files only if nobody but root and the service could have written them.

use super::finding::{Finding, FindingKind};
use nix::fcntl::OFlag;
use std::{
    fs::{Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Longest configuration file, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Mode bits that let the group or others write.
const OTHERS_WRITE: u32 = 0o022;
/// Mode bits that let the group or others read.
const OTHERS_READ: u32 = 0o044;
/// Mode bit by which only the owner of an entry may replace it.
const STICKY: u32 = 0o1000;

/// Who may own configuration, beside root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owners {
    /// Uid of the service.
    pub service: u32,
}

impl Owners {
    fn include(self, uid: u32) -> bool {
        uid == 0 || uid == self.service
    }
}

/// A file that was read.
#[derive(Debug)]
pub struct Content {
    /// Its text.
    pub text: String,
    /// True when people other than its owner can read it.
    pub is_public: bool,
    mode: u32,
    gid: u32,
}

/// Reads a configuration file.
///
/// # Errors
/// When somebody else could change it or put another one in its place, or it can't be read.
pub fn read_guarded(path: &Path, owners: Owners) -> Result<Content, Finding> {
    let shown = path.display().to_string();
    let unreadable = |error: io::Error| {
        let cure = "check the path, and that the service may read it";
        Finding::new(FindingKind::File, &shown, format!("can't be read: {error}"), cure)
    };
    // Non-blocking, as opening a pipe would otherwise wait for its writer for ever.
    let flags = OFlag::O_NONBLOCK.bits();
    let mut file =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    check_file(&shown, &metadata, owners)?;
    let absolute = std::path::absolute(path).map_err(unreadable)?;
    check_directories(&absolute, owners)?;
    check_directories(&path.canonicalize().map_err(unreadable)?, owners)?;
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        let what = format!("is longer than {MAX_BYTES} bytes");
        return Err(Finding::new(FindingKind::File, &shown, what, "check the path"));
    }
    let text = String::from_utf8(bytes).map_err(|error| not_text(&shown, &error))?;
    let (mode, gid) = (metadata.mode(), metadata.gid());
    Ok(Content { text, is_public: mode & OTHERS_READ != 0, mode, gid })
}

/// Looks whether a program may be run: nobody else could change it or put another one in its place,
/// and it can be executed.
///
/// # Errors
/// What stands against it.
pub fn check_program(path: &Path, owners: Owners) -> Result<(), Finding> {
    let shown = path.display().to_string();
    let unusable = |error: io::Error| {
        let cure = "check the path, and that the service may reach it";
        Finding::new(FindingKind::File, &shown, format!("can't be looked at: {error}"), cure)
    };
    let metadata = path.metadata().map_err(unusable)?;
    check_file(&shown, &metadata, owners)?;
    check_directories(path, owners)?;
    check_directories(&path.canonicalize().map_err(unusable)?, owners)?;
    if metadata.mode() & 0o111 == 0 {
        let what = "can't be executed";
        let cure = format!("chmod +x {shown}");
        return Err(Finding::new(FindingKind::Permissions, &shown, what, cure));
    }
    Ok(())
}

/// Reads a file that holds a secret.
///
/// # Errors
/// As [`read_guarded`], and when others can read it.
pub fn read_private(path: &Path, owners: Owners) -> Result<String, Finding> {
    let content = read_guarded(path, owners)?;
    if content.is_public {
        let shown = path.display().to_string();
        let cure = format!("chmod go-r {shown}");
        let what = "holds a secret, and others can read it";
        return Err(Finding::new(FindingKind::Permissions, &shown, what, cure));
    }
    Ok(content.text)
}

/// Reads a private key. Beside its owner the group may read it, if it is root's or one of this
/// process: so do distributions hand keys to services (`ssl-cert`).
///
/// # Errors
/// As [`read_guarded`], and when others can read it.
pub fn read_key(path: &Path, owners: Owners) -> Result<String, Finding> {
    let content = read_guarded(path, owners)?;
    let group_reads = content.mode & 0o040 != 0;
    let others_read = content.mode & 0o004 != 0;
    if others_read || (group_reads && !is_own_group(content.gid)) {
        let shown = path.display().to_string();
        let bits = if others_read { "o-r" } else { "g-r" };
        let cure = format!("chmod {bits} {shown}, or give it to a group of the service");
        let what = format!(
            "is a private key, and others can read it (mode {:04o})",
            content.mode & 0o7777
        );
        return Err(Finding::new(FindingKind::Permissions, &shown, what, cure));
    }
    Ok(content.text)
}

fn is_own_group(gid: u32) -> bool {
    let own = nix::unistd::getegid().as_raw();
    let further = nix::unistd::getgroups().unwrap_or_default();
    gid == 0 || gid == own || further.iter().any(|group| group.as_raw() == gid)
}

fn not_text(shown: &str, error: &std::string::FromUtf8Error) -> Finding {
    let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
    let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
    Finding::new(FindingKind::Syntax, shown, "the line is not UTF-8", "save the file as UTF-8")
        .at(line)
}

fn check_file(shown: &str, metadata: &Metadata, owners: Owners) -> Result<(), Finding> {
    let refuse = |kind, what: String, cure: String| Err(Finding::new(kind, shown, what, cure));
    if !metadata.is_file() {
        let what = "is no regular file".to_owned();
        return refuse(FindingKind::File, what, "check the path".to_owned());
    }
    if !owners.include(metadata.uid()) {
        let what = format!("belongs to uid {}, neither root nor the service", metadata.uid());
        return refuse(FindingKind::Permissions, what, format!("chown root {shown}"));
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        let what = format!("can be changed by others (mode {:04o})", metadata.mode() & 0o7777);
        return refuse(FindingKind::Permissions, what, format!("chmod go-w {shown}"));
    }
    Ok(())
}

/// Checks every directory above an absolute path: who can write one can replace what is in it.
fn check_directories(path: &Path, owners: Owners) -> Result<(), Finding> {
    let mut entry = PathBuf::from(path);
    while let Some(directory) = entry.parent().map(Path::to_path_buf) {
        check_directory(&directory, &entry, owners)?;
        entry = directory;
    }
    Ok(())
}

fn check_directory(directory: &Path, entry: &Path, owners: Owners) -> Result<(), Finding> {
    let shown = directory.display().to_string();
    let refuse = |what: String, cure: String| {
        Err(Finding::new(FindingKind::Permissions, &shown, what, cure))
    };
    let metadata = match directory.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return refuse(format!("can't be looked at: {error}"), "check it".to_owned()),
    };
    if !owners.include(metadata.uid()) {
        let what = format!(
            "holds configuration and belongs to uid {}, neither root nor the service",
            metadata.uid()
        );
        return refuse(what, format!("chown root {shown}"));
    }
    if metadata.mode() & OTHERS_WRITE == 0 {
        return Ok(());
    }
    // In a sticky directory nobody but its owner can replace an entry that exists.
    let is_held = metadata.mode() & STICKY != 0
        && entry.symlink_metadata().is_ok_and(|entry| owners.include(entry.uid()));
    if is_held {
        return Ok(());
    }
    let what = format!(
        "holds configuration and can be changed by others (mode {:04o})",
        metadata.mode() & 0o7777
    );
    refuse(what, format!("chmod go-w {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    fn owners() -> Owners {
        Owners { service: nix::unistd::geteuid().as_raw() }
    }

    fn file(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("motley_cue.conf");
        fs::write(&path, "[mapper]\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (place, path)
    }

    #[test]
    fn r33_a_file_that_others_can_change_is_refused_with_the_cure() {
        for mode in [0o666, 0o664, 0o622, 0o606] {
            let (_place, path) = file(mode);
            let finding = read_guarded(&path, owners()).unwrap_err();
            assert_eq!(finding.kind, FindingKind::Permissions, "{mode:o}");
            assert_eq!(finding.cure, format!("chmod go-w {}", path.display()));
        }
        for mode in [0o644, 0o600, 0o400, 0o640] {
            let (_place, path) = file(mode);
            assert!(read_guarded(&path, owners()).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn r33_a_directory_above_that_others_can_change_is_refused() {
        let (place, path) = file(0o644);
        for mode in [0o777, 0o775, 0o733] {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
            let finding = read_guarded(&path, owners()).unwrap_err();
            assert_eq!(*finding.file, *place.path().display().to_string());
            assert!(finding.to_string().contains("chmod go-w"), "{finding}");
        }
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(read_guarded(&path, owners()).is_ok(), "sticky, and the file is ours");
    }

    #[test]
    fn r33_a_link_is_followed_and_both_ends_are_checked() {
        let (open, target) = file(0o644);
        let (_place, link) = file(0o644);
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(read_guarded(&link, owners()).is_ok());
        fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(read_guarded(&link, owners()).is_err());
    }

    #[test]
    fn r33_a_file_of_somebody_else_is_refused() {
        let (_place, path) = file(0o644);
        let owner = fs::metadata(&path).unwrap().uid();
        if owner != 0 {
            let finding = read_guarded(&path, Owners { service: owner + 1 }).unwrap_err();
            assert!(finding.what.contains("belongs to uid"), "{finding}");
            return;
        }
        std::os::unix::fs::chown(&path, Some(4321), None).unwrap();
        let finding = read_guarded(&path, Owners { service: 999 }).unwrap_err();
        assert_eq!(finding.cure, format!("chown root {}", path.display()));
        assert!(read_guarded(&path, Owners { service: 4321 }).is_ok());
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let (_place, path) = file(0o644);
        assert!(read_private(&path, owners()).unwrap_err().cure.starts_with("chmod go-r"));
        let (_place, path) = file(0o600);
        assert_eq!(read_private(&path, owners()).unwrap(), "[mapper]\n");
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
        let (place, _path) = file(0o644);
        let pipe = place.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(read_guarded(&pipe, owners()).unwrap_err().what, "is no regular file");
    }

    #[test]
    fn r33_a_private_key_is_for_its_owner_and_a_group_of_ours() {
        for (mode, is_read) in
            [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o604, false)]
        {
            let (_place, path) = file(mode);
            assert_eq!(read_key(&path, owners()).is_ok(), is_read, "{mode:o}");
        }
        let (_place, path) = file(0o640);
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, None, Some(4321)).unwrap();
            let finding = read_key(&path, owners()).unwrap_err();
            assert!(finding.cure.starts_with("chmod g-r"), "{finding}");
        }
    }

    #[test]
    fn a_file_that_is_not_text_names_the_line() {
        let (_place, path) = file(0o644);
        fs::write(&path, b"[mapper]\n\xff\n").unwrap();
        assert_eq!(read_guarded(&path, owners()).unwrap_err().line, Some(2));
    }
}
