//! One kind of event: a request that an API or a CDN answered.
//!
//! [`RequestEvent`] is one event in borrowed form, [`RequestColumns`] gathers many of them into the record batches that
//! segments, log rows and reports share. Everything that knows the columns of a request is in this file, so that a
//! second kind of event is a second file.
//!
//! Strings are view columns that hold each different value once for a batch: grouping by them is fast, and a batch of a
//! million user agents costs what its few hundred different ones cost. URLs and ids are nearly all different and skip that
//! search; words of at most 12 bytes are in the view itself.

use std::sync::{Arc, LazyLock};

use arrow::array::builder::{
    Float64Builder, Int64Builder, StringViewBuilder, TimestampMillisecondBuilder, UInt16Builder,
};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use serde::{Deserialize, Serialize};

use super::texts::RepeatedTexts;

/// The largest number of bytes one response may claim: the largest integer that JSON clients read exactly.
pub const MAX_BYTES: u64 = (1 << 53) - 1;

/// The kind's name in paths and catalog rows.
pub const KIND: &str = "requests";

/// What answered the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Content Management API.
    Cma,
    /// Administration interface.
    Ui,
    /// Content delivery network.
    Cdn,
    /// GraphQL content delivery.
    Graphql,
    /// Image delivery.
    Images,
    /// Asset delivery.
    Assets,
    /// Automations.
    Automations,
    /// Launch hosting.
    Launch,
}

impl Service {
    /// Every service, in the order that the contract lists them.
    pub const ALL: [Self; 8] =
        [Self::Cma, Self::Ui, Self::Cdn, Self::Graphql, Self::Images, Self::Assets, Self::Automations, Self::Launch];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cma => "cma",
            Self::Ui => "ui",
            Self::Cdn => "cdn",
            Self::Graphql => "graphql",
            Self::Images => "images",
            Self::Assets => "assets",
            Self::Automations => "automations",
            Self::Launch => "launch",
        }
    }

    /// The service of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == name)
    }

    /// Whether Usage Analytics counts it as CDN traffic; the others are API traffic.
    #[must_use]
    pub const fn is_delivery(self) -> bool {
        matches!(self, Self::Cdn | Self::Graphql | Self::Images | Self::Assets)
    }
}

/// What the cache did with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CacheState {
    /// Answered from the cache.
    Hit,
    /// Answered by the origin.
    Miss,
}

impl CacheState {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Miss => "MISS",
        }
    }
}

/// One request in borrowed form: already checked, ready to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestEvent<'a> {
    /// When it was answered: milliseconds since 1970-01-01 UTC.
    pub ts_ms: i64,
    /// The URL as it was asked for.
    pub url: &'a str,
    /// What answered.
    pub service: Service,
    /// HTTP status, 100 to 599.
    pub status: u16,
    /// HTTP method.
    pub method: &'a str,
    /// Size of the response, at most [`MAX_BYTES`].
    pub bytes: u64,
    /// The stack that was asked.
    pub api_key: Option<&'a str>,
    /// What the cache did; none where no cache was involved.
    pub cache: Option<CacheState>,
    /// The client's user agent, `-` where it sent none: the *device* of the reports.
    pub user_agent: &'a str,
    /// `name/version` of the client's SDK.
    pub sdk: Option<&'a str>,
    /// How long the answer took.
    pub duration_ms: Option<f64>,
    /// Launch project.
    pub project_uid: Option<&'a str>,
    /// Launch environment.
    pub environment_uid: Option<&'a str>,
    /// Launch domain.
    pub domain: Option<&'a str>,
    /// The event's own id, by which a repeat is known.
    pub id: Option<&'a str>,
}

/// URLs are held in blocks of this size.
const URL_BLOCK_BYTES: u32 = 128 * 1024;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8View, nullable);
    Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        text("service", false),
        Field::new("status", DataType::UInt16, false),
        text("url", false),
        text("method", false),
        Field::new("bytes", DataType::Int64, false),
        text("api_key", true),
        text("cache", true),
        text("user_agent", false),
        text("sdk", true),
        Field::new("duration_ms", DataType::Float64, true),
        text("project_uid", true),
        text("environment_uid", true),
        text("domain", true),
        text("id", true),
    ]))
});

/// The columns of a batch of requests, in order.
#[must_use]
pub fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// Gathers events into columns.
#[derive(Debug)]
pub struct RequestColumns {
    ts: TimestampMillisecondBuilder,
    service: StringViewBuilder,
    status: UInt16Builder,
    url: StringViewBuilder,
    method: StringViewBuilder,
    bytes: Int64Builder,
    api_key: RepeatedTexts,
    cache: StringViewBuilder,
    user_agent: RepeatedTexts,
    sdk: RepeatedTexts,
    duration_ms: Float64Builder,
    project_uid: RepeatedTexts,
    environment_uid: RepeatedTexts,
    domain: RepeatedTexts,
    id: StringViewBuilder,
    rows: usize,
}

impl Default for RequestColumns {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestColumns {
    /// No events yet.
    #[must_use]
    pub fn new() -> Self {
        let words = || StringViewBuilder::new().with_deduplicate_strings();
        Self {
            ts: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            service: words(),
            status: UInt16Builder::new(),
            url: StringViewBuilder::new().with_fixed_block_size(URL_BLOCK_BYTES),
            method: words(),
            bytes: Int64Builder::new(),
            api_key: RepeatedTexts::new(),
            cache: words(),
            user_agent: RepeatedTexts::new(),
            sdk: RepeatedTexts::new(),
            duration_ms: Float64Builder::new(),
            project_uid: RepeatedTexts::new(),
            environment_uid: RepeatedTexts::new(),
            domain: RepeatedTexts::new(),
            id: StringViewBuilder::new(),
            rows: 0,
        }
    }

    /// Appends one event.
    pub fn push(&mut self, event: &RequestEvent<'_>) {
        self.ts.append_value(event.ts_ms);
        self.service.append_value(event.service.as_str());
        self.status.append_value(event.status);
        self.url.append_value(event.url);
        self.method.append_value(event.method);
        self.bytes.append_value(i64::try_from(event.bytes.min(MAX_BYTES)).unwrap_or(i64::MAX));
        self.api_key.push_option(event.api_key);
        self.cache.append_option(event.cache.map(CacheState::as_str));
        self.user_agent.push(event.user_agent);
        self.sdk.push_option(event.sdk);
        self.duration_ms.append_option(event.duration_ms);
        self.project_uid.push_option(event.project_uid);
        self.environment_uid.push_option(event.environment_uid);
        self.domain.push_option(event.domain);
        self.id.append_option(event.id);
        self.rows += 1;
    }

    /// How many events were appended since the last [`finish`](Self::finish).
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether nothing was appended since the last [`finish`](Self::finish).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The batch of everything appended; the builder is empty afterwards.
    ///
    /// # Errors
    /// Only if the columns did not fit the schema, which would be a fault in this file.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.ts.finish()),
            Arc::new(self.service.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.url.finish()),
            Arc::new(self.method.finish()),
            Arc::new(self.bytes.finish()),
            self.api_key.finish()?,
            Arc::new(self.cache.finish()),
            self.user_agent.finish()?,
            self.sdk.finish()?,
            Arc::new(self.duration_ms.finish()),
            self.project_uid.finish()?,
            self.environment_uid.finish()?,
            self.domain.finish()?,
            Arc::new(self.id.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}
