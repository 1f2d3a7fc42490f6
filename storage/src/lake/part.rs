//! The rows of a summary as bytes: for each combination of values, in codes, how many events there are and their bytes.
//!
//! Rows are sorted. Those that differ in the last column only are a run: the other columns' codes are there once, then by
//! how much each code of the last column is larger than the one before, then the counts, then the bytes. Most of these
//! numbers are small, and take a byte each; reading a row takes a few nanoseconds.

use super::varint;
use crate::error::StorageError;

/// Columns that rows can have.
pub(super) const MOST_COLUMNS: usize = 4;

/// The codes of a row, one for each column; the others are 0.
pub(super) type Codes = [u32; MOST_COLUMNS];

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) codes: Codes,
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// How the rows of a part are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// 1 to [`MOST_COLUMNS`].
    pub(super) columns: usize,
    /// Whether they have bytes.
    pub(super) with_bytes: bool,
}

/// Rows that differ in their last column only.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// The codes of all columns but the last.
    pub(super) before: &'a [u32],
    /// The last column's, ascending.
    pub(super) last: &'a [u32],
    pub(super) counts: &'a [u64],
    /// Empty where the layout has none.
    pub(super) bytes: &'a [u64],
}

/// Adds up rows with the same codes. They have to be sorted.
pub(super) fn combine(rows: &mut Vec<Row>) {
    rows.dedup_by(|row, kept| {
        let same = row.codes == kept.codes;
        if same {
            kept.count += row.count;
            kept.bytes = kept.bytes.saturating_add(row.bytes);
        }
        same
    });
}

/// Rows as bytes. They have to be sorted by their codes, each of which is there once.
pub(super) fn encode(rows: &[Row], layout: Layout) -> Vec<u8> {
    let last = layout.columns - 1;
    let mut out = Vec::with_capacity(rows.len() * 3);
    for run in rows.chunk_by(|left, right| left.codes[..last] == right.codes[..last]) {
        for code in &run[0].codes[..last] {
            varint::write(&mut out, u64::from(*code));
        }
        varint::write(&mut out, run.len() as u64);
        let mut before = 0;
        for row in run {
            varint::write(&mut out, u64::from(row.codes[last] - before));
            before = row.codes[last];
        }
        for row in run {
            varint::write(&mut out, row.count);
        }
        if layout.with_bytes {
            for row in run {
                varint::write(&mut out, row.bytes);
            }
        }
    }
    out
}

/// Gives each run to `visit`.
pub(super) fn visit(
    mut encoded: &[u8],
    layout: Layout,
    mut visit: impl FnMut(Run<'_>) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut before = [0; MOST_COLUMNS];
    let before = &mut before[..layout.columns - 1];
    let (mut last, mut counts, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    while !encoded.is_empty() {
        for code in before.iter_mut() {
            *code = code_of(varint::read(&mut encoded)?)?;
        }
        let length = varint::read_length(&mut encoded)?;
        if length > encoded.len() {
            return Err(varint::damaged());
        }
        last.clear();
        let mut code = 0_u64;
        for _ in 0..length {
            code = code.saturating_add(varint::read(&mut encoded)?);
            last.push(code_of(code)?);
        }
        read_numbers(&mut encoded, length, &mut counts)?;
        read_numbers(&mut encoded, if layout.with_bytes { length } else { 0 }, &mut bytes)?;
        visit(Run { before, last: &last, counts: &counts, bytes: &bytes })?;
    }
    Ok(())
}

fn read_numbers(encoded: &mut &[u8], length: usize, numbers: &mut Vec<u64>) -> Result<(), StorageError> {
    numbers.clear();
    for _ in 0..length {
        numbers.push(varint::read(encoded)?);
    }
    Ok(())
}

fn code_of(number: u64) -> Result<u32, StorageError> {
    u32::try_from(number).map_err(|_| varint::damaged())
}

/// All rows.
pub(super) fn decode(encoded: &[u8], layout: Layout) -> Result<Vec<Row>, StorageError> {
    let mut rows = Vec::new();
    visit(encoded, layout, |run| {
        for (place, (last, count)) in run.last.iter().zip(run.counts).enumerate() {
            let mut codes = [0; MOST_COLUMNS];
            codes[..run.before.len()].copy_from_slice(run.before);
            codes[run.before.len()] = *last;
            rows.push(Row { codes, count: *count, bytes: run.bytes.get(place).copied().unwrap_or_default() });
        }
        Ok(())
    })?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(layout: Layout) -> impl Strategy<Value = Vec<Row>> {
        let codes = prop::array::uniform4(prop_oneof![0..4_u32, any::<u32>()]);
        let rows = prop::collection::btree_map(codes, (1..u64::MAX >> 8, 0..u64::MAX >> 8), 0..60);
        rows.prop_map(move |rows| {
            let rows = rows.into_iter().map(|(mut codes, (count, bytes))| {
                codes[layout.columns..].fill(0);
                Row { codes, count, bytes: if layout.with_bytes { bytes } else { 0 } }
            });
            let mut rows: Vec<Row> = rows.collect();
            rows.sort_unstable_by_key(|row| row.codes);
            rows.dedup_by_key(|row| row.codes);
            rows
        })
    }

    proptest! {
        #[test]
        fn rows_are_read_back(
            (layout, rows) in (1..=MOST_COLUMNS, any::<bool>()).prop_flat_map(|(columns, with_bytes)| {
                let layout = Layout { columns, with_bytes };
                (Just(layout), rows(layout))
            }),
        ) {
            prop_assert_eq!(decode(&encode(&rows, layout), layout).unwrap(), rows);
        }

        #[test]
        fn damaged_bytes_do_no_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..60), columns in 1..=MOST_COLUMNS, with_bytes in any::<bool>(),
        ) {
            if let Ok(rows) = decode(&bytes, Layout { columns, with_bytes }) {
                prop_assert!(rows.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn equal_rows_are_one() {
        let row = |code, count| Row { codes: [code, 0, 0, 0], count, bytes: 10 * count };
        let mut rows = vec![row(1, 1), row(2, 2), row(2, 3), row(3, 4)];
        combine(&mut rows);
        assert_eq!(rows, [row(1, 1), row(2, 5), row(3, 4)]);
    }
}
