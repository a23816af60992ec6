//! Frames: 4 bytes big-endian length, 1 byte version, JSON body. Bounded, and one at a time.
//!
//! The codec does no input or output, so blocking and async callers share it. An exchange is
//! strictly question and answer; bytes behind a frame are therefore an error, not the next frame.

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

/// Version of the frame and of all bodies in it.
pub const VERSION: u8 = 1;
/// Bytes before the body: length and version.
pub const HEADER_BYTES: usize = 5;

/// Largest frame that a socket carries, length field excluded, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap(u32);

impl Cap {
    /// Login and admin sockets: a token may be long.
    pub const LOGIN: Cap = Cap(64 * 1024);
    /// Admin socket.
    pub const ADMIN: Cap = Cap(64 * 1024);
    /// Task socket: names and numbers only.
    pub const TASK: Cap = Cap(16 * 1024);

    /// The number of bytes.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Why bytes are no frame, or a frame no message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced or needed length is zero or beyond the cap.
    #[error("frame of {0} bytes is outside 1..={1}")]
    Length(u64, usize),
    /// The other side speaks another version of the protocol.
    #[error(
        "protocol version {0} is not {VERSION}; install packages of the same release on both sides"
    )]
    Version(u8),
    /// More bytes came than one frame.
    #[error("bytes behind the end of the frame")]
    Trailing,
    /// The body is not the message that belongs here. Says where, never what.
    #[error("body is not a known message (line {line} column {column})")]
    Body {
        /// Line of the body.
        line: usize,
        /// Column in that line.
        column: usize,
    },
    /// The message can't be written.
    #[error("message can't be written as JSON")]
    Write,
}

/// Writes one message as a frame. The buffer is wiped when dropped.
///
/// # Errors
/// When the message is larger than the cap.
pub fn encode<M: Serialize>(message: &M, cap: Cap) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    // One allocation of the full size: a growing buffer would leave unwiped copies behind.
    let mut frame = Zeroizing::new(Vec::with_capacity(cap.bytes() + HEADER_BYTES));
    frame.extend_from_slice(&[0, 0, 0, 0, VERSION]);
    let mut body = Bounded { frame: &mut frame, limit: cap.bytes() + 4 };
    serde_json::to_writer(&mut body, message).map_err(|error| match error.io_error_kind() {
        Some(_) => FrameError::Length(u64::MAX, cap.bytes()),
        None => FrameError::Write,
    })?;
    let length = frame.len().saturating_sub(4);
    let field = u32::try_from(length).map_err(|_| FrameError::Length(u64::MAX, cap.bytes()))?;
    for (to, from) in frame.iter_mut().zip(field.to_be_bytes()) {
        *to = from;
    }
    Ok(frame)
}

struct Bounded<'a> {
    frame: &'a mut Vec<u8>,
    limit: usize,
}

impl std::io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.frame.len() + bytes.len() > self.limit {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Collects the bytes of one frame. No `Debug`: the buffer may hold a token.
pub struct Decoder {
    cap: Cap,
    buffer: Zeroizing<Vec<u8>>,
}

impl Decoder {
    /// Waits for one frame of at most `cap`.
    pub fn new(cap: Cap) -> Self {
        Self { cap, buffer: Zeroizing::new(Vec::new()) }
    }

    /// How many bytes the reader should ask for next; 0 when the frame is whole.
    ///
    /// A reader that never asks for more can't swallow what follows the frame.
    pub fn wanted(&self) -> usize {
        match self.length() {
            None => HEADER_BYTES - self.buffer.len(),
            Some(length) => (length + 4).saturating_sub(self.buffer.len()),
        }
    }

    fn length(&self) -> Option<usize> {
        let header: [u8; 4] = self.buffer.get(..4)?.try_into().ok()?;
        (self.buffer.len() >= HEADER_BYTES)
            .then_some(usize::try_from(u32::from_be_bytes(header)).ok()?)
    }

