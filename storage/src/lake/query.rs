//! An aggregate in the engine's terms, and its answer as a stream of record batches.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{Expr, SortExpr, col, lit};
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt as _;

use super::Lake;
use super::aggregate::{Aggregate, Dimension, Filter, Measure, Order};
use super::table::{DATE, EventTable};
use crate::error::StorageError;
use crate::events::requests;

/// The answer to an [`Aggregate`], batch by batch. Dropping it stops the query.
pub struct Answer {
    batches: SendableRecordBatchStream,
    plan: Arc<dyn ExecutionPlan>,
    event_count: u64,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Answer").field("event_count", &self.event_count).finish_non_exhaustive()
    }
}

impl Answer {
    /// The answer's columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// When a segment cannot be read, or the query ran out of memory and of room to spill.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, StorageError> {
        Ok(Pin::new(&mut self.batches).next().await.transpose()?)
    }

    /// A probe that tells how far the query has read, also while somebody waits for [`next`](Self::next).
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { plan: Arc::clone(&self.plan), event_count: self.event_count }
    }
}

/// How far a query has read.
pub struct Progress {
    plan: Arc<dyn ExecutionPlan>,
    event_count: u64,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Progress").field("event_count", &self.event_count).finish_non_exhaustive()
    }
}

impl Progress {
    /// The share of the events that was read, 0 to 1. Row groups that were skipped are never counted as read.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of events, shown to people")]
    pub fn fraction(&self) -> f64 {
        let read = events_read(self.plan.as_ref());
        (read as f64 / self.event_count.max(1) as f64).min(1.0)
    }
}

fn events_read(plan: &dyn ExecutionPlan) -> u64 {
    let children = plan.children();
    if !children.is_empty() {
        return children.iter().map(|child| events_read(child.as_ref())).sum();
    }
    let Some(metrics) = plan.metrics() else { return 0 };
    let rows = metrics.iter().filter_map(|metric| match metric.value() {
        MetricValue::OutputRows(rows) => Some(rows.value() as u64),
        _ => None,
    });
    rows.sum()
}

impl Lake {
    /// Answers an aggregate over every event that was committed before the call.
    ///
    /// # Errors
    /// When catalog or files cannot be read.
    pub async fn answer(&self, aggregate: &Aggregate) -> Result<Answer, StorageError> {
        let days = aggregate.days.as_numbers();
        let snapshot = self.catalog.events_of(&aggregate.organization, requests::KIND, days).await?;
        let (root, days, bucket) = (self.root.clone(), aggregate.days, aggregate.bucket);
        let table = crate::blocking(move || EventTable::new(&root, &snapshot, days, bucket)).await?;
        let event_count = table.event_count();
        let mut frame = self.session.read_table(Arc::new(table))?;
        for filter in &aggregate.filters {
            frame = frame.filter(predicate(filter))?;
        }
        let frame = frame.aggregate(group(aggregate), measures(aggregate))?.sort(order(aggregate))?;
        let plan = frame.create_physical_plan().await?;
        let batches = execute_stream(Arc::clone(&plan), self.session.task_ctx())?;
        Ok(Answer { batches, plan, event_count })
    }
}

fn predicate(filter: &Filter) -> Expr {
    match filter {
        Filter::OneOf(dimension, values) => {
            let values = values.iter().map(|value| lit(value.as_str())).collect();
            col(dimension.column()).in_list(values, false)
        }
        Filter::Status(status) => col(Dimension::Status.column()).eq(lit(*status)),
        Filter::Present(dimension) => col(dimension.column()).is_not_null(),
    }
}

fn group(aggregate: &Aggregate) -> Vec<Expr> {
    let date = aggregate.bucket.map(|_| col(DATE));
    date.into_iter().chain(aggregate.group.iter().map(|dimension| col(dimension.column()))).collect()
}

fn measures(aggregate: &Aggregate) -> Vec<Expr> {
    let measures = aggregate.measures.iter().map(|measure| match measure {
        Measure::Count => count(lit(1_i64)).alias(measure.column()),
        Measure::Bytes => sum(col("bytes")).alias(measure.column()),
    });
    measures.collect()
}

fn order(aggregate: &Aggregate) -> Vec<SortExpr> {
    let by_count = |ascending| col(Measure::Count.column()).sort(ascending, false);
    let first = match aggregate.order {
        Order::CountDescending => Some(by_count(false)),
        Order::CountAscending => Some(by_count(true)),
        Order::Date => None,
    };
    let ties = group(aggregate).into_iter().map(|column| column.sort(true, false));
    first.into_iter().chain(ties).collect()
}
