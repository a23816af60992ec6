//! Reads the local account files, and asks the name service who else is known on this host.

use motley_proto::names::is_protected_id;
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A file of accounts can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct ReadError {
    /// The file.
    pub path: String,
    /// What the system said.
    pub source: io::Error,
}

/// One line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserEntry {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: u32,
    /// Gid of the primary group.
    pub gid: u32,
    /// Gecos field, whole.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

impl UserEntry {
    /// The full-name part of the gecos field: what stands before its first comma (chfn(1)).
    pub fn full_name(&self) -> &str {
        self.gecos.split(',').next().unwrap_or_default()
    }
}

/// passwd(5), indexed. The first of several lines with one name counts, as in the C library.
#[derive(Debug, Default)]
pub struct Users {
    entries: Vec<UserEntry>,
    by_name: HashMap<String, usize>,
    by_uid: HashMap<u32, Vec<usize>>,
    by_full_name: HashMap<String, usize>,
    malformed: HashSet<String>,
}

impl Users {
    fn parse(lines: impl Iterator<Item = String>) -> Self {
        let mut users = Self::default();
        for line in lines {
            match parse_user(&line) {
                Some(entry) => users.insert(entry),
                // Nobody can log in by it, but a new line of that name would revive its remains.
                None => {
                    let name = line.split(':').next().unwrap_or_default().to_owned();
                    users.malformed.insert(name);
                }
            }
        }
        users
    }

    fn insert(&mut self, entry: UserEntry) {
        let at = self.entries.len();
        self.by_name.entry(entry.name.clone()).or_insert(at);
        self.by_uid.entry(entry.uid).or_default().push(at);
        if entry.full_name().contains('@') {
            self.by_full_name.entry(entry.full_name().to_owned()).or_insert(at);
        }
        self.entries.push(entry);
    }

    fn at(&self, index: usize) -> Option<&UserEntry> {
        self.entries.get(index)
    }

    /// The account of that name.
    pub fn named(&self, name: &str) -> Option<&UserEntry> {
        self.by_name.get(name).and_then(|at| self.at(*at))
    }

    /// All accounts with that uid.
    pub fn with_uid(&self, uid: u32) -> impl Iterator<Item = &UserEntry> {
        self.by_uid.get(&uid).into_iter().flatten().filter_map(|at| self.at(*at))
    }

    /// The first account whose full name is exactly this text.
    pub fn with_full_name(&self, text: &str) -> Option<&UserEntry> {
        self.by_full_name.get(text).and_then(|at| self.at(*at))
    }

    /// True if this is anybody's primary group.
    pub fn uses_gid(&self, gid: u32) -> bool {
        self.entries.iter().any(|entry| entry.gid == gid)
    }

