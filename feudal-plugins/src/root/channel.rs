//! The way to the root helper: framed exchanges over its socket, each with one absolute deadline.

use crate::backend::BackendError;
use motley_proto::{
    frame::{Cap, Decoder, FrameError, encode},
    task::{Task, TaskAnswer, TaskDone},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

/// Longest time for one exchange: connect, send, work, answer.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(10);
/// Longest time to wait for one's turn. A course of first logins is worked off one by one.
const QUEUE_LIMIT: Duration = Duration::from_secs(30);
/// Age at which an idle connection is given up; the helper keeps them a little longer.
const IDLE_LIMIT: Duration = Duration::from_secs(5);
/// Exchanges at once that only look.
const LOOKING: usize = 2;
/// Exchanges at once that change something; the helper does them one by one anyway.
const CHANGING: usize = 2;
/// Scripts for new accounts at once; the others wait, and nobody else does.
const SCRIPTS: usize = 4;
/// Longest time for a script of the site's, which the helper ends before.
const SCRIPT_LIMIT: Duration = Duration::from_secs(30);
/// How often a full backlog, or a helper that is just restarting, is tried again.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a helper that has just gone may take to come back.
const RESTART_LIMIT: Duration = Duration::from_secs(3);

/// Connections to the root helper.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: PathBuf,
    idle: Mutex<Vec<(UnixStream, Instant)>>,
    looking: Semaphore,
    changing: Semaphore,
    scripts: Semaphore,
    server_uid: u32,
    limit: Duration,
}

/// Why an exchange failed.
enum Failure {
    /// A used connection turned out dead before the first byte of an answer.
    Stale,
    Final(BackendError),
}

impl Channel {
    /// Talks to the helper behind this socket.
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            idle: Mutex::default(),
            looking: Semaphore::new(LOOKING),
            changing: Semaphore::new(CHANGING),
            scripts: Semaphore::new(SCRIPTS),
            server_uid: 0,
            limit: EXCHANGE_LIMIT,
        }
    }

    #[cfg(test)]
    pub(crate) fn trust_server(&mut self, uid: u32) {
        self.server_uid = uid;
    }

    #[cfg(test)]
    pub(crate) fn limit_exchanges_to(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Has a task done; a refusal is an error like any other.
    pub(crate) async fn run(&self, task: &Task) -> Result<TaskDone, BackendError> {
        self.ask(task).await?.map_err(BackendError::from)
    }

    /// Sends a task and returns the helper's answer.
    pub(crate) async fn ask(&self, task: &Task) -> Result<TaskAnswer, BackendError> {
        let (lane, limit) = match task {
            Task::Inspect { .. } | Task::Sessions { .. } => (&self.looking, self.limit),
            Task::RunHook { .. } => (&self.scripts, self.limit.max(SCRIPT_LIMIT)),
            _ => (&self.changing, self.limit),
        };
        let Ok(Ok(_turn)) = timeout(QUEUE_LIMIT, lane.acquire()).await else {
            return Err(BackendError::Busy);
        };
        let deadline = Instant::now() + limit;
        let frame = encode(task, Cap::TASK).map_err(|error| self.garbled(&error))?;
        match timeout_at(deadline, self.exchange(&frame)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unavailable(&format!("gave no answer within {limit:?}"))),
        }
    }

    /// All tasks may be repeated, so a connection that dies before any answer is no failure yet.
    async fn exchange(&self, frame: &[u8]) -> Result<TaskAnswer, BackendError> {
        let mut patience = Duration::ZERO;
        loop {
            let (mut stream, used) = match self.take_idle() {
                Some(stream) => (stream, true),
                None => (self.connect(patience).await?, false),
            };
            match self.send_and_receive(&mut stream, frame).await {
                Ok(answer) => {
                    self.keep(stream);
                    return Ok(answer);
                }
                Err(Failure::Stale) if used => {}
                Err(Failure::Stale) if patience.is_zero() => patience = RESTART_LIMIT,
                Err(Failure::Stale) => {
                    return Err(self.unavailable("closed the connection without an answer"));
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
    }

    fn take_idle(&self) -> Option<UnixStream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE_LIMIT);
        idle.pop().map(|(stream, _)| stream)
    }

    fn keep(&self, stream: UnixStream) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((stream, Instant::now()));
    }

    async fn connect(&self, patience: Duration) -> Result<UnixStream, BackendError> {
        let begun = Instant::now();
        let stream = loop {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => break stream,
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock || begun.elapsed() < patience =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(self.unavailable(&format!("can't be reached: {error}"))),
            }
        };
        // Another process behind the socket could answer anything it likes.
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == self.server_uid => Ok(stream),
            Ok(peer) => {
                Err(self.unavailable(&format!("runs as uid {} and not as root", peer.uid())))
            }
            Err(error) => Err(self.unavailable(&format!("can't be identified: {error}"))),
        }
    }

    async fn send_and_receive(
        &self,
        stream: &mut UnixStream,
        frame: &[u8],
    ) -> Result<TaskAnswer, Failure> {
        stream.write_all(frame).await.map_err(|_| Failure::Stale)?;
        let mut decoder = Decoder::new(Cap::TASK);
        let mut buffer = [0u8; 4096];
        let mut answered = false;
        loop {
            let wanted = decoder.wanted().min(buffer.len());
            if wanted == 0 {
                let answer = decoder.finish();
                return answer.map_err(|error| Failure::Final(self.garbled(&error)));
            }
            let count = match stream.read(buffer.get_mut(..wanted).unwrap_or_default()).await {
                Ok(0) | Err(_) if !answered => return Err(Failure::Stale),
                Ok(0) => return Err(Failure::Final(self.unavailable("broke off in mid-answer"))),
                Ok(count) => count,
                Err(error) => {
                    let what = format!("broke off in mid-answer: {error}");
                    return Err(Failure::Final(self.unavailable(&what)));
                }
            };
            answered = true;
            decoder
                .push(buffer.get(..count).unwrap_or_default())
                .map_err(|error| Failure::Final(self.garbled(&error)))?;
        }
    }

    fn garbled(&self, error: &FrameError) -> BackendError {
        self.unavailable(&format!("does not speak our language: {error}"))
    }

    fn unavailable(&self, what: &str) -> BackendError {
        BackendError::Unavailable {
            what: format!("the root helper behind {} {what}", self.socket.display()),
            cure: "check the service motley-root and its log".to_owned(),
        }
    }
}
