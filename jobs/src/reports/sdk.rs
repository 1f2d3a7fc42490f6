//! SDK Usage: which SDKs asked, how often, by service and bucket.
//!
//! Requests that were made without an SDK are not in it.

use async_trait::async_trait;
use tally_storage::lake::aggregate::{Dimension, Filter};

use super::answer::answer_rows;
use super::{About, COUNT, Column, ColumnKind, Computed, DATE, Marker, Report, TYPE, Task};
use crate::error::JobError;
use crate::parameters::{Parameter, optional, required};

#[derive(Debug)]
pub(super) struct Sdk;

static ABOUT: About = About {
    name: "sdk",
    title: "SDK Usage",
    summary: "How often each SDK asked, by service and bucket; requests without an SDK are not in it.",
    paginated: true,
    parameters: &[
        required(Parameter::IncludeCount),
        required(Parameter::Services),
        required(Parameter::Duration),
        optional(Parameter::OrderBy),
        optional(Parameter::Limit),
        optional(Parameter::Skip),
        optional(Parameter::ApiKey),
    ],
    columns: &[
        COUNT,
        TYPE,
        Column { name: "sdk", from: "sdk", kind: ColumnKind::Text, about: "the client's SDK as `name/version`" },
        DATE,
    ],
    marker: Marker::Date,
    source_field: None,
};

#[async_trait]
impl Report for Sdk {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError> {
        let mut aggregate = task.count_by(Dimension::Sdk);
        aggregate.filters.push(Filter::Present(Dimension::Sdk));
        answer_rows(task, &ABOUT, &aggregate).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::rows_of;

    #[tokio::test]
    async fn each_sdk_is_counted_and_requests_without_one_are_not() {
        insta::assert_snapshot!(rows_of("sdk", &[("includeCount", "true")]).await);
    }
}
