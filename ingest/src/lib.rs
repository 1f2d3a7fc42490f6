//! Bytes in, columns of events out.
//!
//! | module | |
//! |---|---|
//! | [`formats`] | one file for each format of lines |
//! | [`event`] | a line's raw fields become a checked event; with [`raw`], [`cache_words`], [`sdk`], [`base_url`] |
//! | [`body`] | HTTP bodies, over a [`stream`] |
//! | [`files`] | files and standard input, with the ledger that makes repeats safe |
//! | `lines`, `json_array` → `block` → `parse`, run by `pipeline` | what both share; with `buffer`, `headers` |
//! | [`decode`], [`meter`] | compression; limits and hashes |
//! | [`encode`] | events as lines again, to send them on |

pub mod base_url;
mod block;
pub mod body;
mod buffer;
pub mod cache_words;
pub mod decode;
pub mod encode;
pub mod event;
pub mod fault;
pub mod files;
pub mod formats;
mod headers;
mod json_array;
mod lines;
pub mod meter;
mod parse;
mod pipeline;
pub mod raw;
pub mod sdk;
pub mod stream;
#[cfg(test)]
mod test_input;
mod timestamp;
