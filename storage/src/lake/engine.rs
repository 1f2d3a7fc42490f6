//! An aggregate in the engine's terms, over events, in bounded memory: what does not fit is spilled to disk.
//!
//! This is how a question is answered whose groups are too many to be counted in memory, and how summaries are verified.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{Expr, SortExpr, col, lit};
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::DataFrame;

use super::Lake;
use super::aggregate::{Aggregate, Bucket, Dimension, Filter, Measure, Order};
use super::table::{DATE, EventTable};
use crate::blocking;
use crate::catalog::EventSnapshot;
use crate::error::StorageError;

/// An answer of the engine, and the plan that tells how far it is.
pub(super) struct EngineAnswer {
    pub(super) batches: SendableRecordBatchStream,
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// Events that it reads at most.
    pub(super) event_count: u64,
}

/// Events that a plan has read so far. Row groups that were skipped are never counted.
pub(super) fn events_read(plan: &dyn ExecutionPlan) -> u64 {
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
    /// Answers an aggregate over the events of a snapshot.
    pub(super) async fn ask_engine(
        &self,
        aggregate: &Aggregate,
        snapshot: Arc<EventSnapshot>,
    ) -> Result<EngineAnswer, StorageError> {
        let (folder, days) = (self.folder.clone(), aggregate.days);
        let bucket = aggregate.bucket.unwrap_or(Bucket::Day);
        let events =
            blocking(move || EventTable::new(folder.root(), &snapshot.segments, &snapshot.log_payloads, days, bucket))
                .await?;
        let event_count = events.event_count();
        let added_up =
            self.filtered(Arc::new(events), aggregate)?.aggregate(group(aggregate), counted(&aggregate.measures))?;
        let plan = added_up.sort(order(aggregate))?.create_physical_plan().await?;
        let batches = execute_stream(Arc::clone(&plan), self.session.task_ctx())?;
        Ok(EngineAnswer { batches, plan, event_count })
    }

    fn filtered(&self, rows: Arc<dyn TableProvider>, aggregate: &Aggregate) -> Result<DataFrame, StorageError> {
        let mut frame = self.session.read_table(rows)?;
        for filter in &aggregate.filters {
            frame = frame.filter(predicate(filter))?;
        }
        Ok(frame)
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

/// Measures over events.
pub(super) fn counted(measures: &[Measure]) -> Vec<Expr> {
    let counted = measures.iter().map(|measure| match measure {
        Measure::Count => count(lit(1_i64)).alias(measure.column()),
        Measure::Bytes => sum(col(measure.column())).alias(measure.column()),
    });
    counted.collect()
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
