//! Public keys of ssh as a provider tells them: parsed strictly, for each becomes a line that sshd obeys.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest key in its text form, in bytes: RSA of 16384 bits fits.
const MAX_KEY_CHARS: usize = 3000;
/// Longest comment that is kept, in characters.
const MAX_COMMENT_CHARS: usize = 64;
/// Shortest RSA modulus, in bits (NIST SP 800-131A).
const MIN_RSA_BITS: usize = 2048;

/// Kinds of keys. No certificates: those are trusted by authorities, not by lines.
const KINDS: &[&str] = &[
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Why a text is no public key that may be written anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// It holds a line end or another control character: it would become several lines.
    #[error("has a control character")]
    Control,
    /// It does not begin with a kind of key; options of authorized_keys are not taken.
    #[error("does not begin with a kind of key that is taken")]
    Kind,
    /// What follows the kind is no key of that kind.
    #[error("holds no key of the kind that it names")]
    Key,
    /// An RSA key of less than 2048 bits.
    #[error("is an RSA key of less than 2048 bits")]
    Weak,
}

/// A public key in the form of one line of authorized_keys(5), without options.
///
/// Its comment is remote text: all of it but letters, digits and `@ . _ + -` is replaced by `?`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshKey(String);

impl SshKey {
    /// Parses one line.
    ///
    /// # Errors
    /// When it is none, or one that is not taken.
    pub fn new(text: &str) -> Result<Self, SshKeyError> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(SshKeyError::Control);
        }
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let kind = words.next().unwrap_or_default();
        let kind = KINDS.iter().find(|known| **known == kind).ok_or(SshKeyError::Kind)?;
        let encoded = words.next().filter(|key| key.len() <= MAX_KEY_CHARS);
        let key = encoded.and_then(decode).ok_or(SshKeyError::Key)?;
        check(kind, &key)?;
        let comment: Vec<&str> = words.collect();
        let comment: String =
            comment.join("_").chars().take(MAX_COMMENT_CHARS).map(plain).collect();
        let mut line = format!("{kind} {}", encoded.unwrap_or_default());
        if !comment.is_empty() {
            line.push(' ');
            line.push_str(&comment);
        }
        Ok(Self(line))
    }

    /// The line, without its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Kind and key, without the comment: what makes two of them the same.
    pub fn key(&self) -> &str {
        let end = self.0.match_indices(' ').nth(1).map_or(self.0.len(), |(at, _)| at);
        self.0.get(..end).unwrap_or_default()
    }
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SshKey {
    type Error = SshKeyError;

    fn try_from(text: String) -> Result<Self, SshKeyError> {
        Self::new(&text)
    }
}

impl From<SshKey> for String {
    fn from(key: SshKey) -> Self {
        key.0
    }
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '_' | '+' | '-') { c } else { '?' }
}

/// The fields of a key (RFC 4253 §6.6): as many as its kind has, and nothing behind them.
fn check(kind: &str, key: &[u8]) -> Result<(), SshKeyError> {
    let fields = fields(key).ok_or(SshKeyError::Key)?;
    let sound = match (kind, fields.as_slice()) {
        ("ssh-ed25519", [_, point]) => point.len() == 32,
        ("sk-ssh-ed25519@openssh.com", [_, point, application]) => {
            point.len() == 32 && !application.is_empty()
        }
        ("ssh-rsa", [_, exponent, modulus]) => {
            if bits(modulus) < MIN_RSA_BITS {
                return Err(SshKeyError::Weak);
            }
            // With the exponent 1 everybody could sign.
            let is_usable = exponent.last().is_some_and(|last| last % 2 == 1) && bits(exponent) > 1;
            is_usable && exponent.len() <= 8 && is_positive(exponent) && is_positive(modulus)
        }
        ("sk-ecdsa-sha2-nistp256@openssh.com", [_, curve, point, application]) => {
            *curve == b"nistp256" && is_point(point, 32) && !application.is_empty()
        }
        (kind, [_, curve, point]) => {
            let bytes = match *curve {
                b"nistp256" => 32,
                b"nistp384" => 48,
                b"nistp521" => 66,
                _ => return Err(SshKeyError::Key),
            };
            kind.as_bytes().ends_with(curve) && is_point(point, bytes)
        }
        _ => false,
    };
    let named = fields.first().is_some_and(|name| *name == kind.as_bytes());
    if sound && named { Ok(()) } else { Err(SshKeyError::Key) }
}

/// An uncompressed point (SEC 1 §2.3.3).
fn is_point(point: &[u8], bytes: usize) -> bool {
    point.first() == Some(&4) && point.len() == 1 + 2 * bytes
}

/// A number above zero in its shortest form (RFC 4251 §5, `mpint`): the first bit is the sign, and a
/// zero byte stands in front only where that bit would be set.
fn is_positive(number: &[u8]) -> bool {
    match number {
        [0, next, ..] => next & 0x80 != 0,
        [first, ..] => *first != 0 && first & 0x80 == 0,
        [] => false,
    }
}

fn bits(number: &[u8]) -> usize {
    let first = number.iter().position(|byte| *byte != 0);
    let Some(rest) = first.and_then(|first| number.get(first..)) else { return 0 };
    let leading = rest.first().map_or(0, |byte| byte.leading_zeros() as usize);
    rest.len() * 8 - leading
}

fn fields(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, behind) = behind.split_at_checked(length)?;
        found.push(field);
        rest = behind;
    }
    Some(found)
}

