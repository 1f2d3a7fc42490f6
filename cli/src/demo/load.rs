//! The demo's events, into the store: the last 90 days, up to the current hour.
//!
//! All events of one load are one commit, and the commit moves the time up to which there are events. So a load that is
//! cut off leaves nothing, and one that is done again adds only the hours since. That time is a position in the ledger
//! of read files: the stream of made-up events is a source like a file, whose offset is a time.

use std::ops::Range;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use tally_storage::events::ledger::SourcePosition;
use tally_storage::events::requests::RequestColumns;
use tally_storage::events::{Commit, Stage};
use tally_storage::ids::OrganizationUid;
use tally_storage::store::Store;
use tokio_util::sync::CancellationToken;

use super::{DemoEvents, DemoPlan};
use crate::progress::events_bar;

/// How many days of events there are.
pub(super) const DAYS: u32 = 90;

const SEED: u64 = 1;

/// Events that are handed to the store at once.
const CHUNK_EVENTS: usize = 65_536;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// No file has this for a hash.
const SOURCE: &str = "demo";

/// Brings the events up to date; says how many came. There are about `events` in 90 days.
///
/// # Errors
/// When the events cannot be stored; then none is.
pub(super) async fn load(
    store: &Store,
    organization: &OrganizationUid,
    stacks: Vec<String>,
    events: u64,
) -> anyhow::Result<u64> {
    let positions = store.catalog.source_positions(organization).await?;
    let reached = positions.into_iter().find(|position| position.head_sha256 == SOURCE);
    let now_ms = store.clock.now_ms();
    let until_ms = now_ms - now_ms.rem_euclid(HOUR_MS);
    let from_ms = reached.as_ref().map_or(i64::MIN, |position| i64::try_from(position.offset).unwrap_or(i64::MAX));
    if from_ms >= until_ms {
        return Ok(0);
    }
    let plan = DemoPlan { events, seed: SEED, days: DAYS, end: store.clock.today(), stacks, ids: false };
    let stage = stage(store.events.stage(organization), plan, from_ms..until_ms).await?;
    let source = Some(position(until_ms)?);
    let commit = Commit { source, replaces: reached, ..Commit::default() };
    Ok(store.events.commit(stage, commit).await?.accepted)
}

fn position(until_ms: i64) -> anyhow::Result<SourcePosition> {
    let offset = u64::try_from(until_ms).context("the clock stands before 1970")?;
    let hash = SOURCE.to_owned();
    Ok(SourcePosition { head_len: 0, head_sha256: hash.clone(), offset, lines: 0, tail_len: 0, tail_sha256: hash })
}

/// Gathers the events of that span. Ends early when nobody waits for it any more.
async fn stage(mut stage: Stage, plan: DemoPlan, span: Range<i64>) -> anyhow::Result<Stage> {
    let abandoned = CancellationToken::new();
    let _guard = abandoned.clone().drop_guard();
    let bar = events_bar(plan.events);
    let gathered = tokio::task::spawn_blocking(move || {
        gather(&mut stage, &plan, &span, &bar, &abandoned)?;
        bar.finish_and_clear();
        Ok(stage)
    });
    gathered.await.context("making up events ended early")?
}

/// Makes up events on one thread and stores them on another, a chunk after the other.
fn gather(
    stage: &mut Stage,
    plan: &DemoPlan,
    span: &Range<i64>,
    bar: &ProgressBar,
    abandoned: &CancellationToken,
) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let (made, chunks) = mpsc::sync_channel(1);
        scope.spawn(move || {
            let mut events = plan.events();
            loop {
                let columns = next_chunk(&mut events, span);
                // Where nobody takes it, storing has failed or was abandoned.
                if columns.is_empty() || made.send(columns).is_err() {
                    break;
                }
            }
        });
        for mut columns in chunks {
            if abandoned.is_cancelled() {
                bail!("nobody waits for the events any more");
            }
            bar.inc(columns.len() as u64);
            stage.push(columns.finish()?)?;
        }
        Ok(())
    })
}

/// Up to a chunk of the events that are left; empty after the last.
fn next_chunk(events: &mut DemoEvents<'_>, span: &Range<i64>) -> RequestColumns {
    let mut columns = RequestColumns::new();
    while columns.len() < CHUNK_EVENTS
        && let Some(event) = events.next_event()
    {
        if span.contains(&event.ts_ms) {
            columns.push(&event);
        }
    }
    columns
}
