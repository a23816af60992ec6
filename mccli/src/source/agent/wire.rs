//! The line to oidc-agent: where it listens, one request, one answer, one deadline.

use crate::{http::is_loopback, report, source::Lookup};
use motley_proto::Secret;
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket,
        sockopt::PeerCredentials,
    },
    unistd::getuid,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::{
        fd::AsRawFd,
        unix::{fs::MetadataExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    sync::Once,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// Longest wait for the agent, which may ask its user something in a window.
const LIMIT: Duration = Duration::from_secs(30);
/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Port of an agent on the network, unless another one is named.
const PORT: u16 = 42_424;
/// Wait before the next attempt when the agent's queue is full.
const PAUSE: Duration = Duration::from_millis(20);

/// The agents that may be asked, in order.
pub(crate) struct Agent {
    roads: Vec<Road>,
    limit: Duration,
}

/// A way to an agent.
enum Road {
    /// `OIDC_SOCK`: the user's choice, whoever listens.
    Named(PathBuf),
    /// The agent that a desktop session starts: a place that others could have taken first.
    Session(PathBuf),
    /// `OIDC_REMOTE_SOCK`, on this machine.
    Near(String),
    /// `OIDC_REMOTE_SOCK` beyond this machine, which the user allows.
    Far(String),
    /// `OIDC_REMOTE_SOCK` beyond this machine, and what to do instead.
    Refused(String),
}

/// Why an agent gave no answer that is of use.
pub(super) enum Failure {
    /// There is no agent.
    Absent(String),
    /// The connection or the answer is broken.
    Broken(String),
    /// The agent says no.
    Said {
        /// Its error.
        error: String,
        /// Its advice.
        advice: Option<String>,
    },
}

#[derive(Serialize, Default)]
pub(super) struct Request<'a> {
    pub(super) request: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min_valid_period: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) application_hint: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) scope: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) audience: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Reply {
    status: String,
    pub(super) access_token: Option<Secret>,
    pub(super) issuer: Option<String>,
    error: Option<String>,
    pub(super) info: Option<Value>,
}

impl Agent {
    /// `OIDC_SOCK`, else the socket of the agent that a desktop session starts (of version 5, of
    /// version 4); then `OIDC_REMOTE_SOCK`.
    ///
    /// What is said to a remote agent and what it answers is plain text: whoever is on the way reads
    /// the token, and can answer with one of his own. So it must be on this machine, for instance
    /// the near end of a tunnel, unless the user allows plain text everywhere.
    pub(crate) fn from_environment(lookup: Lookup<'_>, allow_plain: bool) -> Self {
        let mut roads: Vec<Road> = match lookup("OIDC_SOCK") {
            Some(path) => vec![Road::Named(path.into())],
            None => session_sockets(lookup).map(Road::Session).collect(),
        };
        roads.extend(lookup("OIDC_REMOTE_SOCK").map(|address| remote(address, allow_plain)));
        Self { roads, limit: LIMIT }
    }

    /// True if there is a place where an agent could listen.
    pub(crate) fn is_somewhere(&self) -> bool {
        !self.roads.is_empty()
    }

    /// When an answer must be there that is asked for now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }

    /// The first agent's answer that is a success, else the most telling failure.
    pub(super) fn ask(&self, request: &Request<'_>, deadline: Instant) -> Result<Reply, Failure> {
        let mut failure = None;
        for road in &self.roads {
            match self.ask_on(road, request, deadline) {
                Ok(reply) => return Ok(reply),
                Err(next) => match (&failure, &next) {
                    (None | Some(Failure::Absent(_)), _) => failure = Some(next),
                    (Some(Failure::Broken(_)), Failure::Said { .. }) => failure = Some(next),
                    _ => {}
                },
            }
        }
        Err(failure.unwrap_or_else(|| {
            Failure::Absent("OIDC_SOCK env var not set; start the agent with: eval $(oidc-agent), and load an account with oidc-add".to_owned())
        }))
    }

    fn ask_on(
        &self,
        road: &Road,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        let broken = |error: io::Error| Failure::Broken(self.trouble(&error));
        let answer = match road {
            Road::Named(path) => {
                exchange(&mut open(path, deadline)?, request, deadline).map_err(broken)?
            }
            Road::Session(path) => {
                let mut stream = open(path, deadline)?;
                check_peer(&stream, path)?;
                exchange(&mut stream, request, deadline).map_err(broken)?
            }
            Road::Near(address) | Road::Far(address) => {
                let mut stream = dial(address, deadline)?;
                if matches!(road, Road::Far(_)) {
                    warn_of_plain_text(address);
                }
                exchange(&mut stream, request, deadline).map_err(broken)?
            }
            Road::Refused(why) => return Err(Failure::Absent(why.clone())),
        };
        understand(&answer)
    }

    fn trouble(&self, error: &io::Error) -> String {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => format!(
                "oidc-agent did not answer within {} seconds; does it wait for you in another window?",
                self.limit.as_secs()
            ),
            _ => format!("oidc-agent: {error}; is it still running?"),
        }
    }
}

