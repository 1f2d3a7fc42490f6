//! The different values of a dimension, sorted, each once; and the codes that stand for them in summaries.
//!
//! A code is a value's place plus one; 0 stands for no value. Since values are sorted, codes are in the order of what they
//! stand for: rows are added up, compared and ordered as numbers, and a text is looked at again only when it is shown.
//! The engine is given plain strings instead: it is slow with dictionary-typed columns, and never sees these.

use std::cmp::Ordering;
use std::sync::Arc;

use super::varint;
use crate::error::StorageError;

/// Sorted values, each once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Dictionary {
    text: String,
    ends: Vec<u32>,
}

/// All values of several dictionaries, and for each of these the new code of each code.
pub(super) type Merged = (Arc<Dictionary>, Vec<Vec<u32>>);

impl Dictionary {
    /// Of values that are sorted, and each there once.
    pub(super) fn from_sorted<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, StorageError> {
        let mut dictionary = Self::default();
        for value in values {
            dictionary.push(value)?;
        }
        Ok(dictionary)
    }

    fn push(&mut self, value: &str) -> Result<(), StorageError> {
        self.text.push_str(value);
        self.ends.push(u32::try_from(self.text.len()).map_err(|_| too_large())?);
        Ok(())
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The value at that place.
    pub(super) fn get(&self, place: usize) -> &str {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[place] as usize]
    }

    /// Bytes of the value at that place; 0 where there is none.
    pub(super) fn length_of(&self, place: usize) -> usize {
        if place < self.len() { self.get(place).len() } else { 0 }
    }

    /// Every value, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|place| self.get(place))
    }

    /// What that code stands for.
    pub(super) fn value_of(&self, code: u32) -> Option<&str> {
        (code as usize).checked_sub(1).map(|place| self.get(place))
    }

    /// Bytes of memory.
    pub(super) fn size_bytes(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<u32>()
    }

    /// The values whose codes are marked, and each code's new one: 0 where it is not marked.
    pub(super) fn only(&self, marked: &[bool]) -> Result<(Self, Vec<u32>), StorageError> {
        let mut kept = Self::default();
        let mut codes = vec![0; self.len() + 1];
        for (place, value) in self.iter().enumerate().filter(|(place, _)| marked[place + 1]) {
            kept.push(value)?;
            codes[place + 1] = code_at(kept.len() - 1);
        }
        Ok((kept, codes))
    }

    /// All values of all of them, and for each of them the new code of each code. Order is kept: of two codes the larger
    /// one has the larger new one.
    pub(super) fn merged(dictionaries: &[Arc<Self>]) -> Result<Merged, StorageError> {
        match dictionaries {
            [] => Ok((Arc::default(), Vec::new())),
            [one] => Ok((Arc::clone(one), vec![(0..code_at(one.len())).collect()])),
            several => {
                let (left, right) = several.split_at(several.len() / 2);
                let ((left, mut codes), (right, codes_of_right)) = (Self::merged(left)?, Self::merged(right)?);
                let (merged, from_left, from_right) = left.merged_with(&right)?;
                codes.iter_mut().flatten().for_each(|code| *code = from_left[*code as usize]);
                let in_merged = |code: u32| from_right[code as usize];
                codes.extend(codes_of_right.into_iter().map(|codes| codes.into_iter().map(in_merged).collect()));
                Ok((Arc::new(merged), codes))
            }
        }
    }

    fn merged_with(&self, other: &Self) -> Result<(Self, Vec<u32>, Vec<u32>), StorageError> {
        // What both have is there once: this is the most that it can take.
        let text = String::with_capacity(self.text.len() + other.text.len());
        let mut merged = Self { text, ends: Vec::with_capacity(self.len() + other.len()) };
        let mut codes = Vec::with_capacity(self.len() + 1);
        let mut codes_of_other = Vec::with_capacity(other.len() + 1);
        codes.push(0);
        codes_of_other.push(0);
        let (mut left, mut right) = (0, 0);
        while left < self.len() || right < other.len() {
            let order = match (left < self.len(), right < other.len()) {
                (true, true) => self.get(left).as_bytes().cmp(other.get(right).as_bytes()),
                (true, false) => Ordering::Less,
                _ => Ordering::Greater,
            };
            let code = code_at(merged.len());
            merged.push(if order == Ordering::Greater { other.get(right) } else { self.get(left) })?;
            if order != Ordering::Greater {
                codes.push(code);
                left += 1;
            }
            if order != Ordering::Less {
                codes_of_other.push(code);
                right += 1;
            }
        }
        Ok((merged, codes, codes_of_other))
    }

    /// As bytes: of each value only what differs from the one before.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() / 2);
        varint::write(&mut out, self.len() as u64);
        let mut before: &[u8] = &[];
        for value in self.iter().map(str::as_bytes) {
            let shared = before.iter().zip(value).take_while(|(left, right)| left == right).count();
            varint::write(&mut out, shared as u64);
            varint::write(&mut out, (value.len() - shared) as u64);
            out.extend_from_slice(&value[shared..]);
            before = value;
        }
        out
    }

    /// What [`encode`](Self::encode) wrote.
    pub(super) fn decode(encoded: &[u8]) -> Result<Self, StorageError> {
        let mut rest = encoded;
        let count = varint::read_length(&mut rest)?;
        let mut text: Vec<u8> = Vec::with_capacity(encoded.len() * 2);
        let mut ends = Vec::with_capacity(count.min(encoded.len()));
        let mut start = 0;
        for _ in 0..count {
            let (shared, length) = (varint::read_length(&mut rest)?, varint::read_length(&mut rest)?);
            let next = text.len();
            if shared > next - start || length > rest.len() {
                return Err(varint::damaged());
            }
            text.extend_from_within(start..start + shared);
            let (own, others) = rest.split_at(length);
            text.extend_from_slice(own);
            (rest, start) = (others, next);
            ends.push(u32::try_from(text.len()).map_err(|_| too_large())?);
        }
        let text = String::from_utf8(text).map_err(|_| varint::damaged())?;
        let whole = ends.iter().all(|end| text.is_char_boundary(*end as usize));
        if whole { Ok(Self { text, ends }) } else { Err(varint::damaged()) }
    }
}

