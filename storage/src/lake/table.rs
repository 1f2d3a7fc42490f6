//! Events of some days as one table of the engine: segments from disk, log rows from memory.
//!
//! A segment is one UTC day, so the bucket that its events fall into is a constant of the file, and grouping by bucket
//! costs nothing. The engine sees it as a last column `date`. Which files a query reads is decided here, from the
//! catalog; within a file the engine skips row groups by their statistics.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::NaiveDate;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, ScalarValue, ToDFSchema as _};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;

use super::aggregate::{Bucket, DayRange, day_number};
use crate::catalog::Segment;
use crate::error::StorageError;
use crate::events::{log, requests, segment};

/// The name of the bucket's column.
pub(super) const DATE: &str = "date";

/// Events as one state of the catalog names them.
#[derive(Debug)]
pub(super) struct EventTable {
    schema: SchemaRef,
    date: Arc<Field>,
    files: Vec<PartitionedFile>,
    logged: Vec<RecordBatch>,
    event_count: u64,
}

impl EventTable {
    /// Segments and log rows; of the rows those events that are of these days. Decodes them: call it where that keeps
    /// nobody waiting.
    pub(super) fn new(
        root: &Path,
        segments: &[Segment],
        log_payloads: &[Vec<u8>],
        days: DayRange,
        bucket: Bucket,
    ) -> Result<Self, StorageError> {
        let date = Arc::new(Field::new(DATE, DataType::Date32, false));
        let schema = dated_schema();
        let dated_file = |segment: &Segment| {
            let date = ScalarValue::Date32(Some(date_number(segment.day, bucket)?));
            Ok(file_of(root, segment)?.with_partition_values(vec![date]))
        };
        let files = segments.iter().map(dated_file).collect::<Result<_, StorageError>>()?;
        let mut logged = Vec::new();
        for payload in log_payloads {
            for batch in log::decode(payload)? {
                logged.extend(dated(&batch, days, bucket)?);
            }
        }
        let in_files: u64 = segments.iter().map(|segment| segment.event_count).sum();
        let in_log: u64 = logged.iter().map(|batch| batch.num_rows() as u64).sum();
        Ok(Self { schema, date, files, logged, event_count: in_files + in_log })
    }

    /// One segment.
    pub(super) fn of_segment(root: &Path, segment: &Segment) -> Result<Self, StorageError> {
        let days = DayRange { from: NaiveDate::default(), to: NaiveDate::default() };
        Self::new(root, std::slice::from_ref(segment), &[], days, Bucket::Day)
    }

    /// The events of segments that are each in that order, one partition each.
    pub(super) fn sorted_files(
        root: &Path,
        segments: &[Segment],
        order: &LexOrdering,
    ) -> Result<Arc<dyn ExecutionPlan>, StorageError> {
        let groups = segments.iter().map(|segment| Ok(FileGroup::new(vec![file_of(root, segment)?])));
        let source = ParquetSource::new(TableSchema::from(requests::schema()));
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups.collect::<Result<_, StorageError>>()?)
            .with_output_ordering(vec![order.clone()])
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }

    /// How many events it holds, before any filter.
    pub(super) fn event_count(&self) -> u64 {
        self.event_count
    }

    fn scan_files(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let table =
            TableSchema::builder(requests::schema()).with_table_partition_cols(vec![Arc::clone(&self.date)]).build();
        let mut source = ParquetSource::new(table);
        if let Some(filter) = conjunction(filters.to_vec()) {
            let schema = self.schema.as_ref().clone().to_dfschema()?;
            source = source.with_predicate(session.create_physical_expr(filter, &schema)?);
        }
        let groups = FileGroup::new(self.files.clone()).split_files(session.config().target_partitions());
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

/// The first day of the bucket that holds the day, in days since 1970-01-01.
pub(super) fn date_number(day: i64, bucket: Bucket) -> Result<i32, StorageError> {
    let out_of_range = || StorageError::Corrupt(format!("`{day}` is no day that a calendar knows"));
    let number = i32::try_from(day).map_err(|_| out_of_range())?;
    let date = arrow::temporal_conversions::date32_to_datetime(number).ok_or_else(out_of_range)?.date();
    i32::try_from(day_number(bucket.start_of(date))).map_err(|_| out_of_range())
}

fn file_of(root: &Path, segment: &Segment) -> Result<PartitionedFile, StorageError> {
    let location = datafusion::object_store::path::Path::from_absolute_path(root.join(&segment.path))
        .map_err(|error| StorageError::Query(DataFusionError::External(Box::new(error))))?;
    let mut file = PartitionedFile::new("", segment.size_bytes);
    file.object_meta.location = location;
    Ok(file)
}

fn dated_schema() -> SchemaRef {
    let date = Arc::new(Field::new(DATE, DataType::Date32, false));
    let mut fields = requests::schema().fields().to_vec();
    fields.push(date);
    Arc::new(Schema::new(fields))
}

/// The batch's events of those days, with their bucket as a last column; `None` where there are none.
pub(super) fn dated(batch: &RecordBatch, days: DayRange, bucket: Bucket) -> Result<Option<RecordBatch>, StorageError> {
    let (first, last) = days.as_numbers();
    let numbers: Vec<i64> = segment::times(batch)?.values().iter().map(|ts| segment::day_of(*ts)).collect();
    let keep: BooleanArray = numbers.iter().map(|day| Some((first..=last).contains(day))).collect();
    if keep.true_count() == 0 {
        return Ok(None);
    }
    let dates = numbers.iter().filter(|day| (first..=last).contains(day)).map(|day| date_number(*day, bucket));
    let dates = Date32Array::from(dates.collect::<Result<Vec<_>, _>>()?);
    let kept = filter_record_batch(batch, &keep)?;
    let mut columns = kept.columns().to_vec();
    columns.push(Arc::new(dates));
    Ok(Some(RecordBatch::try_new(dated_schema(), columns)?))
}

#[async_trait]
impl TableProvider for EventTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let mut inputs = Vec::new();
        if !self.files.is_empty() {
            inputs.push(self.scan_files(session, projection, filters)?);
        }
        if !self.logged.is_empty() || inputs.is_empty() {
            let partitions = [self.logged.clone()];
            let logged: Arc<dyn ExecutionPlan> =
                MemorySourceConfig::try_new_exec(&partitions, self.schema(), projection.cloned())?;
            inputs.push(logged);
        }
        match <[_; 1]>::try_from(inputs) {
            Ok([input]) => Ok(input),
            Err(inputs) => UnionExec::try_new(inputs),
        }
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        // Used to skip row groups; the engine still looks at each event that is read.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
