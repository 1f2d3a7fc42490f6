//! How far a file has been read, so that reading it again adds only what is new.
//!
//! A file is known by what it says, not by its name: rotation renames it and compression rewrites it. Its *head* is its
//! first bytes (decompressed, at most [`HEAD_BYTES`]); the *tail* is what stood right before the offset that was
//! reached. A grown file has the same head and the same tail at the old offset; another file that merely begins alike
//! has another tail there and is read from its start.

use serde::{Deserialize, Serialize};

/// Bytes of a file's beginning that name it; a shorter file is named by all that it has.
pub const HEAD_BYTES: usize = 4096;

/// Bytes before the offset that must still be the same.
pub const TAIL_BYTES: usize = 4096;

/// How far one source has been read. Offsets and lengths count decompressed bytes; hashes are SHA-256 in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePosition {
    /// Length of the head that was hashed, at most [`HEAD_BYTES`].
    pub head_len: u64,
    /// Hash of the first `head_len` bytes.
    pub head_sha256: String,
    /// Everything before this is counted.
    pub offset: u64,
    /// Lines before the offset.
    pub lines: u64,
    /// Length of the tail that was hashed: `min(offset, TAIL_BYTES)`.
    pub tail_len: u64,
    /// Hash of the `tail_len` bytes before `offset`.
    pub tail_sha256: String,
}