    /// True if an account other than `name` has its home here or below.
    pub fn others_live_in(&self, home: &str, name: &str) -> bool {
        self.entries.iter().filter(|entry| entry.name != name).any(|entry| {
            entry
                .home
                .strip_prefix(home)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// True if a line that can't be read begins with this name.
    pub fn is_malformed(&self, name: &str) -> bool {
        self.malformed.contains(name)
    }
}

fn parse_user(line: &str) -> Option<UserEntry> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let _password = fields.next()?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let gecos = fields.next()?.to_owned();
    let home = fields.next()?.to_owned();
    let shell = fields.next()?.to_owned();
    fields.next().is_none().then_some(UserEntry { name, uid, gid, gecos, home, shell })
}

/// group(5), indexed by name, gid and member.
#[derive(Debug, Default)]
pub struct Groups {
    by_name: HashMap<String, Vec<String>>,
    gids: HashMap<String, u32>,
    names: HashMap<u32, String>,
    of_member: HashMap<String, Vec<String>>,
}

impl Groups {
    fn parse(lines: impl Iterator<Item = String>) -> Self {
        let mut groups = Self::default();
        for line in lines {
            if let Some((name, gid, members)) = parse_group(&line) {
                groups.insert(name, gid, members);
            }
        }
        for list in groups.of_member.values_mut() {
            list.sort();
            list.dedup();
        }
        groups
    }

    fn insert(&mut self, name: String, gid: u32, members: Vec<String>) {
        if self.by_name.contains_key(&name) {
            return;
        }
        for member in &members {
            self.of_member.entry(member.clone()).or_default().push(name.clone());
        }
        self.names.entry(gid).or_insert_with(|| name.clone());
        self.gids.insert(name.clone(), gid);
        self.by_name.insert(name, members);
    }

    /// Gid of the group of that name.
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.gids.get(name).copied()
    }

    /// Name of the first group with that gid.
    pub fn name(&self, gid: u32) -> Option<&str> {
        self.names.get(&gid).map(String::as_str)
    }

    /// The largest gid from 1000 to 60000, where groupadd(8) takes new ones by default.
    pub fn largest_gid(&self) -> Option<u32> {
        self.names.keys().copied().filter(|gid| (1000..=60_000).contains(gid)).max()
    }

    /// Members listed for that group.
    pub fn members(&self, name: &str) -> &[String] {
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Groups that list this member, sorted.
    pub fn of(&self, member: &str) -> &[String] {
        self.of_member.get(member).map(Vec::as_slice).unwrap_or_default()
    }
}

fn parse_group(line: &str) -> Option<(String, u32, Vec<String>)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let _password = fields.next()?;
    let gid = fields.next()?.parse().ok()?;
    let members = fields.next()?.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
    fields.next().is_none().then_some((name, gid, members))
}

/// shadow(5): only who is in it and when accounts expire. Password hashes are not kept.
#[derive(Debug, Default)]
pub struct Expiries {
    by_name: HashMap<String, Option<i64>>,
}

impl Expiries {
    fn parse(lines: impl Iterator<Item = String>) -> Self {
        let mut by_name = HashMap::new();
        for line in lines {
            let mut fields = line.split(':');
            let Some(name) = fields.next().filter(|name| !name.is_empty()) else { continue };
            let day = fields.nth(6).and_then(|day| day.parse().ok()).filter(|day| *day >= 0);
            by_name.entry(name.to_owned()).or_insert(day);
        }
        Self { by_name }
    }

    /// True if the account has a line.
    pub fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Day on which the account expires, in days since 1970-01-01.
    pub fn day(&self, name: &str) -> Option<i64> {
        self.by_name.get(name).copied().flatten()
    }
}

/// What tells one state of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug)]
struct Cached<T> {
    path: PathBuf,
    kept: Mutex<Option<(Stamp, Arc<T>)>>,
}

impl<T> Cached<T> {
    fn new(path: PathBuf) -> Self {
        Self { path, kept: Mutex::new(None) }
    }

    fn read(&self, parse: fn(&mut dyn Iterator<Item = String>) -> T) -> Result<Arc<T>, ReadError> {
        let failed = |source| ReadError { path: self.path.display().to_string(), source };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&std::fs::metadata(&self.path).map_err(failed)?);
        if let Some((_, table)) = kept.as_ref().filter(|(then, _)| *then == now) {
            return Ok(table.clone());
        }
        let file = File::open(&self.path).map_err(failed)?;
        let now = stamp(&file.metadata().map_err(failed)?);
        let mut broken = None;
        let table = Arc::new(parse(&mut lines(file, &mut broken)));
        if let Some(source) = broken {
            return Err(failed(source));
        }
        *kept = Some((now, table.clone()));
        Ok(table)
    }
}

fn stamp(meta: &std::fs::Metadata) -> Stamp {
    Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    }
}

/// Lines that hold entries; a byte that is no UTF-8 is replaced and does not end the reading.
fn lines(file: File, broken: &mut Option<io::Error>) -> impl Iterator<Item = String> {
    let mut reader = BufReader::new(file).split(b'\n');
    std::iter::from_fn(move || match reader.next()? {
        Ok(line) => Some(String::from_utf8_lossy(&line).into_owned()),
        Err(error) => {
            *broken = Some(error);
            None
        }
    })
    .filter(|line| !line.is_empty() && !line.starts_with(['#', '+', '-']))
}

/// The account files below one root directory, read again only when they changed.
#[derive(Debug)]
pub struct Database {
    users: Cached<Users>,
    groups: Cached<Groups>,
    expiries: Cached<Expiries>,
    gshadow: PathBuf,
}

/// The account files at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// passwd(5).
    pub users: Arc<Users>,
    /// group(5).
    pub groups: Arc<Groups>,
    /// shadow(5).
    pub expiries: Arc<Expiries>,
}

