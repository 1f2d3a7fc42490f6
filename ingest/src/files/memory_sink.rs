//! A sink in memory, for tests: it can be stopped or killed at a chosen commit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::AsArray;
use tally_storage::events::ledger::SourcePosition;

use super::sink::{Batch, Portion, Sink, SinkError, Stored};

/// What happens at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It fails, and nothing is counted.
    Fails,
    /// It is counted, but the answer is lost before the ledger is written.
    AnswerLost,
}

/// Counts every URL.
#[derive(Debug, Default)]
pub(super) struct MemorySink<'a> {
    pub(super) urls: Vec<String>,
    /// The file's line of each URL.
    pub(super) lines: Vec<u64>,
    pub(super) portions: Vec<Portion>,
    pub(super) trouble: Option<(usize, Trouble)>,
    pub(super) cancel_at: Option<(usize, &'a AtomicBool)>,
    pub(super) positions: Vec<SourcePosition>,
    pub(super) unanswered: Vec<(Option<SourcePosition>, SourcePosition)>,
    pub(super) batches: Vec<Batch>,
    pub(super) pushed: Vec<Batch>,
}

impl MemorySink<'_> {
    pub(super) fn counts_of(&self, column: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for batch in &self.batches {
            let column = batch.events.column_by_name(column).unwrap();
            let text = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).unwrap();
            for value in text.as_string::<i32>().iter().flatten() {
                *counts.entry(value.to_owned()).or_insert(0) += 1;
            }
        }
        counts
    }

    fn count(&mut self) -> u64 {
        let pushed = std::mem::take(&mut self.pushed);
        let mut accepted = 0;
        for batch in &pushed {
            let urls = batch.events.column_by_name("url").unwrap().as_string_view();
            self.urls.extend(urls.iter().flatten().map(str::to_owned));
            self.lines.extend(&batch.lines);
            accepted += batch.events.num_rows() as u64;
        }
        self.batches.extend(pushed);
        accepted
    }

    fn write_ledger(&mut self, portion: &Portion) {
        if let Some(replaced) = &portion.replaces {
            let before = self.positions.len();
            self.positions.retain(|position| position != replaced);
            assert_eq!(self.positions.len() + 1, before, "the ledger has what is replaced");
        }
        self.positions.push(portion.position.clone());
    }
}

impl Sink for MemorySink<'_> {
    fn positions(&mut self) -> Result<Vec<SourcePosition>, SinkError> {
        Ok(self.positions.clone())
    }

    fn unanswered(&mut self) -> Result<Vec<(Option<SourcePosition>, SourcePosition)>, SinkError> {
        Ok(self.unanswered.clone())
    }

    fn push(&mut self, batch: Batch) -> Result<(), SinkError> {
        self.pushed.push(batch);
        Ok(())
    }

    fn commit(&mut self, portion: Portion) -> Result<Stored, SinkError> {
        let bounds = (portion.replaces.clone(), portion.position.clone());
        let repeated = self.unanswered.contains(&bounds);
        self.unanswered.retain(|unanswered| *unanswered != bounds);
        let trouble = self.trouble.filter(|(at, _)| *at == self.portions.len()).map(|(_, trouble)| trouble);
        self.portions.push(portion.clone());
        if trouble == Some(Trouble::Fails) {
            self.pushed.clear();
            return Err("the disk is full".into());
        }
        let accepted =
            if repeated { self.pushed.drain(..).map(|b| b.events.num_rows() as u64).sum() } else { self.count() };
        if trouble == Some(Trouble::AnswerLost) {
            self.unanswered.push(bounds);
            return Err("the answer was lost".into());
        }
        self.write_ledger(&portion);
        if let Some((_, flag)) = self.cancel_at.filter(|(at, _)| *at == self.portions.len()) {
            flag.store(true, Ordering::Relaxed);
        }
        Ok(Stored { accepted, ..Stored::default() })
    }
}
