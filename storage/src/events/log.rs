//! The payload of a log row: record batches as a compressed Arrow IPC stream.

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use super::requests;
use crate::error::StorageError;

/// Encodes batches of the request schema.
pub(crate) fn encode(batches: &[RecordBatch]) -> Result<Vec<u8>, StorageError> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &requests::schema(), options)?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}

/// Decodes what [`encode`] wrote.
pub(crate) fn decode(payload: &[u8]) -> Result<Vec<RecordBatch>, StorageError> {
    let reader = StreamReader::try_new(Cursor::new(payload), None)?;
    Ok(reader.collect::<Result<_, _>>()?)
}
