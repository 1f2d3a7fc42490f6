//! Request events as plain values, and as the lines that carry them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// An event as a client sends it. What is `None` is left out of its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) ts_ms: i64,
    pub(crate) url: String,
    pub(crate) status: u16,
    pub(crate) service: &'static str,
    /// The organization's stack of that number.
    pub(crate) stack: Option<usize>,
    pub(crate) bytes: u64,
    pub(crate) cache: Option<&'static str>,
    pub(crate) user_agent: Option<String>,
    pub(crate) sdk: Option<String>,
    pub(crate) project: Option<&'static str>,
    pub(crate) environment: Option<&'static str>,
    pub(crate) id: Option<String>,
}

impl Default for Event {
    fn default() -> Self {
        Self {
            ts_ms: ms("2024-03-01T10:00:00Z"),
            url: "https://www.example.com/".to_owned(),
            status: 200,
            service: "cdn",
            stack: None,
            bytes: 0,
            cache: None,
            user_agent: None,
            sdk: None,
            project: None,
            environment: None,
            id: None,
        }
    }
}

/// A moment, in milliseconds since 1970.
pub(crate) fn ms(moment: &str) -> i64 {
    moment.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

impl Event {
    pub(crate) fn at(moment: &str) -> Self {
        Self { ts_ms: ms(moment), ..Self::default() }
    }

    /// What reports call it.
    pub(crate) fn device(&self) -> &str {
        self.user_agent.as_deref().unwrap_or("-")
    }

    pub(crate) fn with_id(moment: &str, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..Self::at(moment) }
    }

    /// Its line, for an organization with those stacks.
    pub(crate) fn line(&self, stacks: &[String]) -> String {
        let fields = [
            ("ts", Some(json!(self.ts_ms))),
            ("url", Some(json!(self.url))),
            ("status", Some(json!(self.status))),
            ("service", Some(json!(self.service))),
            ("api_key", self.stack.map(|stack| json!(stacks[stack]))),
            ("bytes", Some(json!(self.bytes))),
            ("cache", self.cache.map(|word| json!(word))),
            ("user_agent", self.user_agent.as_ref().map(|agent| json!(agent))),
            ("sdk", self.sdk.as_ref().map(|sdk| json!(sdk))),
            ("project_uid", self.project.map(|project| json!(project))),
            ("environment_uid", self.environment.map(|environment| json!(environment))),
            ("id", self.id.as_ref().map(|id| json!(id))),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect::<Map<_, _>>()).to_string()
    }
}

/// Events as NDJSON.
pub(crate) fn lines<'a>(events: impl IntoIterator<Item = &'a Event>, stacks: &[String]) -> String {
    events.into_iter().map(|event| event.line(stacks) + "\n").collect()
}
