//! Cache Usage: how often the cache answered (`HIT`) and how often the origin did (`MISS`), by service and bucket.
//!
//! Requests in which no cache took part are not in it.

use async_trait::async_trait;
use tally_storage::lake::aggregate::{Dimension, Filter};

use super::answer::answer_rows;
use super::{About, COUNT, Column, ColumnKind, Computed, DATE, Marker, Report, TYPE, Task};
use crate::error::JobError;
use crate::parameters::{Parameter, optional, required};

#[derive(Debug)]
pub(super) struct HitMissRatio;

static ABOUT: About = About {
    name: "hit-miss-ratio",
    title: "Cache Usage",
    summary: "How often the cache answered and how often the origin did, by service and bucket.",
    paginated: false,
    parameters: &[
        required(Parameter::Duration),
        required(Parameter::Services),
        optional(Parameter::Cache),
        optional(Parameter::ApiKey),
        optional(Parameter::IncludeCount),
    ],
    columns: &[
        COUNT,
        TYPE,
        Column { name: "status", from: "cache", kind: ColumnKind::Text, about: "`HIT` or `MISS`" },
        DATE,
    ],
    marker: Marker::DateAndZero,
    source_field: None,
};

#[async_trait]
impl Report for HitMissRatio {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError> {
        let mut aggregate = task.count_by(Dimension::Cache);
        aggregate.filters.push(Filter::Present(Dimension::Cache));
        answer_rows(task, &ABOUT, &aggregate).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::rows_of;

    #[tokio::test]
    async fn hits_and_misses_are_counted_and_requests_without_a_cache_are_not() {
        insta::assert_snapshot!(rows_of("hit-miss-ratio", &[]).await);
    }
}
