//! Short random codes for people to type: what stands for a long token, or for an admin's word.
//!
//! 80 random bits in 16 characters of Crockford's base 32, which has no letter that is taken for
//! another: `k7dm-3xqp-9rtw-h2vn`.

use crate::secret::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use zeroize::Zeroizing;

/// Random bytes in a code.
pub const CODE_BYTES: usize = 10;
/// Characters in a code, without the dashes.
const CHARACTERS: usize = 16;
/// Characters between two dashes.
const GROUP: usize = 4;
/// Longest text that is read as a code: dashes, and some blanks that came along when it was copied.
const MAX_TEXT_BYTES: usize = 64;
/// Crockford's alphabet: no i, l, o and u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A code in its one spelling: lower case, without dashes.
///
/// Unlike a [`Secret`] it can be written into an answer, since it is made to be shown to one person
/// once. It is wiped when dropped, and prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(Secret);

impl Code {
    /// Writes random bytes as a code.
    pub fn from_bytes(bytes: &[u8; CODE_BYTES]) -> Self {
        let mut text = String::with_capacity(CHARACTERS);
        for five in bytes.chunks(5) {
            let number = five.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            text.extend((0..8u32).rev().map(|at| digit(number >> (5 * at))));
        }
        Self(Secret::new(text))
    }

    /// Reads what somebody typed: any case, with or without dashes between the groups, blanks
    /// around, and the letters O, I and L for the digits that they look like.
    pub fn parse(text: &str) -> Option<Self> {
        let mut canonical = Zeroizing::new(String::with_capacity(CHARACTERS));
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        for c in text.trim().chars() {
            let between = !canonical.is_empty()
                && canonical.len() < CHARACTERS
                && canonical.len().is_multiple_of(GROUP);
            match c {
                '-' if between => {}
                _ => canonical.push(read_digit(c)?),
            }
            if canonical.len() > CHARACTERS {
                return None;
            }
        }
        let whole = canonical.len() == CHARACTERS;
        whole.then(|| Self(Secret::new(std::mem::take(&mut *canonical))))
    }

    /// The one spelling, from which keys are derived.
    pub fn canonical(&self) -> &Secret {
        &self.0
    }

    /// The spelling for people: four groups with dashes between them.
    pub fn shown(&self) -> Secret {
        let mut text = String::with_capacity(CHARACTERS + CHARACTERS / GROUP);
        for (at, c) in self.0.expose().chars().enumerate() {
            if at > 0 && at.is_multiple_of(GROUP) {
                text.push('-');
            }
            text.push(c);
        }
        Secret::new(text)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.shown().expose())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Secret::deserialize(from)?;
        Self::parse(text.expose()).ok_or_else(|| serde::de::Error::custom("no code"))
    }
}

/// The digit of the lowest five bits.
fn digit(number: u64) -> char {
    let at = usize::try_from(number & 31).unwrap_or_default();
    ALPHABET.get(at).copied().map_or('0', char::from)
}

fn read_digit(c: char) -> Option<char> {
    match c.to_ascii_lowercase() {
        'o' => Some('0'),
        'i' | 'l' => Some('1'),
        c => u8::try_from(c).ok().filter(|byte| ALPHABET.contains(byte)).map(char::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> Option<String> {
        Code::parse(text).map(|code| code.canonical().expose().to_owned())
    }

    #[test]
    fn what_people_make_of_a_code_is_read_as_the_same_code() {
        for typed in [
            "k7dm-3xqp-9rtw-h2vn",
            "K7DM-3XQP-9RTW-H2VN",
            "k7dm3xqp9rtwh2vn",
            "K7DM3XQP9RTWH2VN",
            "  k7dm-3xqp9rtw-h2vn\t",
        ] {
            assert_eq!(canonical(typed).as_deref(), Some("k7dm3xqp9rtwh2vn"), "{typed:?}");
        }
        assert_eq!(canonical("OoIi-LlOo-0011-zzzz").as_deref(), Some("001111000011zzzz"));
    }

    #[test]
    fn what_is_no_code_is_not_read_as_one() {
        for text in [
            "",
            "k7dm-3xqp-9rtw-h2v",
            "k7dm-3xqp-9rtw-h2vnn",
            "-k7dm3xqp9rtwh2vn",
            "k7dm3xqp9rtwh2vn-",
            "k7-dm3xqp9rtwh2vn",
            "k7dm 3xqp 9rtw h2vn",
            "u7dm-3xqp-9rtw-h2vn",
            "k7dm-3xqp-9rtw-h2v\u{fc}",
            "k7dm-3xqp-9rtw-h2v!",
        ] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
        assert_eq!(canonical(&format!("{}k7dm3xqp9rtwh2vn", " ".repeat(60))), None);
    }

    #[test]
    fn r06_a_code_prints_as_nothing_and_is_written_in_four_groups() {
        let code = Code::from_bytes(&[0xff; CODE_BYTES]);
        assert_eq!(format!("{code:?}"), "Code");
        assert_eq!(serde_json::to_string(&code).unwrap(), "\"zzzz-zzzz-zzzz-zzzz\"");
        assert_eq!(serde_json::from_str::<Code>("\"ZZZZ-ZZZZ-ZZZZ-ZZZZ\"").unwrap(), code);
    }

    proptest! {
        #[test]
        fn every_draw_has_its_own_code_that_reads_back(a: [u8; CODE_BYTES], b: [u8; CODE_BYTES]) {
            let (first, second) = (Code::from_bytes(&a), Code::from_bytes(&b));
            prop_assert_eq!(a == b, first == second);
            prop_assert_eq!(Code::parse(first.shown().expose()), Some(first));
        }

        #[test]
        fn r45_a_code_is_read_from_any_text_without_panic(text in "\\PC{0,30}|[0-9a-zA-Z-]{10,24}") {
            let _ = Code::parse(&text);
        }
    }
}
