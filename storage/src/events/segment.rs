//! A segment: the events of one organization and one UTC day in a Parquet file, in the order of `order.rs`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::file::properties::{EnabledStatistics, ReaderProperties, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use super::order::{DayEvents, by_day, is_empty, together};
use super::requests;
use crate::catalog::PublishedSegment;
use crate::error::StorageError;
use crate::fan_out::fan_out;
use crate::folder::{DataFolder, folder_of};
use crate::ids::OrganizationUid;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// How many days are written at once: each is encoded on a core, and then waits for the disk.
const WRITTEN_AT_ONCE: usize = 4;

/// Columns whose least and greatest values are kept, so that a reader can skip what it does not look for.
const SKIPPED_BY: [&str; 4] = ["ts", "service", "status", "api_key"];

/// Rows that are read or skipped together.
const ROW_GROUP: usize = 256 * 1024;

/// A Parquet file that was written aside and has no name in the lake yet.
#[derive(Debug)]
pub(crate) struct StagedSegment {
    pub(crate) path: PathBuf,
    /// Days since 1970-01-01.
    pub(crate) day: i64,
    pub(crate) event_count: u64,
    pub(crate) id_count: u64,
    pub(crate) size_bytes: u64,
}

impl Drop for StagedSegment {
    /// A batch that is given up leaves nothing; a published file is no longer under this path.
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// The UTC day of a time, in days since 1970-01-01.
pub(crate) const fn day_of(ts_ms: i64) -> i64 {
    ts_ms.div_euclid(DAY_MS)
}

/// The times of a batch.
pub(crate) fn times(events: &RecordBatch) -> Result<&TimestampMillisecondArray, StorageError> {
    column(events, "ts")
}

/// The events' own ids; null where an event has none.
pub(crate) fn ids(events: &RecordBatch) -> Result<&StringViewArray, StorageError> {
    column(events, "id")
}

/// A column by its name and type.
pub(crate) fn column<'a, T: Array + 'static>(events: &'a RecordBatch, name: &str) -> Result<&'a T, StorageError> {
    events
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref())
        .ok_or_else(|| StorageError::Corrupt(format!("events without a column `{name}` of its type")))
}

/// How many of the events have an id of their own.
pub(crate) fn count_ids(events: &RecordBatch) -> Result<u64, StorageError> {
    let ids = ids(events)?;
    Ok((ids.len() - ids.null_count()) as u64)
}

/// The name that a segment gets in the lake; readable by people and by engines that know `key=value` folders.
fn name_of(organization: &OrganizationUid, day: i64) -> String {
    let date = chrono::DateTime::from_timestamp_millis(day * DAY_MS).unwrap_or_default().date_naive();
    format!("events/{}/{}/day={date}/{}.parquet", requests::KIND, folder_of(organization), Uuid::now_v7())
}

/// Gives a staged segment its name in the lake. It exists only once the catalog names it.
pub(crate) fn publish(
    folder: &DataFolder,
    organization: &OrganizationUid,
    staged: StagedSegment,
) -> Result<PublishedSegment, StorageError> {
    let name = name_of(organization, staged.day);
    folder.publish(&staged.path, &name)?;
    Ok(PublishedSegment { staged, name })
}

/// Gives staged segments their names.
pub(crate) fn publish_all(
    folder: &DataFolder,
    organization: &OrganizationUid,
    segments: Vec<StagedSegment>,
) -> Result<Vec<PublishedSegment>, StorageError> {
    let named = segments.into_iter().map(|staged| PublishedSegment { name: name_of(organization, staged.day), staged });
    let named: Vec<PublishedSegment> = named.collect();
    let files: Vec<(&Path, &str)> =
        named.iter().map(|segment| (segment.staged.path.as_path(), segment.name.as_str())).collect();
    folder.publish_all(&files)?;
    Ok(named)
}

/// What is known of a segment before it is written.
#[derive(Debug, Default)]
pub(crate) struct Expected<'a> {
    /// About so many events have ids.
    pub(crate) ids: u64,
    /// Columns without a value: what compresses one takes a MiB of memory, and a dictionary room for thousands of values.
    pub(crate) empty: Vec<&'a str>,
}

/// Writes the events of one day aside, in the order of `order.rs`.
pub(crate) struct SegmentWriter {
    path: PathBuf,
    day: i64,
    event_count: u64,
    id_count: u64,
    parquet: ArrowWriter<File>,
}

