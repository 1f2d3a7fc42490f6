//! Any `log_format` of nginx, given as its string: `--format '$remote_addr [$time_local] "$request" $status'`.
//!
//! The string is compiled once into literals and variables. A variable reaches to the literal after it, so two
//! variables need something between them. Variables that say nothing about an event are skipped.

use std::borrow::Cow;
use std::str::FromStr;

use memchr::memmem::Finder;

use super::Format;
use super::access_line::{clf_time, cut_off, set_request, size, text_of, unescaped};
use super::seconds::{epoch_seconds, seconds_as_ms};
use super::whole_url::domain;
use super::x_cache::cache_word;
use crate::fault::Fault;
use crate::raw::{Field, RawEvent, Value};

mod variable;

use variable::Variable;

/// A compiled `log_format`.
#[derive(Debug, Clone)]
pub struct LogFormat {
    /// What a line begins with.
    prefix: String,
    parts: Vec<Part>,
}

/// A variable and the literal that ends it; none at the end of the line.
#[derive(Debug, Clone)]
struct Part {
    name: String,
    variable: Variable,
    until: Option<Finder<'static>>,
}

/// A `log_format` that no event can be read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFormatError {
    /// Nothing stands between two variables.
    #[error("log_format: nothing stands between `${0}` and `${1}`, so a line cannot be cut there")]
    Adjacent(String, String),
    /// `$` without a name.
    #[error("log_format: a `$` is followed by no variable's name")]
    Nameless,
    /// A required field has no variable.
    #[error("log_format: no variable gives the {what}; expected {expected}")]
    Missing {
        /// What an event needs.
        what: &'static str,
        /// The variables that give it.
        expected: &'static str,
    },
}

impl FromStr for LogFormat {
    type Err = LogFormatError;

    fn from_str(format: &str) -> Result<Self, LogFormatError> {
        let mut pieces = format.split('$');
        let prefix = pieces.next().unwrap_or_default().to_owned();
        let mut parts: Vec<Part> = Vec::new();
        for piece in pieces {
            let (name, literal) = name_and_literal(piece).ok_or(LogFormatError::Nameless)?;
            if let Some(before) = parts.last().filter(|before| before.until.is_none()) {
                return Err(LogFormatError::Adjacent(before.name.clone(), name.to_owned()));
            }
            let until = (!literal.is_empty()).then(|| Finder::new(literal.as_bytes()).into_owned());
            parts.push(Part { name: name.to_owned(), variable: Variable::from_name(name), until });
        }
        let compiled = Self { prefix, parts };
        compiled.require("time", "`$time_local`, `$time_iso8601` or `$msec`", Variable::is_time)?;
        compiled.require("URL", "`$request`, `$request_uri` or `$uri`", |variable| {
            matches!(variable, Variable::Request | Variable::RequestUri | Variable::Path)
        })?;
        compiled.require("status", "`$status`", |variable| variable == Variable::Status)?;
        Ok(compiled)
    }
}

/// Cuts `status "` into the name and what follows it; `{status}` is a name too.
fn name_and_literal(piece: &str) -> Option<(&str, &str)> {
    if let Some(braced) = piece.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = piece.find(|c| !is_name(c)).unwrap_or(piece.len());
    (end > 0).then(|| piece.split_at(end))
}

impl LogFormat {
    fn require(
        &self,
        what: &'static str,
        expected: &'static str,
        gives: impl Fn(Variable) -> bool,
    ) -> Result<(), LogFormatError> {
        let found = self.parts.iter().any(|part| gives(part.variable));
        found.then_some(()).ok_or(LogFormatError::Missing { what, expected })
    }
}

impl Format for LogFormat {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn describe(&self) -> &'static str {
        "a log_format of nginx"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let text = text_of(line)?;
        let mut rest =
            text.strip_prefix(&self.prefix).ok_or_else(|| cut_off("what lines of the log_format begin with"))?;
        let mut fields = Fields::default();
        for part in &self.parts {
            let (value, after) = part.cut(rest).ok_or_else(|| cut_off(&format!("what follows `${}`", part.name)))?;
            fields.set(part.variable, value)?;
            rest = after;
        }
        match rest {
            "" => fields.finish(),
            more => Err(Fault::line(format!("goes on with {} after the log_format's end", crate::fault::shown(more)))),
        }
    }
}

