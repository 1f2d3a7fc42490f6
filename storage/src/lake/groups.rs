//! The groups of a question, counted in memory from rows that were added up before.
//!
//! Every row comes in the codes of the dictionaries of its source. These are merged first, so that a group is one number:
//! its bucket and its values' codes, the most significant first. Numbers are in the order of what they stand for, which is
//! also how ties are broken. Where there are few possible groups each has a cell of its own; else groups are gathered as
//! they come, sorted and combined.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;

use super::aggregate::{Aggregate, Dimension, Filter, Measure, Order};
use super::counted::{Counted, Group, schema_of};
use super::dictionary::Dictionary;
use super::part::{self, Run};
use super::sources::{Source, SourcePart};
use super::summary_reader::SummaryCache;
use super::varint;
use crate::error::StorageError;

/// So many cells are made however few rows there are.
const FEW_CELLS: u64 = 1 << 16;

/// So many cells are made at most.
const MANY_CELLS: u64 = 1 << 24;

/// Groups are combined when so many were gathered.
const GATHERED: usize = 1 << 20;

/// What stands for a value that a filter does not let through.
const LEFT_OUT: u64 = u64::MAX;

/// Counts groups.
struct Counter<'a> {
    question: &'a Aggregate,
    /// The first days of all buckets; one of no meaning where there are none.
    dates: Vec<i32>,
    /// The values of each dimension of the group.
    values: Vec<Arc<Dictionary>>,
    cells: Cells,
}

enum Cells {
    /// A cell for each possible group.
    All { counts: Vec<u64>, bytes: Vec<u64> },
    /// The groups that there are, and how many of them are combined.
    Some { gathered: Vec<Group>, combined: usize },
}

/// Counts the groups of a question. `read` hears how many rows were read, whenever some were.
///
/// # Errors
/// [`StorageError::TooLarge`] where that takes more memory than can be reserved.
pub(super) fn count(
    question: &Aggregate,
    sources: &[Source],
    cache: &SummaryCache,
    memory: &MemoryReservation,
    mut read: impl FnMut(u64),
) -> Result<Counted, StorageError> {
    let files: Option<Vec<Arc<str>>> = sources.iter().map(|source| source.file.clone()).collect();
    let mut values = Vec::new();
    let mut codes = BTreeMap::new();
    for dimension in &question.group {
        let dictionaries: Vec<_> = sources.iter().map(|source| source.dictionary(*dimension)).collect();
        // What is merged is in memory twice at most: in halves and as the whole.
        let merging =
            if sources.len() > 1 { 2 * dictionaries.iter().map(|of| of.size_bytes()).sum::<usize>() } else { 0 };
        reserve(memory, merging)?;
        let merged = match &files {
            Some(files) if files.len() > 1 => cache.merged(files, *dimension, &dictionaries)?,
            _ => Arc::new(Dictionary::merged(&dictionaries)?),
        };
        memory.shrink(merging);
        if sources.len() > 1 {
            let codes: usize = merged.1.iter().map(|codes| size_of_val(codes.as_slice())).sum();
            reserve(memory, merged.0.size_bytes() + codes)?;
        }
        values.push(Arc::clone(&merged.0));
        codes.insert(*dimension, merged);
    }
    let rows = sources.iter().flat_map(|source| &source.parts).map(|part| part.rows.row_count).sum();
    let mut counter = Counter::new(question, sources, values, rows, memory)?;
    for (place, source) in sources.iter().enumerate() {
        let codes = codes.iter().map(|(dimension, merged)| (*dimension, merged.1[place].as_slice())).collect();
        let columns = counter.columns(source, &codes);
        for part in &source.parts {
            counter.add(part, &columns, memory)?;
            read(part.rows.row_count);
        }
    }
    counter.finish(memory)
}

pub(super) fn reserve(memory: &MemoryReservation, bytes: usize) -> Result<(), StorageError> {
    memory.try_grow(bytes).map_err(|_| StorageError::TooLarge("the groups of a report"))
}

