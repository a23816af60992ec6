//! Carries out tasks: each is checked by guard and ledger first, and changes are made one at a time.

mod alone;
mod create;
mod directory;
mod expiry;
mod groups;
mod hold;
mod hook;
mod keys;
mod lock;
mod membership;
mod primary;
mod recover;
mod remove;
mod shell;

pub use recover::{Outcome, Recovered};

use self::alone::Busy;
use crate::{
    adapter::Wishes,
    database::{Database, NameService, ReadError, Snapshot, UserEntry},
    defaults::{SiteDefaults, listed_shells},
    guard::{self, Limits},
    homes::HomeError,
    ledger::{Book, Event, Ledger, LedgerError, Record, Stage},
    runner::{CommandRunner, Finished, Program, RunError},
    sessions::{self, SightError, Whose},
};
use motley_proto::{
    Identity, Uid, UserName,
    names::GroupName,
    task::{AccountFacts, SessionsEnded, Task, TaskAnswer, TaskDone, TaskRefusal},
    text::escape,
};
use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// A durable step on the way to an account, or to its end. Between any two of them the process may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The ledger holds the reservation.
    Reserved,
    /// The ledger says that a group is about to be made.
    GroupReserved,
    /// A group exists.
    GroupAdded,
    /// The ledger says that the group was made.
    GroupRecorded,
    /// The account files hold the account.
    UserAdded,
    /// The home is there.
    HomeMade,
    /// The ledger says that groups are about to be joined.
    JoinRecorded,
    /// Groups are joined.
    Joined,
    /// The ledger says that the account is about to get another primary group.
    PrimaryRecorded,
    /// It was tried to give it that group.
    PrimarySet,
    /// The ledger holds the account as complete.
    Completed,
    /// The ledger says that the account is about to be taken away.
    RemovalRecorded,
    /// The home is put aside.
    HomeAside,
    /// The account files hold the account no more.
    UserRemoved,
    /// The ledger says that the account is gone.
    Removed,
}

/// Told of each step when it is on disk; tests end the process there.
pub trait Witness: Send + Sync {
    /// The step was reached.
    fn reached(&self, step: Step);
}

/// A witness that does not care.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Witness for Unwatched {
    fn reached(&self, _: Step) {}
}

/// Whoever asked for a task.
pub trait Asker {
    /// True as long as the answer is waited for.
    fn waits(&self) -> bool;
}

/// An asker that waits as long as it takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patient;

impl Asker for Patient {
    fn waits(&self) -> bool {
        true
    }
}

/// Everything outside this process that a task may touch.
pub struct World {
    /// Directory below which files are read and homes are made; `/` on a real system.
    pub root: PathBuf,
    /// The account files.
    pub database: Database,
    /// Names known from elsewhere.
    pub names: Box<dyn NameService>,
    /// Starts programs.
    pub runner: Box<dyn CommandRunner>,
    /// What is allowed.
    pub limits: Limits,
    /// What the site wants beside that.
    pub wishes: Wishes,
    /// How new accounts look on this host.
    pub site: SiteDefaults,
    /// Days since 1970-01-01.
    pub today: fn() -> i64,
    /// Seconds since 1970-01-01, UTC.
    pub now: fn() -> i64,
    /// Told of each step.
    pub witness: Box<dyn Witness>,
}

/// Longest run of a program: it may itself wait up to 15 s for the lock of the account files.
const PROGRAM_LIMIT: Duration = Duration::from_secs(25);
/// How long a lock that another program holds is tried again.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(200);

/// Carries out tasks on the accounts of one host.
pub struct Accounts {
    world: World,
    ledger: RwLock<Ledger>,
    turn: Mutex<()>,
    /// Accounts whose script runs now.
    scripts: Busy,
    /// Accounts in whose homes keys are written or taken away now.
    keys: Busy,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("limits", &self.world.limits).finish_non_exhaustive()
    }
}

impl Accounts {
    /// Brings ledger and world together; [`Accounts::recover`] comes next, and some time later
    /// [`Accounts::resume_removals`].
    pub fn new(world: World, ledger: Ledger) -> Self {
        let (scripts, keys) = (Busy::default(), Busy::default());
        Self { world, ledger: RwLock::new(ledger), turn: Mutex::new(()), scripts, keys }
    }

    /// Carries out one task.
    ///
    /// Any number of threads may call this: tasks that change accounts wait for each other, looking
    /// at accounts, writing keys and ending sessions, also those of an account that is removed, wait
    /// for nobody.
    ///
    /// # Errors
    /// The refusal to send back; nothing was changed, or what was begun was rolled back, or it
    /// waits in the ledger for the next try or start.
    pub fn carry_out(&self, task: &Task) -> TaskAnswer {
        self.carry_out_for(task, &Patient)
    }

