//! SDK Usage: which SDKs asked, how often, by service and bucket.
//!
//! Requests that were made without an SDK are not in it.

use async_trait::async_trait;
use tally_storage::lake::aggregate::{Aggregate, Dimension, Filter, Measure};

use super::answer::answer_rows;
use super::{About, Column, ColumnKind, Computed, Marker, Report, Task};
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
        Column { name: "count", from: "count", kind: ColumnKind::Number, about: "requests" },
        Column { name: "type", from: "service", kind: ColumnKind::Text, about: "the service that answered" },
        Column { name: "sdk", from: "sdk", kind: ColumnKind::Text, about: "the client's SDK as `name/version`" },
        Column { name: "date", from: "date", kind: ColumnKind::Date, about: "the first day of the bucket" },
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
        let mut filters = task.parameters.filters();
        filters.push(Filter::Present(Dimension::Sdk));
        let aggregate = Aggregate {
            organization: task.organization.clone(),
            days: task.parameters.days,
            bucket: Some(task.parameters.duration),
            filters,
            group: vec![Dimension::Service, Dimension::Sdk],
            measures: vec![Measure::Count],
            order: task.parameters.order(),
        };
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
