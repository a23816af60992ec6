//! The login conversation between the PAM module and the daemon, driven by the daemon.
//!
//! ```text
//! module                          daemon
//! Hello ------------------------>
//!                 <--------------  Prompt          (the daemon is up: now ask the user)
//! Answer | Withheld ------------>
//!                 <--------------  Prompt | Done   (chunks of a long token: Prompt again)
//! ```
//! The account phase is one question: `Account`, answered by `Done`.

use crate::{code::Code, names::LoginName, secret::Secret};
use serde::{Deserialize, Serialize};

/// The prompt that clients look for, to the byte. A trailing blank makes some of them hang.
pub const TOKEN_PROMPT: &str = "Access Token:";
/// Longest answer that OpenSSH's client passes on, in bytes; it cuts without a word.
pub const CLIENT_LIMIT_BYTES: usize = 1023;
/// Most bytes that all chunks of one token may have together.
pub const MAX_TOKEN_BYTES: usize = 60 * 1024;
/// Most chunks that one token may be cut into.
pub const MAX_CHUNKS: u16 = 99;
/// Hex digits of a one-time password: SHA-512 of the access token.
pub const OTP_BYTES: usize = 128;
/// What the first line of a chunked answer begins with; only clients that know it send it.
pub const CHUNK_MARKER: &str = "oidc-chunk:";

/// Prompt for chunk `part` (2 and up) of a token that the client sends in pieces.
pub fn chunk_prompt(part: u16) -> String {
    format!("Access Token (part {part}):")
}

/// Random text that ties an answer to its question: 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);

impl Nonce {
    /// Writes 16 random bytes as hex digits.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }
}

impl TryFrom<String> for Nonce {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits { Ok(Self(text)) } else { Err("a nonce has 32 hex digits") }
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> String {
        nonce.0
    }
}

/// Who stands at the door, sent before any prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// PAM service, normally `sshd`.
    pub service: String,
    /// The name to log in as.
    pub user: LoginName,
    /// True if the name service knows the name; sshd turns answers of unknown names into junk.
    pub known: bool,
    /// Address of the client, if PAM knows one.
    pub rhost: Option<String>,
    /// Terminal, if PAM knows one.
    pub tty: Option<String>,
    /// To be echoed in [`Done`].
    pub nonce: Nonce,
}

/// May this account log in at all? Asked for every login method, keys too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountQuestion {
    /// PAM service.
    pub service: String,
    /// The name that logs in.
    pub user: LoginName,
    /// Its uid as the name service says.
    pub uid: u32,
    /// Address of the client, if PAM knows one.
    pub rhost: Option<String>,
    /// To be echoed in [`Done`].
    pub nonce: Nonce,
}

/// Why the module keeps an answer to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// Nothing was typed.
    Empty,
    /// The name is unknown, or sshd put its junk in place of the answer.
    UnknownUser,
    /// It has neither the shape of a token nor of a one-time password: probably a password.
    Shape,
    /// Exactly as long as OpenSSH's client allows: the client probably cut a longer token.
    Cut,
    /// The conversation failed.
    NoAnswer,
}

/// What the module says.
pub enum LoginRequest {
    /// First message of a login.
    Hello(Hello),
    /// What the user typed, after the shape check.
    Answer(Secret),
    /// The user typed something that does not leave the process.
    Withheld(Withheld),
    /// First and only message of an account question.
    Account(AccountQuestion),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ReadRequest {
    Hello(Hello),
    Answer(Secret),
    Withheld(Withheld),
    Account(AccountQuestion),
}

impl<'de> Deserialize<'de> for LoginRequest {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match ReadRequest::deserialize(from)? {
            ReadRequest::Hello(it) => Self::Hello(it),
            ReadRequest::Answer(it) => Self::Answer(it),
            ReadRequest::Withheld(it) => Self::Withheld(it),
            ReadRequest::Account(it) => Self::Account(it),
        })
    }
}

/// A [`LoginRequest`] on its way into a frame: the one place that writes a [`Secret`] out.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WireRequest<'a> {
    /// See [`LoginRequest::Hello`].
    Hello(&'a Hello),
    /// See [`LoginRequest::Answer`].
    Answer(&'a str),
    /// See [`LoginRequest::Withheld`].
    Withheld(Withheld),
    /// See [`LoginRequest::Account`].
    Account(&'a AccountQuestion),
}

impl LoginRequest {
    /// The form that [`crate::frame::encode`] writes. Exposes the secret to that buffer only.
    pub fn wire(&self) -> WireRequest<'_> {
        match self {
            Self::Hello(it) => WireRequest::Hello(it),
            Self::Answer(secret) => WireRequest::Answer(secret.expose()),
            Self::Withheld(why) => WireRequest::Withheld(*why),
            Self::Account(it) => WireRequest::Account(it),
        }
    }
}

/// Which shapes of answers the daemon wants to see; everything else stays in the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// Take opaque tokens of at least this many bytes; `None`: JWTs and one-time passwords only.
    pub opaque_min_bytes: Option<u16>,
    /// Take what looks like a short code. Some passwords do, so this is off where no codes are given
    /// out.
    #[serde(default)]
    pub codes: bool,
}

/// What the daemon tells the module to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Ask the user.
    Prompt {
        /// Text of the prompt, one line.
        text: String,
        /// Show what is typed.
        echo: bool,
        /// Which answers may leave the process.
        accept: Accept,
    },
    /// The conversation is over.
    Done(Done),
}

