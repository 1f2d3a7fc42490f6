//! The rows of a page as JSON, written straight from its columns: no value is made in between.

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use tally_storage::error::StorageError;

/// Writes `{…},{…}`: the rows of a page as JSON objects with commas between them, keys in the order of the columns.
///
/// # Errors
/// When a column is none of the types that results have.
pub fn write_json_rows(page: &RecordBatch, out: &mut Vec<u8>) -> Result<(), StorageError> {
    let schema = page.schema();
    let columns: Vec<(Vec<u8>, Cells<'_>)> = schema
        .fields()
        .iter()
        .zip(page.columns())
        .enumerate()
        .map(|(index, (field, column))| Ok((key(field.name(), index == 0), Cells::of(column.as_ref())?)))
        .collect::<Result<_, StorageError>>()?;
    let mut numbers = itoa::Buffer::new();
    for row in 0..page.num_rows() {
        if row > 0 {
            out.push(b',');
        }
        for (key, cells) in &columns {
            out.extend_from_slice(key);
            cells.write(row, &mut numbers, out);
        }
        out.push(b'}');
    }
    Ok(())
}

/// `{"name":` or `,"name":`. The names of columns are plain words.
fn key(name: &str, first: bool) -> Vec<u8> {
    let open = if first { '{' } else { ',' };
    format!("{open}\"{name}\":").into_bytes()
}

enum Cells<'a> {
    Numbers(&'a arrow::array::Int64Array),
    Texts(&'a arrow::array::StringArray),
    Dates(&'a arrow::array::Date32Array),
}

impl<'a> Cells<'a> {
    fn of(column: &'a dyn Array) -> Result<Self, StorageError> {
        match column.data_type() {
            DataType::Int64 => Ok(Self::Numbers(column.as_primitive::<Int64Type>())),
            DataType::Utf8 => Ok(Self::Texts(column.as_string::<i32>())),
            DataType::Date32 => Ok(Self::Dates(column.as_primitive::<Date32Type>())),
            other => Err(StorageError::Corrupt(format!("a result with a column of type {other}"))),
        }
    }

    fn write(&self, row: usize, numbers: &mut itoa::Buffer, out: &mut Vec<u8>) {
        match self {
            Self::Numbers(column) => out.extend_from_slice(numbers.format(column.value(row)).as_bytes()),
            Self::Texts(column) => write_json_text(column.value(row), out),
            Self::Dates(column) => {
                let date = Date32Type::to_naive_date_opt(column.value(row)).unwrap_or_default();
                write_json_text(&date.to_string(), out);
            }
        }
    }
}

/// Writes a text with its quotes.
pub fn write_json_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut written = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_reads_back_as_it_was(text in any::<String>()) {
            let mut out = Vec::new();
            write_json_text(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
