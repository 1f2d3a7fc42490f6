//! Summaries put together: those of many segments with one dictionary for each dimension, and nothing in it that no row
//! names.

use std::sync::Arc;

use super::aggregate::Dimension;
use super::dictionary::Dictionary;
use super::part::{self, Row};
use super::summary_file::{Contents, Part};
use super::varint;
use crate::error::StorageError;

/// New codes for the codes of each dimension.
type Recoding = [Vec<u32>; Dimension::ALL.len()];

impl Contents {
    /// The segments of all, one after the other. What no row names any more is left out.
    pub(super) fn together(all: Vec<Self>) -> Result<Self, StorageError> {
        let all = all.into_iter().map(Self::only_used).collect::<Result<Vec<_>, _>>()?;
        let mut together = Self::default();
        let mut recodings: Vec<Recoding> = all.iter().map(|_| Recoding::default()).collect();
        for dimension in Dimension::ALL {
            let place = dimension as usize;
            let dictionaries: Vec<_> = all.iter().map(|contents| Arc::clone(&contents.dictionaries[place])).collect();
            let (merged, codes) = Dictionary::merged(&dictionaries)?;
            together.dictionaries[place] = merged;
            recodings.iter_mut().zip(codes).for_each(|(recoding, codes)| recoding[place] = codes);
        }
        for (contents, recoding) in all.into_iter().zip(&recodings) {
            for parts in contents.segments {
                together.segments.push(recoded(parts, recoding)?);
            }
        }
        Ok(together)
    }

    /// The other's parts of the same segments beside its own.
    pub(super) fn beside(self, other: Self) -> Result<Self, StorageError> {
        let segment_count = self.segments.len();
        let mut beside = Self::together(vec![self, other])?;
        let others = beside.segments.split_off(segment_count);
        for (parts, others) in beside.segments.iter_mut().zip(others) {
            parts.extend(others);
        }
        Ok(beside)
    }

    /// Without the values that no row names.
    pub(super) fn only_used(self) -> Result<Self, StorageError> {
        let mut used: [Vec<bool>; Dimension::ALL.len()] =
            std::array::from_fn(|place| vec![false; self.dictionaries[place].len() + 1]);
        for part in self.segments.iter().flatten() {
            let dimensions = part.summary.dimensions();
            let mut mark = |place: usize, code: u32| {
                let used = used[dimensions[place] as usize].get_mut(code as usize).ok_or_else(varint::damaged)?;
                *used = true;
                Ok(())
            };
            part::visit(&part.encoded, part.summary.layout(), |run| {
                run.before.iter().enumerate().try_for_each(|(place, code)| mark(place, *code))?;
                run.last.iter().try_for_each(|code| mark(dimensions.len() - 1, *code))
            })?;
        }
        if used.iter().all(|used| used.iter().skip(1).all(|used| *used)) {
            return Ok(self);
        }
        let mut dictionaries = self.dictionaries;
        let mut recoding = Recoding::default();
        for (place, used) in used.iter().enumerate() {
            let (kept, codes) = dictionaries[place].only(used)?;
            dictionaries[place] = Arc::new(kept);
            recoding[place] = codes;
        }
        let segments = self.segments.into_iter().map(|parts| recoded(parts, &recoding)).collect::<Result<_, _>>()?;
        Ok(Self { dictionaries, segments })
    }
}

/// The same rows in other codes, which are in the same order. Every code was seen by [`Contents::only_used`].
fn recoded(parts: Vec<Part>, recoding: &Recoding) -> Result<Vec<Part>, StorageError> {
    let recode = |part: Part| {
        let (dimensions, layout) = (part.summary.dimensions(), part.summary.layout());
        let mut rows: Vec<Row> = part::decode(&part.encoded, layout)?;
        for (code, dimension) in rows.iter_mut().flat_map(|row| row.codes.iter_mut().zip(&dimensions)) {
            *code = recoding[*dimension as usize][*code as usize];
        }
        Ok(Part { encoded: part::encode(&rows, layout), ..part })
    };
    parts.into_iter().map(recode).collect()
}
