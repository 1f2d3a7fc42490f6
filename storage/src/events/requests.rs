//! One kind of event: a request that an API or a CDN answered.
//!
//! [`RequestEvent`] is one event in borrowed form, [`RequestColumns`] gathers many of them into the record batches that
//! segments, log rows and reports share. Everything that knows the columns of a request is in this file, so that a
//! second kind of event is a second file.
//!
//! Strings are view columns that hold each different value once for a batch: grouping by them is fast, and a batch of a
//! million user agents costs what its few hundred different ones cost. URLs and ids are nearly all different and skip that
//! search; words of at most 12 bytes are in the view itself.

use std::mem;
use std::sync::{Arc, LazyLock};

use arrow::array::builder::{
    ArrayBuilder as _, Float64Builder, Int64Builder, StringViewBuilder, TimestampMillisecondBuilder, UInt16Builder,
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
        Some(match name {
            "cma" => Self::Cma,
            "ui" => Self::Ui,
            "cdn" => Self::Cdn,
            "graphql" => Self::Graphql,
            "images" => Self::Images,
            "assets" => Self::Assets,
            "automations" => Self::Automations,
            "launch" => Self::Launch,
            _ => return None,
        })
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
#[derive(Debug, Default)]
pub struct RequestColumns {
    plain: PlainColumns,
    api_key: RepeatedTexts,
    user_agent: RepeatedTexts,
    sdk: RepeatedTexts,
    project_uid: RepeatedTexts,
    environment_uid: RepeatedTexts,
    domain: RepeatedTexts,
}

/// Columns whose builders give away their memory with the batch.
#[derive(Debug)]
struct PlainColumns {
    ts: TimestampMillisecondBuilder,
    service: StringViewBuilder,
    status: UInt16Builder,
    url: StringViewBuilder,
    method: StringViewBuilder,
    bytes: Int64Builder,
    cache: StringViewBuilder,
    duration_ms: Float64Builder,
    id: StringViewBuilder,
}

impl PlainColumns {
    fn with_capacity(rows: usize) -> Self {
        let words = || StringViewBuilder::with_capacity(rows).with_deduplicate_strings();
        Self {
            ts: TimestampMillisecondBuilder::with_capacity(rows).with_timezone("UTC"),
            service: words(),
            status: UInt16Builder::with_capacity(rows),
            url: StringViewBuilder::with_capacity(rows).with_fixed_block_size(URL_BLOCK_BYTES),
            method: words(),
            bytes: Int64Builder::with_capacity(rows),
            cache: words(),
            duration_ms: Float64Builder::with_capacity(rows),
            id: StringViewBuilder::with_capacity(rows),
        }
    }
}

impl Default for PlainColumns {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl RequestColumns {
    /// No events yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one event.
    pub fn push(&mut self, event: &RequestEvent<'_>) {
        let plain = &mut self.plain;
        plain.ts.append_value(event.ts_ms);
        plain.service.append_value(event.service.as_str());
        plain.status.append_value(event.status);
        plain.url.append_value(event.url);
        plain.method.append_value(event.method);
        plain.bytes.append_value(i64::try_from(event.bytes.min(MAX_BYTES)).unwrap_or(i64::MAX));
        plain.cache.append_option(event.cache.map(CacheState::as_str));
        plain.duration_ms.append_option(event.duration_ms);
        plain.id.append_option(event.id);
        self.api_key.push_option(event.api_key);
        self.user_agent.push(event.user_agent);
        self.sdk.push_option(event.sdk);
        self.project_uid.push_option(event.project_uid);
        self.environment_uid.push_option(event.environment_uid);
        self.domain.push_option(event.domain);
    }

    /// How many events were appended since the last [`finish`](Self::finish).
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain.ts.len()
    }

    /// Whether nothing was appended since the last [`finish`](Self::finish).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch of everything appended; the builder is empty afterwards.
    ///
    /// # Errors
    /// Only if the columns did not fit the schema, which would be a fault in this file.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        // The next batch will be about as long.
        let next = PlainColumns::with_capacity(self.len());
        let mut plain = mem::replace(&mut self.plain, next);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(plain.ts.finish()),
            Arc::new(plain.service.finish()),
            Arc::new(plain.status.finish()),
            Arc::new(plain.url.finish()),
            Arc::new(plain.method.finish()),
            Arc::new(plain.bytes.finish()),
            self.api_key.finish()?,
            Arc::new(plain.cache.finish()),
            self.user_agent.finish()?,
            self.sdk.finish()?,
            Arc::new(plain.duration_ms.finish()),
            self.project_uid.finish()?,
            self.environment_uid.finish()?,
            self.domain.finish()?,
            Arc::new(plain.id.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}
