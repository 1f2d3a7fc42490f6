//! Subscription Usage: how many Launch projects, environments and domains exist at the end of the range's last day.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use async_trait::async_trait;

use super::answer::{Pages, schema};
use super::{About, Computed, Marker, Report, Task, total};
use crate::error::JobError;

#[derive(Debug)]
pub(super) struct Subscription;

static ABOUT: About = About {
    name: "subscription",
    title: "Subscription Usage",
    summary: "How many Launch projects, environments and domains exist at the end of `to`.",
    paginated: false,
    parameters: &[],
    columns: &[
        total("total_launch_project", "Launch projects"),
        total("total_launch_env", "environments of Launch projects"),
        total("total_launch_domain", "domains that Launch serves"),
    ],
    marker: Marker::None,
    source_field: None,
};

#[async_trait]
impl Report for Subscription {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError> {
        let totals = task.store.catalog.launch_totals(task.organization, task.parameters.days.to).await?;
        let columns = [totals.projects, totals.environments, totals.domains]
            .map(|total| -> ArrayRef { Arc::new(Int64Array::from(vec![i64::try_from(total).unwrap_or(i64::MAX)])) });
        let row = RecordBatch::try_new(schema(ABOUT.columns), columns.to_vec())?;
        let mut pages = Pages::create(task, &ABOUT)?;
        pages.push(&row)?;
        pages.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::rows_of;

    #[tokio::test]
    async fn what_exists_at_the_end_of_the_last_day_is_counted() {
        insta::assert_snapshot!(rows_of("subscription", &[]).await);
    }
}