    /// As [`Accounts::carry_out`], while the asker waits.
    ///
    /// # Errors
    /// [`TaskRefusal::Busy`] when the turn of a task comes too late: whoever has given it up may have
    /// asked for the opposite since.
    pub fn carry_out_for(&self, task: &Task, asker: &dyn Asker) -> TaskAnswer {
        match task {
            Task::Inspect { name } => Ok(TaskDone::Inspected(self.facts(name)?)),
            Task::EndSessions { identity, name } => {
                self.end_sessions_of(identity, name, asker).map(TaskDone::Sessions)
            }
            Task::Hold { identity, name } => self.hold(identity, name, asker),
            Task::Release { identity, name } => self.release(identity, name, asker),
            Task::RunHook { identity, name } => {
                self.run_hook(identity, name, asker).map(TaskDone::Hook)
            }
            Task::Sessions { identity, name } => {
                let uid = self.present(identity, name)?;
                let now = (self.world.now)();
                let whose = self.whose(name, uid)?;
                let list = sessions::list::list(&self.world.root, &whose, now);
                Ok(TaskDone::SessionList(list))
            }
            Task::Remove { identity, name } => self.remove_in_turns(identity, name, asker),
            Task::Create(plan) => self.create_in_turns(plan, asker),
            Task::SetKeys { identity, name, keys } => self.set_keys(identity, name, keys, asker),
            change => {
                let _turn = self.take_turn_for(asker)?;
                self.change(change)
            }
        }
    }

    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn, if the asker still waits when it comes.
    fn take_turn_for(&self, asker: &dyn Asker) -> Result<MutexGuard<'_, ()>, TaskRefusal> {
        let turn = self.take_turn();
        if asker.waits() { Ok(turn) } else { Err(TaskRefusal::Busy) }
    }

    fn whose(&self, name: &UserName, uid: Uid) -> Result<Whose, TaskRefusal> {
        let whose = Whose::read(&self.world.root, name.as_str(), uid.get());
        whose.map_err(|error| failed("look for sessions", error))
    }

    fn end_sessions(&self, name: &UserName, uid: Uid) -> Result<SessionsEnded, TaskRefusal> {
        let World { root, runner, .. } = &self.world;
        let ended = sessions::end_sessions(root, runner.as_ref(), &self.whose(name, uid)?);
        ended.map_err(|error: SightError| failed("end sessions", error))
    }

    fn change(&self, task: &Task) -> TaskAnswer {
        match task {
            Task::Inspect { .. }
            | Task::EndSessions { .. }
            | Task::Hold { .. }
            | Task::Release { .. }
            | Task::RunHook { .. }
            | Task::Sessions { .. }
            | Task::SetKeys { .. }
            | Task::Create(_)
            | Task::Remove { .. } => Err(failed("choose the task", "it takes no turn, or its own")),
            Task::Adopt { identity, name } => self.adopt(identity, name),
            Task::SetGroups { identity, name, join, leave } => {
                self.set_groups(identity, name, join, leave)
            }
            Task::SetPrimaryGroup { identity, name, group } => {
                self.set_primary_group(identity, name, group)
            }
            Task::SetShell { identity, name, shell } => self.set_shell(identity, name, shell),
            Task::Expire { identity, name } => self.expire(identity, name),
            Task::Unexpire { identity, name, marks } => self.unexpire(identity, name, *marks),
            Task::RollBack { identity, name } => self.roll_back_task(identity, name),
        }
    }

    /// What is known about a name; `None` when no source knows it.
    fn facts(&self, name: &UserName) -> Result<Option<AccountFacts>, TaskRefusal> {
        let seen = self.read()?;
        let entry = match seen.users.named(name.as_str()) {
            Some(entry) => entry,
            None => match self.world.names.user_named(name.as_str()).map_err(name_service)? {
                Some(entry) => entry,
                None => return Ok(None),
            },
        };
        let primary_group = self.name_of_group(entry.gid, &seen)?;
        let groups = seen.groups.of_member(name.as_str());
        let today = (self.world.today)();
        let expired = seen.expiries.day(name.as_str()).is_some_and(|day| day <= today);
        let known = self.with_book(|book| match book.account_named(name) {
            Some((identity, record))
                if record.uid.get() == entry.uid && guard::names_identity(&entry, identity) =>
            {
                Some((identity.clone(), record.clone()))
            }
            _ => None,
        });
        let (identity, managed_groups, managed_primary) = match known {
            Some((identity, record)) => {
                let managed = record.joined.iter().filter(|g| is_in(g, &groups)).cloned();
                (Some(identity), managed.collect(), record.gave(primary_group.as_deref()))
            }
            None => (None, Vec::new(), false),
        };
        Ok(Some(AccountFacts {
            name: name.clone(),
            uid: entry.uid,
            gid: entry.gid,
            primary_group,
            groups,
            managed_groups,
            managed_primary,
            gecos: entry.gecos,
            home: entry.home,
            shell: entry.shell,
            expired,
            identity,
        }))
    }

    fn account_answer(&self, name: &UserName) -> TaskAnswer {
        let facts = self.facts(name)?;
        facts.map(TaskDone::Account).ok_or_else(|| TaskRefusal::NoSuchAccount(name.clone()))
    }

    /// The account, if it is complete, this identity's, and still what the ledger says it is. An
    /// account that the local admin made anew is theirs, though it has the old name and uid.
    fn managed(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<(Record, UserEntry), TaskRefusal> {
        let (record, entry) = self.recorded(identity, name)?;
        if guard::names_identity(&entry, identity) {
            Ok((record, entry))
        } else {
            Err(TaskRefusal::NotManaged(name.clone()))
        }
    }

    /// As [`Accounts::managed`], whatever its comment says: enough to shut somebody out, which a
    /// change of the comment must not hinder.
    fn recorded(
        &self,
        identity: &Identity,
        name: &UserName,
    ) -> Result<(Record, UserEntry), TaskRefusal> {
        let record = self.with_book(|book| match book.account_named(name) {
            Some((owner, record)) if owner == identity => Some(record.clone()),
            _ => None,
        });
        let record = record.filter(|record| record.stage == Stage::Complete);
        let seen = self.read()?;
        let entry = seen.users.named(name.as_str());
        match (record, entry) {
            (Some(record), Some(entry)) if entry.uid == record.uid.get() => {
                guard::check_uid(entry.uid, &self.world.limits)?;
                Ok((record, entry))
            }
            (Some(_), None) => Err(TaskRefusal::NoSuchAccount(name.clone())),
            _ => Err(TaskRefusal::NotManaged(name.clone())),
        }
    }

    fn listed_shells(&self) -> BTreeSet<String> {
        listed_shells(&self.world.root)
    }

    fn read(&self) -> Result<Snapshot, TaskRefusal> {
        self.world.database.read().map_err(|error: ReadError| failed("read the accounts", error))
    }

    fn with_book<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(self.ledger.read().unwrap_or_else(PoisonError::into_inner).book())
    }

    fn record(&self, event: Event) -> Result<(), TaskRefusal> {
        let mut ledger = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        ledger.record(event).map_err(|error| match error {
            LedgerError::Contradiction { source, .. } => source.into(),
            error => failed("write the ledger", error),
        })
    }

    /// Runs a program that edits the account files, again for a while if they are locked.
    fn edit(&self, program: Program, args: &[&str]) -> Result<Finished, TaskRefusal> {
        self.edit_within(program, args, PROGRAM_LIMIT)
    }

    /// As [`Accounts::edit`], with another limit for each run.
    fn edit_within(
        &self,
        program: Program,
        args: &[&str],
        limit: Duration,
    ) -> Result<Finished, TaskRefusal> {
        let begun = Instant::now();
        loop {
            lock::wait_until_free(&self.world.root, begun + LOCK_PATIENCE)?;
            let done = self.world.runner.run(program, args, limit);
            let done = done.map_err(|error: RunError| failed(program.name(), error))?;
            if !is_locked(&done) {
                return Ok(done);
            }
            if begun.elapsed() > LOCK_PATIENCE {
                return Err(TaskRefusal::Busy);
            }
            std::thread::sleep(LOCK_RETRY);
        }
    }

    /// As [`Accounts::edit`], and any exit status but 0 is a failure.
    fn edit_or_fail(&self, program: Program, args: &[&str]) -> Result<(), TaskRefusal> {
        let done = self.edit(program, args)?;
        if done.status == Some(0) { Ok(()) } else { Err(ended_badly(program, &done)) }
    }
}

