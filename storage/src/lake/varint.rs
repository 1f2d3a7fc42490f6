//! Numbers in as few bytes as they need: seven bits a byte, the lowest first.

use crate::error::StorageError;

/// Appends a number.
pub(super) fn write(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits, and the mark that more follow")]
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 0x80")]
    out.push(number as u8);
}

/// Takes a number off the front.
#[inline]
pub(super) fn read(bytes: &mut &[u8]) -> Result<u64, StorageError> {
    let Some((first, rest)) = bytes.split_first() else { return Err(damaged()) };
    if *first < 0x80 {
        *bytes = rest;
        return Ok(u64::from(*first));
    }
    read_long(bytes)
}

fn read_long(bytes: &mut &[u8]) -> Result<u64, StorageError> {
    let mut number = 0_u64;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            *bytes = &bytes[place + 1..];
            return Ok(number);
        }
    }
    Err(damaged())
}

/// Takes off a number of things that are there.
pub(super) fn read_length(bytes: &mut &[u8]) -> Result<usize, StorageError> {
    usize::try_from(read(bytes)?).map_err(|_| damaged())
}

/// The error of bytes that were not written by Tally.
pub(super) fn damaged() -> StorageError {
    StorageError::Damaged("a file of summaries")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_read_back(numbers in prop::collection::vec(prop_oneof![0..300_u64, any::<u64>()], 0..50)) {
            let mut bytes = Vec::new();
            for number in &numbers {
                write(&mut bytes, *number);
            }
            let mut rest = bytes.as_slice();
            for number in numbers {
                prop_assert_eq!(read(&mut rest).unwrap(), number);
            }
            prop_assert!(read(&mut rest).is_err());
        }
    }
}
