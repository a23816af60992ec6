//! Serves the task socket: one answer per task, a few connections at once, every wait bounded.

use crate::accounts::{Accounts, Asker};
use motley_proto::{
    Identity,
    client::{Connection, ExchangeError},
    frame::{Cap, FrameError},
    peer::{Judge, Peer, Who, WhoMay},
    task::{HomeFate, HookRun, Task, TaskAnswer, TaskDone, TaskRefusal},
    text::escape,
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use std::{
    io,
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Connections that are served at once. The daemon needs few; more wait in the socket's queue.
const WORKERS: usize = 16;
/// How long a connection may stay silent, and how long one task may take to arrive.
const IDLE: Duration = Duration::from_secs(10);
/// How long after its arrival a task may still be begun. The daemon waits no longer for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for the site's script, which may have been begun by another.
const SCRIPT_PATIENCE: Duration = Duration::from_secs(25);
/// How long an answer may take to be picked up.
const SEND: Duration = Duration::from_secs(5);
/// How long running tasks may take to end after SIGTERM.
const FAREWELL: Duration = Duration::from_secs(30);

/// Serves until SIGTERM or SIGINT comes, then lets running tasks end.
///
/// # Errors
/// When the socket or the signals can't be waited for.
pub fn serve(
    listener: UnixListener,
    accounts: Arc<Accounts>,
    judge: Judge,
    signals: &Signals,
) -> io::Result<()> {
    let Signals(signals) = signals;
    listener.set_nonblocking(true)?;
    let (give, take) = sync_channel::<UnixStream>(0);
    let take = Arc::new(Mutex::new(take));
    let desk = Arc::new(Desk {
        accounts,
        judge,
        closed: AtomicBool::new(false),
        busy: AtomicUsize::new(0),
    });
    for _ in 0..WORKERS {
        start_worker(take.clone(), desk.clone())?;
    }
    while !stop_is_asked(&listener, signals)? {
        match listener.accept() {
            Ok((stream, _)) => {
                if !admit(&stream, judge) {
                    continue;
                }
                if !hand_over(&give, stream, signals)? {
                    break;
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    desk.close();
    Ok(())
}

/// What all workers share.
struct Desk {
    accounts: Arc<Accounts>,
    judge: Judge,
    closed: AtomicBool,
    busy: AtomicUsize,
}

impl Desk {
    /// Begins a task; false when no more are taken.
    fn begin(&self) -> bool {
        self.busy.fetch_add(1, Ordering::SeqCst);
        let open = !self.closed.load(Ordering::SeqCst);
        if !open {
            self.end();
        }
        open
    }

    fn end(&self) {
        self.busy.fetch_sub(1, Ordering::SeqCst);
    }

    /// Takes no more tasks and lets those end that are being carried out.
    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let until = Instant::now() + FAREWELL;
        while Instant::now() < until && self.busy.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// SIGTERM and SIGINT, which ask for the end and break nothing off.
pub struct Signals(SignalFd);

impl Signals {
    /// Watches for them. Must come before the first thread starts, for all must leave them alone: one
    /// that does not would be ended by them, and the process with it.
    ///
    /// # Errors
    /// What the system says.
    pub fn watch() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }
}

/// Waits for a connection or the end.
fn stop_is_asked(listener: &UnixListener, signals: &SignalFd) -> io::Result<bool> {
    let mut watched = [
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        PollFd::new(listener.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut watched, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    Ok(watched.first().and_then(PollFd::any).unwrap_or_default())
}

fn is_passing(error: &io::Error) -> bool {
    let passing = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS];
    let full = error.raw_os_error().is_some_and(|code| passing.contains(&code));
    if full {
        thread::sleep(Duration::from_millis(50));
    }
    full || matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Drops the connection of anybody but the daemon before a byte of it is read.
fn admit(stream: &UnixStream, judge: Judge) -> bool {
    let seen = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials);
    match seen {
        Ok(seen) if Who::Daemon.admits(Peer { uid: seen.uid(), gid: seen.gid() }, judge) => true,
        Ok(seen) => {
            log(&format!("refused a connection of uid {} (pid {})", seen.uid(), seen.pid()));
            false
        }
        Err(errno) => {
            log(&format!("refused a connection of nobody known: {errno}"));
            false
        }
    }
}

/// Waits for a free worker; false when the end came first.
fn hand_over(
    give: &SyncSender<UnixStream>,
    stream: UnixStream,
    signals: &SignalFd,
) -> io::Result<bool> {
    let mut waiting = stream;
    loop {
        match give.try_send(waiting) {
            Ok(()) => return Ok(true),
            Err(TrySendError::Full(stream)) => waiting = stream,
            Err(TrySendError::Disconnected(_)) => return Ok(false),
        }
        let mut watched = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if poll(&mut watched, PollTimeout::from(2u8)).is_ok_and(|count| count > 0) {
            return Ok(false);
        }
    }
}

fn start_worker(take: Arc<Mutex<Receiver<UnixStream>>>, desk: Arc<Desk>) -> io::Result<()> {
    let work = move || {
        loop {
            let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(stream) = next else { return };
            if let Err(error) = converse(stream, &desk) {
                log(&format!("connection ended: {error}"));
            }
        }
    };
    thread::Builder::new().name("task".to_owned()).spawn(work).map(drop)
}

/// Answers task after task until the other side closes or says something that is no task.
fn converse(stream: UnixStream, desk: &Desk) -> Result<(), ExchangeError> {
    let mut connection = Connection::from_stream(stream, Cap::TASK, Instant::now() + IDLE)?;
    let peer = connection.peer()?;
    while let Some(task) = next_task(&mut connection)? {
        if !desk.begin() {
            return Ok(());
        }
        let sent = answer(&mut connection, &task, peer, desk);
        desk.end();
        sent?;
        connection.set_deadline(Instant::now() + IDLE);
    }
    Ok(())
}

/// The other side of a connection, while its task is carried out.
struct Caller<'a> {
    connection: &'a Connection,
    until: Instant,
}

impl Asker for Caller<'_> {
    fn waits(&self) -> bool {
        Instant::now() < self.until && !self.connection.has_hung_up()
    }
}

fn answer(
    connection: &mut Connection,
    task: &Task,
    peer: Peer,
    desk: &Desk,
) -> Result<(), ExchangeError> {
    let begun = Instant::now();
    let answer = if task.who_may().admits(peer, desk.judge) {
        let patience = match task {
            Task::RunHook { .. } => SCRIPT_PATIENCE,
            _ => PATIENCE,
        };
        let caller = Caller { connection, until: begun + patience };
        desk.accounts.carry_out_for(task, &caller)
    } else {
        Err(TaskRefusal::Forbidden("this user may not ask for this task".to_owned()))
    };
    log(&describe(task, &answer, begun.elapsed()));
    connection.set_deadline(Instant::now() + SEND);
    match connection.send(&answer) {
        Err(ExchangeError::Frame(FrameError::Length(..))) => connection.send(&too_long()),
        sent => sent,
    }
}

/// A connection that was silent for too long simply ends.
fn next_task(connection: &mut Connection) -> Result<Option<Task>, ExchangeError> {
    match connection.receive_or_end() {
        Err(ExchangeError::Deadline) => Ok(None),
        read => read,
    }
}

fn too_long() -> TaskAnswer {
    Err(TaskRefusal::Failed {
        step: "write the answer".to_owned(),
        detail: "the account has more groups or text than an answer can hold".to_owned(),
    })
}

fn describe(task: &Task, answer: &TaskAnswer, took: Duration) -> String {
    let (verb, name, identity) = describe_task(task);
    let whose = identity.map(|id| format!(" of {}", escape(&id.to_string(), 200)));
    let result = match answer {
        Ok(done) => describe_done(done),
        Err(refusal) => format!("refused: {}", escape(&refusal.to_string(), 400)),
    };
    format!("{verb} {name}{}: {result} ({} ms)", whose.unwrap_or_default(), took.as_millis())
}

fn describe_task(task: &Task) -> (&'static str, String, Option<&Identity>) {
    match task {
        Task::Inspect { name } => ("inspect", name.to_string(), None),
        Task::Create(plan) => {
            ("create", format!("{} uid {}", plan.name, plan.uid), Some(&plan.identity))
        }
        Task::Adopt { identity, name } => ("adopt", name.to_string(), Some(identity)),
        Task::SetGroups { identity, name, join, leave } => {
            let what = format!("{name} (+{} -{})", join.len(), leave.len());
            ("set groups", what, Some(identity))
        }
        Task::SetPrimaryGroup { identity, name, group } => {
            ("set primary group", format!("{name} {group}"), Some(identity))
        }
        Task::SetShell { identity, name, shell } => {
            ("set shell", format!("{name} {shell}"), Some(identity))
        }
        Task::Expire { identity, name } => ("expire", name.to_string(), Some(identity)),
        Task::Unexpire { identity, name, .. } => ("unexpire", name.to_string(), Some(identity)),
        Task::EndSessions { identity, name } => ("end sessions", name.to_string(), Some(identity)),
        Task::Hold { identity, name } => ("hold", name.to_string(), Some(identity)),
        Task::Release { identity, name } => ("release", name.to_string(), Some(identity)),
        Task::RunHook { identity, name } => ("run hook", name.to_string(), Some(identity)),
        Task::SetKeys { identity, name, keys } => {
            ("set keys", format!("{name} ({})", keys.len()), Some(identity))
        }
        Task::Sessions { identity, name } => ("list sessions", name.to_string(), Some(identity)),
        Task::Remove { identity, name } => ("remove", name.to_string(), Some(identity)),
        Task::RollBack { identity, name } => ("roll back", name.to_string(), Some(identity)),
    }
}

fn describe_done(done: &TaskDone) -> String {
    match done {
        TaskDone::Inspected(None) => "no such account".to_owned(),
        TaskDone::Inspected(Some(_)) => "seen".to_owned(),
        TaskDone::Account(facts) => format!("done, uid {}", facts.uid),
        TaskDone::Groups { joined, left, .. } => {
            format!("joined {}, left {}", joined.len(), left.len())
        }
        TaskDone::Sessions(ended) => format!(
            "{} sessions, {} processes signalled, {} remain",
            ended.sessions, ended.processes, ended.remaining
        ),
        TaskDone::Held(held) => format!("{} jobs held{}", held.jobs, linger(held.linger, "off")),
        TaskDone::Released(held) => format!(
            "{} jobs put back, {} stay aside{}",
            held.jobs,
            held.left,
            linger(held.linger, "on")
        ),
        TaskDone::Hook(HookRun::NotDue) => "not due".to_owned(),
        TaskDone::Hook(HookRun::Ended(Some(status))) => format!("exit status {status}"),
        TaskDone::Hook(HookRun::Ended(None)) => "ended by a signal".to_owned(),
        TaskDone::Hook(HookRun::Failed(why)) => format!("FAILED: {}", escape(why, 400)),
        TaskDone::Keys(kept) => format!("{} keys, changed: {}", kept.keys, kept.changed),
        TaskDone::SessionList(list) => {
            format!("{} sessions, {} processes", list.sessions.len(), list.processes.len())
        }
        TaskDone::Removed(removal) => match &removal.home {
            HomeFate::Nothing => "removed, no home".to_owned(),
            HomeFate::Archived(path) => format!("removed, home put aside as {path}"),
            HomeFate::Deleting(path) => format!("removed, home is being deleted in {path}"),
            HomeFate::Left(path) => format!("removed, home left at {path}"),
        },
        TaskDone::RolledBack => "removed".to_owned(),
    }
}

fn linger(changed: bool, how: &str) -> String {
    if changed { format!(", lingering switched {how}") } else { String::new() }
}

/// One line to standard error, which the service manager keeps.
pub fn log(line: &str) {
    use std::io::Write;
    let _ = io::stderr().write_all(format!("motley-root: {line}\n").as_bytes());
}
