//! The broker process: a private socket that is served until ssh ends.

use super::{
    Greeting, forbid_core_dumps,
    script::{Script, Verdict},
    wire::{Ask, Order, Reply},
};
use crate::{error::Error, ffi, http::Http, service::Service};
use motley_proto::{
    client::Connection,
    frame::{Cap, Decoder},
    rest::AccountState,
};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::SignalFd,
        stat,
    },
    unistd,
};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::MetadataExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

/// How long one connection may take to put its question.
const QUESTION_LIMIT: Duration = Duration::from_secs(5);
/// How often the parent is looked at on kernels without pidfd, in milliseconds.
const WATCH_MS: u16 = 200;

/// Serves the socket until ssh ends; the whole life of the broker process.
pub(crate) fn keep() -> ExitCode {
    forbid_core_dumps();
    let prepared = prepare();
    let greeting = match &prepared {
        Ok((_, nest)) => Greeting::Socket(nest.socket()),
        Err(error) => Greeting::Failed(error.to_string()),
    };
    let mut line = serde_json::to_vec(&greeting).unwrap_or_default();
    line.push(b'\n');
    if io::stdout().write_all(&line).and_then(|()| io::stdout().flush()).is_err() {
        return ExitCode::FAILURE;
    }
    let Ok((order, nest)) = prepared else { return ExitCode::FAILURE };
    match leave_the_terminal().and_then(|()| serve(&order, &nest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn prepare() -> io::Result<(Order, Nest)> {
    // Ctrl-C and a closed terminal belong to ssh; the broker follows ssh.
    unistd::setsid()?;
    let mut decoder = Decoder::new(Cap::LOGIN);
    let mut input = io::stdin().lock();
    let mut piece = zeroize::Zeroizing::new([0u8; 4096]);
    loop {
        let wanted = decoder.wanted().min(piece.len());
        if wanted == 0 {
            break;
        }
        let count = input.read(piece.get_mut(..wanted).unwrap_or_default())?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        decoder.push(piece.get(..count).unwrap_or_default()).map_err(io::Error::other)?;
    }
    Ok((decoder.finish().map_err(io::Error::other)?, Nest::build()?))
}

fn leave_the_terminal() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    unistd::dup2_stdin(&null)?;
    unistd::dup2_stdout(&null)?;
    unistd::dup2_stderr(&null)?;
    Ok(())
}

/// A folder that only this user can enter, with the socket in it; gone when dropped.
struct Nest {
    folder: PathBuf,
    listener: UnixListener,
}

impl Nest {
    fn build() -> io::Result<Self> {
        let folder = unistd::mkdtemp(&base().join("mccli-XXXXXX"))?;
        // The folder is 0700 already; the socket is 0600 from its first moment.
        stat::umask(stat::Mode::from_bits_truncate(0o177));
        let listener = UnixListener::bind(socket_in(&folder)).inspect_err(|_| {
            let _ = std::fs::remove_dir(&folder);
        })?;
        Ok(Self { folder, listener })
    }

    fn socket(&self) -> PathBuf {
        socket_in(&self.folder)
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        let _ = std::fs::remove_dir(&self.folder);
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("askpass")
}

/// `$XDG_RUNTIME_DIR` if it is ours, else `/tmp`.
fn base() -> PathBuf {
    let uid = unistd::getuid().as_raw();
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| std::fs::metadata(path).is_ok_and(|it| it.is_dir() && it.uid() == uid))
        .unwrap_or_else(|| PathBuf::from("/tmp"))
}

fn serve(order: &Order, nest: &Nest) -> io::Result<()> {
    let mut ends = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT].into_iter().for_each(|s| ends.add(s));
    ends.thread_block()?;
    let signals = SignalFd::new(&ends)?;
    let ssh: Option<OwnedFd> = ffi::pidfd_open(order.ssh_pid).ok();
    let mut script = Script::new(order);
    // Looked at after the descriptor was opened: a reused pid would not be our parent.
    while unistd::getppid().as_raw() == order.ssh_pid {
        let mut watched = vec![
            PollFd::new(nest.listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        watched.extend(ssh.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        let wait = if ssh.is_some() { PollTimeout::NONE } else { PollTimeout::from(WATCH_MS) };
        match poll(&mut watched, wait) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut ready = watched.iter().map(|fd| fd.any().unwrap_or(false));
        let (asked, ended) = (ready.next().unwrap_or(false), ready.any(|it| it));
        if ended {
            return Ok(());
        }
        if asked && let Ok((stream, _)) = nest.listener.accept() {
            // A connection that fails concerns askpass, which says so; the next may come.
            let _ = answer(stream, order, &mut script);
        }
    }
    Ok(())
}

fn answer(
    stream: UnixStream,
    order: &Order,
    script: &mut Script,
) -> Result<(), motley_proto::client::ExchangeError> {
    let deadline = Instant::now() + QUESTION_LIMIT;
    let mut connection = Connection::from_stream(stream, Cap::LOGIN, deadline)?;
    if connection.peer()?.uid != unistd::getuid().as_raw() {
        return Ok(());
    }
    let ask: Ask = connection.receive()?;
    let reply = match script.judge(&ask) {
        Verdict::Answer(secret) => Reply::Answer(secret),
        // Told once: ssh asks again and again (NumberOfPasswordPrompts).
        Verdict::Spent if script.is_told() => Reply::Nothing,
        Verdict::Spent => Reply::Spent(reason(order)),
        Verdict::Foreign if order.terminal => Reply::AskUser,
        Verdict::Foreign => Reply::Nothing,
    };
    connection.set_deadline(Instant::now() + QUESTION_LIMIT);
    connection.send(&reply.wire())
}

/// Why the login node may have refused a token that the service took a moment ago.
fn reason(order: &Order) -> String {
    let refused = format!("{} did not accept the token", order.host);
    let Ok(http) = Http::new(order.trust.clone()) else { return refused };
    let service = Service::new(&http, order.endpoint.clone());
    match service.status(&order.token) {
        Ok(standing) => match (standing.state, standing.name) {
            (AccountState::Deployed, Some(name)) if name == order.user.as_str() => format!(
                "{refused}, though the service at {} does. Its operators find the reason in the log of the login node.",
                order.endpoint
            ),
            (AccountState::Deployed, Some(name)) => {
                format!("{refused}: it belongs to the account {name}, not to {}.", order.user)
            }
            (state, _) => format!("{refused}: your account is {state}. {}", standing.message),
        },
        Err(error @ (Error::TokenRefused { .. } | Error::NotAuthorised { .. })) => {
            format!("{refused}: {error}")
        }
        Err(error) => format!("{refused}, and the service can't say why: {error}"),
    }
}
