//! The log: lines on standard error, for people or for programs.
//!
//! Standard output belongs to the answers of commands.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{LogFormat, LogSettings};

/// The HTTP library tells of every thread that it starts and stops; whoever wants to know can ask for it by name.
const QUIET: &str = "actix_server=warn";

/// Starts the log of this process.
///
/// # Errors
/// When the level cannot be read, or the process has a log already.
pub(crate) fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let level = &settings.level;
    let filter = EnvFilter::try_new(format!("{QUIET},{level}")).with_context(|| format!("`log.level` is `{level}`"))?;
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_span_events(FmtSpan::NONE);
    let started = match settings.format {
        LogFormat::Pretty => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log could not be started: {error}"))
}
