//! Events as Tally's own lines again, to send them on to another Tally: what [`crate::formats::Ndjson`] reads.

use std::fmt;
use std::io::{self, Write};

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch, StringViewArray};
use arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int64Type, TimestampMillisecondType, UInt16Type};
use serde::Serialize;

use crate::raw::Field;

/// Fast: the network is seldom so slow that a higher level would pay.
const ZSTD_LEVEL: i32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    ts: i64,
    url: &'a str,
    status: u16,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
    method: &'a str,
    bytes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<&'a str>,
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

/// A body of lines, compressed with zstd while it grows.
pub struct LinesBody {
    encoder: zstd::Encoder<'static, Vec<u8>>,
    max_line_bytes: usize,
    line: Vec<u8>,
}

impl fmt::Debug for LinesBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LinesBody").field("max_line_bytes", &self.max_line_bytes).finish_non_exhaustive()
    }
}

impl LinesBody {
    /// No lines yet. The receiver takes lines of at most `max_line_bytes`.
    ///
    /// # Errors
    /// There is no memory for the compression.
    pub fn new(max_line_bytes: usize) -> io::Result<Self> {
        Ok(Self { encoder: zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?, max_line_bytes, line: Vec::new() })
    }

    /// Appends a line for each event. True for each that was appended, false for one whose line would be too long.
    ///
    /// # Errors
    /// The batch is none of requests.
    pub fn push(&mut self, batch: &RecordBatch) -> io::Result<Vec<bool>> {
        let columns = Columns::of(batch)?;
        let mut pushed = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            self.line.clear();
            serde_json::to_writer(&mut self.line, &columns.line(row))?;
            let fits = self.line.len() <= self.max_line_bytes;
            if fits {
                self.line.push(b'\n');
                self.encoder.write_all(&self.line)?;
            }
            pushed.push(fits);
        }
        Ok(pushed)
    }

    /// The compressed lines.
    ///
    /// # Errors
    /// The compression fails.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.encoder.finish()
    }
}

struct Columns<'a> {
    ts: &'a PrimitiveArray<TimestampMillisecondType>,
    status: &'a PrimitiveArray<UInt16Type>,
    bytes: &'a PrimitiveArray<Int64Type>,
    duration_ms: &'a PrimitiveArray<Float64Type>,
    url: &'a StringViewArray,
    service: &'a StringViewArray,
    api_key: &'a StringViewArray,
    method: &'a StringViewArray,
    cache: &'a StringViewArray,
    user_agent: &'a StringViewArray,
    sdk: &'a StringViewArray,
    project_uid: &'a StringViewArray,
    environment_uid: &'a StringViewArray,
    domain: &'a StringViewArray,
    id: &'a StringViewArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> io::Result<Self> {
        Ok(Self {
            ts: numbers(batch, Field::Ts)?,
            status: numbers(batch, Field::Status)?,
            bytes: numbers(batch, Field::Bytes)?,
            duration_ms: numbers(batch, Field::DurationMs)?,
            url: text(batch, Field::Url)?,
            service: text(batch, Field::Service)?,
            api_key: text(batch, Field::ApiKey)?,
            method: text(batch, Field::Method)?,
            cache: text(batch, Field::Cache)?,
            user_agent: text(batch, Field::UserAgent)?,
            sdk: text(batch, Field::Sdk)?,
            project_uid: text(batch, Field::ProjectUid)?,
            environment_uid: text(batch, Field::EnvironmentUid)?,
            domain: text(batch, Field::Domain)?,
            id: text(batch, Field::Id)?,
        })
    }

    fn line(&self, row: usize) -> Line<'a> {
        Line {
            ts: self.ts.value(row),
            url: self.url.value(row),
            status: self.status.value(row),
            service: self.service.value(row),
            api_key: given(self.api_key, row),
            method: self.method.value(row),
            bytes: self.bytes.value(row),
            cache: given(self.cache, row),
            user_agent: self.user_agent.value(row),
            sdk: given(self.sdk, row),
            duration_ms: self.duration_ms.is_valid(row).then(|| self.duration_ms.value(row)),
            project_uid: given(self.project_uid, row),
            environment_uid: given(self.environment_uid, row),
            domain: given(self.domain, row),
            id: given(self.id, row),
        }
    }
}

fn given(column: &StringViewArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn text(batch: &RecordBatch, field: Field) -> io::Result<&StringViewArray> {
    column(batch, field)?.as_string_view_opt().ok_or_else(|| foreign(field))
}

fn numbers<T: ArrowPrimitiveType>(batch: &RecordBatch, field: Field) -> io::Result<&PrimitiveArray<T>> {
    column(batch, field)?.as_primitive_opt().ok_or_else(|| foreign(field))
}

fn column(batch: &RecordBatch, field: Field) -> io::Result<&ArrayRef> {
    batch.column_by_name(field.name()).ok_or_else(|| foreign(field))
}

fn foreign(field: Field) -> io::Error {
    let message = format!("column `{}` is missing or of another type: this is no batch of requests", field.name());
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tally_storage::clock::Clock;

    use super::*;
    use crate::block::{Block, Cut};
    use crate::event::Rules;
    use crate::formats::Ndjson;
    use crate::parse::LineParser;

    fn batch(text: &str) -> RecordBatch {
        let stacks = HashSet::from(["k".to_owned()]);
        let rules = Rules::new(stacks, Clock::fixed("2015-05-20T12:00:00Z".parse().unwrap()));
        let block =
            Block { bytes: text.as_bytes().to_vec().into(), end: text.len() as u64, cut: Cut::Lines, headed: None };
        LineParser { format: &Ndjson, rules: &rules, max_line_bytes: 4096 }.start()(&block).unwrap().events
    }

    #[test]
    fn what_is_written_reads_as_the_same_events() {
        let full = r#"{"ts":1431857103250,"url":"/\"\u0001é","status":200,"service":"cma","api_key":"k","method":"PUT","bytes":12,"cache":"stale","user_agent":"u","sdk":"a/1","duration_ms":1.5,"project_uid":"p","environment_uid":"e","domain":"d","id":"i"}"#;
        let bare = r#"{"ts":1431857103250,"url":"/","status":404}"#;
        let events = batch(&format!("{full}\n{bare}\n"));
        let mut body = LinesBody::new(4096).unwrap();
        assert_eq!(body.push(&events).unwrap(), [true, true]);
        let text = String::from_utf8(zstd::decode_all(body.finish().unwrap().as_slice()).unwrap()).unwrap();
        insta::assert_snapshot!(text);
        assert_eq!(batch(&text), events);
    }

    #[test]
    fn a_line_that_the_receiver_would_not_take_is_left_out() {
        let long = format!(r#"{{"ts":1431857103250,"url":"/{}","status":200}}"#, "x".repeat(200));
        let events = batch(&format!("{long}\n{}\n", r#"{"ts":1431857103250,"url":"/","status":404}"#));
        let mut body = LinesBody::new(200).unwrap();
        assert_eq!(body.push(&events).unwrap(), [false, true]);
        let text = zstd::decode_all(body.finish().unwrap().as_slice()).unwrap();
        assert_eq!(text.split(|byte| *byte == b'\n').count(), 2);
    }
}
