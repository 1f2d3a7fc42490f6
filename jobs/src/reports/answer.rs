//! Runs a report's question and writes the rows of the answer as pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::{cast, sum};
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema, SchemaRef};
use chrono::NaiveDate;
use tally_storage::error::StorageError;
use tally_storage::lake::aggregate::Aggregate;
use tally_storage::lake::{Answer, Progress};
use tally_storage::results::PageWriter;
use tokio::sync::mpsc;
use tokio::time::Interval;

use super::{About, Column, ColumnKind, Computed, Marker, Task};
use crate::error::JobError;

/// How often a running query is asked how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// The share of a job that reading the events is; writing the pages is the rest.
const READING: f64 = 0.9;

/// How far a job is, 0 to 1, as its worker last heard.
#[derive(Debug, Clone, Default)]
pub struct ProgressCell(Arc<AtomicU64>);

impl ProgressCell {
    /// Says how far it is; never moves back.
    pub fn set(&self, fraction: f64) {
        // Of two numbers that are not negative the larger one has the larger bits.
        self.0.fetch_max(fraction.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    /// How far it is.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// The columns of a report's result file.
pub(super) fn schema(columns: &[Column]) -> SchemaRef {
    let fields = columns.iter().map(|column| Field::new(column.name, data_type(column.kind), false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Number => DataType::Int64,
        ColumnKind::Text => DataType::Utf8,
        ColumnKind::Date => DataType::Date32,
    }
}

/// Rows of an answer as rows of the report.
fn shape(columns: &[Column], schema: &SchemaRef, answer: &RecordBatch) -> Result<RecordBatch, JobError> {
    let shaped = columns.iter().zip(schema.fields()).map(|(column, field)| {
        let values = answer.column_by_name(column.from).ok_or_else(|| missing(column.from))?;
        Ok(cast(values, field.data_type())?)
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), shaped.collect::<Result<_, JobError>>()?)?)
}

fn missing(column: &str) -> JobError {
    JobError::Storage(StorageError::Corrupt(format!("an answer without a column `{column}`")))
}

/// Writes a result's pages and adds up what is said about it.
pub(super) struct Pages {
    about: &'static About,
    schema: SchemaRef,
    writer: PageWriter,
    last_bucket: Option<NaiveDate>,
    total: u64,
    document_count: u64,
}

impl Pages {
    pub(super) fn create(task: &Task<'_>, about: &'static About) -> Result<Self, JobError> {
        let schema = schema(about.columns);
        let parameters = task.parameters;
        let (limit, skip) = if about.paginated {
            (Some(usize::try_from(parameters.limit).unwrap_or(usize::MAX)), parameters.skip)
        } else {
            (None, 0)
        };
        let writer = PageWriter::create(&task.store.folder, task.organization, &schema, limit, skip)?;
        let last_bucket = (about.marker != Marker::None).then(|| parameters.duration.start_of(parameters.days.to));
        Ok(Self { about, schema, writer, last_bucket, total: 0, document_count: 0 })
    }

    /// Adds rows of an answer.
    pub(super) fn push(&mut self, answer: &RecordBatch) -> Result<(), JobError> {
        let rows = shape(self.about.columns, &self.schema, answer)?;
        self.document_count += rows.num_rows() as u64;
        if let Some(counts) = answer.column_by_name("count").and_then(|column| column.as_primitive_opt::<Int64Type>()) {
            self.total += u64::try_from(sum(counts).unwrap_or(0)).unwrap_or(0);
        }
        if self.last_bucket.is_some_and(|bucket| has_date(&rows, bucket)) {
            self.last_bucket = None;
        }
        Ok(self.writer.push(&rows)?)
    }

    pub(super) fn finish(self) -> Result<Computed, JobError> {
        Ok(Computed {
            pages: self.writer.finish()?,
            total: self.total,
            document_count: self.document_count,
            marker: self.last_bucket,
        })
    }
}

fn has_date(rows: &RecordBatch, date: NaiveDate) -> bool {
    let dates = rows.column_by_name("date").and_then(|column| column.as_primitive_opt::<Date32Type>());
    let wanted = Date32Type::from_naive_date(date);
    dates.is_some_and(|dates| dates.values().contains(&wanted))
}

/// The answer to a task's question, batch by batch, while the task's progress follows the reading.
pub(super) struct Batches<'a> {
    answer: Answer,
    reading: Progress,
    progress: &'a ProgressCell,
    tick: Interval,
}

impl<'a> Batches<'a> {
    pub(super) async fn of(task: &'a Task<'_>, aggregate: &Aggregate) -> Result<Self, JobError> {
        let answer = task.store.lake.answer(aggregate).await?;
        let reading = answer.progress();
        Ok(Self { answer, reading, progress: task.progress, tick: tokio::time::interval(PROGRESS_EVERY) })
    }

    /// The next rows, at least one; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, JobError> {
        loop {
            // A large answer is computed batch by batch: others on this thread get their turn in between.
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                batch = self.answer.next() => match batch? {
                    Some(batch) if batch.num_rows() == 0 => {}
                    batch => return Ok(batch),
                },
                _ = self.tick.tick() => self.progress.set(self.reading.fraction() * READING),
            }
        }
    }
}

/// A report whose rows are the rows of one aggregate.
pub(super) async fn answer_rows(
    task: &Task<'_>,
    about: &'static About,
    aggregate: &Aggregate,
) -> Result<Computed, JobError> {
    let mut batches = Batches::of(task, aggregate).await?;
    let mut pages = Pages::create(task, about)?;
    if let Some(first) = batches.next().await? {
        pages.push(&first)?;
    }
    match batches.next().await? {
        Some(second) => write_beside(pages, second, batches).await,
        None => pages.finish(),
    }
}

/// Writes pages on a thread of its own while the next rows are computed: each takes about as long as the other.
async fn write_beside(mut pages: Pages, next: RecordBatch, mut batches: Batches<'_>) -> Result<Computed, JobError> {
    let (rows, mut waiting) = mpsc::channel::<RecordBatch>(2);
    let written = tokio::task::spawn_blocking(move || {
        pages.push(&next)?;
        while let Some(batch) = waiting.blocking_recv() {
            pages.push(&batch)?;
        }
        Ok(pages)
    });
    while let Some(batch) = batches.next().await? {
        if rows.send(batch).await.is_err() {
            // It could not write, and says why.
            break;
        }
    }
    drop(rows);
    let pages: Result<Pages, JobError> =
        written.await.map_err(|error| JobError::Storage(StorageError::Background(error.to_string())))?;
    pages?.finish()
}
