//! Events added up: how many there are of each combination of values, and their bytes.
//!
//! This is how summaries are made, and how a report reads events that have none. Texts are numbered as they come, so that
//! a group is a number, and only in the end brought into order.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringViewArray, UInt16Array};
use hashbrown::HashMap;

use super::aggregate::Dimension;
use super::interner::Interner;
use super::part::{Codes, Layout, MOST_COLUMNS, Row};
use super::summary_file::Dictionaries;
use crate::error::StorageError;
use crate::events::segment;

const BYTES: &str = "bytes";

/// A way to add events up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// At most [`MOST_COLUMNS`].
    pub(super) dimensions: Vec<Dimension>,
    pub(super) with_bytes: bool,
    /// It is given up where there are more rows,
    pub(super) most_rows: usize,
    /// or more bytes of different texts of a dimension.
    pub(super) most_text_bytes: usize,
}

impl Way {
    /// How its rows are laid out.
    pub(super) fn layout(&self) -> Layout {
        Layout { columns: self.dimensions.len(), with_bytes: self.with_bytes }
    }
}

/// Counts and bytes by group.
type Groups = HashMap<Codes, (u64, u64)>;

/// Events being added up in several ways at once, each by date.
pub(super) struct AddingUp {
    ways: Vec<Way>,
    groups: Vec<Option<BTreeMap<i32, Groups>>>,
    interners: [Interner; Dimension::ALL.len()],
}

/// Events, added up.
pub(super) struct AddedUp {
    pub(super) dictionaries: Dictionaries,
    /// For each way the sorted rows of each date; `None` where it was given up.
    pub(super) rows: Vec<Option<BTreeMap<i32, Vec<Row>>>>,
}

impl AddingUp {
    pub(super) fn new(ways: Vec<Way>) -> Self {
        let groups = ways.iter().map(|_| Some(BTreeMap::new())).collect();
        Self { ways, groups, interners: std::array::from_fn(|_| Interner::default()) }
    }

    /// The columns that it looks at.
    pub(super) fn columns(ways: &[Way]) -> Vec<&'static str> {
        let dimensions = ways.iter().flat_map(|way| way.dimensions.iter().map(|dimension| dimension.column()));
        let bytes = ways.iter().any(|way| way.with_bytes).then_some(BYTES);
        let mut columns: Vec<&str> = dimensions.chain(bytes).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Adds events, all of that date.
    pub(super) fn push(&mut self, events: &RecordBatch, date: i32) -> Result<(), StorageError> {
        let mut codes: [Vec<u32>; Dimension::ALL.len()] = std::array::from_fn(|_| Vec::new());
        for dimension in Dimension::ALL {
            let mut alive = self.ways.iter().zip(&self.groups).filter(|(_, groups)| groups.is_some());
            if alive.any(|(way, _)| way.dimensions.contains(&dimension)) {
                let place = dimension as usize;
                codes[place] = codes_of(events, dimension, &mut self.interners[place])?;
            }
        }
        for (way, all) in self.ways.iter().zip(&mut self.groups) {
            let Some(groups) = all else { continue };
            let groups = groups.entry(date).or_default();
            let columns: Vec<&[u32]> =
                way.dimensions.iter().map(|dimension| codes[*dimension as usize].as_slice()).collect();
            let bytes = if way.with_bytes { Some(segment::column::<Int64Array>(events, BYTES)?) } else { None };
            add(groups, &columns, bytes, events.num_rows());
            let interners = &self.interners;
            let text_bytes = way.dimensions.iter().map(|dimension| interners[*dimension as usize].text_bytes()).max();
            if groups.len() > way.most_rows || text_bytes > Some(way.most_text_bytes) {
                *all = None;
            }
        }
        Ok(())
    }

