//! The broker process: a private socket that is served until its owner ends.

use super::{
    Greeting, forbid_core_dumps,
    logins::Logins,
    nest::Nest,
    process::{Seen, look},
    wire::{Ask, Order, Question, Reply},
};
use crate::ffi;
use motley_proto::{
    client::{Connection, ExchangeError},
    frame::Cap,
};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::SignalFd,
        socket::{getsockopt, sockopt},
    },
    unistd,
};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::ExitCode,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// How long one connection may take to put its question.
const QUESTION_LIMIT: Duration = Duration::from_secs(5);
/// How often the parent is looked at on kernels without pidfd, in milliseconds.
const WATCH_MS: u16 = 200;
/// Largest order, in bytes: many long tokens.
const MAX_ORDER_BYTES: u64 = 4 * 1024 * 1024;

/// Serves the socket until the owner ends; the whole life of the broker process.
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
    match leave_the_terminal().and_then(|()| serve(order, &nest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn prepare() -> io::Result<(Order, Nest)> {
    // Ctrl-C and a closed terminal belong to ssh; the broker follows ssh.
    unistd::setsid()?;
    let mut text = Zeroizing::new(Vec::with_capacity(256 * 1024));
    io::stdin().lock().take(MAX_ORDER_BYTES).read_to_end(&mut text)?;
    Ok((serde_json::from_slice(&text)?, Nest::build()?))
}

fn leave_the_terminal() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    unistd::dup2_stdin(&null)?;
    unistd::dup2_stdout(&null)?;
    unistd::dup2_stderr(&null)?;
    Ok(())
}

fn serve(order: Order, nest: &Nest) -> io::Result<()> {
    let mut ends = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT].into_iter().for_each(|s| ends.add(s));
    ends.thread_block()?;
    let signals = SignalFd::new(&ends)?;
    let number = order.owner.pid();
    let watched_owner: Option<OwnedFd> = ffi::pidfd_open(number).ok();
    let mut logins = Logins::new(order);
    // Looked at after the descriptor was opened: a reused number would not be our parent.
    while unistd::getppid().as_raw() == number {
        let mut watched = vec![
            PollFd::new(nest.listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        watched.extend(watched_owner.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        let has_pidfd = watched_owner.is_some();
        let wait = if has_pidfd { PollTimeout::NONE } else { PollTimeout::from(WATCH_MS) };
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
            // A connection that fails concerns who asked, and says so there; the next may come.
            let _ = answer(stream, &mut logins);
        }
    }
    Ok(())
}

fn answer(stream: UnixStream, logins: &mut Logins) -> Result<(), ExchangeError> {
    let peer = getsockopt(&stream, sockopt::PeerCredentials)
        .map_err(|errno| ExchangeError::Io(errno.into()))?;
    if peer.uid() != unistd::getuid().as_raw() {
        return Ok(());
    }
    let deadline = Instant::now() + QUESTION_LIMIT;
    let mut connection = Connection::from_stream(stream, Cap::LOGIN, deadline)?;
    let Question { ask, asker } = connection.receive()?;
    let Some(seen) = Seen::with_number(peer.pid(), asker) else { return Ok(()) };
    let reply = match ask {
        // Askpass asks for the ssh that started it, which hides nothing.
        Ask::Prompt(prompt) => match look(seen.parent) {
            Some(ssh) => logins.answer(&prompt, ssh),
            None => Reply::Nothing,
        },
        Ask::Announce { settings, asker } => logins.announce(settings, asker, seen.process),
    };
    connection.set_deadline(Instant::now() + QUESTION_LIMIT);
    connection.send(&reply.wire())
}