    /// Takes bytes that arrived; true when the frame is whole.
    ///
    /// # Errors
    /// As soon as the header can't be right, before anything of that size is allocated.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, FrameError> {
        let mut rest = bytes;
        if self.buffer.len() < HEADER_BYTES {
            let (head, tail) = rest.split_at(rest.len().min(HEADER_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(head);
            rest = tail;
            self.check_header()?;
        }
        if rest.len() > self.wanted() {
            return Err(FrameError::Trailing);
        }
        self.buffer.extend_from_slice(rest);
        Ok(self.wanted() == 0)
    }

    fn check_header(&mut self) -> Result<(), FrameError> {
        let Some(length) = self.length() else { return Ok(()) };
        if length == 0 || length > self.cap.bytes() {
            return Err(FrameError::Length(
                u64::try_from(length).unwrap_or(u64::MAX),
                self.cap.bytes(),
            ));
        }
        match self.buffer.get(4) {
            Some(&VERSION) => {}
            other => return Err(FrameError::Version(other.copied().unwrap_or_default())),
        }
        let mut whole = Zeroizing::new(Vec::with_capacity(length + 4));
        whole.extend_from_slice(&self.buffer);
        self.buffer = whole;
        Ok(())
    }

    /// Reads the message out of a whole frame.
    ///
    /// # Errors
    /// When the body is no such message; the error names the place and never the content.
    pub fn finish<M: DeserializeOwned>(self) -> Result<M, FrameError> {
        let body = self.buffer.get(HEADER_BYTES..).unwrap_or_default();
        serde_json::from_slice(body)
            .map_err(|error| FrameError::Body { line: error.line(), column: error.column() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode<M: DeserializeOwned>(bytes: &[u8], cap: Cap) -> Result<Option<M>, FrameError> {
        let mut decoder = Decoder::new(cap);
        for byte in bytes {
            decoder.push(&[*byte])?;
        }
        if decoder.wanted() == 0 { decoder.finish().map(Some) } else { Ok(None) }
    }

    #[test]
    fn r03_a_frame_beyond_the_cap_is_refused_at_its_header() {
        for length in [0u32, 64 * 1024 + 1, u32::MAX] {
            let mut decoder = Decoder::new(Cap::LOGIN);
            let mut header = length.to_be_bytes().to_vec();
            header.push(VERSION);
            assert!(matches!(decoder.push(&header), Err(FrameError::Length(..))), "{length}");
        }
        let long = "x".repeat(16 * 1024);
        assert!(encode(&long, Cap::TASK).is_err());
        assert!(encode(&long, Cap::LOGIN).is_ok());
    }

    #[test]
    fn r03_another_version_is_refused() {
        let mut frame = encode(&"x", Cap::TASK).unwrap();
        frame[4] = VERSION + 1;
        assert!(matches!(decode::<String>(&frame, Cap::TASK), Err(FrameError::Version(2))));
    }

    #[test]
    fn r03_two_frames_glued_are_refused() {
        let one = encode(&"x", Cap::TASK).unwrap();
        let mut two = one.to_vec();
        two.extend_from_slice(&one);
        assert!(matches!(Decoder::new(Cap::TASK).push(&two), Err(FrameError::Trailing)));
        assert!(matches!(decode::<String>(&two, Cap::TASK), Err(FrameError::Trailing)));
    }

    #[test]
    fn r03_deep_nesting_and_trailing_garbage_are_errors_and_not_a_crash() {
        let deep = "[".repeat(10_000);
        for body in [deep.as_bytes(), b"\"x\" \"y\"", b"{", b"\xff"] {
            let mut frame = u32::try_from(body.len() + 1).unwrap().to_be_bytes().to_vec();
            frame.push(VERSION);
            frame.extend_from_slice(body);
            assert!(matches!(
                decode::<serde_json::Value>(&frame, Cap::TASK),
                Err(FrameError::Body { .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn r03_any_text_survives_one_byte_at_a_time(text in "\\PC{0,200}") {
            let frame = encode(&text, Cap::TASK).unwrap();
            prop_assert_eq!(decode::<String>(&frame, Cap::TASK).unwrap(), Some(text));
        }

        #[test]
        fn r45_a_message_of_any_words_is_refused_or_written_again_as_it_was_read(
            body in "\\{\"(inspect|expire|adopt|suspend|prompt|done|Err)\":\\{(\"(name|identity|target|text|result)\":(\"[a-z:/-]{0,6}\"|\\{\\}|1|null),?){0,3}\\}\\}"
        ) {
            fn check<M: Serialize + DeserializeOwned>(body: &str) -> Result<(), TestCaseError> {
                let Ok(message) = serde_json::from_str::<M>(body) else { return Ok(()) };
                let frame = encode(&message, Cap::TASK).unwrap();
                let again: M = decode(&frame, Cap::TASK).unwrap().unwrap();
                prop_assert_eq!(encode(&again, Cap::TASK).unwrap(), frame);
                Ok(())
            }
            check::<crate::task::Task>(&body)?;
            check::<crate::task::TaskAnswer>(&body)?;
            check::<crate::login::Step>(&body)?;
            check::<crate::admin::AdminRequest>(&body)?;
        }

        #[test]
        fn r45_random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode::<String>(&bytes, Cap::TASK);
        }
    }
}
