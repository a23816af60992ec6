//! Checks the claims of a token that its provider vouches for: subject, times and age.

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

/// What the dates of a token are held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeRules {
    /// Seconds by which the provider's clock may be ahead. It never prolongs a token.
    pub(crate) skew: i64,
    /// Oldest token that is taken, in seconds since its `iat`.
    pub(crate) max_age: Option<i64>,
}

/// When a token ends, and when it is not taken any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// `exp`, where the provider names one.
    pub(crate) expires: Option<Timestamp>,
    /// From then on it is refused: by its end or by its age.
    pub(crate) refused_from: Option<Timestamp>,
}

/// Checks the times of a signed token, which must have an end.
///
/// # Errors
/// Those of [`check_dates`], and when there is no `exp`.
pub(crate) fn check_times(
    claims: &ClaimMap,
    now: Timestamp,
    rules: TimeRules,
) -> Result<Ends, TokenRefusal> {
    if !claims.contains_key("exp") {
        return Err(TokenFault::NoExpiry.into());
    }
    check_dates(claims, now, rules)
}

/// Checks `exp`, `nbf` and `iat` where they are there (RFC 7519 §4.1.4–§4.1.6, RFC 7662 §2.2), and
/// the age where it is bounded.
///
/// # Errors
/// When `exp` is past, `nbf` or `iat` is to come, one of them is no date, or the token is too old or
/// does not tell its age.
pub(crate) fn check_dates(
    claims: &ClaimMap,
    now: Timestamp,
    rules: TimeRules,
) -> Result<Ends, TokenRefusal> {
    let expires = date(claims, "exp")?;
    if let Some(expires) = expires {
        check_not_expired(expires, now)?;
    }
    for claim in ["nbf", "iat"] {
        if let Some(begin) = date(claims, claim)?
            && begin > now.plus(rules.skew)
        {
            return Err(TokenRefusal::NotYetValid { claim, ahead: begin.0.saturating_sub(now.0) });
        }
    }
    let too_old_from = match rules.max_age {
        Some(limit) => Some(check_age(date(claims, "iat")?, now, limit)?),
        None => None,
    };
    let refused_from = [expires, too_old_from].into_iter().flatten().min();
    Ok(Ends { expires, refused_from })
}

fn check_age(
    issued: Option<Timestamp>,
    now: Timestamp,
    limit: i64,
) -> Result<Timestamp, TokenRefusal> {
    let issued = issued.ok_or(TokenRefusal::AgeUnknown)?;
    let too_old_from = issued.plus(limit).plus(1);
    if now < too_old_from {
        return Ok(too_old_from);
    }
    Err(TokenRefusal::TooOld { age: now.0.saturating_sub(issued.0), limit })
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

    fn ends(claims: Value, max_age: Option<i64>) -> Result<Ends, TokenRefusal> {
        let Value::Object(claims) = claims else { panic!("an object") };
        check_times(&claims, NOW, TimeRules { skew: 60, max_age })
    }

    fn times(claims: Value) -> Result<Timestamp, TokenRefusal> {
        ends(claims, None).map(|ends| ends.expires.unwrap())
    }

    #[test]
    fn r13_where_the_age_is_bounded_a_token_must_tell_it_and_be_young() {
        let exp = NOW.0 + 9999;
        let old = |iat: i64| ends(json!({"exp": exp, "iat": iat}), Some(100));
        let until = |second: i64| {
            Ok(Ends { expires: Some(Timestamp(exp)), refused_from: Some(NOW.plus(second)) })
        };
        assert_eq!(old(NOW.0), until(101));
        assert_eq!(old(NOW.0 - 100), until(1));
        assert_eq!(old(NOW.0 + 60), until(161));
        assert_eq!(old(NOW.0 - 101), Err(TokenRefusal::TooOld { age: 101, limit: 100 }));
        assert_eq!(old(0), Err(TokenRefusal::TooOld { age: NOW.0, limit: 100 }));
        assert_eq!(ends(json!({ "exp": exp }), Some(100)), Err(TokenRefusal::AgeUnknown));
        let odd = ends(json!({"exp": exp, "iat": "now"}), Some(100));
        assert_eq!(odd, Err(TokenFault::Date("iat").into()));
        let near = ends(json!({"exp": NOW.0 + 5, "iat": NOW.0}), Some(100)).unwrap();
        assert_eq!(near.refused_from, Some(NOW.plus(5)));
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
