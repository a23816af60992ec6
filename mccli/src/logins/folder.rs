//! A folder whose files only the user can read, written so that a crash leaves old or new.

use super::{Result, StoreError};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Room on the disk, until dropped.
pub(super) struct Room {
    draft: PathBuf,
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.draft);
    }
}

/// The folder; it may not exist yet.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// At this path.
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Path of a file in it.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes it, closed to others, and refuses one that others can write to.
    pub(super) fn make(&self) -> Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|source| self.failed(&self.path, source))?;
        let facts = fs::metadata(&self.path).map_err(|source| self.failed(&self.path, source))?;
        check(&self.path, &facts, 0o022, "can be changed by others")
    }

    /// The content of a file that is ours alone; `None` when there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let path = self.path_of(name);
        // A symbolic link could lead to a file of somebody else, a FIFO would block.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(&path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.failed(&path, source)),
        };
        let failed = |source| self.failed(&path, source);
        let facts = file.metadata().map_err(failed)?;
        if !facts.is_file() {
            return Err(failed(io::Error::other("not a regular file")));
        }
        check(&path, &facts, 0o077, "can be read by others")?;
        if facts.len() > MAX_BYTES {
            return Err(failed(io::Error::other("much too large")));
        }
        let mut content = Zeroizing::new(Vec::with_capacity(
            usize::try_from(facts.len()).unwrap_or_default() + 1,
        ));
        Read::by_ref(&mut file).take(MAX_BYTES).read_to_end(&mut content).map_err(failed)?;
        Ok(Some(content))
    }

    /// Replaces a file: what was there stays whole until the new content is on the disk.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path_of(name);
        let draft = self.path_of(&format!(".{name}.{:016x}", rand::random::<u64>()));
        let written = write_through(&draft, content)
            .and_then(|()| fs::rename(&draft, &path))
            .and_then(|()| File::open(&self.path)?.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written.map_err(|source| self.failed(&path, source))
    }

    /// Takes as much of the disk as a file of this size will need.
    pub(super) fn make_room(&self, name: &str, bytes: usize) -> Result<Room> {
        let room =
            Room { draft: self.path_of(&format!(".{name}.room.{:016x}", rand::random::<u64>())) };
        // Zeros would need no room where the file system compresses.
        let filling: Vec<u8> = std::iter::repeat_with(rand::random).take(bytes).collect();
        let written = write_through(&room.draft, &filling);
        written.map_err(|source| self.failed(&room.draft, source))?;
        Ok(room)
    }

    /// Removes a file; nothing happens when it is not there.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let path = self.path_of(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed(&path, error)),
            _ => Ok(()),
        }
    }

    /// Names of its files with this ending; none when there is no folder.
    pub(super) fn names(&self, ending: &str) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.failed(&self.path, source)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let wanted = format!(".{ending}");
        Ok(names.filter(|name| name.ends_with(&wanted) && !name.starts_with('.')).collect())
    }

    fn failed(&self, path: &Path, source: io::Error) -> StoreError {
        StoreError::System { path: path.to_owned(), source }
    }
}

fn write_through(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Refuses what belongs to somebody else or has one of these bits of the mode set.
fn check(path: &Path, facts: &fs::Metadata, bits: u32, what: &str) -> Result<()> {
    let refuse = |reason: String, cure: String| {
        Err(StoreError::Unsafe { path: path.to_owned(), reason, cure })
    };
    let us = nix::unistd::geteuid().as_raw();
    if facts.uid() != us {
        return refuse(
            format!("it belongs to uid {}, and this is uid {us}", facts.uid()),
            "Run mccli as the user who logged in.".to_owned(),
        );
    }
    if facts.mode() & bits != 0 {
        let cure = format!(
            "If you know who had access: chmod go-rwx {}; else log out and in again.",
            path.display()
        );
        return refuse(format!("it {what} (mode {:04o})", facts.mode() & 0o7777), cure);
    }
    Ok(())
}