    /// Bytes of memory, about.
    pub(super) fn size_bytes(&self) -> usize {
        let groups = self.groups.iter().flatten().flat_map(BTreeMap::values);
        let groups: usize = groups.map(|groups| groups.capacity() * (size_of::<(Codes, (u64, u64))>() + 2)).sum();
        groups + self.interners.iter().map(Interner::size_bytes).sum::<usize>()
    }

    /// Brings everything into order.
    pub(super) fn finish(self) -> Result<AddedUp, StorageError> {
        let mut dictionaries = Dictionaries::default();
        let mut sorted: Vec<Vec<u32>> = Vec::new();
        for (dictionary, interner) in dictionaries.iter_mut().zip(&self.interners) {
            let (values, codes) = interner.sorted()?;
            *dictionary = Arc::new(values);
            sorted.push(codes);
        }
        let in_order = |way: &Way, groups: Groups| {
            let mut rows: Vec<Row> = groups
                .into_iter()
                .map(|(mut codes, (count, bytes))| {
                    for (code, dimension) in codes.iter_mut().zip(&way.dimensions) {
                        *code = sorted[*dimension as usize][*code as usize];
                    }
                    Row { codes, count, bytes }
                })
                .collect();
            rows.sort_unstable_by_key(|row| row.codes);
            rows
        };
        let rows = self.ways.iter().zip(self.groups).map(|(way, groups)| {
            let groups = groups?.into_iter();
            Some(groups.map(|(date, groups)| (date, in_order(way, groups))).collect())
        });
        Ok(AddedUp { rows: rows.collect(), dictionaries })
    }
}

fn add(groups: &mut Groups, columns: &[&[u32]], bytes: Option<&Int64Array>, rows: usize) {
    for row in 0..rows {
        let mut codes = [0; MOST_COLUMNS];
        for (code, column) in codes.iter_mut().zip(columns) {
            *code = column[row];
        }
        let (count, sum) = groups.entry(codes).or_default();
        *count += 1;
        *sum = sum.saturating_add(bytes.map_or(0, |bytes| bytes.value(row).unsigned_abs()));
    }
}

/// The code of each event's value.
fn codes_of(events: &RecordBatch, dimension: Dimension, interner: &mut Interner) -> Result<Vec<u32>, StorageError> {
    let column: &ArrayRef = events
        .column_by_name(dimension.column())
        .ok_or_else(|| StorageError::Corrupt(format!("events without a column `{}`", dimension.column())))?;
    if dimension == Dimension::Status {
        return codes_of_numbers(segment::column(events, dimension.column())?, interner);
    }
    if column.null_count() == column.len() {
        return Ok(vec![0; column.len()]);
    }
    codes_of_texts(segment::column(events, dimension.column())?, interner)
}

fn codes_of_numbers(numbers: &UInt16Array, interner: &mut Interner) -> Result<Vec<u32>, StorageError> {
    let mut known: HashMap<u16, u32> = HashMap::new();
    let code_of = |number: &u16| {
        if let Some(code) = known.get(number) {
            return Ok(*code);
        }
        let code = interner.intern(&number.to_string())?;
        known.insert(*number, code);
        Ok(code)
    };
    numbers.values().iter().map(code_of).collect()
}

/// Equal views are equal texts, and are looked up much faster.
fn codes_of_texts(texts: &StringViewArray, interner: &mut Interner) -> Result<Vec<u32>, StorageError> {
    let mut known: HashMap<u128, u32> = HashMap::new();
    let mut last = (None, 0);
    let mut codes = Vec::with_capacity(texts.len());
    for (place, view) in texts.views().iter().enumerate() {
        if texts.is_null(place) {
            codes.push(0);
            continue;
        }
        if last.0 != Some(*view) {
            let code = if let Some(code) = known.get(view) {
                *code
            } else {
                let code = interner.intern(texts.value(place))?;
                known.insert(*view, code);
                code
            };
            last = (Some(*view), code);
        }
        codes.push(last.1);
    }
    Ok(codes)
}
