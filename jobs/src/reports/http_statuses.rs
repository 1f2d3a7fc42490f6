//! Status Code: how often each HTTP status was answered, by service and bucket.

use async_trait::async_trait;
use tally_storage::lake::aggregate::Dimension;

use super::answer::answer_rows;
use super::{About, COUNT, Column, ColumnKind, Computed, DATE, Marker, Report, TYPE, Task};
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
        COUNT,
        TYPE,
        Column { name: "status", from: "status", kind: ColumnKind::Text, about: "the HTTP status" },
        DATE,
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
        answer_rows(task, &ABOUT, &task.count_by(Dimension::Status)).await
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
