//! passwd and group, indexed once and read again only when a file changed.

use super::facts::{identity_in, state_by_shell};
use crate::backend::{Account, BackendError};
use motley_proto::{Identity, UserName};
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Largest account file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// A file younger than this may change again without a new time stamp.
const SETTLED_AFTER: Duration = Duration::from_millis(20);

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let seen = fs::metadata(path)?;
        Ok(Self {
            device: seen.dev(),
            inode: seen.ino(),
            size: seen.size(),
            modified: (seen.mtime(), seen.mtime_nsec()),
            changed: (seen.ctime(), seen.ctime_nsec()),
        })
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = u64::try_from(seconds).unwrap_or_default();
        let nanos = u64::try_from(nanos).unwrap_or_default();
        let at = UNIX_EPOCH + Duration::from_secs(changed) + Duration::from_nanos(nanos);
        now.duration_since(at).is_ok_and(|age| age > SETTLED_AFTER)
    }
}

/// The account files under a file-system root.
#[derive(Debug)]
pub(super) struct AccountFiles {
    passwd: PathBuf,
    group: PathBuf,
    shadow: PathBuf,
    current: Mutex<Option<Arc<Snapshot>>>,
    reading: tokio::sync::Mutex<()>,
}

impl AccountFiles {
    /// Files in `etc` under this root.
    pub(super) fn under(root: &Path) -> Self {
        let etc = root.join("etc");
        Self {
            passwd: etc.join("passwd"),
            group: etc.join("group"),
            shadow: etc.join("shadow"),
            current: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// Version of the shadow file, which can be told without reading it.
    pub(super) fn shadow_stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.shadow).ok().filter(|stamp| stamp.is_settled(SystemTime::now()))
    }

    /// The accounts as they are now.
    pub(super) async fn snapshot(&self) -> Result<Arc<Snapshot>, BackendError> {
        if let Some(current) = self.current()? {
            return Ok(current);
        }
        // One reads, the others wait for what it found.
        let _turn = self.reading.lock().await;
        if let Some(current) = self.current()? {
            return Ok(current);
        }
        let (passwd, group) = (self.passwd.clone(), self.group.clone());
        let read = move || Snapshot::read(&passwd, &group);
        let fresh = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(fresh)) => Arc::new(fresh),
            Ok(Err(error)) => return Err(unreadable(error)),
            Err(error) => return Err(unreadable(io::Error::other(error))),
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        self.current().is_ok_and(|current| current.is_some())
    }

    fn current(&self) -> Result<Option<Arc<Snapshot>>, BackendError> {
        let stamp = |path| Stamp::of(path).map_err(unreadable);
        let stamps = [stamp(&self.passwd)?, stamp(&self.group)?];
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(current.as_ref().filter(|kept| kept.settled && kept.stamps == stamps).cloned())
    }
}

fn unreadable(error: io::Error) -> BackendError {
    BackendError::Unavailable {
        what: format!("the account files can't be read: {error}"),
        cure: "/etc/passwd and /etc/group must be readable by the service".to_owned(),
    }
}

/// passwd and group at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    stamps: [Stamp; 2],
    settled: bool,
    passwd: String,
    by_name: HashMap<Box<str>, Range<usize>>,
    by_unique_id: HashMap<Box<str>, Range<usize>>,
    uids: HashSet<u32>,
    groups: HashMap<Box<str>, Vec<Box<str>>>,
}

/// One line of passwd (passwd(5)).
struct Line<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    gecos: &'a str,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Line<'a> {
    /// A line that is no entry is left out, as the C library does.
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.split(':');
        let name =
            fields.next().filter(|name| !name.is_empty() && !name.starts_with(['+', '-']))?;
        fields.next()?;
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let (gecos, home, shell) = (fields.next()?, fields.next()?, fields.next()?);
        fields.next().is_none().then_some(Self { name, uid, gid, gecos, home, shell })
    }

    fn unique_id(&self) -> Option<&'a str> {
        self.gecos.split(',').next().filter(|text| text.contains('@'))
    }
}

impl Snapshot {
    fn read(passwd: &Path, group: &Path) -> io::Result<Self> {
        // Stamps first: a change between stamp and reading makes the next look-up read again.
        let stamps = [Stamp::of(passwd)?, Stamp::of(group)?];
        let now = SystemTime::now();
        let settled = stamps.iter().all(|stamp| stamp.is_settled(now));
        let mut made = Self {
            stamps,
            settled,
            passwd: read_text(passwd)?,
            by_name: HashMap::new(),
            by_unique_id: HashMap::new(),
            uids: HashSet::new(),
            groups: members(&read_text(group)?),
        };
        made.index();
        Ok(made)
    }

    fn index(&mut self) {
        let mut start = 0;
        for text in self.passwd.split('\n') {
            let range = start..start + text.len();
            start = range.end + 1;
            let Some(line) = Line::parse(text) else { continue };
            self.uids.insert(line.uid);
            // Two accounts with one identity: the last line counts, as sites are used to.
            if let Some(id) = line.unique_id() {
                self.by_unique_id.insert(id.into(), range.clone());
            }
            self.by_name.entry(line.name.into()).or_insert(range);
        }
    }

    fn line(&self, range: &Range<usize>) -> Option<Line<'_>> {
        self.passwd.get(range.clone()).and_then(Line::parse)
    }

    fn account(&self, line: &Line<'_>, name: UserName) -> Account {
        let groups = self.groups.get(line.name).map(Vec::as_slice).unwrap_or_default();
        Account {
            identity: identity_in(line.gecos),
            uid: line.uid,
            gid: line.gid,
            home: line.home.to_owned(),
            shell: line.shell.to_owned(),
            state: state_by_shell(line.shell),
            groups: groups.iter().map(|group| group.to_string()).collect(),
            name,
        }
    }

    /// The account whose gecos field names this identity.
    pub(super) fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError> {
        let id = identity.unique_id();
        let Some(line) = self.by_unique_id.get(id.as_str()).and_then(|range| self.line(range))
        else {
            return Ok(None);
        };
        match UserName::new(line.name) {
            Ok(name) => Ok(Some(self.account(&line, name))),
            Err(error) => Err(BackendError::Refused(format!(
                "the account of this identity has a name that {error}"
            ))),
        }
    }

    pub(super) fn by_name(&self, name: &UserName) -> Option<Account> {
        let line = self.line(self.by_name.get(name.as_str())?)?;
        Some(self.account(&line, name.clone()))
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn has_uid(&self, uid: u32) -> bool {
        self.uids.contains(&uid)
    }

    /// Accounts that name an identity, in no order.
    pub(super) fn with_identity(&self) -> Vec<Account> {
        let lines = self.by_unique_id.values().filter_map(|range| self.line(range));
        let accounts =
            lines.filter_map(|line| Some(self.account(&line, UserName::new(line.name).ok()?)));
        accounts.filter(|account| account.identity.is_some()).collect()
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // One odd byte in somebody's gecos field must not lock everybody out.
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// Supplementary groups by user, sorted (group(5)).
fn members(text: &str) -> HashMap<Box<str>, Vec<Box<str>>> {
    let mut groups: HashMap<Box<str>, Vec<Box<str>>> = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(group), Some(users)) = (fields.next(), fields.nth(2)) else { continue };
        for user in users.split(',').filter(|user| !user.is_empty()) {
            groups.entry(user.into()).or_default().push(group.into());
        }
    }
    for names in groups.values_mut() {
        names.sort_unstable();
        names.dedup();
    }
    groups
}