impl Database {
    /// Files are read from `root/etc`; `root` is `/` on a real system.
    pub fn new(root: &Path) -> Self {
        let etc = root.join("etc");
        Self {
            users: Cached::new(etc.join("passwd")),
            groups: Cached::new(etc.join("group")),
            expiries: Cached::new(etc.join("shadow")),
            gshadow: etc.join("gshadow"),
        }
    }

    /// True if gshadow(5) lists this name as a member of a group, or as one who may add members.
    ///
    /// # Errors
    /// When the file is there and can't be read.
    pub fn is_in_gshadow(&self, name: &str) -> Result<bool, ReadError> {
        match std::fs::read(&self.gshadow) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).lines().any(|line| {
                line.split(':').skip(2).any(|list| list.split(',').any(|other| other == name))
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ReadError { path: self.gshadow.display().to_string(), source }),
        }
    }

    /// Reads all three files.
    ///
    /// # Errors
    /// When one of them can't be read. A malformed line is no error: it is passed over.
    pub fn read(&self) -> Result<Snapshot, ReadError> {
        Ok(Snapshot {
            users: self.users.read(|lines| Users::parse(lines))?,
            groups: self.groups.read(|lines| Groups::parse(lines))?,
            expiries: self.expiries.read(|lines| Expiries::parse(lines))?,
        })
    }
}

/// Names that are known on this host by whatever source (files, SSSD, LDAP, systemd).
pub trait NameService: Send + Sync {
    /// The account of that name.
    ///
    /// # Errors
    /// When a source can't be asked: then the name must count as taken.
    fn user_named(&self, name: &str) -> io::Result<Option<UserEntry>>;
    /// The account with that uid.
    ///
    /// # Errors
    /// As [`NameService::user_named`].
    fn user_with_uid(&self, uid: u32) -> io::Result<Option<UserEntry>>;
    /// Gid of the group of that name.
    ///
    /// # Errors
    /// As [`NameService::user_named`].
    fn gid_of(&self, group: &str) -> io::Result<Option<u32>>;
    /// Gids of the groups that list a member of that name, whether or not there is such an account.
    ///
    /// # Errors
    /// As [`NameService::user_named`].
    fn gids_listing(&self, member: &str) -> io::Result<Vec<u32>>;
    /// Name of the group with that gid.
    ///
    /// # Errors
    /// As [`NameService::user_named`].
    fn group_with(&self, gid: u32) -> io::Result<Option<String>>;
}

/// The name service switch of this host (nsswitch.conf(5)).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

/// Files of clients of a directory. Where one exists, names may be missing because it does not run.
const DIRECTORY_CLIENTS: [&str; 2] = ["/etc/sssd/sssd.conf", "/etc/nslcd.conf"];

/// An answer of the C library. `getpwnam(3)` counts ENOENT and ESRCH as "not found", and so answers
/// a host that lists a source of names of which nothing but the library is installed. A client that
/// is configured and does not run answers alike, and then nobody knows whether the name is taken.
fn answered<T>(answer: nix::Result<Option<T>>) -> io::Result<Option<T>> {
    use nix::errno::Errno;
    match answer {
        Err(Errno::ENOENT | Errno::ESRCH) => {
            let client = DIRECTORY_CLIENTS.iter().find(|file| Path::new(file).exists());
            client.map_or(Ok(None), |file| {
                let what =
                    format!("the directory of {file} does not answer; is its client running?");
                Err(io::Error::new(io::ErrorKind::NotConnected, what))
            })
        }
        answer => Ok(answer?),
    }
}

impl NameService for SystemNames {
    fn user_named(&self, name: &str) -> io::Result<Option<UserEntry>> {
        Ok(answered(nix::unistd::User::from_name(name))?.map(from_system))
    }

    fn user_with_uid(&self, uid: u32) -> io::Result<Option<UserEntry>> {
        let uid = nix::unistd::Uid::from_raw(uid);
        Ok(answered(nix::unistd::User::from_uid(uid))?.map(from_system))
    }

    fn gid_of(&self, group: &str) -> io::Result<Option<u32>> {
        Ok(answered(nix::unistd::Group::from_name(group))?.map(|group| group.gid.as_raw()))
    }

