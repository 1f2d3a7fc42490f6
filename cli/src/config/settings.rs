//! Every setting and its default. `config.toml` says what each is for; a test keeps the two equal.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use tally_storage::catalog::Retention;

use super::{CatalogUrl, QueueUrl};

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder for all that is kept.
    pub data_dir: PathBuf,
    /// SQL rows.
    pub catalog: CatalogSettings,
    /// How workers hear of jobs.
    pub queue: QueueSettings,
    /// The HTTP server.
    pub server: ServerSettings,
    /// Events in.
    pub ingest: IngestSettings,
    /// How jobs get run.
    pub jobs: JobSettings,
    /// What jobs leave behind.
    pub results: ResultSettings,
    /// How long things are kept.
    pub retention: RetentionSettings,
    /// What computing a report may use.
    pub reports: ReportSettings,
    /// How often may be asked.
    pub rate_limit: RateLimitSettings,
    /// What is told about all this.
    pub log: LogSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            catalog: CatalogSettings::default(),
            queue: QueueSettings::default(),
            server: ServerSettings::default(),
            ingest: IngestSettings::default(),
            jobs: JobSettings::default(),
            results: ResultSettings::default(),
            retention: RetentionSettings::default(),
            reports: ReportSettings::default(),
            rate_limit: RateLimitSettings::default(),
            log: LogSettings::default(),
        }
    }
}

/// `[catalog]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogSettings {
    /// Where it is.
    pub url: CatalogUrl,
    /// Connections of one process to PostgreSQL.
    pub max_connections: u32,
    /// How long a statement may wait for one of them.
    pub acquire_timeout_seconds: u64,
}

impl Default for CatalogSettings {
    fn default() -> Self {
        Self { url: CatalogUrl::default(), max_connections: 16, acquire_timeout_seconds: 10 }
    }
}

/// `[queue]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    /// Where it is.
    pub url: QueueUrl,
    /// What the names of its keys in Redis begin with.
    pub prefix: String,
    /// How often a worker looks into Redis where nothing wakes it.
    pub poll_ms: u64,
    /// How long a reply of Redis may take.
    pub timeout_seconds: u64,
    /// How often a worker's connection may fail within a minute.
    pub max_restarts: u32,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            url: QueueUrl::default(),
            prefix: "tally".to_owned(),
            poll_ms: 500,
            timeout_seconds: 10,
            max_restarts: 10,
        }
    }
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Where to listen.
    #[serde(deserialize_with = "socket_address")]
    pub bind: SocketAddr,
    /// Threads that answer requests; 0 means one for each core.
    pub workers: usize,
    /// How long a client may take to send a request's headers.
    pub request_timeout_seconds: u64,
    /// Whether `X-Forwarded-For` says who asks.
    pub trust_forwarded_for: bool,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            workers: 0,
            request_timeout_seconds: 30,
            trust_forwarded_for: false,
        }
    }
}

/// `[ingest]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestSettings {
    /// The largest body, as it is sent.
    pub max_wire_bytes: u64,
    /// The largest body, decompressed.
    pub max_decompressed_bytes: u64,
    /// The longest line.
    pub max_line_bytes: usize,
    /// Bodies that are read at once.
    pub max_concurrent: usize,
    /// Acknowledged events that may wait to be made into columns.
    pub max_backlog_bytes: u64,
    /// How long an organization's events wait at most.
    pub flush_after_seconds: u64,
    /// How many bytes of them wait at most.
    pub flush_bytes: u64,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            max_wire_bytes: 256 << 20,
            max_decompressed_bytes: 4 << 30,
            max_line_bytes: 64 << 10,
            max_concurrent: 8,
            max_backlog_bytes: 128 << 20,
            flush_after_seconds: 60,
            flush_bytes: 8 << 20,
        }
    }
}

/// `[jobs]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// Reports that are computed at once; 0 means one for each core.
    pub concurrency: usize,
    /// How long a report may take.
    pub time_limit_seconds: u64,
    /// How long a worker may be silent.
    pub lease_seconds: u64,
    /// How often a job is begun.
    pub max_attempts: u32,
    /// The pause before the second attempt.
    pub backoff_ms: u64,
    /// How often lost jobs are looked for.
    pub upkeep_seconds: u64,
    /// How long jobs under way may go on when the server stops.
    pub shutdown_grace_seconds: u64,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            concurrency: 0,
            time_limit_seconds: 600,
            lease_seconds: 15,
            max_attempts: 3,
            backoff_ms: 1000,
            upkeep_seconds: 5,
            shutdown_grace_seconds: 10,
        }
    }
}

/// `[results]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResultSettings {
    /// Memory for pages that were read before.
    pub page_cache_bytes: u64,
}

impl Default for ResultSettings {
    fn default() -> Self {
        Self { page_cache_bytes: 64 << 20 }
    }
}

/// `[retention]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// Whole UTC days before the present one whose events are kept; 0 keeps them for ever.
    pub events_days: u32,
    /// How long a result can be read.
    pub results_hours: u32,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        let Retention { events_days, results_hours } = Retention::default();
        Self { events_days, results_hours }
    }
}

/// `[reports]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportSettings {
    /// Memory of all reports that are being computed.
    pub memory_bytes: usize,
    /// Disk that they may use beyond it.
    pub spill_bytes: u64,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, spill_bytes: 10 << 30 }
    }
}

/// `[rate_limit]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitSettings {
    /// Of an organization, over all its users.
    pub requests_per_second: u32,
    /// Of an address, where a request proves no right.
    pub anonymous_requests_per_second: u32,
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        Self { requests_per_second: 10, anonymous_requests_per_second: 20 }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// What is told, in the syntax of `tracing_subscriber::EnvFilter`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Pretty, level: "info".to_owned() }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For programs: one JSON object.
    Json,
}

fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom("expected an IP address and a port, such as `127.0.0.1:8080`"))
}
