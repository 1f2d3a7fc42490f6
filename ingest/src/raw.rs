//! One line's fields as a format found them: named, but not yet checked.

use std::borrow::Cow;
use std::fmt;

use crate::fault::shown;

/// A field of the ingest contract, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of the ingest contract, under their names there")]
pub enum Field {
    Ts,
    Url,
    Status,
    Service,
    ApiKey,
    Method,
    Bytes,
    Cache,
    UserAgent,
    Sdk,
    XUserAgent,
    DurationMs,
    ProjectUid,
    EnvironmentUid,
    Domain,
    Id,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 16] = [
        Self::Ts,
        Self::Url,
        Self::Status,
        Self::Service,
        Self::ApiKey,
        Self::Method,
        Self::Bytes,
        Self::Cache,
        Self::UserAgent,
        Self::Sdk,
        Self::XUserAgent,
        Self::DurationMs,
        Self::ProjectUid,
        Self::EnvironmentUid,
        Self::Domain,
        Self::Id,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ts => "ts",
            Self::Url => "url",
            Self::Status => "status",
            Self::Service => "service",
            Self::ApiKey => "api_key",
            Self::Method => "method",
            Self::Bytes => "bytes",
            Self::Cache => "cache",
            Self::UserAgent => "user_agent",
            Self::Sdk => "sdk",
            Self::XUserAgent => "x_user_agent",
            Self::DurationMs => "duration_ms",
            Self::ProjectUid => "project_uid",
            Self::EnvironmentUid => "environment_uid",
            Self::Domain => "domain",
            Self::Id => "id",
        }
    }

    /// The field of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ts" => Self::Ts,
            "url" => Self::Url,
            "status" => Self::Status,
            "service" => Self::Service,
            "api_key" => Self::ApiKey,
            "method" => Self::Method,
            "bytes" => Self::Bytes,
            "cache" => Self::Cache,
            "user_agent" => Self::UserAgent,
            "sdk" => Self::Sdk,
            "x_user_agent" => Self::XUserAgent,
            "duration_ms" => Self::DurationMs,
            "project_uid" => Self::ProjectUid,
            "environment_uid" => Self::EnvironmentUid,
            "domain" => Self::Domain,
            "id" => Self::Id,
            _ => return None,
        })
    }
}

/// A field's value. What a log writes as digits is an [`Integer`](Self::Integer), as in JSON.
#[derive(Clone, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, or one that no integer holds.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// Text, unescaped.
    Text(Cow<'a, str>),
    /// Something that no field can be, by its kind: `an array`.
    Other(&'static str),
}

impl<'a> Value<'a> {
    /// Digits as an integer, and anything else as text, for the checks to refuse.
    pub(crate) fn digits(text: &'a str) -> Self {
        let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if all_digits => Self::Integer(number),
            _ => Self::Text(Cow::Borrowed(text)),
        }
    }

    /// Text of digits as an integer, as [`digits`](Self::digits) does; anything else as it is.
    pub(crate) fn digits_as_integer(self) -> Self {
        match &self {
            Self::Text(text) => match Value::digits(text) {
                Value::Integer(number) => Self::Integer(number),
                _ => self,
            },
            _ => self,
        }
    }

    /// The value as a fault's reason repeats it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Integer(number) => format!("`{number}`"),
            Self::Number(number) => format!("`{number}`"),
            Self::Bool(truth) => format!("`{truth}`"),
            Self::Text(text) if text.is_empty() => "empty text".to_owned(),
            Self::Text(text) => format!("the text {}", shown(text)),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Number(number) => write!(formatter, "{number:?}"),
            Self::Bool(truth) => write!(formatter, "{truth}"),
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::Other(kind) => write!(formatter, "<{kind}>"),
        }
    }
}

/// What a format read from one line. Every field may be missing; [`crate::event`] knows which may not.
#[derive(Clone, Default, PartialEq)]
pub struct RawEvent<'a> {
    values: [Option<Value<'a>>; Field::ALL.len()],
    /// Fields that the contract does not know.
    pub unknown_fields: u64,
}

impl<'a> RawEvent<'a> {
    /// The field's value, if the line has one.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&Value<'a>> {
        self.values[field as usize].as_ref()
    }

    /// Sets the field, over any value it had.
    pub fn set(&mut self, field: Field, value: Value<'a>) {
        self.values[field as usize] = Some(value);
    }

    /// Sets the field to text.
    pub(crate) fn set_text(&mut self, field: Field, text: impl Into<Cow<'a, str>>) {
        self.set(field, Value::Text(text.into()));
    }
}

impl fmt::Debug for RawEvent<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = Field::ALL.into_iter().filter_map(|field| Some((field.name(), self.get(field)?)));
        let mut map = formatter.debug_map();
        map.entries(given);
        if self.unknown_fields > 0 {
            map.entry(&"unknown_fields", &self.unknown_fields);
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_and_has_its_own_place() {
        for (place, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(Field::from_name(field.name()), Some(field));
            assert_eq!(field as usize, place);
        }
        assert_eq!(Field::from_name("statu"), None);
    }

    #[test]
    fn digits_are_a_number_and_signs_are_not() {
        assert_eq!(Value::digits("0200"), Value::Integer(200));
        assert_eq!(Value::digits("+200"), Value::Text("+200".into()));
        assert_eq!(Value::digits("99999999999999999999"), Value::Text("99999999999999999999".into()));
    }
}
