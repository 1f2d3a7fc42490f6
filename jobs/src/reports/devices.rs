//! Device Usage: which clients asked, how often, by service and bucket.
//!
//! A *device* is the client's user agent, verbatim; a request without one counts under `-`.

use async_trait::async_trait;
use tally_storage::lake::aggregate::Dimension;

use super::answer::answer_rows;
use super::{About, COUNT, Column, ColumnKind, Computed, DATE, Marker, Report, TYPE, Task};
use crate::error::JobError;
use crate::parameters::{Parameter, optional};

#[derive(Debug)]
pub(super) struct Devices;

static ABOUT: About = About {
    name: "devices",
    title: "Device Usage",
    summary: "How often each device (user agent) asked, by service and bucket.",
    paginated: true,
    parameters: &[
        optional(Parameter::Services),
        optional(Parameter::Duration),
        optional(Parameter::IncludeCount),
        optional(Parameter::OrderBy),
        optional(Parameter::Skip),
        optional(Parameter::Limit),
        optional(Parameter::ApiKey),
    ],
    columns: &[
        COUNT,
        TYPE,
        Column {
            name: "device",
            from: "user_agent",
            kind: ColumnKind::Text,
            about: "the client's user agent, verbatim",
        },
        DATE,
    ],
    marker: Marker::Date,
    source_field: None,
};

#[async_trait]
impl Report for Devices {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError> {
        answer_rows(task, &ABOUT, &task.count_by(Dimension::Device)).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::rows_of;

    #[tokio::test]
    async fn each_device_is_counted_by_service_and_day() {
        insta::assert_snapshot!(rows_of("devices", &[]).await);
    }
}
