//! What the formats of the W3C's extended log file share: columns that a `#Fields` line names, and may name anew in the
//! middle of a file.
//!
//! A line that begins with `#` is a directive. `#Fields` names the columns of the lines after it; `#Date` says their
//! date where no column does. A line that has more or fewer columns than were named is refused: it is cut off, or its
//! header is missing. How values are escaped is each format's own, its [`Dialect`].

use std::borrow::Cow;
use std::fmt;

use super::access_line::{cut_off, size, text_of};
use super::whole_url::UrlParts;
use super::x_cache::cache_word;
use crate::fault::{Fault, shown};
use crate::raw::{Field, RawEvent, Value};
use crate::timestamp::date_and_time_ms;

/// What directives begin with.
pub(super) const MARK: u8 = b'#';

/// What a column gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Date,
    Time,
    Method,
    /// A whole URL, or path and arguments.
    Uri,
    Path,
    Arguments,
    Scheme,
    /// The host that the client asked for, where it may differ from the next.
    AskedHost,
    Host,
    Status,
    Bytes,
    TimeTaken,
    UserAgent,
    Cache,
    /// Text of a field, where `-` is none.
    Text(Field),
    /// Nothing about an event.
    Skipped,
}

impl Column {
    fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "date" => Self::Date,
            "time" => Self::Time,
            "cs-method" => Self::Method,
            "cs-uri" => Self::Uri,
            "cs-uri-stem" => Self::Path,
            "cs-uri-query" => Self::Arguments,
            "cs-protocol" => Self::Scheme,
            "x-host-header" => Self::AskedHost,
            "cs-host" | "cs(host)" => Self::Host,
            "sc-status" => Self::Status,
            "sc-bytes" => Self::Bytes,
            "time-taken" => Self::TimeTaken,
            "cs(user-agent)" => Self::UserAgent,
            "x-edge-result-type" | "x-cache" | "sc(x-cache)" => Self::Cache,
            "cs(x-user-agent)" => Self::Text(Field::XUserAgent),
            "cs(api_key)" => Self::Text(Field::ApiKey),
            "x-edge-request-id" => Self::Text(Field::Id),
            _ => Self::Skipped,
        }
    }
}

/// What the directives so far say of the lines after them.
#[derive(Debug, Clone, Default)]
pub(super) struct Directives {
    columns: Option<Vec<Column>>,
    date: Option<String>,
}

/// How a format writes the values.
pub(super) struct Dialect {
    /// What stands between columns.
    pub(super) separator: char,
    /// A text as the client sent it.
    pub(super) text: fn(&str) -> Cow<'_, str>,
    /// A path, or arguments, as the client sent them.
    pub(super) path: fn(&str) -> Cow<'_, str>,
    /// A duration in milliseconds.
    pub(super) duration: fn(&str) -> Value<'_>,
}

impl fmt::Debug for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dialect").field("separator", &self.separator).finish_non_exhaustive()
    }
}

impl Directives {
    /// None yet.
    pub(super) const NONE: Self = Self { columns: None, date: None };

    /// These and one more; none where that one changes nothing.
    pub(super) fn and(&self, directive: &[u8]) -> Option<Self> {
        let (name, value) = parted(directive)?;
        match name.as_str() {
            "fields" => Some(Self { columns: Some(columns(value)), date: self.date.clone() }),
            "date" => {
                let date = value.split_whitespace().next()?.to_owned();
                Some(Self { columns: self.columns.clone(), date: Some(date) })
            }
            _ => None,
        }
    }

