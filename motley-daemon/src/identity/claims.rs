//! Checks the claims of a token whose signature has been verified: subject and times.

use super::refusal::{TokenFault, TokenRefusal};
use crate::clock::Timestamp;
use crate::verified::ClaimMap;
use motley_proto::Subject;
use serde_json::Value;

/// 9999-12-31T23:59:59Z: no token is meant to live longer.
const LAST_DATE: f64 = 253_402_300_799.0;

/// The subject of the token (RFC 7519 §4.1.2).
///
/// # Errors
/// When `sub` is missing, no text, or no text that can be a [`Subject`].
pub(crate) fn subject(claims: &ClaimMap) -> Result<Subject, TokenFault> {
    match claims.get("sub") {
        None | Some(Value::Null) => Err(TokenFault::NoSubject),
        Some(Value::String(text)) => {
            Subject::new(text.as_str()).map_err(|_| TokenFault::SubjectText)
        }
        Some(_) => Err(TokenFault::SubjectType),
    }
}

/// Checks `exp`, `nbf` and `iat` (RFC 7519 §4.1.4–§4.1.6) and says when the token ends.
///
/// `skew` in seconds is how far the provider's clock may be ahead. It never prolongs a token.
///
/// # Errors
/// When `exp` is missing or past, `nbf` or `iat` is to come, or one of them is no date.
pub(crate) fn check_times(
    claims: &ClaimMap,
    now: Timestamp,
    skew: i64,
) -> Result<Timestamp, TokenRefusal> {
    let expires = date(claims, "exp")?.ok_or(TokenFault::NoExpiry)?;
    check_not_expired(expires, now)?;
    for claim in ["nbf", "iat"] {
        if let Some(begin) = date(claims, claim)?
            && begin > now.plus(skew)
        {
            return Err(TokenRefusal::NotYetValid { claim, ahead: begin.0.saturating_sub(now.0) });
        }
    }
    Ok(expires)
}

/// Refuses at the very second of `exp` ("on or after", RFC 7519 §4.1.4).
pub(crate) fn check_not_expired(expires: Timestamp, now: Timestamp) -> Result<(), TokenRefusal> {
    if now < expires {
        return Ok(());
    }
    Err(TokenRefusal::Expired { ago: now.0.saturating_sub(expires.0) })
}

/// A claim that is a NumericDate; fractions are cut off (RFC 7519 §2).
pub(crate) fn date(claims: &ClaimMap, name: &'static str) -> Result<Option<Timestamp>, TokenFault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let number = value.as_f64().ok_or(TokenFault::Date(name))?;
    if !(0.0..=LAST_DATE).contains(&number) {
        return Err(TokenFault::Date(name));
    }
    // Exact: whole numbers in this range fit both types.
    Ok(Some(Timestamp(number.floor() as i64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn times(claims: Value) -> Result<Timestamp, TokenRefusal> {
        let Value::Object(claims) = claims else { panic!("an object") };
        check_times(&claims, NOW, 60)
    }

    #[test]
    fn r13_exp_must_be_there_and_be_a_date() {
        assert_eq!(times(json!({})), Err(TokenFault::NoExpiry.into()));
        for value in [
            json!("1900000000"),
            json!(null),
            json!(true),
            json!([1_900_000_000]),
            json!({}),
            json!(-1),
            json!(-1e300),
            json!(1e300),
            json!(253_402_300_800_i64),
            json!(u64::MAX),
        ] {
            let refused = times(json!({ "exp": value.clone() }));
            assert_eq!(refused, Err(TokenFault::Date("exp").into()), "{value}");
        }
        assert_eq!(times(json!({"exp": 1_800_000_001.9})), Ok(Timestamp(1_800_000_001)));
        assert_eq!(times(json!({"exp": 1.9e9})), Ok(Timestamp(1_900_000_000)));
    }

    #[test]
    fn r13_a_token_ends_at_the_second_of_exp() {
        assert_eq!(times(json!({"exp": NOW.0 + 1})), Ok(NOW.plus(1)));
        assert_eq!(times(json!({"exp": NOW.0})), Err(TokenRefusal::Expired { ago: 0 }));
        assert_eq!(times(json!({"exp": NOW.0 - 30})), Err(TokenRefusal::Expired { ago: 30 }));
        assert_eq!(times(json!({"exp": 0})), Err(TokenRefusal::Expired { ago: NOW.0 }));
    }

    #[test]
    fn r13_nbf_and_iat_may_be_ahead_by_the_skew_only() {
        for claim in ["nbf", "iat"] {
            let at = |when: Value| times(json!({"exp": NOW.0 + 99, claim: when}));
            assert!(at(json!(NOW.0 + 60)).is_ok());
            assert_eq!(at(json!(NOW.0 + 61)), Err(TokenRefusal::NotYetValid { claim, ahead: 61 }));
            for value in [json!("1"), json!(null), json!(-5), json!(1e300)] {
                assert_eq!(at(value), Err(TokenFault::Date(claim).into()));
            }
        }
    }

    #[test]
    fn r13_sub_is_a_text_that_can_name_somebody() {
        let of = |claims: Value| match claims {
            Value::Object(claims) => subject(&claims),
            _ => panic!("an object"),
        };
        assert_eq!(of(json!({})), Err(TokenFault::NoSubject));
        assert_eq!(of(json!({"sub": 4711})), Err(TokenFault::SubjectType));
        for text in [String::new(), "a\nb".to_owned(), "x".repeat(256)] {
            assert_eq!(of(json!({ "sub": text })), Err(TokenFault::SubjectText));
        }
        assert_eq!(of(json!({"sub": "a"})).unwrap().as_str(), "a");
    }

    /// Values as a hostile provider may write them in the place of a date.
    fn dates() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<f64>().prop_map(|number| json!(number)),
            any::<i64>().prop_map(|number| json!(number)),
            (-100..100_i64).prop_map(|near| json!(NOW.0 + near)),
            (-100.0..100.0_f64).prop_map(|near| json!(NOW.0 as f64 + near)),
            "[0-9]{0,12}".prop_map(|text| json!(text)),
            Just(Value::Null),
        ]
    }

    proptest! {
        #[test]
        fn r45_whatever_the_dates_are_a_token_that_holds_has_begun_and_has_an_end_to_come(
            exp in dates(),
            nbf in dates(),
            iat in dates(),
        ) {
            let taken = times(json!({"exp": exp.clone(), "nbf": nbf.clone(), "iat": iat.clone()}));
            if let Ok(end) = taken {
                prop_assert!(end > NOW);
                prop_assert_eq!(exp.as_f64().unwrap().floor(), end.0 as f64);
                let begun = |value: &Value| value.as_f64().unwrap() < (NOW.0 + 61) as f64;
                prop_assert!(begun(&nbf) && begun(&iat));
            }
            let endless = times(json!({"nbf": nbf, "iat": iat}));
            prop_assert!(endless.is_err());
        }

        #[test]
        fn r45_a_subject_is_the_text_of_the_claim_or_none(text in "\\PC{0,300}|[a-z\\n\\x00]{0,4}") {
            let claims = ClaimMap::from_iter([("sub".to_owned(), json!(text))]);
            match subject(&claims) {
                Ok(subject) => prop_assert_eq!(subject.as_str(), text),
                Err(_) => prop_assert!(
                    text.is_empty() || text.len() > 255 || text.contains(char::is_control)
                ),
            }
        }
    }
}
