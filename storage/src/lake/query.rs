//! An aggregate in the engine's terms, and its answer as a stream of record batches.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{Expr, SortExpr, col, lit};
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::DataFrame;
use futures::StreamExt as _;

use super::Lake;
use super::aggregate::{Aggregate, Bucket, Dimension, Filter, Measure, Order};
use super::table::{DATE, EventTable, date_number};
use crate::blocking;
use crate::catalog::EventSnapshot;
use crate::error::StorageError;
use crate::events::requests;

/// The answer to an [`Aggregate`], batch by batch. Dropping it stops the query.
pub struct Answer {
    batches: SendableRecordBatchStream,
    plan: Arc<dyn ExecutionPlan>,
    row_count: u64,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Answer").field("row_count", &self.row_count).finish_non_exhaustive()
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
        Progress { plan: Arc::clone(&self.plan), row_count: self.row_count }
    }
}

/// How far a query has read.
pub struct Progress {
    plan: Arc<dyn ExecutionPlan>,
    row_count: u64,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Progress").field("row_count", &self.row_count).finish_non_exhaustive()
    }
}

impl Progress {
    /// The share of events and summaries that was read, 0 to 1. Row groups that were skipped are never counted as read.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of events, shown to people")]
    pub fn fraction(&self) -> f64 {
        let read = events_read(self.plan.as_ref());
        (read as f64 / self.row_count.max(1) as f64).min(1.0)
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
        let (lake, question) = (self.clone(), aggregate.clone());
        let sources = blocking(move || Sources::new(&lake, snapshot, &question)).await?;
        let row_count = sources.row_count();
        let added_up = match sources {
            Sources { events, summaries } if summaries.is_empty() => {
                self.filtered(Arc::new(events), aggregate)?.aggregate(group(aggregate), counted(&aggregate.measures))?
            }
            Sources { events, summaries } => {
                let rows = summaries.into_table(self.session.copied_config().target_partitions())?;
                let mut rows = self.filtered(rows, aggregate)?;
                if !events.is_empty() {
                    let events = self.filtered(Arc::new(events), aggregate)?;
                    let events = events.aggregate(group(aggregate), counted(&aggregate.measures))?;
                    let columns = group(aggregate)
                        .into_iter()
                        .chain(aggregate.measures.iter().map(|measure| col(measure.column())));
                    rows = rows.select(columns)?.union(events)?;
                }
                rows.aggregate(group(aggregate), added(&aggregate.measures))?
            }
        };
        let plan = added_up.sort(order(aggregate))?.create_physical_plan().await?;
        let batches = execute_stream(Arc::clone(&plan), self.session.task_ctx())?;
        Ok(Answer { batches, plan, row_count })
    }

    fn filtered(&self, rows: Arc<dyn TableProvider>, aggregate: &Aggregate) -> Result<DataFrame, StorageError> {
        let mut frame = self.session.read_table(rows)?;
        for filter in &aggregate.filters {
            frame = frame.filter(predicate(filter))?;
        }
        Ok(frame)
    }
}

/// What a question is answered from.
struct Sources {
    /// Of segments without a summary for it, and of the log.
    events: EventTable,
    /// Of all other segments.
    summaries: SummaryRows,
}

impl Sources {
    fn new(lake: &Lake, snapshot: EventSnapshot, question: &Aggregate) -> Result<Self, StorageError> {
        let mut summaries = SummaryRows::default();
        let mut bare = Vec::new();
        for segment in snapshot.segments {
            let covering = segment.summaries.as_ref().and_then(|file| Some((file, file.summaries.covering(question)?)));
            match covering {
                Some((file, (place, summary))) => {
                    summaries.push(&lake.summaries.get(file, place, summary)?, segment.day, question)?;
                }
                None => bare.push(segment),
            }
        }
        let bucket = question.bucket.unwrap_or(Bucket::Day);
        let events = EventTable::new(lake.folder.root(), &bare, &snapshot.log_payloads, question.days, bucket)?;
        Ok(Self { events, summaries })
    }

    fn row_count(&self) -> u64 {
        self.events.event_count() + self.summaries.row_count
    }
}

/// Rows of summaries, with what a question needs of them.
#[derive(Default)]
struct SummaryRows {
    batches: Vec<RecordBatch>,
    row_count: u64,
}

impl SummaryRows {
    fn push(&mut self, rows: &RecordBatch, day: i64, question: &Aggregate) -> Result<(), StorageError> {
        let dimensions = question.dimensions();
        let wanted = dimensions.iter().map(|dimension| dimension.column());
        let wanted = wanted.chain(question.measures.iter().map(|measure| measure.column()));
        let places = wanted.map(|name| rows.schema_ref().index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let mut rows = rows.project(&places)?;
        if let Some(bucket) = question.bucket {
            let mut fields = rows.schema_ref().fields().to_vec();
            fields.push(Arc::new(Field::new(DATE, DataType::Date32, false)));
            let dates = Date32Array::from_value(date_number(day, bucket)?, rows.num_rows());
            let columns = rows.columns().iter().cloned().chain([Arc::new(dates) as ArrayRef]).collect();
            rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        }
        self.row_count += rows.num_rows() as u64;
        self.batches.push(rows);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// As a table of so many parts of about the same size.
    fn into_table(self, parts: usize) -> Result<Arc<dyn TableProvider>, StorageError> {
        let schema = self.batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
        let mut partitions = vec![Vec::new(); parts.max(1)];
        let share = self.row_count / partitions.len() as u64 + 1;
        let mut before = 0;
        for batch in self.batches {
            let rows = batch.num_rows() as u64;
            partitions[usize::try_from(before / share).unwrap_or(0)].push(batch);
            before += rows;
        }
        Ok(Arc::new(MemTable::try_new(schema, partitions)?))
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

/// Measures over rows that were added up before.
pub(super) fn added(measures: &[Measure]) -> Vec<Expr> {
    measures.iter().map(|measure| sum(col(measure.column())).alias(measure.column())).collect()
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
