//! Counted groups as the rows of an answer.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::aggregate::{Aggregate, Measure};
use super::dictionary::Dictionary;
use super::table::DATE;
use crate::error::StorageError;

/// Rows of a batch of the answer.
const BATCH_ROWS: usize = 8192;

/// One group: its number, how many events, their bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) number: u64,
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// The columns of an answer.
pub(super) fn schema_of(question: &Aggregate) -> SchemaRef {
    let date = question.bucket.map(|_| Field::new(DATE, DataType::Date32, false));
    let texts = question.group.iter().map(|dimension| Field::new(dimension.column(), DataType::Utf8, true));
    let measures = question.measures.iter().map(|measure| Field::new(measure.column(), DataType::Int64, false));
    Arc::new(Schema::new(date.into_iter().chain(texts).chain(measures).collect::<Vec<_>>()))
}

/// Counted groups, in the order that was asked for.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) schema: SchemaRef,
    /// The first days of all buckets, where there are buckets.
    pub(super) dates: Option<Vec<i32>>,
    /// The values of each dimension.
    pub(super) dimensions: Vec<Arc<Dictionary>>,
    pub(super) measures: Vec<Measure>,
    pub(super) groups: Vec<Group>,
    /// How many of them were given.
    pub(super) given: usize,
}

impl Counted {
    /// The next rows; `None` at the end.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, StorageError> {
        let groups = &self.groups[self.given..(self.given + BATCH_ROWS).min(self.groups.len())];
        if groups.is_empty() {
            return Ok(None);
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        let mut numbers: Vec<u64> = groups.iter().map(|group| group.number).collect();
        for dictionary in self.dimensions.iter().rev() {
            columns.push(Arc::new(texts(dictionary, &mut numbers)));
        }
        if let Some(dates) = &self.dates {
            let place = |number: &u64| usize::try_from(*number).unwrap_or(usize::MAX);
            columns.push(Arc::new(Date32Array::from_iter_values(numbers.iter().map(|number| dates[place(number)]))));
        }
        columns.reverse();
        for measure in &self.measures {
            let of = |group: &Group| match measure {
                Measure::Count => group.count,
                Measure::Bytes => group.bytes,
            };
            let numbers = groups.iter().map(|group| i64::try_from(of(group)).unwrap_or(i64::MAX));
            columns.push(Arc::new(Int64Array::from_iter_values(numbers)));
        }
        self.given += groups.len();
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.schema), columns)?))
    }
}

/// The values of the least significant dimension, which is taken off the numbers.
fn texts(dictionary: &Dictionary, numbers: &mut [u64]) -> arrow::array::StringArray {
    let size = dictionary.len() as u64 + 1;
    let place_of = |number: u64| usize::try_from(number % size).unwrap_or(usize::MAX);
    // The places are all over the dictionary: it is asked for all lengths first, which a core does side by side.
    let bytes = numbers.iter().map(|number| dictionary.length_of(place_of(*number))).sum();
    let mut texts = StringBuilder::with_capacity(numbers.len(), bytes);
    for number in numbers {
        let place = place_of(*number);
        *number /= size;
        if place == dictionary.len() {
            texts.append_null();
        } else {
            texts.append_value(dictionary.get(place));
        }
    }
    texts.finish()
}