/// How a login or account question ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// The outcome.
    pub result: LoginResult,
    /// The name that the answer is about; the module compares it with the name at entry.
    pub user: LoginName,
    /// The nonce of the question.
    pub nonce: Nonce,
    /// Shown to the user after the decision: printable, at most 512 bytes.
    pub message: Option<String>,
}

/// Outcome of a login or account question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginResult {
    /// Let in.
    Allow,
    /// Refuse; one word for every reason before authentication.
    Deny,
    /// Account phase: the identity is suspended, expired or pending.
    Suspended,
    /// Account phase: not one of our accounts; other modules decide.
    Unmanaged,
    /// Too many attempts from this source or for this name.
    TooManyTries,
    /// The daemon could not decide; fail closed.
    Error,
}

/// What an answer looks like, before anybody believes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Three base64url parts: a signed JWT (RFC 7515 §3.1).
    Jwt,
    /// 128 lower-case hex digits.
    OneTimePassword,
    /// A short code ([`Code`]), in any spelling that people use; perhaps a password.
    Code,
    /// One piece of a token: `oidc-chunk:PART/PARTS:` and characters of a token.
    Chunk {
        /// 1 and up.
        part: u16,
        /// How many there are.
        parts: u16,
    },
    /// Characters of an RFC 6750 §2.1 token, of this length; perhaps a password.
    Opaque(usize),
    /// What sshd passes on for a name that it does not know.
    SshdJunk,
    /// Nothing.
    Empty,
    /// Anything else.
    Other,
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

fn is_jwt(text: &str) -> bool {
    // The header of a JWT is a JSON object, so its base64url form begins with "ey".
    text.starts_with("ey")
        && text.split('.').count() == 3
        && text.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// The pieces of a chunk: part, parts and the characters of the token.
pub fn split_chunk(text: &str) -> Option<(u16, u16, &str)> {
    let (numbers, piece) = text.strip_prefix(CHUNK_MARKER)?.split_once(':')?;
    let (part, parts) = numbers.split_once('/')?;
    let number = |digits: &str| -> Option<u16> {
        let fits = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if fits { digits.parse().ok() } else { None }
    };
    let (part, parts) = (number(part)?, number(parts)?);
    let fits = (1..=parts).contains(&part) && parts <= MAX_CHUNKS && !piece.is_empty();
    (fits && piece.bytes().all(is_token_byte)).then_some((part, parts, piece))
}

/// Says what an answer looks like.
pub fn shape(text: &str) -> Shape {
    if text.is_empty() {
        Shape::Empty
    } else if text.starts_with("\u{8}\n\r\u{7f}") {
        Shape::SshdJunk
    } else if let Some((part, parts, _)) = split_chunk(text) {
        Shape::Chunk { part, parts }
    } else if text.len() == OTP_BYTES
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    {
        Shape::OneTimePassword
    } else if is_jwt(text) {
        Shape::Jwt
    } else if Code::parse(text).is_some() {
        Shape::Code
    } else if text.bytes().all(is_token_byte) {
        Shape::Opaque(text.len())
    } else {
        Shape::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Cap, Decoder, encode};
    use proptest::prelude::*;

    #[test]
    fn shapes_are_told_apart() {
        let otp = "0123456789abcdef".repeat(8);
        for (text, expected) in [
            ("", Shape::Empty),
            ("eyJhbGciOiJub25lIn0.e30.c2ln", Shape::Jwt),
            (otp.as_str(), Shape::OneTimePassword),
            (&otp.to_uppercase(), Shape::Opaque(128)),
            ("oidc-chunk:1/4:eyJh", Shape::Chunk { part: 1, parts: 4 }),
            ("oidc-chunk:5/4:eyJh", Shape::Other),
            ("oidc-chunk:0/4:eyJh", Shape::Other),
            ("oidc-chunk:1/100:eyJh", Shape::Other),
            ("oidc-chunk:1/4:", Shape::Other),
            ("\u{8}\n\r\u{7f}INCORRECT", Shape::SshdJunk),
            ("k7dm-3xqp-9rtw-h2vn", Shape::Code),
            (" K7DM3XQP9RTWH2VN ", Shape::Code),
            ("k7dm-3xqp-9rtw-h2vnn", Shape::Opaque(20)),
            ("pw-alice", Shape::Opaque(8)),
            ("correct horse", Shape::Other),
            ("eyJ.e30.", Shape::Opaque(8)),
            ("eyJ.e30.a.b", Shape::Opaque(11)),
        ] {
            assert_eq!(shape(text), expected, "{text:?}");
        }
    }

    #[test]
    fn r06_an_answer_travels_in_a_frame_and_nowhere_else() {
        let request = LoginRequest::Answer(Secret::new("canary".to_owned()));
        let frame = encode(&request.wire(), Cap::LOGIN).unwrap();
        let mut decoder = Decoder::new(Cap::LOGIN);
        assert!(decoder.push(&frame).unwrap());
        let LoginRequest::Answer(secret) = decoder.finish().unwrap() else {
            panic!("another request")
        };
        assert_eq!(secret.expose(), "canary");
    }

    proptest! {
        #[test]
        fn r45_the_shape_of_any_text_is_found_without_panic(text in "\\PC{0,60}|oidc-chunk:[0-9/:a-z]{0,20}") {
            let _ = shape(&text);
        }
    }
}
