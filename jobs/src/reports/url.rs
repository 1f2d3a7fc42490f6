//! Top URLs: how often each URL was asked for, by service, summed over the whole range.
//!
//! The count is a text on the wire, as clients of the v2 API expect it.

use async_trait::async_trait;
use tally_storage::lake::aggregate::{Aggregate, Dimension};

use super::answer::answer_rows;
use super::{About, Column, ColumnKind, Computed, Marker, Report, TYPE, Task};
use crate::error::JobError;
use crate::parameters::{Parameter, optional, required};

#[derive(Debug)]
pub(super) struct TopUrls;

static ABOUT: About = About {
    name: "url",
    title: "Top URLs",
    summary: "How often each URL was asked for, by service, over the whole range.",
    paginated: true,
    parameters: &[
        required(Parameter::IncludeTotalCount),
        optional(Parameter::Services),
        optional(Parameter::Duration),
        optional(Parameter::OrderBy),
        optional(Parameter::Skip),
        optional(Parameter::Limit),
        optional(Parameter::ApiKey),
    ],
    columns: &[
        Column { name: "url", from: "url", kind: ColumnKind::Text, about: "the URL as it was asked for" },
        TYPE,
        Column { name: "count", from: "count", kind: ColumnKind::Text, about: "requests" },
    ],
    marker: Marker::None,
    source_field: Some("urlDataSource"),
};

#[async_trait]
impl Report for TopUrls {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError> {
        let aggregate = Aggregate { bucket: None, ..task.count_by(Dimension::Url) };
        answer_rows(task, &ABOUT, &aggregate).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::rows_of;

    #[tokio::test]
    async fn each_url_is_counted_over_the_whole_range() {
        insta::assert_snapshot!(rows_of("url", &[("includeTotalCount", "true")]).await);
    }
}
