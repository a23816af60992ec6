//! Reads JSON objects strictly: a member that is there twice is refused, so that two readers can't
//! see two different values. Each value takes many times the memory of its text, so their number is
//! bounded.

use crate::verified::ClaimMap;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{cell::Cell, fmt};

/// Most values in one text.
const MAX_VALUES: u32 = 20_000;

/// Why a text is no JSON object that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a JSON object without repeated members and with at most {} values", MAX_VALUES)]
pub(crate) struct NotAnObject;

/// Reads one object and nothing after it. Depth is bounded by the reader (128 levels).
pub(crate) fn parse_object(text: &[u8]) -> Result<ClaimMap, NotAnObject> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let left = Cell::new(MAX_VALUES);
    let value = Strict(&left).deserialize(&mut reader).map_err(|_| NotAnObject)?;
    reader.end().map_err(|_| NotAnObject)?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(NotAnObject),
    }
}

/// Knows how many values there may be yet.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a Cell<u32>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.ok_or_else(|| D::Error::custom("too many values"))?);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r13_repeated_members_are_refused_at_every_depth() {
        for text in [
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"iss":"a","\u0069ss":"b"}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
        ] {
            assert_eq!(parse_object(text.as_bytes()), Err(NotAnObject), "{text}");
        }
    }

    #[test]
    fn only_one_whole_object_is_read() {
        for text in
            ["", "[]", "1", "null", "\"a\"", "{}{}", "{} x", "{", "{\"a\":1e999}", "\u{feff}{}"]
        {
            assert!(parse_object(text.as_bytes()).is_err(), "{text:?}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse_object(deep.as_bytes()).is_err());
        let read =
            parse_object(br#" {"a":[1,-2,1.5,true,null,"x"],"b":{"c":18446744073709551615}} "#);
        let plain = serde_json::json!({"a":[1,-2,1.5,true,null,"x"],"b":{"c":u64::MAX}});
        assert_eq!(Value::Object(read.unwrap()), plain);
    }

    #[test]
    fn r45_a_text_of_very_many_small_values_is_refused() {
        let of = |count: usize| format!("{{\"a\":[{}]}}", vec!["1"; count].join(","));
        // The object and the array are values, too.
        let most = usize::try_from(MAX_VALUES).unwrap() - 2;
        assert!(parse_object(of(most).as_bytes()).is_ok());
        assert_eq!(parse_object(of(most + 1).as_bytes()), Err(NotAnObject));
        let objects = format!("{{\"a\":[{}]}}", vec!["{}"; 100_000].join(","));
        assert_eq!(parse_object(objects.as_bytes()), Err(NotAnObject));
    }

    proptest! {
        #[test]
        fn r45_what_is_read_is_what_every_other_reader_sees(
            text in "\\PC{0,80}|\\{(\"[ab]\":(1|\\{\\}|\\[\"a\"\\]),?){0,4}\\}|[\\[\\]{}\",:0-9a-z]{0,80}"
        ) {
            if let Ok(object) = parse_object(text.as_bytes()) {
                let others: ClaimMap = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(object, others);
            }
        }
    }
}
