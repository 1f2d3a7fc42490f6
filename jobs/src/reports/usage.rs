//! Usage Analytics: requests and bandwidth of the API and of the CDN, one row for every bucket of the range.
//!
//! CDN traffic is what `cdn`, `graphql`, `images` and `assets` answered; API traffic is what `cma`, `ui`, `automations`
//! and `launch` answered. A bucket without requests has a row of zeros.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Date32Array, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use async_trait::async_trait;
use tally_storage::error::StorageError;
use tally_storage::events::requests::Service;
use tally_storage::lake::aggregate::{Aggregate, Dimension, Measure, Order};

use super::answer::{Batches, Pages, schema};
use super::{About, Computed, DATE, Marker, Report, Task, total};
use crate::error::JobError;
use crate::parameters::{Parameter, optional};

#[derive(Debug)]
pub(super) struct Usage;

static ABOUT: About = About {
    name: "usage",
    title: "Usage Analytics",
    summary: "Requests and bandwidth of API and CDN, one row for every bucket of the range.",
    paginated: false,
    parameters: &[
        optional(Parameter::Services),
        optional(Parameter::Duration),
        optional(Parameter::IncludeCount),
        optional(Parameter::ApiKey),
        optional(Parameter::ProjectUid),
        optional(Parameter::EnvironmentUid),
    ],
    columns: &[
        total("total_api_bandwidth", "bytes that the API sent"),
        total("total_api_count", "requests that the API answered"),
        total("total_cdn_bandwidth", "bytes that the CDN sent"),
        total("total_cdn_count", "requests that the CDN answered"),
        DATE,
    ],
    marker: Marker::None,
    source_field: None,
};

#[async_trait]
impl Report for Usage {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError> {
        let parameters = task.parameters;
        let aggregate = Aggregate {
            group: vec![Dimension::Service],
            measures: vec![Measure::Count, Measure::Bytes],
            order: Order::Date,
            ..task.count_by(Dimension::Service)
        };
        let starts = parameters.duration.starts_in(parameters.days);
        let starts = starts.into_iter().map(|start| (Date32Type::from_naive_date(start), Totals::default()));
        let mut buckets: BTreeMap<i32, Totals> = starts.collect();
        let mut batches = Batches::of(task, &aggregate).await?;
        while let Some(batch) = batches.next().await? {
            add_up(&mut buckets, &batch)?;
        }
        let mut pages = Pages::create(task, &ABOUT)?;
        pages.push(&rows(&buckets)?)?;
        pages.finish()
    }
}

/// What one bucket adds up to.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    api_bytes: i64,
    api_count: i64,
    cdn_bytes: i64,
    cdn_count: i64,
}

fn add_up(buckets: &mut BTreeMap<i32, Totals>, answer: &RecordBatch) -> Result<(), JobError> {
    let column = |name: &str| {
        let column = answer.column_by_name(name);
        column.ok_or_else(|| StorageError::Corrupt(format!("an answer without a column `{name}`")))
    };
    let dates = column("date")?.as_primitive::<Date32Type>();
    let services = cast(column("service")?, &DataType::Utf8)?;
    let services = services.as_string::<i32>();
    let counts = column("count")?.as_primitive::<Int64Type>();
    let bytes = column("bytes")?.as_primitive::<Int64Type>();
    for row in 0..answer.num_rows() {
        let totals = buckets.entry(dates.value(row)).or_default();
        let (bytes, count) = (bytes.value(row), counts.value(row));
        if Service::from_name(services.value(row)).is_some_and(Service::is_delivery) {
            totals.cdn_bytes = totals.cdn_bytes.saturating_add(bytes);
            totals.cdn_count += count;
        } else {
            totals.api_bytes = totals.api_bytes.saturating_add(bytes);
            totals.api_count += count;
        }
    }
    Ok(())
}

fn rows(buckets: &BTreeMap<i32, Totals>) -> Result<RecordBatch, JobError> {
    let numbers = |of: fn(&Totals) -> i64| -> ArrayRef { Arc::new(buckets.values().map(of).collect::<Int64Array>()) };
    let columns = vec![
        numbers(|totals| totals.api_bytes),
        numbers(|totals| totals.api_count),
        numbers(|totals| totals.cdn_bytes),
        numbers(|totals| totals.cdn_count),
        Arc::new(Date32Array::from_iter_values(buckets.keys().copied())),
    ];
    Ok(RecordBatch::try_new(schema(ABOUT.columns), columns)?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::rows_of;

    #[tokio::test]
    async fn every_bucket_has_a_row_and_api_and_cdn_are_told_apart() {
        insta::assert_snapshot!(rows_of("usage", &[]).await);
    }
}
