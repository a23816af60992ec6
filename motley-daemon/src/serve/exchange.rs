//! The async side of the codec: frames over a Unix socket, with one absolute deadline.

use motley_proto::{
    frame::{Cap, Decoder, FrameError, encode},
    peer::Peer,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{Instant, timeout_at},
};
use zeroize::Zeroizing;

/// Why an exchange with a local process failed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The time for the whole exchange is over.
    #[error("the other side was too slow")]
    Deadline,
    /// The other side closed in mid-exchange.
    #[error("the other side closed the connection in mid-exchange")]
    Closed,
    /// Bytes arrived that are no message.
    #[error("bad message: {0}")]
    Frame(#[from] FrameError),
    /// Input or output failed.
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
}

/// A connection from a local process.
pub struct Exchange {
    stream: UnixStream,
    cap: Cap,
}

impl Exchange {
    /// Takes an accepted connection over.
    pub fn new(stream: UnixStream, cap: Cap) -> Self {
        Self { stream, cap }
    }

    /// Who is at the other end, by the kernel's word.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn peer(&self) -> Result<Peer, ExchangeError> {
        let seen = self.stream.peer_cred()?;
        Ok(Peer { uid: seen.uid(), gid: seen.gid() })
    }

    /// Reads one message; `None` when the other side closed before its first byte.
    ///
    /// # Errors
    /// When anything but one whole message comes before the deadline.
    pub async fn receive<M: DeserializeOwned>(
        &mut self,
        deadline: Instant,
    ) -> Result<Option<M>, ExchangeError> {
        timeout_at(deadline, self.read_frame()).await.map_err(|_| ExchangeError::Deadline)?
    }

    async fn read_frame<M: DeserializeOwned>(&mut self) -> Result<Option<M>, ExchangeError> {
        let mut decoder = Decoder::new(self.cap);
        let mut buffer = Zeroizing::new([0u8; 4096]);
        let mut started = false;
        loop {
            let wanted = decoder.wanted().min(buffer.len());
            if wanted == 0 {
                return Ok(Some(decoder.finish()?));
            }
            let space = buffer.get_mut(..wanted).unwrap_or_default();
            match self.stream.read(space).await? {
                0 if started => return Err(ExchangeError::Closed),
                0 => return Ok(None),
                count => {
                    started = true;
                    decoder.push(buffer.get(..count).unwrap_or_default())?;
                }
            }
        }
    }

    /// Writes one message.
    ///
    /// # Errors
    /// When it is too large or the other side does not take it before the deadline.
    pub async fn send<M: Serialize>(
        &mut self,
        message: &M,
        deadline: Instant,
    ) -> Result<(), ExchangeError> {
        let frame = encode(message, self.cap)?;
        timeout_at(deadline, self.stream.write_all(&frame))
            .await
            .map_err(|_| ExchangeError::Deadline)??;
        Ok(())
    }
}
