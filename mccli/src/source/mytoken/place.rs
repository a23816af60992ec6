//! Where a mytoken is kept, and how its successor gets there.

use motley_proto::Secret;
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    unistd::geteuid,
};
use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// Longest mytoken that is read, in bytes.
const MAX_BYTES: u64 = 128 * 1024;
/// Longest wait for another process that uses the same file.
const PATIENCE: Duration = Duration::from_secs(60);
/// Wait before the next attempt to lock the file.
const PAUSE: Duration = Duration::from_millis(20);

/// Where the user says that the mytoken is.
pub(in crate::source) enum Place {
    /// An option or a variable has it.
    Text(Secret),
    /// A file has it, which is rewritten when the mytoken is replaced.
    File(PathBuf),
}

/// A mytoken in hand.
pub(super) enum Held {
    /// Its text; its successor can't be kept.
    Text(Secret),
    /// A file, locked against other processes.
    File(Box<HeldFile>),
}

/// A locked file and its text.
pub(super) struct HeldFile {
    path: PathBuf,
    text: Secret,
    has_newline: bool,
    _lock: Flock<File>,
    facts: Metadata,
    next: Option<Next>,
}

/// The file that will stand in the place of the old one; deleted if it never does.
struct Next {
    path: PathBuf,
    file: File,
}

impl Place {
    /// As the user writes it: `@FILE`, or the mytoken.
    pub(in crate::source) fn named(text: String) -> Self {
        match text.strip_prefix('@') {
            Some(path) => Self::File(path.into()),
            None => Self::Text(Secret::new(text)),
        }
    }

    /// Reads it, and keeps other processes from using it meanwhile.
    pub(super) fn open(&self) -> Result<Held, String> {
        match self {
            Self::Text(text) => Ok(Held::Text(token_in(text.expose().as_bytes())?)),
            Self::File(path) => HeldFile::open(path).map(|file| Held::File(Box::new(file))),
        }
    }
}

impl Held {
    /// The mytoken.
    pub(super) fn text(&self) -> &Secret {
        match self {
            Self::Text(text) => text,
            Self::File(file) => &file.text,
        }
    }

    /// Makes sure that a successor can be kept, before the server is asked for one.
    pub(super) fn make_room(&mut self) -> Result<(), String> {
        match self {
            Self::Text(_) => Err(
                "the server may replace this mytoken when it is used, and a new one can't be written back into an option or variable; put it into a file of mode 600 and name it with @FILE".to_owned(),
            ),
            Self::File(file) => file.make_room(),
        }
    }

    /// Puts the successor where the mytoken was.
    pub(super) fn replace(&mut self, mytoken: Secret) -> Result<(), String> {
        match self {
            Self::Text(_) => Err(
                "the server replaced the mytoken although it did not say that it would, and the new one can't be kept: the one in the option or variable is dead; make a new one, put it into a file of mode 600 and name it with @FILE".to_owned(),
            ),
            Self::File(file) => file.replace(mytoken),
        }
    }
}

impl HeldFile {
    fn open(path: &Path) -> Result<Self, String> {
        let said = |error: io::Error| error.to_string();
        // A link stays a link: its target is what gets replaced.
        let path = fs::canonicalize(path).map_err(said)?;
        let lock = lock(&path)?;
        let facts = lock.metadata().map_err(said)?;
        check(&facts, &path)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        (&*lock).take(MAX_BYTES).read_to_end(&mut bytes).map_err(said)?;
        let has_newline = bytes.last() == Some(&b'\n');
        Ok(Self { text: token_in(&bytes)?, path, has_newline, _lock: lock, facts, next: None })
    }

    fn make_room(&mut self) -> Result<(), String> {
        if self.next.is_none() {
            self.next = Some(Next::beside(&self.path, &self.facts).map_err(|error| {
                format!(
                    "the mytoken may be replaced when it is used, and {} can't be rewritten: {error}; move it to a directory where you may write",
                    self.path.display()
                )
            })?);
        }
        Ok(())
    }

    fn replace(&mut self, mytoken: Secret) -> Result<(), String> {
        self.make_room()?;
        let failed = |error: io::Error| {
            format!(
                "the new mytoken could not be kept, and the old one is dead: {error}; make a new one"
            )
        };
        if let Some(next) = self.next.take() {
            let end: &[u8] = if self.has_newline { b"\n" } else { b"" };
            next.become_current(&self.path, &[mytoken.expose().as_bytes(), end]).map_err(failed)?;
        }
        self.text = mytoken;
        Ok(())
    }
}

impl Next {
    fn beside(path: &Path, facts: &Metadata) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let next = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
        let next = Self { path: next, file };
        next.file.set_permissions(facts.permissions())?;
        if facts.gid() != next.file.metadata()?.gid() {
            std::os::unix::fs::fchown(&next.file, None, Some(facts.gid()))?;
        }
        Ok(next)
    }

    /// Atomic, and there after a crash: the file is on the disk before its name is.
    fn become_current(mut self, path: &Path, text: &[&[u8]]) -> io::Result<()> {
        text.iter().try_for_each(|part| self.file.write_all(part))?;
        self.file.sync_all()?;
        fs::rename(&self.path, path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all()
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        // After the renaming it is gone already.
        let _ = fs::remove_file(&self.path);
    }
}

/// Locks the file that has the name now: another process may have put a new one in its place while
/// this one waited.
fn lock(path: &Path) -> Result<Flock<File>, String> {
    let said = |error: io::Error| error.to_string();
    let end = Instant::now() + PATIENCE;
    loop {
        // Does not wait for a writer, if it is a pipe.
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(said)?;
        let locked = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => locked,
            Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < end => {
                std::thread::sleep(PAUSE);
                continue;
            }
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err("another process has been using the mytoken for a minute".to_owned());
            }
            Err((_, errno)) => return Err(errno.to_string()),
        };
        let (ours, current) = (locked.metadata().map_err(said)?, fs::metadata(path).map_err(said)?);
        if (ours.dev(), ours.ino()) == (current.dev(), current.ino()) {
            return Ok(locked);
        }
    }
}

/// A mytoken is worth more than an access token: nobody else may have had it.
fn check(facts: &Metadata, path: &Path) -> Result<(), String> {
    if !facts.is_file() {
        return Err("not a file".to_owned());
    }
    if facts.uid() != geteuid().as_raw() {
        return Err(format!("the file belongs to uid {}, so it is not used", facts.uid()));
    }
    if facts.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "others can read or change this mytoken, so it is not used; run: chmod 600 {}",
            path.display()
        ));
    }
    Ok(())
}

fn token_in(bytes: &[u8]) -> Result<Secret, String> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Err("there is no mytoken in it".to_owned());
    }
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    match text.iter().position(|byte| !fits(byte)) {
        Some(at) => Err(format!("byte {} can't be part of a mytoken", at + 1)),
        None => Ok(Secret::new(String::from_utf8_lossy(text).into_owned())),
    }
}