/// The code of the value at that place. More than a `u32` counts would be more bytes than [`Dictionary::push`] takes.
pub(super) fn code_at(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}

pub(super) fn too_large() -> StorageError {
    StorageError::TooLarge("the values of a dimension")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set(prop_oneof!["(/(a|é|日){0,3}){0,4}", ".{0,12}"], 0..40)
    }

    fn dictionary(values: &BTreeSet<String>) -> Arc<Dictionary> {
        Arc::new(Dictionary::from_sorted(values.iter().map(String::as_str)).unwrap())
    }

    proptest! {
        #[test]
        fn values_are_read_back(values in values()) {
            let made = dictionary(&values);
            prop_assert_eq!(&Dictionary::decode(&made.encode()).unwrap(), &*made);
            for (place, value) in values.iter().enumerate() {
                prop_assert_eq!(made.get(place), value);
                prop_assert_eq!(made.value_of(code_at(place)), Some(value.as_str()));
            }
            prop_assert_eq!(made.value_of(0), None);
        }

        #[test]
        fn a_code_of_many_stands_for_the_same_value_in_all(parts in prop::collection::vec(values(), 0..6)) {
            let dictionaries: Vec<_> = parts.iter().map(dictionary).collect();
            let (merged, codes) = Dictionary::merged(&dictionaries).unwrap();
            let all: BTreeSet<String> = parts.iter().flatten().cloned().collect();
            prop_assert!(merged.iter().eq(all.iter().map(String::as_str)));
            for (part, codes) in dictionaries.iter().zip(codes) {
                prop_assert_eq!(codes.len(), part.len() + 1);
                for (code, new) in (0..).zip(codes) {
                    prop_assert_eq!(part.value_of(code), merged.value_of(new));
                }
            }
        }

        #[test]
        fn what_is_not_marked_is_gone(values in values(), marked in prop::collection::vec(any::<bool>(), 41)) {
            let made = dictionary(&values);
            let (kept, codes) = made.only(&marked).unwrap();
            let expected = values.iter().zip(&marked[1..]).filter(|(_, marked)| **marked);
            prop_assert!(kept.iter().eq(expected.map(|(value, _)| value.as_str())));
            for (code, new) in (0..).zip(codes).filter(|(code, _)| marked[*code as usize]) {
                prop_assert_eq!(made.value_of(code), kept.value_of(new));
            }
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_as_something(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(read) = Dictionary::decode(&bytes) {
                prop_assert!(read.iter().count() == read.len());
            }
        }
    }
}
