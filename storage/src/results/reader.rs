//! Reads one page of a result.

use std::fs::File;
use std::io::BufReader;

use arrow::array::RecordBatch;
use arrow::ipc::reader::FileReader;

use crate::error::StorageError;
use crate::folder::DataFolder;

/// Reads a page of a result; `None` past the end. Reads the file's index and that page, nothing else. Call it where
/// reading a file keeps nobody waiting.
///
/// # Errors
/// When the file cannot be read.
pub fn read_page(folder: &DataFolder, name: &str, page: u64) -> Result<Option<RecordBatch>, StorageError> {
    let path = folder.path_of(name);
    let file = File::open(&path).map_err(|e| StorageError::file("could not open", &path, e))?;
    let mut reader = FileReader::try_new(BufReader::new(file), None)?;
    let Some(index) = usize::try_from(page).ok().filter(|index| *index < reader.num_batches()) else {
        return Ok(None);
    };
    reader.set_index(index)?;
    Ok(reader.next().transpose()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
    use proptest::prelude::*;

    use super::*;
    use crate::ids::OrganizationUid;
    use crate::results::PageWriter;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("count", DataType::Int64, false),
            Field::new("device", DataType::Utf8, false),
        ]))
    }

    fn rows(range: std::ops::Range<i64>) -> RecordBatch {
        let devices = StringArray::from_iter_values(range.clone().map(|n| format!("device {n}")));
        RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from_iter_values(range)), Arc::new(devices)]).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pages_hold_the_rows_in_order_whatever_batches_they_came_in(
            total in 0_i64..200, skip in 0_u64..250, limit in 1_usize..60, cuts in prop::collection::vec(1_i64..50, 1..8),
        ) {
            let root = tempfile::tempdir().unwrap();
            let folder = DataFolder::open(root.path()).unwrap();
            let mut writer = PageWriter::create(&folder, &OrganizationUid::mint(), &schema(), Some(limit), skip).unwrap();
            let mut start = 0;
            for cut in cuts.iter().cycle() {
                if start >= total { break }
                let end = (start + cut).min(total);
                writer.push(&rows(start..end)).unwrap();
                start = end;
            }
            let written = writer.finish().unwrap().publish().unwrap();
            let expected: Vec<i64> = (0..total).skip(usize::try_from(skip).unwrap()).collect();
            prop_assert_eq!(written.row_count, expected.len() as u64);
            prop_assert_eq!(written.page_count, expected.len().div_ceil(limit).max(1) as u64);
            let mut read = Vec::new();
            for page in 0..written.page_count {
                let batch = read_page(&folder, &written.path, page).unwrap().unwrap();
                prop_assert!(batch.num_rows() == limit || page + 1 == written.page_count);
                let counts = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
                read.extend(counts.values().iter().copied());
            }
            prop_assert_eq!(read, expected);
            prop_assert!(read_page(&folder, &written.path, written.page_count).unwrap().is_none());
        }
    }
}
