//! How a token gets through ssh's prompt: whole, in pieces, or as a one-time password.

use crate::{
    error::{Error, Result},
    service::Service,
};
use clap::ValueEnum;
use motley_proto::{
    Secret,
    login::{CHUNK_MARKER, CLIENT_LIMIT_BYTES, MAX_CHUNKS, MAX_TOKEN_BYTES},
};
use serde::{Deserialize, Serialize};

/// When a one-time password stands in for the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
pub(crate) enum OtpMode {
    /// When the token is too long for ssh and the service takes no pieces.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How the token is handed to ssh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// As it is, at one prompt.
    Whole,
    /// In pieces, one per prompt.
    Chunks,
    /// Its one-time password, at one prompt.
    OneTimePassword,
}

/// Chooses the way for a token of this length.
///
/// # Errors
/// [`Error::TokenTooLong`] when the mode forbids the only way left.
pub(crate) fn choose(length: usize, takes_chunks: bool, mode: OtpMode) -> Result<Way> {
    let fits = length <= CLIENT_LIMIT_BYTES;
    match mode {
        OtpMode::Always => Ok(Way::OneTimePassword),
        _ if fits => Ok(Way::Whole),
        _ if takes_chunks && length <= MAX_TOKEN_BYTES => Ok(Way::Chunks),
        OtpMode::Auto => Ok(Way::OneTimePassword),
        OtpMode::Never => Err(Error::TokenTooLong(length)),
    }
}

/// Has the service store the token's one-time password, and computes it: SHA-512 in hex.
///
/// # Errors
/// [`Error::TokenTooLong`] when the service has none.
pub(crate) fn one_time_password(service: &Service<'_>, token: &Secret) -> Result<Secret> {
    let answer = service.generate_otp(token)?;
    if answer.supported && answer.successful {
        Ok(hash(token))
    } else {
        Err(Error::TokenTooLong(token.len()))
    }
}

fn hash(token: &Secret) -> Secret {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, token.expose().as_bytes());
    let hex = |text: String, byte: &u8| text + &format!("{byte:02x}");
    Secret::new(digest.as_ref().iter().fold(String::with_capacity(128), hex))
}

/// Cuts a token into marked pieces that ssh carries without loss.
///
/// A token is ASCII (RFC 6750 §2.1), so a cut never splits a character.
pub(crate) fn pieces(token: &Secret) -> Vec<Secret> {
    let room = CLIENT_LIMIT_BYTES - CHUNK_MARKER.len() - "99/99:".len();
    let parts = token.len().div_ceil(room).min(usize::from(MAX_CHUNKS));
    token
        .expose()
        .as_bytes()
        .chunks(room)
        .zip(1..=parts)
        .map(|(piece, part)| {
            let piece = zeroize::Zeroizing::new(String::from_utf8_lossy(piece).into_owned());
            Secret::new(format!("{CHUNK_MARKER}{part}/{parts}:{}", piece.as_str()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use motley_proto::login::split_chunk;

    #[test]
    fn the_way_follows_from_length_service_and_wish() {
        use OtpMode::{Always, Auto, Never};
        for (length, chunks, mode, expected) in [
            (1023, false, Auto, Some(Way::Whole)),
            (1023, true, Never, Some(Way::Whole)),
            (10, true, Always, Some(Way::OneTimePassword)),
            (1024, true, Auto, Some(Way::Chunks)),
            (1024, false, Auto, Some(Way::OneTimePassword)),
            (1024, true, Never, Some(Way::Chunks)),
            (1024, false, Never, None),
            (16_384, true, Auto, Some(Way::Chunks)),
            (70_000, true, Auto, Some(Way::OneTimePassword)),
        ] {
            assert_eq!(choose(length, chunks, mode).ok(), expected, "{length} {chunks} {mode:?}");
        }
    }

    #[test]
    fn pieces_fit_and_make_up_the_token_again() {
        for length in [1024, 2289, 16_384, MAX_TOKEN_BYTES] {
            let text: String = (0..length).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
            let pieces = pieces(&Secret::new(text.clone()));
            let mut joined = String::new();
            for (index, piece) in pieces.iter().enumerate() {
                assert!(piece.len() <= CLIENT_LIMIT_BYTES);
                let (part, parts, piece) = split_chunk(piece.expose()).unwrap();
                assert_eq!((usize::from(part), usize::from(parts)), (index + 1, pieces.len()));
                joined.push_str(piece);
            }
            assert!(joined == text);
        }
    }

    #[test]
    fn a_one_time_password_is_the_sha_512_of_the_token_in_hex() {
        let password = hash(&Secret::new("abc".to_owned()));
        assert!(password.expose().starts_with("ddaf35a193617abacc417349ae204131"));
        assert_eq!(password.len(), 128);
    }
}