impl Part {
    /// The variable's value, and what follows its literal.
    fn cut<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let Some(until) = &self.until else { return Some((text, "")) };
        let mut from = 0;
        loop {
            let at = from + until.find(text.as_bytes().get(from..)?)?;
            let value = &text[..at];
            if !self.goes_on(value, until.needle()) {
                return Some((value, &text[at + until.needle().len()..]));
            }
            from = at + 1;
        }
    }

    /// Whether the literal found after `value` is a part of the value.
    fn goes_on(&self, value: &str, literal: &[u8]) -> bool {
        let backslashes = value.bytes().rev().take_while(|byte| *byte == b'\\').count();
        let escaped_quote = literal.first() == Some(&b'"') && backslashes % 2 == 1;
        // nginx lists the answers of several upstreams as `0.001, 0.002 : 0.003`.
        let in_list = self.name.starts_with("upstream_")
            && literal.first() == Some(&b' ')
            && (value.ends_with([',', ':']) || value.ends_with(' '));
        escaped_quote || in_list
    }
}

/// A line's values on their way into fields. Some fields are made of several variables, in any order.
#[derive(Debug, Default)]
struct Fields<'a> {
    raw: RawEvent<'a>,
    request: Option<&'a str>,
    method: Option<&'a str>,
    uri: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    arguments: Option<&'a str>,
    scheme: Option<&'a str>,
    host: Option<&'a str>,
    all_bytes: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn set(&mut self, variable: Variable, value: &'a str) -> Result<(), Fault> {
        let given = Some(value).filter(|value| !matches!(*value, "-" | ""));
        match variable {
            Variable::TimeLocal => self.raw.set(Field::Ts, clf_time(value)?),
            Variable::TimeIso8601 => self.raw.set_text(Field::Ts, value),
            Variable::Msec => self.raw.set(Field::Ts, epoch_seconds(value)?),
            Variable::Request => self.request = Some(value),
            Variable::Method => self.method = given,
            Variable::RequestUri => self.uri = given.map(unescaped),
            Variable::Path => self.path = given.map(unescaped),
            Variable::Arguments => self.arguments = given,
            Variable::Scheme => self.scheme = given,
            Variable::Host => self.host = given,
            Variable::Status => self.raw.set(Field::Status, Value::digits(value)),
            Variable::BodyBytes => self.raw.set(Field::Bytes, size(value)),
            Variable::AllBytes => self.all_bytes = Some(value),
            Variable::RequestTime => self.set_given(Field::DurationMs, given.map(seconds_as_ms)),
            Variable::Cache => self.raw.set_text(Field::Cache, cache_word(unescaped(value))),
            Variable::Text(field) => self.set_given(field, given.map(|text| Value::Text(unescaped(text)))),
            Variable::Skipped => {}
        }
        Ok(())
    }

    fn set_given(&mut self, field: Field, value: Option<Value<'a>>) {
        if let Some(value) = value {
            self.raw.set(field, value);
        }
    }

    fn finish(mut self) -> Result<RawEvent<'a>, Fault> {
        if let Some(bytes) = self.all_bytes.filter(|_| self.raw.get(Field::Bytes).is_none()) {
            self.raw.set(Field::Bytes, size(bytes));
        }
        let url = self.uri.take().or_else(|| self.path_with_arguments());
        match (url, self.request) {
            (Some(url), _) => self.raw.set_text(Field::Url, url),
            (None, Some(request)) => set_request(&mut self.raw, unescaped(request))?,
            (None, None) => {}
        }
        if let Some(method) = self.method {
            self.raw.set_text(Field::Method, method);
        }
        if let Some(host) = self.host {
            self.raw.set_text(Field::Domain, domain(host.into()));
        }
        self.complete_url();
        Ok(self.raw)
    }

    fn path_with_arguments(&mut self) -> Option<Cow<'a, str>> {
        let path = self.path.take()?;
        Some(match self.arguments {
            Some(arguments) => Cow::Owned(format!("{path}?{}", unescaped(arguments))),
            None => path,
        })
    }

    /// A path becomes a whole URL where the log says scheme and host.
    fn complete_url(&mut self) {
        let (Some(scheme), Some(host), Some(Value::Text(url))) = (self.scheme, self.host, self.raw.get(Field::Url))
        else {
            return;
        };
        if url.starts_with('/') {
            let whole = format!("{scheme}://{host}{url}");
            self.raw.set_text(Field::Url, whole);
        }
    }
}

#[cfg(test)]
#[path = "nginx_tests.rs"]
mod tests;
