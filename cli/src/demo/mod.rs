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

mod agents;
mod answers;
mod clients;
mod generate;
mod ndjson;
mod rhythm;
mod sampling;
mod services;
mod urls;

pub use generate::{DemoEvents, DemoPlan};
pub use urls::{LaunchSite, launch_sites};
