//! Results: one Arrow IPC file for each finished job, whose record batch *i* is page *i*.
//!
//! The size of a page is known when the job is made, so a page is one range read, and every format is written from the
//! same file. A result without rows has one page, page 0, without rows.

mod reader;
mod writer;

pub use self::reader::read_page;
pub use self::writer::{PageWriter, UnnamedResult, WrittenResult};
