//! The one place where a line's raw fields become a checked event.
//!
//! Every way in (HTTP, files, each format) ends here, so that the contract's limits hold for all of them. The first
//! fault found, in the contract's order of fields, is the line's reason. Empty text counts as a missing field.

use std::borrow::Cow;
use std::collections::HashSet;

use chrono::{DateTime, SecondsFormat};
use tally_storage::clock::Clock;
use tally_storage::events::requests::{MAX_BYTES, RequestEvent, Service};

use crate::base_url::BaseUrl;
use crate::cache_words::cache_state;
use crate::fault::{Fault, shown};
use crate::raw::{Field, RawEvent, Value};
use crate::sdk::{derive_sdk, is_name_and_version};
use crate::timestamp;

/// Longest URL, in bytes.
pub const MAX_URL_BYTES: usize = 8 * 1024;
/// Longest user agent, in bytes.
pub const MAX_USER_AGENT_BYTES: usize = 4 * 1024;
/// Longest event id, in characters.
pub const MAX_ID_CHARS: usize = 128;
/// The first moment that is accepted: 2000-01-01 UTC, in milliseconds since 1970.
pub const EARLIEST_MS: i64 = 946_684_800_000;
/// How far ahead of the clock an event may be, in milliseconds.
pub const MAX_AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

const NO_USER_AGENT: &str = "-";
const DEFAULT_METHOD: &str = "GET";

/// What events are checked against, beside the contract itself.
#[derive(Debug, Clone)]
pub struct Rules {
    /// API keys of the organization's stacks; none where somebody else checks them, as the server does for a client.
    pub stacks: Option<HashSet<String>>,
    /// What time it is.
    pub clock: Clock,
    /// The service of a line that names none.
    pub service: Service,
    /// What goes before logged paths.
    pub base_url: Option<BaseUrl>,
}

impl Rules {
    /// The contract's defaults, for events of an organization with these stacks.
    #[must_use]
    pub fn new(stacks: HashSet<String>, clock: Clock) -> Self {
        Self { stacks: Some(stacks), clock, service: Service::Cdn, base_url: None }
    }

    /// The checks as they are at this moment.
    pub(crate) fn now(&self) -> Checks<'_> {
        Checks { rules: self, latest_ms: self.clock.now_ms().saturating_add(MAX_AHEAD_MS) }
    }
}

/// [`Rules`] with the clock read once, for a block of lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checks<'r> {
    rules: &'r Rules,
    latest_ms: i64,
}

impl Checks<'_> {
    /// The event that the fields describe, or what is wrong with them.
    pub(crate) fn event<'e>(&self, raw: &'e mut RawEvent<'_>) -> Result<RequestEvent<'e>, Fault> {
        self.complete_url(raw);
        let raw = &*raw;
        let ts_ms = self.ts(raw)?;
        let url = short_text(raw, Field::Url, MAX_URL_BYTES)?.ok_or_else(|| missing(Field::Url))?;
        let status = status(raw)?;
        let service = self.service(raw)?;
        let api_key = self.api_key(raw)?;
        let method = text(raw, Field::Method)?.unwrap_or(DEFAULT_METHOD);
        let bytes = bytes(raw)?;
        let cache = text(raw, Field::Cache)?.and_then(|word| cache_state(word, service));
        let user_agent = short_text(raw, Field::UserAgent, MAX_USER_AGENT_BYTES)?;
        let x_user_agent = text(raw, Field::XUserAgent)?;
        Ok(RequestEvent {
            ts_ms,
            url,
            service,
            status,
            method,
            bytes,
            api_key,
            cache,
            user_agent: user_agent.unwrap_or(NO_USER_AGENT),
            sdk: sdk(raw)?.or_else(|| derive_sdk(user_agent, x_user_agent)),
            duration_ms: duration_ms(raw)?,
            project_uid: text(raw, Field::ProjectUid)?,
            environment_uid: text(raw, Field::EnvironmentUid)?,
            domain: text(raw, Field::Domain)?,
            id: id(raw)?,
        })
    }

    fn complete_url(&self, raw: &mut RawEvent<'_>) {
        let (Some(base), Some(Value::Text(url))) = (&self.rules.base_url, raw.get(Field::Url)) else { return };
        if let Cow::Owned(whole) = base.before(url) {
            raw.set_text(Field::Url, whole);
        }
    }

    fn ts(&self, raw: &RawEvent<'_>) -> Result<i64, Fault> {
        let value = raw.get(Field::Ts).ok_or_else(|| missing(Field::Ts))?;
        let read = match value {
            Value::Integer(ms) => Some(*ms),
            Value::Text(text) => timestamp::rfc3339_ms(text),
            Value::Number(_) | Value::Bool(_) | Value::Other(_) => None,
        };
        let ts_ms = read.ok_or_else(|| {
            let expected = "expected RFC 3339, such as `2015-05-17T10:05:03Z`, or integer epoch milliseconds";
            Fault::new(Field::Ts.name(), format!("{} is no time: {expected}", value.shown()))
        })?;
        if ts_ms < EARLIEST_MS {
            // Seconds since 1970 taken for milliseconds are by far the most frequent mistake.
            let seconds = matches!(value, Value::Integer(number) if *number >= EARLIEST_MS / 1000);
            let hint = if seconds { "; epoch times are in milliseconds, not seconds" } else { "" };
            return Err(Fault::new(Field::Ts.name(), format!("`{}` is before 2000-01-01{hint}", readable(ts_ms))));
        }
        if ts_ms > self.latest_ms {
            return Err(Fault::new(Field::Ts.name(), format!("`{}` is over 24 hours ahead", readable(ts_ms))));
        }
        Ok(ts_ms)
    }

    fn service(&self, raw: &RawEvent<'_>) -> Result<Service, Fault> {
        let Some(name) = text(raw, Field::Service)? else { return Ok(self.rules.service) };
        Service::from_name(name).ok_or_else(|| {
            let names = Service::ALL.map(Service::as_str).join(", ");
            Fault::new(Field::Service.name(), format!("{} is no service: expected one of {names}", shown(name)))
        })
    }

    fn api_key<'e>(&self, raw: &'e RawEvent<'_>) -> Result<Option<&'e str>, Fault> {
        let Some(key) = text(raw, Field::ApiKey)? else { return Ok(None) };
        if self.rules.stacks.as_ref().is_some_and(|stacks| !stacks.contains(key)) {
            return Err(Fault::new(Field::ApiKey.name(), format!("{} is no stack of the organization", shown(key))));
        }
        Ok(Some(key))
    }
}

