//! Files that are written whole or not at all, and read only where nobody else could have written them.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Largest file that is read, in bytes: an answer of the largest size, escaped.
const MAX_FILE_BYTES: u64 = 2 * 1024 * 1024;

/// The text of a file that nobody but us could have written.
///
/// # Errors
/// What the system says, or that others could have written it.
pub(crate) fn read_own(path: &Path) -> io::Result<String> {
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let it = file.metadata()?;
    if it.uid() != nix::unistd::geteuid().as_raw() || it.mode() & 0o022 != 0 {
        return Err(io::Error::other("others could have written it"));
    }
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Puts a text in the place of a file, with this mode; readers see the old one or the new one.
///
/// A file that was there keeps its owner where that is possible (root may write for others).
///
/// # Errors
/// What the system says; the file is as it was then.
pub(crate) fn replace(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let fresh = folder.join(format!(".{name}.{:016x}", rand::random::<u64>()));
    write_new(&fresh, text, mode)
        .and_then(|file| keep_owner(&file, path))
        .and_then(|()| fs::rename(&fresh, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&fresh);
        })
}

fn write_new(path: &Path, text: &[u8], mode: u32) -> io::Result<File> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    // After the umask, which applies at creation.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    Ok(file)
}

fn keep_owner(file: &File, before: &Path) -> io::Result<()> {
    match fs::metadata(before) {
        Ok(it) if it.uid() != file.metadata()?.uid() => {
            std::os::unix::fs::fchown(file, Some(it.uid()), Some(it.gid()))
        }
        _ => Ok(()),
    }
}

/// Makes a folder that only its owner can enter, and makes sure that it is ours and like that.
///
/// # Errors
/// What the system says, or that somebody else has it.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let it = fs::symlink_metadata(path)?;
    if !it.is_dir() || it.uid() != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to somebody else, or is no folder"));
    }
    if it.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
