//! Tally's own lines: one JSON object each, under the field names of the ingest contract.
//!
//! Lines of the common shape, which nearly all are, take the short way of `flat_object.rs`. Any other is read by a visitor
//! straight into borrowed text, without an intermediate JSON value. Fields that the contract does not know are skipped and
//! counted.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::json_line::{Scalar, explain};
use super::{Format, flat_object};
use crate::fault::{Fault, WHOLE_LINE};
use crate::raw::{Field, RawEvent};

/// The format.
#[derive(Debug, Clone, Copy)]
pub struct Ndjson;

impl Format for Ndjson {
    fn name(&self) -> &'static str {
        "ndjson"
    }

    fn describe(&self) -> &'static str {
        "Tally's own: one JSON object a line"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        flat_object::read(line).map_or_else(|| parsed_by_serde(line), Ok)
    }

    fn claims(&self, line: &[u8]) -> bool {
        self.parse(line).is_ok_and(|raw| raw.get(Field::Ts).is_some() && raw.get(Field::Url).is_some())
    }
}

/// The fields of any line, or what is wrong with it.
pub(super) fn parsed_by_serde(line: &[u8]) -> Result<RawEvent<'_>, Fault> {
    let field = Cell::new(WHOLE_LINE);
    let mut reader = serde_json::Deserializer::from_slice(line);
    let parsed = Object(&field).deserialize(&mut reader).and_then(|raw| reader.end().map(|()| raw));
    parsed.map_err(|error| explain(&error, field.get(), line))
}

/// Reads one object; the cell says which field is being read, for the fault.
struct Object<'c>(&'c Cell<&'static str>);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = RawEvent<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawEvent<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = RawEvent<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with `ts`, `url` and `status`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<RawEvent<'de>, A::Error> {
        let mut raw = RawEvent::default();
        let mut seen = [false; Field::ALL.len()];
        while let Some(Key(field)) = fields.next_key()? {
            let Some(field) = field else {
                fields.next_value::<IgnoredAny>()?;
                raw.unknown_fields += 1;
                continue;
            };
            self.0.set(field.name());
            if std::mem::replace(&mut seen[field as usize], true) {
                return Err(A::Error::custom("is given twice"));
            }
            if let Scalar(Some(value)) = fields.next_value()? {
                raw.set(field, value);
            }
            self.0.set(WHOLE_LINE);
        }
        Ok(raw)
    }
}

/// The name of a field, if it is one.
struct Key(Option<Field>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
        Ok(Key(Field::from_name(text)))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::raw::Value;

    fn parse(line: &str) -> String {
        match Ndjson.parse(line.as_bytes()) {
            Ok(raw) => format!("{raw:#?}"),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn every_field_of_the_contract_is_read() {
        let line = r#"{"ts":"2015-05-17T10:05:03Z","url":"/a\"b","status":200,"service":"cma","api_key":"k","method":"PUT",
            "bytes":12,"cache":"HIT","user_agent":"curl/8","sdk":"a/1","x_user_agent":"b/2","duration_ms":1.5,
            "project_uid":"p","environment_uid":"e","domain":"d","id":"i","referrer":["x",{"y":null}]}"#;
        insta::assert_snapshot!(parse(line));
    }

    #[test]
    fn text_without_escapes_is_borrowed_from_the_line() {
        let raw = Ndjson.parse(br#"{"url":"/plain"}"#).unwrap();
        assert!(matches!(raw.get(Field::Url), Some(Value::Text(Cow::Borrowed("/plain")))));
    }

    #[test]
    fn null_is_a_missing_field() {
        assert_eq!(Ndjson.parse(br#"{"ts":null}"#).unwrap(), RawEvent::default());
    }

    #[test]
    fn what_is_no_event_says_why() {
        let lines = [
            "",
            "null",
            "[]",
            "1",
            "{",
            r#"{"ts":1"#,
            r#"{"ts":1,}"#,
            r#"{"ts":1} x"#,
            r#"{"ts":1}{"ts":2}"#,
            r#"{"ts":1,"ts":2}"#,
            r#"{"url":null,"url":"/"}"#,
            "{\"url\":\"a\u{1}b\"}",
            r#"{"url":"\ud800"}"#,
            r#"{"ts":1e999}"#,
            r#"{"ts":01}"#,
        ];
        let faults: Vec<String> = lines.iter().map(|line| format!("{line:?}\n  {}", parse(line))).collect();
        insta::assert_snapshot!(faults.join("\n"));
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused() {
        let fault = Ndjson.parse(b"{\"url\":\"/\xff\"}").unwrap_err();
        assert_eq!(fault.field, WHOLE_LINE);
    }

    #[test]
    fn nesting_without_end_is_refused_and_does_no_harm() {
        let deep = format!(r#"{{"x":{}"#, "[".repeat(60_000));
        assert!(Ndjson.parse(deep.as_bytes()).is_err());
    }
}