fn readable(ts_ms: i64) -> String {
    DateTime::from_timestamp_millis(ts_ms)
        .map_or_else(|| ts_ms.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn missing(field: Field) -> Fault {
    Fault::new(field.name(), "is missing: every event needs `ts`, `url` and `status`")
}

/// Text without a limit of its own: the line's limit is enough. Empty is missing.
fn text<'e>(raw: &'e RawEvent<'_>, field: Field) -> Result<Option<&'e str>, Fault> {
    match raw.get(field) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.as_ref()).filter(|text| !text.is_empty())),
        Some(other) => Err(Fault::new(field.name(), format!("{} is no text: expected a string", other.shown()))),
    }
}

fn short_text<'e>(raw: &'e RawEvent<'_>, field: Field, max_bytes: usize) -> Result<Option<&'e str>, Fault> {
    match text(raw, field)? {
        Some(long) if long.len() > max_bytes => {
            let reason = format!("{} is {} bytes long: expected at most {max_bytes}", shown(long), long.len());
            Err(Fault::new(field.name(), reason))
        }
        fits => Ok(fits),
    }
}

fn status(raw: &RawEvent<'_>) -> Result<u16, Fault> {
    let value = raw.get(Field::Status).ok_or_else(|| missing(Field::Status))?;
    let status = match value {
        Value::Integer(number) => u16::try_from(*number).ok().filter(|status| (100..=599).contains(status)),
        _ => None,
    };
    status.ok_or_else(|| {
        let reason = format!("{} is no HTTP status: expected an integer from 100 to 599", value.shown());
        Fault::new(Field::Status.name(), reason)
    })
}

fn bytes(raw: &RawEvent<'_>) -> Result<u64, Fault> {
    let Some(value) = raw.get(Field::Bytes) else { return Ok(0) };
    let size = match value {
        Value::Integer(number) => u64::try_from(*number).ok().filter(|size| *size <= MAX_BYTES),
        _ => None,
    };
    size.ok_or_else(|| {
        let reason = format!("{} is no size: expected an integer from 0 to {MAX_BYTES}", value.shown());
        Fault::new(Field::Bytes.name(), reason)
    })
}

#[expect(clippy::cast_precision_loss, reason = "a duration beyond 2^53 ms may lose its last digits")]
fn duration_ms(raw: &RawEvent<'_>) -> Result<Option<f64>, Fault> {
    let Some(value) = raw.get(Field::DurationMs) else { return Ok(None) };
    match value {
        Value::Integer(number @ 0..) => Ok(Some(*number as f64)),
        Value::Number(number) if *number >= 0.0 && number.is_finite() => Ok(Some(*number)),
        other => {
            let reason = format!("{} is no duration: expected milliseconds, 0 or more", other.shown());
            Err(Fault::new(Field::DurationMs.name(), reason))
        }
    }
}

fn sdk<'e>(raw: &'e RawEvent<'_>) -> Result<Option<&'e str>, Fault> {
    match text(raw, Field::Sdk)? {
        Some(text) if !is_name_and_version(text) => {
            Err(Fault::new(Field::Sdk.name(), format!("{} is no SDK: expected `name/version`", shown(text))))
        }
        sdk => Ok(sdk),
    }
}

fn id<'e>(raw: &'e RawEvent<'_>) -> Result<Option<&'e str>, Fault> {
    match text(raw, Field::Id)? {
        Some(text) if text.len() > MAX_ID_CHARS && text.chars().count() > MAX_ID_CHARS => {
            let reason = format!("{} is too long: expected at most {MAX_ID_CHARS} characters", shown(text));
            Err(Fault::new(Field::Id.name(), reason))
        }
        id => Ok(id),
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
