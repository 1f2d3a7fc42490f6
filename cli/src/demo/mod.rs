//! Traffic that never happened, for trying Tally out and for measuring it.
//!
//! [`DemoPlan`] says how much and when; [`DemoEvents`] is the stream of events, in order of time, and does not know what
//! becomes of them: `tally serve --demo` stores them as columns, [`DemoPlan::write_ndjson`] writes them as lines.
//! One plan gives the same events on every machine. So the random numbers come from a generator that is named, not from
//! the library's current default, chances are integers, and what floating point there is uses only operations that
//! IEEE 754 rounds exactly.
//!
//! The parts: `rhythm` says when, `services` who answers, `urls` what is asked for, `clients` who asks, and `answers`
//! what they get.
//!
//! [`prepare`] is what `tally serve --demo` does with it: `organization` makes somebody to look at the events, `load`
//! stores them, `banner` says how to ask for them.

mod agents;
mod answers;
mod banner;
mod clients;
mod generate;
mod load;
mod ndjson;
mod organization;
mod rhythm;
mod sampling;
mod services;
#[cfg(test)]
mod tests;
mod urls;

use tally_storage::store::Store;

pub use banner::Banner;
pub use generate::{DemoEvents, DemoPlan};
pub use organization::DemoAccess;
pub use urls::{LaunchSite, launch_sites};

/// How many events 90 days of the demo have.
pub const DEMO_EVENTS: u64 = 1_000_000;

/// Makes the demo's organization or finds it, brings its events up to date, and says what opens it. There are about
/// `events` in 90 days.
///
/// # Errors
/// When catalog or disk fail. What was made is found by the next try.
pub async fn prepare(store: &Store, base_url: &str, events: u64) -> anyhow::Result<DemoAccess> {
    let (access, stacks) = organization::find_or_make(store, base_url).await?;
    let loaded = load::load(store, &access.organization, stacks, events).await?;
    tracing::info!(events = loaded, "made-up events stored");
    organization::remember(store, &access)?;
    Ok(access)
}
