//! A text that must not be seen: wiped when dropped, and deaf to every way of printing it.

use serde::de::{Deserialize, Deserializer, Visitor};
use std::fmt;
use zeroize::Zeroizing;

/// An access token, one-time password or key.
///
/// There is no `Debug`, `Display` or `Serialize`, so neither a log line nor a message body can
/// hold it by accident; [`Secret::expose`] is the one, searchable way out.
///
/// ```compile_fail
/// println!("{:?}", motley_proto::Secret::new("t".to_owned()));
/// ```
/// ```compile_fail
/// println!("{}", motley_proto::Secret::new("t".to_owned()));
/// ```
/// ```compile_fail
/// serde_json::to_string(&motley_proto::Secret::new("t".to_owned())).unwrap();
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over; the caller's `String` is moved, not copied.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one place that must send or check it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Compares in time that depends on the lengths only.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        let differing = a.iter().zip(b).fold(0u8, |acc, (x, y)| acc | (x ^ y));
        a.len() == b.len() && std::hint::black_box(differing) == 0
    }
}

impl Eq for Secret {}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::new(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }
        }
        from.deserialize_string(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r06_secrets_compare_by_content_and_length() {
        let secret = |text: &str| Secret::new(text.to_owned());
        assert!(secret("abc") == secret("abc"));
        assert!(secret("abc") != secret("abd"));
        assert!(secret("abc") != secret("abcd"));
        assert!(secret("") == secret(""));
    }
}
