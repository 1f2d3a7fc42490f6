//! What can be computed, and how it gets run.
//!
//! | | |
//! |---|---|
//! | `reports/` | one file for each report, and the registry |
//! | `parameters/` | what can be asked: names, values, faults |
//! | `rows.rs` | a page's rows as JSON, straight from its columns |
//! | `run/` | the queue, the worker, the sweep |

pub mod error;
pub mod parameters;
pub mod reports;
pub mod rows;
pub mod run;
