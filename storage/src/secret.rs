//! Secrets that are shown once and kept as digests: authtokens and ingest keys.
//!
//! They are random, so one round of SHA-256 protects them: nobody can try all of 2^192. A password can be guessed and
//! is hashed slowly instead, see `password.rs`. The digest's first characters find a row by its index; the whole digest
//! is compared in constant time, so that an answer's delay tells nothing about a stored digest.

use std::hash::{Hash, Hasher};

use rand::RngExt as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const RANDOM_BYTES: usize = 24;
const START_LEN: usize = 16;

/// A new secret: the prefix, which says what it opens, and 192 random bits in hex.
pub(crate) fn mint(prefix: &str) -> String {
    let random: [u8; RANDOM_BYTES] = rand::rng().random();
    format!("{prefix}{}", hex::encode(random))
}

/// A secret's SHA-256, in hex. Two are compared in constant time.
#[derive(Clone)]
pub(crate) struct Digest(String);

impl Digest {
    /// The digest of a secret as its holder sends it.
    pub(crate) fn of(secret: &str) -> Self {
        Self(hex::encode(Sha256::digest(secret)))
    }

    /// The part that finds the row.
    pub(crate) fn start(&self) -> &str {
        &self.0[..START_LEN]
    }

    /// The whole digest, to be stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a stored digest is this one, in constant time.
    pub(crate) fn matches(&self, stored: &str) -> bool {
        self.0.as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_secret_is_its_prefix_and_192_bits() {
        let secret = mint("tally_token_");
        let random = secret.strip_prefix("tally_token_").unwrap();
        assert_eq!(hex::decode(random).unwrap().len() * 8, 192);
        assert_ne!(secret, mint("tally_token_"));
    }

    #[test]
    fn a_digest_matches_only_its_own_secret() {
        let digest = Digest::of("abc");
        assert_eq!(digest.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.start(), "ba7816bf8f01cfea");
        assert!(digest.matches(Digest::of("abc").as_str()));
        assert!(!digest.matches(Digest::of("abd").as_str()));
        assert!(!digest.matches(digest.start()));
        assert!(!digest.matches(""));
    }
}