/// Only in directories that are ours: others can make one in /tmp first.
fn session_sockets(lookup: Lookup<'_>) -> impl Iterator<Item = PathBuf> {
    let base = PathBuf::from(lookup("TMPDIR").unwrap_or_else(|| "/tmp".to_owned()));
    let uid = getuid().as_raw();
    let folders = [
        base.join(format!("oidc-agent-service-{uid}")),
        base.join("oidc-agent-service").join(uid.to_string()),
    ];
    folders.into_iter().filter_map(move |folder| {
        let facts = std::fs::symlink_metadata(&folder).ok()?;
        let socket = folder.join("oidc-agent.sock");
        (facts.is_dir() && facts.uid() == uid && socket.exists()).then_some(socket)
    })
}

fn remote(address: String, allow_plain: bool) -> Road {
    let (host, full) = match address.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, address.clone()),
        _ => (address.as_str(), format!("{address}:{PORT}")),
    };
    if is_loopback(host) {
        return Road::Near(full);
    }
    if allow_plain {
        return Road::Far(full);
    }
    Road::Refused(format!(
        "OIDC_REMOTE_SOCK is {host}, beyond this machine, and the token would come unencrypted; take it through a tunnel: ssh -L {PORT}:localhost:{PORT} {host}, and set OIDC_REMOTE_SOCK=localhost"
    ))
}

/// Once is enough: the agent may be asked several times.
fn warn_of_plain_text(address: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        report::warning(&format!(
            "the token of the oidc-agent at {address} comes unencrypted and can be read on the way"
        ));
    });
}

fn open(path: &Path, deadline: Instant) -> Result<UnixStream, Failure> {
    connect_before(path, deadline).map_err(|error| {
        Failure::Absent(format!(
            "no oidc-agent behind {}: {error}; start one with: eval $(oidc-agent)",
            path.display()
        ))
    })
}

/// Connects without being held up by an agent that takes no connections any more.
fn connect_before(path: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let address = UnixAddr::new(path)?;
    loop {
        match connect(fd.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Err(errno) => return Err(errno.into()),
        }
    }
    let stream = UnixStream::from(fd);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// A stranger's agent would have us log in with the stranger's identity.
fn check_peer(stream: &UnixStream, path: &Path) -> Result<(), Failure> {
    match getsockopt(stream, PeerCredentials) {
        Ok(peer) if peer.uid() == getuid().as_raw() => Ok(()),
        _ => Err(Failure::Absent(format!(
            "the agent behind {} is somebody else's; set OIDC_SOCK to your own",
            path.display()
        ))),
    }
}

fn dial(address: &str, deadline: Instant) -> Result<TcpStream, Failure> {
    let absent = |error: io::Error| {
        Failure::Absent(format!("no oidc-agent at {address} (OIDC_REMOTE_SOCK): {error}"))
    };
    let mut last = io::Error::other("the name has no address");
    for place in address.to_socket_addrs().map_err(absent)? {
        match TcpStream::connect_timeout(&place, time_left(deadline)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(absent(last))
}

fn time_left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// A stream whose single steps can be bounded in time.
trait Bounded: Read + Write {
    fn bound(&self, limit: Duration) -> io::Result<()>;
}

impl Bounded for UnixStream {
    fn bound(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

impl Bounded for TcpStream {
    fn bound(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

fn exchange(
    stream: &mut impl Bounded,
    request: &Request<'_>,
    deadline: Instant,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let text = serde_json::to_vec(request)?;
    stream.bound(time_left(deadline))?;
    // One write: the agent takes what its first read gives it for the whole request.
    if stream.write(&text)? != text.len() {
        return Err(io::Error::other("the request did not fit into one write"));
    }
    let mut answer = Zeroizing::new(Vec::with_capacity(MAX_ANSWER_BYTES));
    let mut piece = Zeroizing::new([0u8; 4096]);
    loop {
        if Instant::now() >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.bound(time_left(deadline))?;
        match stream.read(piece.as_mut_slice()) {
            Ok(0) => return Ok(answer),
            Ok(count) if answer.len() + count <= MAX_ANSWER_BYTES => {
                answer.extend(piece.iter().take(count));
            }
            Ok(_) => return Err(io::Error::other("the answer is too long")),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn understand(answer: &[u8]) -> Result<Reply, Failure> {
    let reply: Reply = serde_json::from_slice(answer).map_err(|_| {
        Failure::Broken(
            "oidc-agent gave an answer that is not understood; is OIDC_SOCK its socket?".to_owned(),
        )
    })?;
    if reply.status == "success" {
        return Ok(reply);
    }
    let advice = reply.info.as_ref().and_then(Value::as_str).map(str::to_owned);
    Err(Failure::Said {
        error: reply.error.unwrap_or_else(|| "no token and no reason".to_owned()),
        advice,
    })
}

#[cfg(test)]
impl Agent {
    /// The agent behind this socket.
    pub(in crate::source) fn behind(socket: Option<PathBuf>, limit: Duration) -> Self {
        Self { roads: socket.into_iter().map(Road::Named).collect(), limit }
    }

    /// The same agents with less patience.
    pub(in crate::source) fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}