/// What each code of a dimension adds to a group's number, or [`LEFT_OUT`].
type Columns = BTreeMap<Dimension, Vec<u64>>;

impl<'a> Counter<'a> {
    fn new(
        question: &'a Aggregate,
        sources: &[Source],
        values: Vec<Arc<Dictionary>>,
        rows: u64,
        memory: &MemoryReservation,
    ) -> Result<Self, StorageError> {
        let mut dates: Vec<i32> = sources.iter().flat_map(|source| &source.parts).map(|part| part.date).collect();
        dates.sort_unstable();
        dates.dedup();
        if question.bucket.is_none() {
            dates.truncate(1);
        }
        let mut sizes = values.iter().map(|values| values.len() as u64 + 1);
        let cells = sizes.try_fold(dates.len() as u64, u64::checked_mul);
        let cells = cells.ok_or(StorageError::TooLarge("the groups of a report"))?;
        let with_bytes = question.measures.contains(&Measure::Bytes);
        let cells = if cells <= FEW_CELLS.max(rows.saturating_mul(4)).min(MANY_CELLS) {
            let size = usize::try_from(cells).unwrap_or(usize::MAX);
            reserve(memory, size * size_of::<u64>() * if with_bytes { 2 } else { 1 })?;
            Cells::All { counts: vec![0; size], bytes: vec![0; if with_bytes { size } else { 0 }] }
        } else {
            let gathered = usize::try_from(rows).unwrap_or(usize::MAX).min(2 * GATHERED);
            reserve(memory, gathered * size_of::<Group>())?;
            Cells::Some { gathered: Vec::new(), combined: 0 }
        };
        Ok(Self { question, dates, values, cells })
    }

    /// How far apart the numbers of two neighbouring values of the dimension at that place of the group are.
    fn stride(&self, place: usize) -> u64 {
        self.values[place + 1..].iter().map(|values| values.len() as u64 + 1).product()
    }

    fn columns(&self, source: &Source, codes: &BTreeMap<Dimension, &[u32]>) -> Columns {
        let column = |dimension: Dimension| {
            let dictionary = &source.dictionaries[dimension as usize];
            let mut numbers = vec![0; dictionary.len() + 1];
            if let Some(place) = self.question.group.iter().position(|grouped| *grouped == dimension) {
                let (stride, last) = (self.stride(place), self.values[place].len() as u64);
                // No value comes after all values.
                let numbered = codes[&dimension].iter().map(|code| u64::from(*code).checked_sub(1).unwrap_or(last));
                numbers = numbered.map(|rank| rank * stride).collect();
            }
            for (number, code) in numbers.iter_mut().zip(0..) {
                if !self.lets_through(dimension, dictionary.value_of(code)) {
                    *number = LEFT_OUT;
                }
            }
            (dimension, numbers)
        };
        self.question.dimensions().into_iter().map(column).collect()
    }

    fn lets_through(&self, dimension: Dimension, value: Option<&str>) -> bool {
        self.question.filters.iter().all(|filter| match filter {
            Filter::OneOf(of, values) if *of == dimension => {
                value.is_some_and(|value| values.iter().any(|v| v == value))
            }
            Filter::Status(status) if dimension == Dimension::Status => value == Some(status.to_string().as_str()),
            Filter::Present(of) if *of == dimension => value.is_some(),
            _ => true,
        })
    }

    fn add(&mut self, part: &SourcePart, columns: &Columns, memory: &MemoryReservation) -> Result<(), StorageError> {
        let in_buckets = self.question.bucket.is_some();
        let bucket = if in_buckets { self.dates.partition_point(|date| *date < part.date) } else { 0 };
        let first = bucket as u64 * self.values.iter().map(|values| values.len() as u64 + 1).product::<u64>();
        let of_columns: Vec<Option<&[u64]>> =
            part.dimensions.iter().map(|dimension| columns.get(dimension).map(Vec::as_slice)).collect();
        part::visit(part.rows.encoded(), part.layout, |run| {
            let (last, before) = of_columns.split_last().ok_or_else(varint::damaged)?;
            let mut base = first;
            for (code, numbers) in run.before.iter().zip(before) {
                match number_of(*numbers, *code)? {
                    LEFT_OUT => return Ok(()),
                    number => base += number,
                }
            }
            self.cells.add(&run, base, *last)
        })?;
        self.cells.combine_if_many(memory)
    }