    /// What no column gives, though every event needs it.
    fn missing(&self, columns: &[Column]) -> Option<&'static str> {
        let has = |column| columns.contains(&column);
        let needs = [
            (has(Column::Date) || self.date.is_some(), "`date`"),
            (has(Column::Time), "`time`"),
            (has(Column::Path) || has(Column::Uri), "`cs-uri-stem`"),
            (has(Column::Status), "`sc-status`"),
        ];
        needs.into_iter().find(|(given, _)| !given).map(|(_, name)| name)
    }

    /// The event of a line.
    pub(super) fn event<'a>(&self, line: &'a [u8], dialect: &Dialect) -> Result<RawEvent<'a>, Fault> {
        let text = text_of(line)?;
        let Some(columns) = &self.columns else {
            return Err(Fault::line("has no `#Fields` line before it, which names the columns"));
        };
        if let Some(name) = self.missing(columns) {
            return Err(Fault::line(format!("cannot be read: the `#Fields` line before it names no {name}")));
        }
        let mut values = Values::default();
        let mut rest = Some(text);
        for (number, column) in columns.iter().enumerate() {
            let Some(from) = rest else {
                return Err(cut_off(&format!("column {} of {}", number + 1, columns.len())));
            };
            let (value, after) = next_value(from, dialect.separator)?;
            values.set(*column, value, dialect);
            rest = after;
        }
        match rest.map(|more| more.trim_matches(dialect.separator)) {
            None | Some("") => values.finish(self.date.as_deref()),
            Some(more) => Err(Fault::line(format!("goes on with {} after {} columns", shown(more), columns.len()))),
        }
    }
}

/// Whether the line is one of these directives, whose names are in lower case.
pub(super) fn is_directive(line: &[u8], names: &[&str]) -> bool {
    parted(line).is_some_and(|(name, _)| names.contains(&name.as_str()))
}

/// A directive's name in lower case, and its value.
fn parted(directive: &[u8]) -> Option<(String, &str)> {
    let (name, value) = std::str::from_utf8(directive).ok()?.strip_prefix('#')?.split_once(':')?;
    Some((name.to_ascii_lowercase(), value))
}

fn columns(names: &str) -> Vec<Column> {
    names.split_whitespace().map(Column::from_name).collect()
}

/// The first value and what follows it. Between quotes a separator is a part of the value, and `""` is a quote. Where a quote
/// that would close goes on, all of them are only what the value is made of: IIS writes what a client sent as it is.
fn next_value(text: &str, separator: char) -> Result<(Cow<'_, str>, Option<&str>), Fault> {
    let plain = || match text.split_once(separator) {
        Some((value, rest)) => (Cow::Borrowed(value), Some(rest)),
        None => (Cow::Borrowed(text), None),
    };
    let Some(inner) = text.strip_prefix('"') else { return Ok(plain()) };
    let mut from = 0;
    loop {
        let end = from + memchr::memchr(b'"', &inner.as_bytes()[from..]).ok_or_else(|| cut_off("a closing quote"))?;
        let rest = &inner[end + 1..];
        if rest.starts_with('"') {
            from = end + 2;
            continue;
        }
        let after = rest.strip_prefix(separator);
        if after.is_none() && !rest.is_empty() {
            return Ok(plain());
        }
        let value = &inner[..end];
        let value = if value.contains('"') { Cow::Owned(value.replace("\"\"", "\"")) } else { Cow::Borrowed(value) };
        return Ok((value, after));
    }
}

/// A line's values on their way into fields. Some fields are made of several columns, in any order.
#[derive(Debug, Default)]
struct Values<'a> {
    raw: RawEvent<'a>,
    url: UrlParts<'a>,
    date: Option<Cow<'a, str>>,
    time: Option<Cow<'a, str>>,
    asked_host: Option<Cow<'a, str>>,
}

