//! `tally lake`: what the lake holds, and its upkeep by hand.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{HumanBytes, HumanCount};
use tally_storage::catalog::LakeStatus;
use tally_storage::clock::Clock;
use tally_storage::error::StorageError;
use tally_storage::events::FlushAt;
use tally_storage::ids::OrganizationUid;
use tally_storage::lake::{Difference, Extent};
use tally_storage::store::Store;

use super::account::Answered;
use super::lookup;
use crate::config::Config;
use crate::output::{Column, Output};
use crate::progress::counting;

/// What `tally lake` can do. All of it works while servers run on the same catalog and folder.
#[derive(Debug, clap::Subcommand)]
pub enum LakeCommand {
    /// Say how many segments, events and bytes there are, and what waits
    #[command(after_help = "Example:\n  tally lake status")]
    Status(Whose),
    /// Flush the log, and merge and summarize all that could be, without waiting for a quiet moment
    ///
    /// A server does so by itself, a little later. It may be stopped at any time: what is done stays done.
    #[command(after_help = "Example:\n  tally lake compact --org blt0123456789abcdef")]
    Compact(Whose),
    /// Compute every summary again from its events, and name what differs
    ///
    /// Exit status: 0 nothing differs, 2 something does.
    #[command(after_help = "Example:\n  tally lake verify")]
    Verify(Whose),
    /// Summarize the segments that have no summaries yet, or some that cannot be read, and merge nothing
    #[command(after_help = "Example:\n  tally lake summarize")]
    Summarize(Whose),
}

/// Whose events are meant.
#[derive(Debug, clap::Args)]
pub struct Whose {
    /// Of this organization only
    #[arg(long, value_name = "UID")]
    org: Option<OrganizationUid>,
}

const STATUS: &[Column<LakeStatus>] = &[
    ("organization", |status| status.organization.to_string()),
    ("days", |status| HumanCount(status.days).to_string()),
    ("segments", |status| HumanCount(status.segments).to_string()),
    ("waiting", |status| HumanCount(status.waiting_segments).to_string()),
    ("events", |status| HumanCount(status.events).to_string()),
    ("size", |status| HumanBytes(status.size_bytes).to_string()),
    ("summaries", |status| HumanBytes(status.summary_bytes).to_string()),
    ("in the log", |status| HumanCount(status.log_events).to_string()),
];

const DIFFERENCES: &[Column<Difference>] = &[
    ("organization", |difference| difference.organization.to_string()),
    ("summary", |difference| difference.summary.clone().unwrap_or_else(|| "-".to_owned())),
    ("problem", |difference| difference.problem.clone()),
    ("segment", |difference| difference.segment.clone()),
];

impl Answered<LakeCommand> {
    /// Does it.
    ///
    /// # Errors
    /// When the store cannot be opened or read, or the organization does not exist.
    pub async fn run(self, config: &Config, clock: Clock) -> anyhow::Result<ExitCode> {
        let store = Store::open(&config.store(), clock).await?;
        let done = self.command.run(&store, &mut Output::stdout(self.json)).await;
        store.close().await;
        done
    }
}

impl LakeCommand {
    async fn run(self, store: &Store, out: &mut Output) -> anyhow::Result<ExitCode> {
        let (Self::Status(whose) | Self::Compact(whose) | Self::Verify(whose) | Self::Summarize(whose)) = &self;
        let org = whose.org.as_ref();
        if let Some(uid) = org {
            lookup::organization(&store.catalog, uid).await?;
        }
        match &self {
            Self::Status(_) => out.list(&store.catalog.lake_status(org).await?, STATUS)?,
            Self::Compact(_) => {
                flush(store, org).await.context("the log could not be flushed")?;
                compact(store, org, Extent::Everything, out).await?;
            }
            Self::Summarize(_) => compact(store, org, Extent::Summaries, out).await?,
            Self::Verify(_) => return verify(store, org, out).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Turns all log rows into segments.
async fn flush(store: &Store, org: Option<&OrganizationUid>) -> Result<usize, StorageError> {
    match org {
        Some(organization) => store.events.flush(organization).await,
        None => store.events.flush_due(FlushAt { bytes: 0, age: Duration::ZERO }).await,
    }
}

async fn compact(store: &Store, org: Option<&OrganizationUid>, extent: Extent, out: &mut Output) -> anyhow::Result<()> {
    let waiting = store.catalog.lake_status(org).await?.iter().map(|status| status.waiting_segments).sum();
    let bar = counting(waiting, "segments");
    let done = store.lake.compact(org, extent, |done| {
        bar.set_position((done.merged_segments + done.summarized_segments).min(waiting));
        false
    });
    let done = done.await.context("not everything could be compacted")?;
    bar.finish_and_clear();
    let sentence = format_args!(
        "{} segments merged into {}, {} summarized; {} files of summaries put together",
        done.merged_segments, done.written_segments, done.summarized_segments, done.gathered_files
    );
    out.answer(&done, sentence)
}

async fn verify(store: &Store, org: Option<&OrganizationUid>, out: &mut Output) -> anyhow::Result<ExitCode> {
    let segments = store.catalog.lake_status(org).await?.iter().map(|status| status.segments).sum();
    let bar = counting(segments, "segments");
    let verified = store.lake.verify(org, |verified| bar.set_position(verified.segments)).await?;
    bar.finish_and_clear();
    if verified.differences.is_empty() {
        let (summaries, segments) = (verified.summaries, verified.segments);
        out.answer(&verified, format_args!("{summaries} summaries of {segments} segments say what their events say"))?;
        return Ok(ExitCode::SUCCESS);
    }
    out.detailed(&verified, &verified.differences, DIFFERENCES)?;
    Ok(ExitCode::from(2))
}