    fn finish(mut self, memory: &MemoryReservation) -> Result<Counted, StorageError> {
        let mut groups = match std::mem::replace(&mut self.cells, Cells::Some { gathered: Vec::new(), combined: 0 }) {
            Cells::Some { mut gathered, .. } => {
                combine(&mut gathered);
                gathered
            }
            Cells::All { counts, bytes } => {
                let found = counts.iter().filter(|count| **count > 0).count();
                reserve(memory, found * size_of::<Group>())?;
                let mut groups = Vec::with_capacity(found);
                groups.extend((0..).zip(&counts).filter(|(_, count)| **count > 0).map(|(number, count)| {
                    let place = usize::try_from(number).unwrap_or(usize::MAX);
                    Group { number, count: *count, bytes: bytes.get(place).copied().unwrap_or_default() }
                }));
                groups
            }
        };
        match self.question.order {
            Order::CountDescending => {
                groups.sort_unstable_by_key(|group| (std::cmp::Reverse(group.count), group.number));
            }
            Order::CountAscending => groups.sort_unstable_by_key(|group| (group.count, group.number)),
            Order::Date => {}
        }
        Ok(Counted {
            schema: schema_of(self.question),
            dates: self.question.bucket.map(|_| self.dates),
            dimensions: self.values,
            measures: self.question.measures.clone(),
            groups,
            given: 0,
        })
    }
}

fn number_of(numbers: Option<&[u64]>, code: u32) -> Result<u64, StorageError> {
    numbers.map_or(Ok(0), |numbers| numbers.get(code as usize).copied().ok_or_else(varint::damaged))
}

impl Cells {
    fn add(&mut self, run: &Run<'_>, base: u64, numbers: Option<&[u64]>) -> Result<(), StorageError> {
        match self {
            Self::All { counts, bytes } => {
                for (place, (code, count)) in run.last.iter().zip(run.counts).enumerate() {
                    let number = number_of(numbers, *code)?;
                    if number == LEFT_OUT {
                        continue;
                    }
                    let cell = usize::try_from(base + number).unwrap_or(usize::MAX);
                    *counts.get_mut(cell).ok_or_else(varint::damaged)? += count;
                    if let (Some(sum), Some(bytes)) = (bytes.get_mut(cell), run.bytes.get(place)) {
                        *sum = sum.saturating_add(*bytes);
                    }
                }
            }
            Self::Some { gathered, .. } => {
                gathered.reserve(run.last.len());
                for (place, (code, count)) in run.last.iter().zip(run.counts).enumerate() {
                    let number = number_of(numbers, *code)?;
                    if number != LEFT_OUT {
                        let bytes = run.bytes.get(place).copied().unwrap_or_default();
                        gathered.push(Group { number: base + number, count: *count, bytes });
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps gathered groups from taking many times the memory of those that there are.
    fn combine_if_many(&mut self, memory: &MemoryReservation) -> Result<(), StorageError> {
        if let Self::Some { gathered, combined } = self
            && gathered.len() >= GATHERED.max(*combined * 2)
        {
            combine(gathered);
            if gathered.len() > *combined {
                // Up to the next time there may be twice as many.
                reserve(memory, (gathered.len() - *combined) * 2 * size_of::<Group>())?;
                *combined = gathered.len();
            }
        }
        Ok(())
    }
}

fn combine(groups: &mut Vec<Group>) {
    groups.sort_unstable_by_key(|group| group.number);
    groups.dedup_by(|group, kept| {
        let same = group.number == kept.number;
        if same {
            kept.count += group.count;
            kept.bytes = kept.bytes.saturating_add(group.bytes);
        }
        same
    });
}