impl<'a> Values<'a> {
    fn set(&mut self, column: Column, value: Cow<'a, str>, dialect: &Dialect) {
        match column {
            Column::Skipped => return,
            Column::Status => return self.raw.set(Field::Status, Value::Text(value).digits_as_integer()),
            Column::Date => return self.date = Some(value),
            Column::Time => return self.time = Some(value),
            _ if matches!(value.as_ref(), "-" | "") => return,
            _ => {}
        }
        match column {
            Column::Method => self.raw.set_text(Field::Method, value),
            Column::Uri | Column::Path => self.url.path = decoded(value, dialect.path),
            Column::Arguments => self.url.arguments = Some(decoded(value, dialect.path)),
            Column::Scheme => self.url.scheme = Some(value),
            Column::AskedHost => self.asked_host = Some(value),
            Column::Host => self.url.host = Some(value),
            Column::Bytes => self.raw.set(Field::Bytes, number(value, size)),
            Column::TimeTaken => self.raw.set(Field::DurationMs, number(value, dialect.duration)),
            Column::UserAgent => self.raw.set_text(Field::UserAgent, decoded(value, dialect.text)),
            Column::Cache => self.raw.set_text(Field::Cache, cache_word(value)),
            Column::Text(field) => self.raw.set_text(field, decoded(value, dialect.text)),
            Column::Date | Column::Time | Column::Status | Column::Skipped => {}
        }
    }

    fn finish(mut self, date_before: Option<&str>) -> Result<RawEvent<'a>, Fault> {
        let date = self.date.as_deref().or(date_before).unwrap_or_default();
        let time = self.time.as_deref().unwrap_or_default();
        let ms = date_and_time_ms(date, time).ok_or_else(|| {
            let given = shown(&format!("{date} {time}"));
            Fault::new(Field::Ts.name(), format!("{given} is no time: expected `2015-05-17 10:05:03`"))
        })?;
        self.raw.set(Field::Ts, Value::Integer(ms));
        let host = self.asked_host.or(self.url.host);
        UrlParts { host, ..self.url }.set(&mut self.raw);
        Ok(self.raw)
    }
}

fn decoded(value: Cow<'_, str>, decode: fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(text) => decode(text),
        Cow::Owned(text) => Cow::Owned(decode(&text).into_owned()),
    }
}

/// The number that `read` finds in the value. A value with quotes in it is none.
fn number(value: Cow<'_, str>, read: fn(&str) -> Value<'_>) -> Value<'_> {
    match value {
        Cow::Borrowed(text) => read(text),
        Cow::Owned(text) => Value::Text(Cow::Owned(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_separators_and_doubled_quotes() {
        assert_eq!(next_value("a b", ' '), Ok(("a".into(), Some("b"))));
        assert_eq!(next_value(r#""a b" c"#, ' '), Ok(("a b".into(), Some("c"))));
        assert_eq!(next_value(r#""say ""hi""""#, ' '), Ok((r#"say "hi""#.into(), None)));
        assert_eq!(next_value("", ' '), Ok(("".into(), None)));
        for broken in [r#"""#, r#""a"#, r#""a"""#] {
            assert!(next_value(broken, ' ').is_err(), "{broken}");
        }
    }

    #[test]
    fn quotes_that_close_nothing_are_a_part_of_the_value() {
        let script = r#""><script>alert("x")</script>"#;
        assert_eq!(next_value(script, ' '), Ok((script.into(), None)));
        assert_eq!(next_value(r#""a"b c"#, ' '), Ok((r#""a"b"#.into(), Some("c"))));
        assert_eq!(next_value(r#"a" b"c"#, ' '), Ok((r#"a""#.into(), Some(r#"b"c"#))));
    }

    #[test]
    fn directives_add_up_and_others_change_nothing() {
        let date = Directives::NONE.and(b"#Date: 2015-05-17 10:00:00").unwrap();
        assert_eq!((date.date.as_deref(), date.columns.as_deref()), (Some("2015-05-17"), None));
        let missing = |directives: &Directives| {
            let directives = directives.and(b"#Fields: time cs-uri-stem sc-status").unwrap();
            directives.missing(directives.columns.as_deref().unwrap())
        };
        assert_eq!((missing(&date), missing(&Directives::NONE)), (None, Some("`date`")));
        for other in ["#Version: 1.0", "#Software: x", "#", "#Date:", "#Fields", "# Fields to come"] {
            assert!(date.and(other.as_bytes()).is_none(), "{other}");
        }
        assert!(date.and(b"#Fields: \xff").is_none());
    }
}
