//! Reads from a certificate when it ends (X.509, RFC 5280 §4.1.2.5); nothing is decided by this.

use time::{Date, Month, PrimitiveDateTime, Time};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` in seconds since 1970; `None` when this is no certificate as we know them.
pub(super) fn end(certificate: &[u8]) -> Option<i64> {
    let (certificate, _) = take(certificate, SEQUENCE)?;
    let (mut rest, _) = take(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = skip(rest)?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        rest = skip(rest)?;
    }
    let (validity, _) = take(rest, SEQUENCE)?;
    read_time(skip(validity)?)
}

/// The content of an element of this kind, and what follows it (X.690 §8.1).
fn take(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    (tag == kind).then_some((content, rest))
}

fn skip(bytes: &[u8]) -> Option<&[u8]> {
    element(bytes).map(|(_, _, rest)| rest)
}

fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(*short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0_usize, |sum, digit| sum << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn read_time(bytes: &[u8]) -> Option<i64> {
    let (tag, content, _) = element(bytes)?;
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let month = Month::try_from(two(0)?).ok()?;
    let date = Date::from_calendar_date(year, month, two(2)?).ok()?;
    let time = Time::from_hms(two(4)?, two(6)?, two(8)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    }

    fn certificate(kind: u8, end: &str) -> Vec<u8> {
        let validity = [der(UTC_TIME, b"200101000000Z"), der(kind, end.as_bytes())].concat();
        let inner = [
            der(VERSION, &der(2, &[2])),
            der(2, &[1]),
            der(SEQUENCE, &[]),
            der(SEQUENCE, &[0; 200]),
            der(SEQUENCE, &validity),
            der(SEQUENCE, &[]),
        ];
        der(SEQUENCE, &der(SEQUENCE, &inner.concat()))
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms_of_time() {
        assert_eq!(end(&certificate(UTC_TIME, "261127101500Z")), Some(1_795_774_500));
        assert_eq!(end(&certificate(GENERALIZED_TIME, "20500101000000Z")), Some(2_524_608_000));
    }

    #[test]
    fn anything_else_has_no_end_and_harms_nothing() {
        let whole = certificate(UTC_TIME, "261127101500Z");
        for length in 0..whole.len() {
            let _ = end(&whole[..length]);
        }
        for broken in ["", "2611271015", "261327101500Z", "+61127101500Z", "26é127101500Z"] {
            assert_eq!(end(&certificate(UTC_TIME, broken)), None, "{broken}");
        }
        assert_eq!(end(b"\x30\x84\xff\xff\xff\xff"), None);
    }

    proptest::proptest! {
        #[test]
        fn r45_any_bytes_are_read_without_harm(
            at in 0_usize..280,
            byte in proptest::num::u8::ANY,
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64),
        ) {
            let _ = end(&bytes);
            let mut changed = certificate(UTC_TIME, "261127101500Z");
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
            let _ = end(&changed);
        }
    }
}