/// Base64 with padding and nothing else in it (RFC 4648 §4).
fn decode(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut kept, mut count) = (0u32, 0u32);
    for c in body.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        kept = (kept << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(kept.checked_shr(count)?.to_le_bytes()[0]);
            kept &= (1 << count) - 1;
        }
    }
    // Bits that are left over must be none, or the same key could be written in several ways.
    (kept == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGHyZ7T3gXm8T6wYyTqKwXkq0d2YcEoFJk1lJ0m3o0aB";

    #[test]
    fn a_key_is_one_line_and_its_comment_is_made_plain() {
        let key = SshKey::new(&format!(" ssh-ed25519  {KEY} kim@laptop (\u{202e}work) ")).unwrap();
        assert_eq!(key.as_str(), format!("ssh-ed25519 {KEY} kim@laptop_??work?"));
        assert_eq!(key.key(), format!("ssh-ed25519 {KEY}"));
        let bare = SshKey::new(&format!("ssh-ed25519 {KEY}")).unwrap();
        assert_eq!(bare.as_str(), bare.key());
    }

    #[test]
    fn r25_options_certificates_further_lines_and_other_kinds_are_no_keys() {
        for (text, why) in [
            (format!("command=\"sh\" ssh-ed25519 {KEY}"), SshKeyError::Kind),
            (format!("cert-authority ssh-ed25519 {KEY}"), SshKeyError::Kind),
            (format!("ssh-ed25519-cert-v01@openssh.com {KEY}"), SshKeyError::Kind),
            (format!("ssh-dss {KEY}"), SshKeyError::Kind),
            (format!("# ssh-ed25519 {KEY}"), SshKeyError::Kind),
            (format!("ssh-ed25519 {KEY} a\nssh-ed25519 {KEY}"), SshKeyError::Control),
            (format!("ssh-ed25519 {KEY} a\rb"), SshKeyError::Control),
            (format!("ssh-ed25519\t{KEY}"), SshKeyError::Control),
            (format!("ssh-ed25519 {KEY}\0"), SshKeyError::Control),
            (format!("ssh-rsa {KEY}"), SshKeyError::Key),
            (format!("ssh-ed25519 {}", &KEY[..64]), SshKeyError::Key),
            (format!("ssh-ed25519 {KEY}AAAA"), SshKeyError::Key),
            (format!("ssh-ed25519 {}", KEY.replace('A', "-")), SshKeyError::Key),
            (format!("ssh-ed25519 {}", "A".repeat(4000)), SshKeyError::Key),
            ("ssh-ed25519".to_owned(), SshKeyError::Key),
            (String::new(), SshKeyError::Kind),
        ] {
            assert_eq!(SshKey::new(&text), Err(why), "{text:?}");
        }
    }

    /// Text form of a key of this kind with these fields behind its name.
    fn written(kind: &str, fields: &[&[u8]]) -> String {
        let mut bytes = Vec::new();
        for field in std::iter::once(&kind.as_bytes()).chain(fields) {
            bytes.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
            bytes.extend(*field);
        }
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let wide = chunk.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
            let wide = wide << (8 * (3 - chunk.len()));
            for place in 0..4 {
                let digit = (wide >> (18 - 6 * place)) & 63;
                text.push(if place <= chunk.len() {
                    char::from(digits[digit as usize])
                } else {
                    '='
                });
            }
        }
        format!("{kind} {text}")
    }

    #[test]
    fn every_kind_is_known_by_its_fields() {
        let (point256, point521) = ([&[4][..], &[1; 64]].concat(), [&[4][..], &[1; 132]].concat());
        let (strong, weak) = ([&[0, 0x80][..], &[1; 255]].concat(), [1; 128]);
        for (text, is_key) in [
            (written("ssh-ed25519", &[&[7; 32]]), true),
            (written("ssh-ed25519", &[&[7; 31]]), false),
            (written("ssh-rsa", &[&[1, 0, 1], &strong]), true),
            (written("ssh-rsa", &[&[1, 0, 1], &weak]), false),
            (written("ssh-rsa", &[&[3], &strong]), true),
            (written("ssh-rsa", &[&[0, 0x81], &strong]), true),
            (written("ssh-rsa", &[&[2], &strong]), false),
            // Anybody's signature would fit, or the number is negative or not in its shortest form.
            (written("ssh-rsa", &[&[1], &strong]), false),
            (written("ssh-rsa", &[&[0, 1], &strong]), false),
            (written("ssh-rsa", &[&[0], &strong]), false),
            (written("ssh-rsa", &[&[], &strong]), false),
            (written("ssh-rsa", &[&[0x81], &strong]), false),
            (written("ssh-rsa", &[&[0, 3], &strong]), false),
            (written("ssh-rsa", &[&[3], &strong[1..]]), false),
            (written("ssh-rsa", &[&[3], &[&[0][..], &strong].concat()]), false),
            (written("ecdsa-sha2-nistp256", &[b"nistp256", &point256]), true),
            (written("ecdsa-sha2-nistp384", &[b"nistp256", &point256]), false),
            (written("ecdsa-sha2-nistp521", &[b"nistp521", &point521]), true),
            (written("sk-ssh-ed25519@openssh.com", &[&[7; 32], b"ssh:"]), true),
            (
                written("sk-ecdsa-sha2-nistp256@openssh.com", &[b"nistp256", &point256, b"ssh:"]),
                true,
            ),
        ] {
            assert_eq!(SshKey::new(&text).is_ok(), is_key, "{text}");
        }
    }

    proptest! {
        #[test]
        fn r45_any_text_is_refused_or_one_plain_line(text in "(ssh-ed25519 )?\\PC{0,80}") {
            if let Ok(key) = SshKey::new(&text) {
                prop_assert!(key.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                prop_assert_eq!(SshKey::new(key.as_str()).unwrap(), key);
            }
        }
    }
}
