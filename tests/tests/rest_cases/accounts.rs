//! Puts accounts into a state by the commands of the host, as the recorder did.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use motley_proto::Identity;
use motley_proto::admin::{AdminAnswer, AdminRequest, Change, Target};
use motley_proto::client::Connection;
use motley_proto::frame::Cap;
use motley_tests::sandbox::{ADMIN_SOCKET, check_run};

use super::case::State;
use super::setup::Setup;

/// Primary group of the accounts that the recorder made.
pub(crate) const GROUP: &str = "h1nogroup";
/// Uids of the accounts that are made here, with space for the ones that the daemon gives, which
/// counts on from the highest that it has seen.
const FIRST_UID: u32 = 20_000;
const SPACE: u32 = 1000;
const SHELL: &str = "/bin/bash";
const NO_SHELL: &str = "/sbin/nologin";

/// The accounts of the host, and what the daemon may know about them.
#[derive(Default)]
pub(crate) struct Accounts {
    /// Last uid of a name; a new account of the same person gets it again.
    uids: HashMap<String, u32>,
    /// People whom the daemon may have marked as suspended.
    marked: HashSet<String>,
    /// People whose account the daemon has worked on.
    adopted: HashSet<String>,
    /// Names whose account has only the groups with which it was made here.
    bare: HashSet<String>,
}

impl Accounts {
    /// Makes the group that the accounts begin with.
    ///
    /// # Errors
    /// What groupadd says.
    pub(crate) fn new() -> Result<Self> {
        check_run("groupadd", &["-f", GROUP])?;
        Ok(Self::default())
    }

    /// Notes that the daemon suspended somebody.
    pub(crate) fn note_suspended(&mut self, user: &str) {
        self.marked.insert(user.to_owned());
        self.note_adopted(user);
    }

    /// Notes that the daemon worked on somebody's account.
    pub(crate) fn note_adopted(&mut self, user: &str) {
        self.adopted.insert(user.to_owned());
    }

    /// Notes that the daemon deployed somebody's account.
    pub(crate) fn note_deployed(&mut self, setup: &Setup, user: &str) {
        self.note_adopted(user);
        self.bare.remove(setup.username(user).unwrap_or_default());
    }

    /// True when the account has only the groups with which it was made here.
    pub(crate) fn is_bare(&self, setup: &Setup, user: &str) -> bool {
        setup.username(user).is_some_and(|name| self.bare.contains(name))
    }

    /// Takes the account out of all groups but the one it begins with.
    ///
    /// # Errors
    /// What usermod says.
    pub(crate) fn leave_groups(&mut self, setup: &Setup, user: &str) -> Result<()> {
        let name = setup.username(user).with_context(|| format!("no user {user}"))?;
        check_run("usermod", &["-g", GROUP, "-G", "", "--", name]).map(drop)
    }

    /// Lifts what an earlier case left on somebody whose own state does not matter now.
    ///
    /// # Errors
    /// When the daemon does not lift it.
    pub(crate) fn lift(&mut self, setup: &Setup, user: &str) -> Result<()> {
        let name = setup.username(user).with_context(|| format!("no user {user}"))?;
        let locked = Entry::find(name)?.is_some_and(|entry| entry.expires);
        if locked || self.marked.contains(user) {
            self.put(setup, user, State::Deployed)?;
        }
        Ok(())
    }

    /// Puts the account of a user into a state.
    ///
    /// # Errors
    /// When a command fails, or the daemon does not lift a suspension.
    pub(crate) fn put(&mut self, setup: &Setup, user: &str, state: State) -> Result<()> {
        if self.marked.remove(user) {
            change(Change::Resume, setup.identity(user)?)?;
        }
        let name = setup.username(user).with_context(|| format!("no user {user}"))?;
        let found = Entry::find(name)?;
        if matches!(state, State::NotDeployed | State::Pending | State::Rejected) {
            if let Some(entry) = found {
                self.uids.insert(name.to_owned(), entry.uid);
                check_run("userdel", &["-r", "--", name])?;
            }
            return Ok(());
        }
        let shell = if state == State::Limited { NO_SHELL } else { SHELL };
        let entry = match found {
            Some(entry) => entry,
            None => {
                self.make(setup, user, name, shell)?;
                Entry::find(name)?.with_context(|| format!("useradd made no {name}"))?
            }
        };
        if entry.shell != shell {
            check_run("usermod", &["-s", shell, "--", name])?;
        }
        match (state == State::Suspended, entry.expires) {
            (true, false) => check_run("chage", &["-E", &today()?, "--", name]).map(drop),
            (false, true) => check_run("chage", &["-E", "-1", "--", name]).map(drop),
            _ => Ok(()),
        }
    }

    /// Suspends somebody so that it can be taken back over REST: by the host's commands, and by the
    /// daemon once the account is its own, for then a date of expiry is the host's admin's affair.
    ///
    /// # Errors
    /// As [`Accounts::put`].
    pub(crate) fn suspend(&mut self, setup: &Setup, user: &str) -> Result<()> {
        if !self.adopted.contains(user) {
            return self.put(setup, user, State::Suspended);
        }
        self.put(setup, user, State::Deployed)?;
        self.note_suspended(user);
        change(Change::Suspend, setup.identity(user)?)
    }

    fn make(&mut self, setup: &Setup, user: &str, name: &str, shell: &str) -> Result<()> {
        let gecos = setup.identity(user)?.unique_id();
        let next = FIRST_UID + SPACE * u32::try_from(self.uids.len())?;
        let uid = self.uids.entry(name.to_owned()).or_insert(next).to_string();
        let (gecos, words) = (gecos.as_str(), ["-m", "-g", GROUP, "-s", shell, "-u", uid.as_str()]);
        check_run("useradd", &[&words[..], &["-c", gecos, "--", name]].concat())?;
        self.bare.insert(name.to_owned());
        Ok(())
    }
}

/// What passwd and shadow say about one name.
struct Entry {
    uid: u32,
    shell: String,
    /// True when there is a date of expiry.
    expires: bool,
}

impl Entry {
    fn find(name: &str) -> Result<Option<Self>> {
        let Some(line) = line_of("/etc/passwd", name)? else { return Ok(None) };
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, uid, _, _, _, shell] = fields.as_slice() else { bail!("odd line {line}") };
        let shadow = line_of("/etc/shadow", name)?.unwrap_or_default();
        let expires = shadow.split(':').nth(7).is_some_and(|date| !date.is_empty());
        Ok(Some(Self { uid: uid.parse()?, shell: (*shell).to_owned(), expires }))
    }
}

fn line_of(file: &str, name: &str) -> Result<Option<String>> {
    let text = fs::read_to_string(file).with_context(|| file.to_owned())?;
    let own = |line: &&str| line.split(':').next() == Some(name);
    Ok(text.lines().find(own).map(str::to_owned))
}

/// Days since 1970, as chage takes them.
fn today() -> Result<String> {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    Ok((seconds / 86_400).to_string())
}

/// Has the daemon change somebody's account, as `motleyctl` does.
fn change(change: Change, whose: Identity) -> Result<()> {
    let request = AdminRequest::Change { change, target: Target::Identity(whose), reason: None };
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut connection = Connection::open(ADMIN_SOCKET.as_ref(), Cap::ADMIN, deadline)?;
    connection.send(&request)?;
    match connection.receive()? {
        AdminAnswer::Receipt(receipt) if receipt.pending.is_empty() => Ok(()),
        other => bail!("{request:?}: {other:?}"),
    }
}