    fn gids_listing(&self, member: &str) -> io::Result<Vec<u32>> {
        let member = std::ffi::CString::new(member)?;
        // The answer always holds the primary group that was asked with.
        let nobodys = nix::unistd::Gid::from_raw(u32::MAX);
        let all = nix::unistd::getgrouplist(&member, nobodys)?;
        Ok(all.into_iter().filter(|gid| *gid != nobodys).map(|gid| gid.as_raw()).collect())
    }

    fn group_with(&self, gid: u32) -> io::Result<Option<String>> {
        let found = nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(gid))?;
        Ok(found.map(|group| group.name))
    }
}

fn from_system(user: nix::unistd::User) -> UserEntry {
    UserEntry {
        name: user.name,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        gecos: user.gecos.to_string_lossy().into_owned(),
        home: user.dir.display().to_string(),
        shell: user.shell.display().to_string(),
    }
}

impl UserEntry {
    /// True if this is an account of the system, which no task ever touches.
    pub fn is_of_the_system(&self) -> bool {
        is_protected_id(self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse<T>(text: &str, parse: fn(&mut dyn Iterator<Item = String>) -> T) -> T {
        parse(&mut text.lines().map(str::to_owned))
    }

    #[test]
    fn a_malformed_line_hides_no_other_and_keeps_its_name() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbroken:x:abc\nshort\n\
                    jdoe:x:5001:100:sub@iss,,:/home/jdoe:/bin/sh\nlong:x:1:1:::/:/:\n";
        let users = parse(text, |lines| Users::parse(lines));
        assert_eq!(users.named("jdoe").unwrap().uid, 5001);
        assert_eq!(users.with_full_name("sub@iss").unwrap().name, "jdoe");
        assert!(users.named("broken").is_none() && users.is_malformed("broken"));
        assert!(users.is_malformed("long") && !users.is_malformed("jdoe"));
    }

    #[test]
    fn the_first_line_of_a_name_counts_and_all_lines_of_a_uid_are_seen() {
        let text = "a:x:5:5::/:/bin/sh\na:x:6:6::/:/bin/sh\nb:x:5:5::/:/bin/sh\n";
        let users = parse(text, |lines| Users::parse(lines));
        assert_eq!(users.named("a").unwrap().uid, 5);
        assert_eq!(users.with_uid(5).count(), 2);
    }

    #[test]
    fn groups_know_their_members_and_members_their_groups() {
        let groups = parse("wlcg:x:2000:a,b\nbad:x:y:\natlas:x:2001:b\n", |l| Groups::parse(l));
        assert_eq!(groups.of("b"), ["atlas", "wlcg"]);
        assert_eq!(groups.members("wlcg"), ["a", "b"]);
        assert_eq!((groups.gid("bad"), groups.name(2001)), (None, Some("atlas")));
    }

    #[test]
    fn expiry_is_read_from_the_eighth_field() {
        let text = "a:!:19000:0:99999:7::1:\nb:!:19000:0:99999:7:::\nc:!\nd:!:::::: 12:\n";
        let expiries = parse(text, |lines| Expiries::parse(lines));
        assert_eq!(
            [expiries.day("a"), expiries.day("b"), expiries.day("c")],
            [Some(1), None, None]
        );
        assert!(expiries.knows("c") && !expiries.knows("e"));
    }

    #[test]
    fn a_change_of_the_file_is_seen_and_an_unchanged_file_is_not_read_again() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        for file in ["passwd", "group", "shadow"] {
            std::fs::write(etc.join(file), "").unwrap();
        }
        let database = Database::new(root.path());
        let before = database.read().unwrap();
        assert!(Arc::ptr_eq(&before.users, &database.read().unwrap().users));
        std::fs::write(etc.join("passwd"), "a:x:5:5::/:/bin/sh\n").unwrap();
        assert_eq!(database.read().unwrap().users.named("a").unwrap().uid, 5);
    }

    proptest! {
        #[test]
        fn r45_account_files_of_any_content_are_read_without_a_panic(text in "(\\PC|:|\n){0,300}") {
            let lines = || text.lines().map(str::to_owned);
            let _ = (Users::parse(lines()), Groups::parse(lines()), Expiries::parse(lines()));
        }
    }
}
