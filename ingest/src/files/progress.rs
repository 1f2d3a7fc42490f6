//! How far a run has come, for whoever wants to show it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts that the run moves and anyone may read meanwhile.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    events: AtomicU64,
    rejected: AtomicU64,
}

impl Progress {
    /// Bytes of input passed by, as they are on the disk; what an earlier run had read counts as passed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Events found.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Lines rejected.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, events: u64, rejected: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }
}

/// Sets the progress to what stood before the input plus what was read of it.
#[derive(Debug)]
pub(crate) struct Counted<R> {
    input: R,
    progress: Arc<Progress>,
    passed: u64,
}

impl<R> Counted<R> {
    pub(crate) fn new(input: R, progress: Arc<Progress>, passed: u64) -> Self {
        Self { input, progress, passed }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.passed += count as u64;
        self.progress.bytes.store(self.passed, Ordering::Relaxed);
        Ok(count)
    }
}
