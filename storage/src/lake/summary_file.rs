//! The file of a segment's summaries: one Arrow IPC file, in which record batch *i* is the *i*-th of them.
//!
//! All batches have the columns of all summaries; those that a summary does not tell events apart by, or does not add up,
//! are null in it, and are not read. A batch is decoded once, and kept in a cache that is bounded in bytes.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::CompressionType;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use moka::sync::Cache;

use super::aggregate::{Dimension, Measure};
use super::summary::Summary;
use crate::catalog::SummaryFile;
use crate::error::StorageError;
use crate::folder::DataFolder;

/// Every dimension, in the order of the file's columns.
const DIMENSIONS: [Dimension; 9] = [
    Dimension::Service,
    Dimension::ApiKey,
    Dimension::Status,
    Dimension::Cache,
    Dimension::Device,
    Dimension::Sdk,
    Dimension::Url,
    Dimension::Project,
    Dimension::Environment,
];

const MEASURES: [Measure; 2] = [Measure::Count, Measure::Bytes];

/// The type of a dimension's column in memory: what the engine groups by fastest.
fn type_of(dimension: Dimension) -> DataType {
    if dimension == Dimension::Status { DataType::UInt16 } else { DataType::Utf8View }
}

/// The type of a column on disk: views would carry what other rows point to.
fn stored(data_type: &DataType) -> DataType {
    if *data_type == DataType::Utf8View { DataType::Utf8 } else { data_type.clone() }
}

static STORED: LazyLock<SchemaRef> = LazyLock::new(|| {
    let dimensions = DIMENSIONS.map(|dimension| Field::new(dimension.column(), stored(&type_of(dimension)), true));
    let measures = MEASURES.map(|measure| Field::new(measure.column(), DataType::Int64, true));
    Arc::new(Schema::new(dimensions.into_iter().chain(measures).collect::<Vec<_>>()))
});

/// The columns of a summary's rows in memory.
pub(super) fn schema_of(summary: Summary) -> SchemaRef {
    let dimensions = summary.dimensions();
    let dimensions = dimensions.into_iter().map(|dimension| Field::new(dimension.column(), type_of(dimension), true));
    let measures = summary.measures().iter();
    let measures = measures.map(|measure| Field::new(measure.column(), DataType::Int64, false));
    Arc::new(Schema::new(dimensions.chain(measures).collect::<Vec<_>>()))
}

/// Writes summaries aside and syncs the file; gives its size.
pub(super) fn write(path: &Path, summaries: &[(Summary, RecordBatch)]) -> Result<u64, StorageError> {
    let fail = |error| StorageError::file("could not write", path, error);
    let file = File::create(path).map_err(fail)?;
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    let mut writer = FileWriter::try_new_with_options(file, &STORED, options)?;
    for (_, rows) in summaries {
        let columns = STORED.fields().iter().map(|field| match rows.column_by_name(field.name()) {
            Some(column) => cast(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows.num_rows())),
        });
        writer.write(&RecordBatch::try_new(Arc::clone(&STORED), columns.collect::<Result<_, _>>()?)?)?;
    }
    writer.finish()?;
    let file = writer.into_inner()?;
    file.sync_all().map_err(fail)?;
    Ok(file.metadata().map_err(fail)?.len())
}

/// Reads the summary at that place of a file, and nothing else of it.
pub(super) fn read(path: &Path, place: usize, summary: Summary) -> Result<RecordBatch, StorageError> {
    let file = File::open(path).map_err(|error| StorageError::file("could not open", path, error))?;
    let schema = schema_of(summary);
    let wanted = schema.fields().iter().map(|field| STORED.index_of(field.name()));
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    let mut reader = FileReader::try_new(BufReader::new(file), Some(wanted))?;
    let missing = || StorageError::Corrupt(format!("`{}` has no summary {place}", path.display()));
    if place >= reader.num_batches() {
        return Err(missing());
    }
    reader.set_index(place)?;
    let rows = reader.next().ok_or_else(missing)??;
    let columns = schema.fields().iter().map(|field| -> Result<ArrayRef, StorageError> {
        let column = rows.column_by_name(field.name()).ok_or_else(missing)?;
        Ok(cast(column, field.data_type())?)
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Summaries, decoded. Clones share one cache.
#[derive(Clone)]
pub(super) struct SummaryCache {
    folder: DataFolder,
    decoded: Cache<(String, usize), RecordBatch>,
}

impl std::fmt::Debug for SummaryCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SummaryCache").field("entries", &self.decoded.entry_count()).finish_non_exhaustive()
    }
}

impl SummaryCache {
    pub(super) fn new(folder: &DataFolder, bytes: u64) -> Self {
        let weigh = |_: &(String, usize), rows: &RecordBatch| -> u32 {
            u32::try_from(rows.get_array_memory_size()).unwrap_or(u32::MAX)
        };
        Self { folder: folder.clone(), decoded: Cache::builder().max_capacity(bytes).weigher(weigh).build() }
    }

    /// The summary at that place of the file. Reads files: call it from a blocking thread.
    pub(super) fn get(&self, file: &SummaryFile, place: usize, summary: Summary) -> Result<RecordBatch, StorageError> {
        let key = (file.path.clone(), place);
        if let Some(rows) = self.decoded.get(&key) {
            return Ok(rows);
        }
        let rows = read(&self.folder.path_of(&file.path), place, summary)?;
        self.decoded.insert(key, rows.clone());
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringViewArray, UInt16Array};

    use super::*;
    use crate::lake::summary::Summaries;

    #[test]
    fn each_summary_is_read_back_by_its_place() {
        let summaries: Summaries = "service status/stack".parse().unwrap();
        let [service, status] = <[Summary; 2]>::try_from(summaries.0.clone()).unwrap();
        let text = |values: &[Option<&str>]| -> ArrayRef { Arc::new(StringViewArray::from_iter(values.to_vec())) };
        let numbers = |values: &[i64]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
        let services =
            RecordBatch::try_new(schema_of(service), vec![text(&[Some("cdn")]), numbers(&[3]), numbers(&[1 << 40])]);
        let statuses = RecordBatch::try_new(
            schema_of(status),
            vec![
                text(&[Some("cdn"), Some("cdn")]),
                text(&[None, Some("a stack with a name of more than twelve bytes")]),
                Arc::new(UInt16Array::from(vec![200, 404])),
                numbers(&[2, 1]),
            ],
        );
        let rows = [(service, services.unwrap()), (status, statuses.unwrap())];
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(root.path()).unwrap();
        let staged = folder.staged_path();
        let size = write(&staged, &rows).unwrap();
        assert_eq!(size, std::fs::metadata(&staged).unwrap().len());
        let cache = SummaryCache::new(&folder, 1 << 20);
        folder.publish(&staged, "events/summaries.arrow").unwrap();
        let file = SummaryFile { path: "events/summaries.arrow".to_owned(), size_bytes: size, summaries };
        for (place, (summary, expected)) in rows.iter().enumerate() {
            assert_eq!(cache.get(&file, place, *summary).unwrap(), *expected);
        }
        std::fs::remove_file(folder.path_of(&file.path)).unwrap();
        assert_eq!(cache.get(&file, 1, rows[1].0).unwrap(), rows[1].1, "it is kept in memory");
        assert!(cache.get(&file, 2, rows[1].0).is_err());
    }
}
