//! Status Code: how often each HTTP status was answered, by service and bucket.

use async_trait::async_trait;
use tally_storage::lake::aggregate::{Aggregate, Dimension, Measure};

use super::answer::answer_rows;
use super::{About, Column, ColumnKind, Computed, Marker, Report, Task};
use crate::error::JobError;
use crate::parameters::{Parameter, optional, required};

#[derive(Debug)]
pub(super) struct HttpStatuses;

static ABOUT: About = About {
    name: "http-statuses",
    title: "Status Code",
    summary: "How often each HTTP status was answered, by service and bucket.",
    paginated: false,
    parameters: &[
        required(Parameter::Duration),
        required(Parameter::Services),
        optional(Parameter::HttpStatusCode),
        optional(Parameter::ApiKey),
        optional(Parameter::IncludeCount),
    ],
    columns: &[
        Column { name: "count", from: "count", kind: ColumnKind::Number, about: "requests" },
        Column { name: "type", from: "service", kind: ColumnKind::Text, about: "the service that answered" },
        Column { name: "status", from: "status", kind: ColumnKind::Text, about: "the HTTP status" },
        Column { name: "date", from: "date", kind: ColumnKind::Date, about: "the first day of the bucket" },
    ],
    marker: Marker::DateAndZero,
    source_field: None,
};

#[async_trait]
impl Report for HttpStatuses {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError> {
        let aggregate = Aggregate {
            organization: task.organization.clone(),
            days: task.parameters.days,
            bucket: Some(task.parameters.duration),
            filters: task.parameters.filters(),
            group: vec![Dimension::Service, Dimension::Status],
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
    async fn each_status_is_counted_by_service_and_day() {
        insta::assert_snapshot!(rows_of("http-statuses", &[]).await);
    }
}