/// shadow-utils say "cannot lock" with 1 (passwd, shadow), 10 (group, gshadow), 16 (subuid) or 18
/// (subgid).
fn is_locked(done: &Finished) -> bool {
    matches!(done.status, Some(1 | 10 | 16 | 18)) && done.complaint.contains("lock")
}

fn ended_badly(program: Program, done: &Finished) -> TaskRefusal {
    match done.status {
        Some(status) => failed(program.name(), format!("exit status {status}: {}", done.complaint)),
        None => failed(program.name(), format!("ended by a signal: {}", done.complaint)),
    }
}

fn failed(step: &str, detail: impl std::fmt::Display) -> TaskRefusal {
    TaskRefusal::Failed { step: step.to_owned(), detail: escape(&detail.to_string(), 300) }
}

fn name_service(error: io::Error) -> TaskRefusal {
    failed("ask the name service", error)
}

impl From<HomeError> for TaskRefusal {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::UnsafeBase(_) | HomeError::UnsafeShelf(_) => {
                TaskRefusal::Forbidden(error.to_string())
            }
            error => failed("home", error),
        }
    }
}

fn is_in(group: &GroupName, groups: &[String]) -> bool {
    groups.binary_search_by(|other| other.as_str().cmp(group.as_str())).is_ok()
}
