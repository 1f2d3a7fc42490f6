//! Different texts, numbered as they come.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

use super::dictionary::{Dictionary, code_at, too_large};
use crate::error::StorageError;

/// Gives each different text a code, beginning with 1; 0 stands for no text.
#[derive(Default)]
pub(super) struct Interner {
    codes: HashTable<u32>,
    hasher: DefaultHashBuilder,
    text: String,
    ends: Vec<u32>,
}

impl Interner {
    /// The text's code.
    pub(super) fn intern(&mut self, text: &str) -> Result<u32, StorageError> {
        let hash = self.hasher.hash_one(text);
        if let Some(code) = self.codes.find(hash, |code| self.text_of(*code) == text) {
            return Ok(*code);
        }
        self.text.push_str(text);
        self.ends.push(u32::try_from(self.text.len()).map_err(|_| too_large())?);
        let code = code_at(self.ends.len() - 1);
        let Self { codes, hasher, text, ends } = self;
        codes.insert_unique(hash, code, |code| hasher.hash_one(text_at(text, ends, *code)));
        Ok(code)
    }

    fn text_of(&self, code: u32) -> &str {
        text_at(&self.text, &self.ends, code)
    }

    /// Bytes of all texts together.
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Bytes of memory, about.
    pub(super) fn size_bytes(&self) -> usize {
        // A slot of the table is a code and a byte, and an eighth of them and up to a half is empty.
        self.text.capacity() + self.ends.capacity() * size_of::<u32>() + self.codes.capacity() * 6
    }

    /// The texts in order, and for each code the one that it has there.
    pub(super) fn sorted(&self) -> Result<(Dictionary, Vec<u32>), StorageError> {
        let mut order: Vec<u32> = (1..code_at(self.ends.len())).collect();
        order.sort_unstable_by(|left, right| self.text_of(*left).cmp(self.text_of(*right)));
        let dictionary = Dictionary::from_sorted(order.iter().map(|code| self.text_of(*code)))?;
        let mut codes = vec![0; order.len() + 1];
        for (place, code) in order.into_iter().enumerate() {
            codes[code as usize] = code_at(place);
        }
        Ok((dictionary, codes))
    }
}

fn text_at<'a>(text: &'a str, ends: &[u32], code: u32) -> &'a str {
    let place = code as usize - 1;
    let start = place.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &text[start..ends[place] as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_text_has_one_code_and_its_place_in_the_order(texts in prop::collection::vec(".{0,3}", 0..60)) {
            let mut interner = Interner::default();
            let codes: Vec<u32> = texts.iter().map(|text| interner.intern(text).unwrap()).collect();
            let (dictionary, sorted) = interner.sorted().unwrap();
            for (text, code) in texts.iter().zip(codes) {
                prop_assert_eq!(dictionary.value_of(sorted[code as usize]), Some(text.as_str()));
            }
            let mut expected = texts.clone();
            expected.sort();
            expected.dedup();
            prop_assert!(dictionary.iter().eq(expected.iter().map(String::as_str)));
        }
    }
}
