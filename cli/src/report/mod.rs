//! `tally report`: a client of the HTTP API that asks for a report, waits for it, and writes its rows.
//!
//! | file | |
//! |---|---|
//! | `client.rs` | requests, and which of them are sent again |
//! | `answer.rs` | what the API answers: a job, a page, an error |
//! | `rows.rs` | rows as a table, JSON or CSV |
//! | `fetch.rs` | one report from its request to its last page |

mod answer;
mod client;
mod fetch;
mod rows;
#[cfg(test)]
mod stub;

pub use self::client::{Client, DEFAULT_SERVER};
pub use self::fetch::{ReportRequest, fetch};
pub use self::rows::{Format, RowWriter};
