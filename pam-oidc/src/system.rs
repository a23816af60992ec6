//! The real daemon, name service, clock and chance.

use crate::{
    ffi,
    flow::{Clock, Daemon, Draw, Entry, NameService, NameServiceError, Trouble},
    panics,
};
use motley_proto::{
    client::{Connection, ExchangeError},
    frame::Cap,
    login::{LoginRequest, Nonce, Step},
};
use nix::{errno::Errno, unistd::User};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// The daemon behind its socket, with one budget of time for all exchanges of a call.
///
/// What the user needs at a prompt does not count: the budget runs only while this process waits
/// for the daemon. However many steps a daemon takes, and however slowly its bytes drip, a call
/// waits for it no longer than the budget in total (LoginGraceTime bounds the user's part).
pub(crate) struct SocketDaemon {
    path: PathBuf,
    server_uid: Option<u32>,
    budget: Duration,
    connection: Option<Connection>,
}

impl SocketDaemon {
    /// Will connect at the first request. The server must run as root or as `server_uid`.
    pub(crate) fn new(path: PathBuf, server_uid: Option<u32>, budget: Duration) -> Self {
        Self { path, server_uid, budget, connection: None }
    }

    fn connection(&mut self, deadline: Instant) -> Result<&mut Connection, ExchangeError> {
        let connection = match self.connection.take() {
            Some(mut open) => {
                open.set_deadline(deadline);
                open
            }
            None => {
                let fresh = Connection::open(&self.path, Cap::LOGIN, deadline)?;
                // Before the first byte: whoever could squat the path must not even learn a name.
                fresh.require_server(self.server_uid)?;
                fresh
            }
        };
        Ok(self.connection.insert(connection))
    }

    fn within_budget<T>(
        &mut self,
        act: impl FnOnce(&mut Connection) -> Result<T, ExchangeError>,
    ) -> Result<T, Trouble> {
        panics::point("daemon");
        let start = Instant::now();
        let deadline = start.checked_add(self.budget).unwrap_or(start);
        let outcome = self.connection(deadline).and_then(act);
        self.budget = self.budget.saturating_sub(start.elapsed());
        Ok(outcome?)
    }
}

impl Daemon for SocketDaemon {
    fn exchange(&mut self, request: &LoginRequest) -> Result<Step, Trouble> {
        self.within_budget(|connection| {
            connection.send(&request.wire())?;
            connection.receive()
        })
    }

    fn tell(&mut self, request: &LoginRequest) -> Result<(), Trouble> {
        self.within_budget(|connection| connection.send(&request.wire()))
    }
}

/// The name service switch of this host.
pub(crate) struct Switch;

impl NameService for Switch {
    fn look_up(&self, name: &str) -> Result<Option<Entry>, NameServiceError> {
        panics::point("names");
        match User::from_name(name) {
            Ok(user) => Ok(user.map(|user| Entry {
                name: user.name,
                uid: user.uid.as_raw(),
                gecos: user.gecos.to_string_lossy().into_owned(),
            })),
            // Words of getpwnam(3) for "not found", as of a source that is listed and not installed.
            Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
            Err(errno) => Err(NameServiceError(format!("name service: {errno}"))),
        }
    }
}

/// The monotonic clock of this host.
pub(crate) struct Monotonic;

impl Clock for Monotonic {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, then: Instant) {
        std::thread::sleep(then.saturating_duration_since(Instant::now()));
    }
}

/// Longest jitter, in milliseconds.
const JITTER_MS: u64 = 50;

/// Draws a nonce and a jitter; `None` when the kernel gives no randomness.
pub(crate) fn draw() -> Option<Draw> {
    let nonce = Nonce::from_bytes(ffi::random()?);
    let jitter = u64::from_le_bytes(ffi::random()?).checked_rem(JITTER_MS)?;
    Some(Draw { nonce, jitter: Duration::from_millis(jitter) })
}
