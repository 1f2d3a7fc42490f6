//! The reports: one file each, and the registry that names them all.
//!
//! A report's file holds, in this order: what it means, its parameters, its query, its rows, its snapshot test. It says
//! *what* is asked; `answer.rs` runs the question and writes the pages. Route, reference, Postman collection and
//! `tally report --help` are made from [`REPORTS`].

mod answer;
mod devices;
mod hit_miss_ratio;
mod http_statuses;
mod sdk;
mod subscription;
#[cfg(test)]
mod testing;
mod url;
mod usage;

use std::fmt;

use async_trait::async_trait;
use chrono::NaiveDate;
use tally_storage::ids::OrganizationUid;
use tally_storage::lake::aggregate::{Aggregate, Dimension, Measure};
use tally_storage::results::UnnamedResult;
use tally_storage::store::Store;

pub use self::answer::ProgressCell;
use crate::error::JobError;
use crate::parameters::{Accepted, Parameters};

/// Every report, by name.
pub static REPORTS: [&dyn Report; 7] = [
    &devices::Devices,
    &hit_miss_ratio::HitMissRatio,
    &http_statuses::HttpStatuses,
    &sdk::Sdk,
    &subscription::Subscription,
    &url::TopUrls,
    &usage::Usage,
];

/// The report of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Report> {
    REPORTS.iter().copied().find(|report| report.about().name == name)
}

/// The name of the report that was probably meant.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let scored = REPORTS.iter().map(|report| report.about().name).map(|it| (strsim::jaro_winkler(name, it), it));
    scored.max_by(|left, right| left.0.total_cmp(&right.0)).filter(|best| best.0 > 0.7).map(|best| best.1)
}

/// What the world is told of a report.
#[derive(Debug)]
pub struct About {
    /// The last part of its path.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it answers, in a sentence.
    pub summary: &'static str,
    /// Whether its result is cut into pages by `limit`.
    pub paginated: bool,
    /// What it takes besides `orgUid`, `from` and `to`.
    pub parameters: &'static [Accepted],
    /// A row's fields, in order.
    pub columns: &'static [Column],
    /// What is said of a last bucket that has no row.
    pub marker: Marker,
    /// A top-level field that names the engine, where the result has one.
    pub source_field: Option<&'static str>,
}

/// A field of a row.
#[derive(Debug)]
pub struct Column {
    /// Its name on the wire.
    pub name: &'static str,
    /// The column of the answer that it is made of.
    pub from: &'static str,
    /// What it is on the wire.
    pub kind: ColumnKind,
    /// What it means.
    pub about: &'static str,
}

/// How many requests a row stands for.
const COUNT: Column = Column { name: "count", from: "count", kind: ColumnKind::Number, about: "requests" };

/// Which service answered them.
const TYPE: Column =
    Column { name: "type", from: "service", kind: ColumnKind::Text, about: "the service that answered" };

/// In which bucket.
const DATE: Column =
    Column { name: "date", from: "date", kind: ColumnKind::Date, about: "the first day of the bucket" };

/// A sum that a report makes under the name that it has on the wire.
const fn total(name: &'static str, about: &'static str) -> Column {
    Column { name, from: name, kind: ColumnKind::Number, about }
}

/// What a field is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A whole number, exact to 2^53 − 1.
    Number,
    /// A text.
    Text,
    /// A UTC day as `YYYY-MM-DD`.
    Date,
}

/// What is said where the last bucket of the range has no row: a row of its own at the very end of the last page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Nothing.
    None,
    /// `{"date": d}`.
    Date,
    /// `{"date": d, "count": 0}`.
    DateAndZero,
}

/// What a report is computed from.
#[derive(Debug)]
pub struct Task<'a> {
    /// Where the events are.
    pub store: &'a Store,
    /// Whose events.
    pub organization: &'a OrganizationUid,
    /// The checked request.
    pub parameters: &'a Parameters,
    /// Where to tell how far it is.
    pub progress: &'a ProgressCell,
}

impl Task<'_> {
    /// Counts the events that were asked about by service and that dimension, in buckets and in the order asked for:
    /// what most reports are, or begin with.
    fn count_by(&self, dimension: Dimension) -> Aggregate {
        Aggregate {
            organization: self.organization.clone(),
            days: self.parameters.days,
            bucket: Some(self.parameters.duration),
            filters: self.parameters.filters(),
            group: vec![Dimension::Service, dimension],
            measures: vec![Measure::Count],
            order: self.parameters.order(),
        }
    }
}

/// A computed report: its pages and what is said about it.
#[derive(Debug)]
pub struct Computed {
    /// The result's file, which has no name yet: nothing is left of it where this is dropped.
    pub pages: UnnamedResult,
    /// The sum of the counts of all rows, skipped ones too.
    pub total: u64,
    /// The number of all rows, skipped ones too.
    pub document_count: u64,
    /// The last bucket's first day, where there is no row in it and the report says so.
    pub marker: Option<NaiveDate>,
}

/// A report.
#[async_trait]
pub trait Report: Send + Sync + fmt::Debug {
    /// What the world is told of it.
    fn about(&self) -> &'static About;

    /// Computes it and writes its pages.
    ///
    /// # Errors
    /// When it cannot be computed; nothing is kept then.
    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_sorted_and_every_report_can_be_found() {
        let names: Vec<&str> = REPORTS.iter().map(|report| report.about().name).collect();
        assert!(names.is_sorted(), "{names:?}");
        for name in names {
            assert_eq!(find(name).unwrap().about().name, name);
        }
        assert!(find("nothing").is_none());
        assert_eq!(nearest("devics"), Some("devices"));
    }
}
