//! The blocking side of the codec: one connection, one absolute deadline for everything on it.

use crate::{
    frame::{Cap, Decoder, FrameError, encode},
    peer::Peer,
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

/// Why an exchange with another process of motley failed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Nobody listens there.
    #[error("no answer on {path}: {source}; is the service running?")]
    Connect {
        /// The socket.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The time for the whole exchange is over.
    #[error("no answer within the time limit")]
    Deadline,
    /// The other side closed in mid-exchange.
    #[error("the other side closed the connection in mid-exchange")]
    Closed,
    /// Bytes arrived that are no message.
    #[error("bad message: {0}")]
    Frame(#[from] FrameError),
    /// The process at the other end runs under a uid that may not serve this socket.
    #[error("the process behind the socket runs as uid {0}, which may not serve it")]
    WrongPeer(u32),
    /// Input or output failed.
    #[error("socket: {0}")]
    Io(io::Error),
}

/// A connection with one absolute deadline for connecting, writing and reading.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    deadline: Instant,
    cap: Cap,
}

/// How often a full backlog is tried again.
const RETRY: Duration = Duration::from_millis(10);

impl Connection {
    /// Connects to a Unix socket.
    ///
    /// The socket is opened non-blocking: a blocking connect has no time limit and hangs when the
    /// listener's backlog is full.
    ///
    /// # Errors
    /// [`ExchangeError::Connect`] when nobody listens, [`ExchangeError::Deadline`] when the backlog
    /// stays full.
    pub fn open(path: &Path, cap: Cap, deadline: Instant) -> Result<Self, ExchangeError> {
        let failed = |errno: Errno| ExchangeError::Connect {
            path: path.display().to_string(),
            source: errno.into(),
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd =
            socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(failed)?;
        let address = UnixAddr::new(path).map_err(failed)?;
        loop {
            match socket::connect(fd.as_raw_fd(), &address) {
                Ok(()) => break,
                Err(Errno::EAGAIN | Errno::EINTR) if Instant::now() < deadline => {
                    std::thread::sleep(RETRY)
                }
                Err(Errno::EAGAIN) => return Err(ExchangeError::Deadline),
                Err(errno) => return Err(failed(errno)),
            }
        }
        let stream = UnixStream::from(fd);
        stream.set_nonblocking(false).map_err(ExchangeError::Io)?;
        Ok(Self { stream, deadline, cap })
    }

    /// Takes over a connected stream, for a blocking server.
    ///
    /// # Errors
    /// When the stream can't be made blocking.
    pub fn from_stream(
        stream: UnixStream,
        cap: Cap,
        deadline: Instant,
    ) -> Result<Self, ExchangeError> {
        stream.set_nonblocking(false).map_err(ExchangeError::Io)?;
        Ok(Self { stream, deadline, cap })
    }

    /// Sets a new deadline for the next exchange on the same connection.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Who is at the other end, by the kernel's word.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn peer(&self) -> Result<Peer, ExchangeError> {
        let seen = socket::getsockopt(&self.stream, sockopt::PeerCredentials)
            .map_err(|errno| ExchangeError::Io(errno.into()))?;
        Ok(Peer { uid: seen.uid(), gid: seen.gid() })
    }

    /// Goes on only if the process behind the socket runs as root or as `uid`.
    ///
    /// # Errors
    /// [`ExchangeError::WrongPeer`].
    pub fn require_server(&self, uid: Option<u32>) -> Result<(), ExchangeError> {
        let peer = self.peer()?;
        if peer.uid == 0 || Some(peer.uid) == uid {
            Ok(())
        } else {
            Err(ExchangeError::WrongPeer(peer.uid))
        }
    }

    /// True if the other side has closed the connection, so that nobody would read an answer. One that
    /// only sends no more has not.
    pub fn has_hung_up(&self) -> bool {
        let mut watched = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
        poll(&mut watched, PollTimeout::ZERO).is_ok()
            && watched.iter().filter_map(PollFd::revents).any(|seen| seen.intersects(gone))
    }

    fn time_left(&self) -> Result<Duration, ExchangeError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // A zero timeout would mean "for ever" to the socket.
        if left.is_zero() {
            Err(ExchangeError::Deadline)
        } else {
            Ok(left.max(Duration::from_millis(1)))
        }
    }

    /// Writes one message.
    ///
    /// # Errors
    /// When it is too large, the other side is gone, or the time is over.
    pub fn send<M: Serialize>(&mut self, message: &M) -> Result<(), ExchangeError> {
        let frame = encode(message, self.cap)?;
        let mut rest: &[u8] = &frame;
        while !rest.is_empty() {
            let left = self.time_left()?;
            self.stream.set_write_timeout(Some(left)).map_err(ExchangeError::Io)?;
            match self.stream.write(rest) {
                Ok(0) => return Err(ExchangeError::Closed),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) => self.pass_over(error)?,
            }
        }
        Ok(())
    }

    /// Reads one message.
    ///
    /// # Errors
    /// When the other side closes or sends anything else, or the time is over.
    pub fn receive<M: DeserializeOwned>(&mut self) -> Result<M, ExchangeError> {
        self.receive_or_end()?.ok_or(ExchangeError::Closed)
    }

    /// Reads one message; `None` when the other side closed before its first byte.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub fn receive_or_end<M: DeserializeOwned>(&mut self) -> Result<Option<M>, ExchangeError> {
        let mut decoder = Decoder::new(self.cap);
        let mut buffer = zeroize::Zeroizing::new([0u8; 4096]);
        let mut started = false;
        loop {
            let wanted = decoder.wanted().min(buffer.len());
            if wanted == 0 {
                return Ok(Some(decoder.finish()?));
            }
            let left = self.time_left()?;
            self.stream.set_read_timeout(Some(left)).map_err(ExchangeError::Io)?;
            match self.stream.read(buffer.get_mut(..wanted).unwrap_or_default()) {
                Ok(0) if started => return Err(ExchangeError::Closed),
                Ok(0) => return Ok(None),
                Ok(count) => {
                    started = true;
                    decoder.push(buffer.get(..count).unwrap_or_default())?;
                }
                Err(error) => self.pass_over(error)?,
            }
        }
    }

    fn pass_over(&self, error: io::Error) -> Result<(), ExchangeError> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            // The timer of the socket ends a little early or late; the deadline decides.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.time_left().map(|_| ()),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Err(ExchangeError::Closed)
            }
            _ => Err(ExchangeError::Io(error)),
        }
    }
}
