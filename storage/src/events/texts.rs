//! A column of texts that repeat, being gathered: each different text is held once, and a row is its number.
//!
//! Arrow's own builder holds each text once too. But its rows are views from the start, 16 bytes each, and to compare a
//! text with one that it has it goes through the view of the row that had it first. Here rows are numbers until the column
//! is finished, and a builder keeps what it has allocated for the next column.

use std::hash::BuildHasher as _;
use std::mem;
use std::ops::Range;

use arrow::array::builder::{NullBufferBuilder, StringViewBuilder};
use arrow::array::{ArrayBuilder as _, ArrayRef, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Gathers texts that repeat.
#[derive(Debug)]
pub(super) struct RepeatedTexts {
    /// The different texts, one behind the other in the order of their numbers.
    texts: String,
    places: Vec<Range<usize>>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    rows: Vec<u32>,
    nulls: NullBufferBuilder,
}

impl Default for RepeatedTexts {
    fn default() -> Self {
        Self {
            texts: String::new(),
            places: Vec::new(),
            numbers: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            rows: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl RepeatedTexts {
    pub(super) fn push(&mut self, text: &str) {
        let number = self.number_of(text);
        self.rows.push(number);
        self.nulls.append_non_null();
    }

    pub(super) fn push_option(&mut self, text: Option<&str>) {
        if let Some(text) = text {
            self.push(text);
        } else {
            self.rows.push(0);
            self.nulls.append_null();
        }
    }

    fn number_of(&mut self, text: &str) -> u32 {
        let (texts, places, hasher) = (&mut self.texts, &mut self.places, &self.hasher);
        let is_text = |number: &u32| texts.as_bytes()[places[*number as usize].clone()] == *text.as_bytes();
        let hash_again = |number: &u32| hasher.hash_one(&texts.as_bytes()[places[*number as usize].clone()]);
        match self.numbers.entry(hasher.hash_one(text.as_bytes()), is_text, hash_again) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                // There are fewer different texts than rows, and a batch of more rows than this holds cannot be.
                let number = u32::try_from(places.len()).unwrap_or(u32::MAX);
                new.insert(number);
                places.push(texts.len()..texts.len() + text.len());
                texts.push_str(text);
                number
            }
        }
    }

    /// The column of all that was gathered; empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let mut texts = StringViewBuilder::with_capacity(self.places.len());
        for place in self.places.drain(..) {
            texts.append_value(&self.texts[place]);
        }
        self.texts.clear();
        self.numbers.clear();
        let next_rows = Vec::with_capacity(self.rows.len());
        let rows = UInt32Array::new(mem::replace(&mut self.rows, next_rows).into(), self.nulls.finish());
        if texts.is_empty() {
            return Ok(new_null_array(&DataType::Utf8View, rows.len()));
        }
        take(&texts.finish(), &rows, None)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, StringViewArray};
    use proptest::prelude::*;

    use super::*;

    fn column(gatherer: &mut RepeatedTexts, texts: &[Option<String>]) -> StringViewArray {
        for text in texts {
            gatherer.push_option(text.as_deref());
        }
        gatherer.finish().unwrap().as_any().downcast_ref::<StringViewArray>().unwrap().clone()
    }

    proptest! {
        #[test]
        fn a_column_has_the_texts_in_their_order(
            columns in prop::collection::vec(prop::collection::vec(prop::option::of("[ab]{0,4}(é{12})?"), 0..50), 1..4),
        ) {
            let mut gatherer = RepeatedTexts::default();
            for texts in columns {
                let column = column(&mut gatherer, &texts);
                let held: Vec<Option<String>> = column.iter().map(|text| text.map(str::to_owned)).collect();
                prop_assert_eq!(held, texts);
            }
        }
    }

    #[test]
    fn a_text_is_held_once() {
        let long = "a user agent of more than twelve bytes";
        let column = column(&mut RepeatedTexts::default(), &vec![Some(long.to_owned()); 1000]);
        let held: usize = column.data_buffers().iter().map(|buffer| buffer.as_slice().len()).sum();
        assert_eq!(held, long.len());
    }
}