impl SegmentWriter {
    pub(crate) fn create(path: PathBuf, day: i64, expected: &Expected<'_>) -> Result<Self, StorageError> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_statistics_enabled(EnabledStatistics::None);
        for name in SKIPPED_BY {
            properties = properties.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
        }
        // Events are in the order of their services: compression makes nothing of them, and no value is looked up.
        properties = properties.set_column_dictionary_enabled(ColumnPath::from("service"), false);
        // Sizes are in order, and what they differ by is small; times are nearly all different.
        for name in ["ts", "bytes"] {
            properties = properties
                .set_column_dictionary_enabled(ColumnPath::from(name), false)
                .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
        }
        for name in &expected.empty {
            properties = properties
                .set_column_dictionary_enabled(ColumnPath::from(*name), false)
                .set_column_compression(ColumnPath::from(*name), Compression::UNCOMPRESSED);
        }
        if expected.ids > 0 {
            let id = ColumnPath::from("id");
            properties = properties
                .set_column_bloom_filter_enabled(id.clone(), true)
                .set_column_bloom_filter_max_ndv(id.clone(), expected.ids.min(ROW_GROUP as u64))
                .set_column_dictionary_enabled(id, false);
        }
        let file = File::create(&path).map_err(|error| StorageError::file("could not create", &path, error))?;
        let parquet = ArrowWriter::try_new(file, requests::schema(), Some(properties.build()))?;
        Ok(Self { path, day, event_count: 0, id_count: 0, parquet })
    }

    pub(crate) fn push(&mut self, events: &RecordBatch) -> Result<(), StorageError> {
        self.event_count += events.num_rows() as u64;
        self.id_count += count_ids(events)?;
        Ok(self.parquet.write(events)?)
    }

    /// Syncs the file.
    pub(crate) fn finish(self) -> Result<StagedSegment, StorageError> {
        let Self { path, day, event_count, id_count, parquet } = self;
        let fail = |error| StorageError::file("could not write", &path, error);
        let file = parquet.into_inner()?;
        file.sync_all().map_err(fail)?;
        let size_bytes = file.metadata().map_err(fail)?.len();
        Ok(StagedSegment { path, day, event_count, id_count, size_bytes })
    }
}

/// Sorts events, cuts them into days and writes each day aside, several at once.
pub(crate) fn write_days(folder: &DataFolder, batches: Vec<RecordBatch>) -> Result<Vec<StagedSegment>, StorageError> {
    let events = together(&batches)?;
    drop(batches);
    let days = by_day(&events)?;
    fan_out(days, WRITTEN_AT_ONCE, |day| write(folder.staged_path(), &day.gather(&events)?))
}

/// Writes one day's events aside and syncs the file.
pub(crate) fn write(path: PathBuf, day: &DayEvents) -> Result<StagedSegment, StorageError> {
    let columns = day.events.schema_ref().fields().iter().zip(day.events.columns());
    let empty = columns.filter(|(_, column)| is_empty(column)).map(|(field, _)| field.name().as_str());
    let expected = Expected { ids: count_ids(&day.events)?, empty: empty.collect() };
    let mut writer = SegmentWriter::create(path, day.day, &expected)?;
    writer.push(&day.events)?;
    writer.finish()
}

/// Reads a segment whole.
pub(crate) fn read(path: &Path) -> Result<Vec<RecordBatch>, StorageError> {
    let reader = reader_of(path)?.build()?;
    reader.map(|batch| normalize(&batch?)).collect()
}

/// Gives those columns of a segment to `visit`, batch by batch, and reads no other.
pub(crate) fn visit(
    path: &Path,
    columns: &[&str],
    mut visit: impl FnMut(&RecordBatch) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let builder = reader_of(path)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    for batch in builder.with_projection(mask).build()? {
        visit(&normalize(&batch?)?)?;
    }
    Ok(())
}

/// Parquet gives strings back in whatever string type the reader chose; the lake's batches have the schema's.
fn normalize(batch: &RecordBatch) -> Result<RecordBatch, StorageError> {
    let names: Vec<usize> = batch
        .schema_ref()
        .fields()
        .iter()
        .map(|field| requests::schema().index_of(field.name()))
        .collect::<Result<_, _>>()?;
    let schema = Arc::new(requests::schema().project(&names)?);
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| arrow::compute::cast(column, field.data_type()));
    Ok(RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)?)
}

fn reader_of(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, StorageError> {
    let file = File::open(path).map_err(|e| StorageError::file("could not open", path, e))?;
    Ok(ParquetRecordBatchReaderBuilder::try_new(file)?)
}

/// Gives each id of a segment to `visit`, reading no other column.
pub(crate) fn visit_ids(path: &Path, mut visit_id: impl FnMut(&str)) -> Result<(), StorageError> {
    visit(path, &["id"], |events| {
        ids(events)?.iter().flatten().for_each(&mut visit_id);
        Ok(())
    })
}

/// The bloom filters of a segment's ids, one for each row group.
pub(crate) fn id_filters(path: &Path) -> Result<Vec<Sbbf>, StorageError> {
    let file = File::open(path).map_err(|e| StorageError::file("could not open", path, e))?;
    let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
    let reader = SerializedFileReader::new_with_options(file, options)?;
    let id_column = requests::schema().index_of("id")?;
    let mut filters = Vec::with_capacity(reader.num_row_groups());
    for index in 0..reader.num_row_groups() {
        if let Some(filter) = reader.get_row_group(index)?.get_column_bloom_filter(id_column) {
            filters.push(filter.clone());
        }
    }
    Ok(filters)
}
