//! What the formats of JSON lines share: a line read as one object, its values, and what is wrong with it.
//!
//! A vendor's members are a struct of [`Scalar`]s with the vendor's names. Numbers may be written as text, as most log
//! languages do, and `-` or empty text is nothing. Members that are not named are passed over.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::access_line::text_of;
use crate::fault::{Fault, WHOLE_LINE, shown_bytes};
use crate::raw::{Field, RawEvent, Value};
use crate::timestamp::{epoch_ms, iso8601_ms};

/// The line's object.
pub(super) fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_str(text_of(line)?).map_err(|error| explain(&error, WHOLE_LINE, line))
}

/// What `serde_json` says of a line. The field is the one at fault where the JSON itself is right.
pub(super) fn explain(error: &serde_json::Error, field: &'static str, line: &[u8]) -> Fault {
    let text = error.to_string();
    // serde_json ends every message with the place; the line within the line is always 1.
    let what = text.split(" at line ").next().unwrap_or(&text);
    if error.is_data() {
        return Fault::new(field, what);
    }
    Fault::line(format!("is no JSON: {what} at column {}, in {}", error.column(), shown_bytes(line)))
}

/// Any JSON value, as far as a field can be one; null is none.
#[derive(Debug, Default)]
pub(super) struct Scalar<'a>(pub(super) Option<Value<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, a number or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar(None))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Value::Bool(truth))))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Value::Integer(number))))
    }

    #[expect(clippy::cast_precision_loss, reason = "no field takes an integer beyond 2^63: it will be refused")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar(Some(i64::try_from(number).map_or(Value::Number(number as f64), Value::Integer))))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Value::Number(number))))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Value::Text(Cow::Borrowed(text)))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Value::Text(Cow::Owned(text.to_owned())))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar(Some(Value::Other("an array"))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(Some(Value::Other("an object"))))
    }
}

impl<'a> Scalar<'a> {
    /// The value, where the log did not write that there is none.
    pub(super) fn given(self) -> Option<Value<'a>> {
        self.0.filter(|value| !matches!(value, Value::Text(text) if matches!(text.as_ref(), "" | "-")))
    }

    /// The value as [`given`](Self::given), with digits as an integer.
    pub(super) fn number(self) -> Option<Value<'a>> {
        self.given().map(Value::digits_as_integer)
    }

    /// The text, where it is text and [`given`](Self::given).
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self.given() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// This one, or the other where this one says nothing.
    pub(super) fn or(self, other: Self) -> Self {
        let value = self.given();
        if value.is_some() { Self(value) } else { other }
    }

    /// The value, or that the line has no `name`.
    pub(super) fn required(self, field: Field, name: &str) -> Result<Value<'a>, Fault> {
        self.given().ok_or_else(|| Fault::new(field.name(), format!("`{name}` is missing: every request has one")))
    }

    /// The text, or that the line has no `name`.
    pub(super) fn required_text(self, field: Field, name: &str) -> Result<Cow<'a, str>, Fault> {
        match self.required(field, name)? {
            Value::Text(text) => Ok(text),
            other => {
                Err(Fault::new(field.name(), format!("`{name}`: {} is no text: expected a string", other.shown())))
            }
        }
    }

    /// True or false, also as text.
    pub(super) fn truth(&self) -> Option<bool> {
        match &self.0 {
            Some(Value::Bool(truth)) => Some(*truth),
            Some(Value::Text(text)) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is a time with a fraction of a second, of what [`time`](Self::time) takes.
    pub(super) fn is_finer_than_a_second(&self) -> bool {
        match &self.0 {
            Some(Value::Integer(number)) => epoch_ms(*number) != number.saturating_mul(1000),
            Some(Value::Text(text)) => text.contains('.') || text.len() > 10 && text.parse::<i64>().is_ok(),
            Some(Value::Number(_)) => true,
            _ => false,
        }
    }

    /// A time: ISO 8601 with its offset, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970.
    pub(super) fn time(self, name: &str) -> Result<Value<'static>, Fault> {
        let value = self.required(Field::Ts, name)?.digits_as_integer();
        let ms = match &value {
            Value::Integer(number) => Some(epoch_ms(*number)),
            Value::Number(number) => seconds_ms(*number),
            Value::Text(text) => iso8601_ms(text).or_else(|| text.parse().ok().and_then(seconds_ms)),
            Value::Bool(_) | Value::Other(_) => None,
        };
        ms.map(Value::Integer).ok_or_else(|| {
            let expected = "expected ISO 8601, such as `2015-05-17T10:05:03Z`, or a number since 1970";
            Fault::new(Field::Ts.name(), format!("`{name}`: {} is no time: {expected}", value.shown()))
        })
    }
}

/// Seconds since 1970 with their fraction, in whole milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "checked to be within 2^53 milliseconds")]
fn seconds_ms(seconds: f64) -> Option<i64> {
    // To the microsecond first: a fraction such as 0.123 has no exact double, and may lie just below.
    let ms = ((seconds * 1e6).round() / 1e3).floor();
    (ms.abs() < 9e15).then_some(ms as i64)
}

/// Sets the field where there is a value.
pub(super) fn set<'a>(raw: &mut RawEvent<'a>, field: Field, value: Option<Value<'a>>) {
    if let Some(value) = value {
        raw.set(field, value);
    }
}

/// The first of a list of values, as HTTP headers are logged; a value alone is one too.
#[derive(Debug, Default)]
pub(super) struct First<'a>(pub(super) Scalar<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for First<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FirstVisitor)
    }
}

struct FirstVisitor;

impl<'de> Visitor<'de> for FirstVisitor {
    type Value = First<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of strings")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(First::default())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_borrowed_str(text).map(First)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_str(text).map(First)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let first = items.next_element()?.unwrap_or_default();
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(json: &str) -> Result<Value<'static>, Fault> {
        serde_json::from_str::<Scalar<'_>>(json).unwrap().time("t")
    }

    #[test]
    fn a_time_is_told_from_how_it_is_written() {
        let ms = 1_431_857_103_250;
        let times = [
            "1431857103.25",
            "\"1431857103.250\"",
            "1431857103250",
            "\"1431857103250\"",
            "1431857103250000",
            "1431857103250999999",
            "\"2015-05-17T10:05:03.25Z\"",
            "\"2015-05-17T12:05:03.250+0200\"",
        ];
        for json in times {
            assert_eq!(time(json), Ok(Value::Integer(ms)), "{json}");
        }
        assert_eq!(time("1431857103"), Ok(Value::Integer(1_431_857_103_000)));
        assert_eq!(time("1431857103.123"), Ok(Value::Integer(1_431_857_103_123)));
    }

    #[test]
    fn what_is_no_time_is_named() {
        for json in ["true", "[1]", "\"yesterday\"", "1e300", "\"NaN\"", "\"inf\"", "null", "\"-\"", "\"\""] {
            assert_eq!(time(json).unwrap_err().field, "ts", "{json}");
        }
        insta::assert_snapshot!(time("\"17.5.2015\"").unwrap_err(), @"ts: `t`: the text `17.5.2015` is no time: expected ISO 8601, such as `2015-05-17T10:05:03Z`, or a number since 1970");
    }

    #[test]
    fn a_header_is_the_first_of_its_values() {
        let text = |json| serde_json::from_str::<First<'_>>(json).unwrap().0.text();
        assert_eq!(text(r#"["a","b"]"#).as_deref(), Some("a"));
        assert_eq!(text(r#""a\n""#).as_deref(), Some("a\n"));
        assert_eq!((text("[]"), text("null"), text("[[]]")), (None, None, None));
    }
}
