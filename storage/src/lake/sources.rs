//! What a question is answered from: summaries as they are in their files, and events that have none, added up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Date32Type;
use datafusion::execution::memory_pool::MemoryReservation;
use tokio_util::sync::CancellationToken;

use super::Lake;
use super::adding_up::{AddingUp, Way};
use super::aggregate::{Aggregate, Bucket, Dimension, Measure};
use super::dictionary::Dictionary;
use super::groups::reserve;
use super::part::{self, Layout, MOST_COLUMNS};
use super::query::Read;
use super::summary::Summary;
use super::summary_file::Dictionaries;
use super::summary_reader::{ReadPart, is_damage};
use super::table::{DATE, date_number, dated};
use crate::catalog::{EventSnapshot, Segment};
use crate::error::StorageError;
use crate::events::{log, segment};
use crate::fan_out::fan_out;

/// So many events are added up on one thread: another would not be faster.
const FEW_EVENTS: u64 = 20_000;

/// Rows with dictionaries of their own.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Where the dictionaries are from, if that is a file.
    pub(super) file: Option<Arc<str>>,
    /// Of the dimensions that are asked about.
    pub(super) dictionaries: Dictionaries,
    pub(super) parts: Vec<SourcePart>,
}

/// Rows of one bucket.
#[derive(Debug)]
pub(super) struct SourcePart {
    /// The bucket's first day, in days since 1970-01-01; of no meaning where there are no buckets.
    pub(super) date: i32,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) layout: Layout,
    pub(super) rows: ReadPart,
}

impl Source {
    pub(super) fn dictionary(&self, dimension: Dimension) -> Arc<Dictionary> {
        Arc::clone(&self.dictionaries[dimension as usize])
    }

    /// Bytes of memory, about.
    fn size_bytes(&self) -> usize {
        let dictionaries: usize = self.dictionaries.iter().map(|dictionary| dictionary.size_bytes()).sum();
        let parts = self.parts.iter().map(|part| size_of::<SourcePart>() + part.rows.encoded().len());
        dictionaries + parts.sum::<usize>()
    }
}

/// Reads everything that the question is about, and reserves the memory that it takes. Call it from a blocking thread.
///
/// # Errors
/// [`StorageError::TooLarge`] where so much cannot be reserved.
pub(super) fn read(
    lake: &Lake,
    question: &Aggregate,
    snapshot: &EventSnapshot,
    memory: &MemoryReservation,
    progress: &Read,
    stopped: &CancellationToken,
) -> Result<Vec<Source>, StorageError> {
    let mut summarized: BTreeMap<&str, Vec<(&Segment, usize, Summary)>> = BTreeMap::new();
    let mut bare = Vec::new();
    for segment in &snapshot.segments {
        let covering = segment.summaries.as_ref().and_then(|of| Some((of, of.summaries.covering(question)?)));
        match covering {
            Some((of, summary)) => summarized.entry(&of.path).or_default().push((segment, of.place, summary)),
            None => bare.push(segment),
        }
    }
    let mut sources = Vec::new();
    for (name, segments) in summarized {
        match summaries(lake, question, name, &segments) {
            Ok(source) => {
                reserve(memory, source.size_bytes())?;
                sources.push(source);
            }
            // What it says is in the events too.
            Err(error) if is_damage(&error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    file = name,
                    "events are read instead of summaries"
                );
                bare.extend(segments.into_iter().map(|(segment, ..)| segment));
            }
            Err(error) => return Err(error),
        }
    }
    let events: u64 = bare.iter().map(|segment| segment.event_count).sum();
    progress.of_rows.store(events, Ordering::Relaxed);
    let rows = sources.iter().flat_map(|source| &source.parts).map(|part| part.rows.row_count).sum::<u64>();
    // What is added up now is counted afterwards, when it is only a few rows.
    progress.of_rows.fetch_add(rows, Ordering::Relaxed);
    let reading = Reading { lake, question, memory, progress, stopped, way: way(question)? };
    if !snapshot.log_payloads.is_empty() {
        sources.push(reading.log(&snapshot.log_payloads)?);
    }
    if !bare.is_empty() {
        sources.extend(reading.segments(&bare, events)?);
    }
    Ok(sources)
}

/// The summaries of segments in one file.
fn summaries(
    lake: &Lake,
    question: &Aggregate,
    name: &str,
    segments: &[(&Segment, usize, Summary)],
) -> Result<Source, StorageError> {
    let mut reader = lake.summaries.open(name)?;
    let mut source = Source { file: Some(name.into()), ..Source::default() };
    for dimension in question.dimensions() {
        source.dictionaries[dimension as usize] = reader.dictionary(dimension)?;
    }
    for (segment, place, summary) in segments {
        source.parts.push(SourcePart {
            date: date_of(question, segment.day)?,
            dimensions: summary.dimensions(),
            layout: summary.layout(),
            rows: reader.part(*place, *summary)?,
        });
    }
    Ok(source)
}

/// The first day of the bucket that holds the day.
fn date_of(question: &Aggregate, day: i64) -> Result<i32, StorageError> {
    date_number(day, question.bucket.unwrap_or(Bucket::Day))
}

/// How the question's events are added up.
fn way(question: &Aggregate) -> Result<Way, StorageError> {
    let dimensions = question.dimensions();
    if dimensions.is_empty() || dimensions.len() > MOST_COLUMNS {
        return Err(StorageError::TooLarge("the dimensions of a question"));
    }
    let with_bytes = question.measures.contains(&Measure::Bytes);
    Ok(Way { dimensions, with_bytes, most_rows: usize::MAX, most_text_bytes: usize::MAX })
}

/// Events being read for a question.
struct Reading<'a> {
    lake: &'a Lake,
    question: &'a Aggregate,
    memory: &'a MemoryReservation,
    progress: &'a Read,
    stopped: &'a CancellationToken,
    way: Way,
}

impl Reading<'_> {
    fn log(&self, payloads: &[Vec<u8>]) -> Result<Source, StorageError> {
        let memory = self.lake.reservation("events of the log");
        let mut adding_up = AddingUp::new(vec![self.way.clone()]);
        for payload in payloads {
            for batch in log::decode(payload)? {
                let bucket = self.question.bucket.unwrap_or(Bucket::Day);
                let Some(batch) = dated(&batch, self.question.days, bucket)? else { continue };
                for (date, events) in by_date(&batch)? {
                    adding_up.push(&events, date)?;
                }
            }
            self.check(&adding_up, &memory)?;
        }
        self.source(adding_up, memory)
    }

    /// Adds segments up, on as many threads as a query may use.
    fn segments(&self, segments: &[&Segment], events: u64) -> Result<Vec<Source>, StorageError> {
        let threads = if events <= FEW_EVENTS { 1 } else { self.lake.threads.min(segments.len()) };
        let next = AtomicUsize::new(0);
        fan_out((0..threads).collect(), threads, |_| {
            let memory = self.lake.reservation("events of segments");
            let mut adding_up = AddingUp::new(vec![self.way.clone()]);
            while let Some(segment) = segments.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.segment(segment, &mut adding_up, &memory)?;
            }
            self.source(adding_up, memory)
        })
    }

    fn segment(
        &self,
        segment: &Segment,
        adding_up: &mut AddingUp,
        memory: &MemoryReservation,
    ) -> Result<(), StorageError> {
        let date = date_of(self.question, segment.day)?;
        let columns = AddingUp::columns(std::slice::from_ref(&self.way));
        segment::visit(&self.lake.folder.path_of(&segment.path), &columns, |events| {
            adding_up.push(events, date)?;
            self.progress.rows.fetch_add(events.num_rows() as u64, Ordering::Relaxed);
            self.check(adding_up, memory)
        })
    }

    fn check(&self, adding_up: &AddingUp, memory: &MemoryReservation) -> Result<(), StorageError> {
        if self.stopped.is_cancelled() {
            return Err(StorageError::Background("nobody waits for this query any more".to_owned()));
        }
        let resized = memory.try_resize(adding_up.size_bytes());
        resized.map_err(|_| StorageError::TooLarge("the groups of a report"))
    }

    /// What was added up. It is reserved in the place of what adding up took.
    fn source(&self, adding_up: AddingUp, taken: MemoryReservation) -> Result<Source, StorageError> {
        let added_up = adding_up.finish()?;
        let rows = added_up.rows.into_iter().flatten().flatten();
        let parts = rows.map(|(date, rows)| SourcePart {
            date,
            dimensions: self.way.dimensions.clone(),
            layout: self.way.layout(),
            rows: ReadPart::made(rows.len() as u64, part::encode(&rows, self.way.layout())),
        });
        let source = Source { file: None, parts: parts.collect(), dictionaries: added_up.dictionaries };
        drop(taken);
        reserve(self.memory, source.size_bytes())?;
        Ok(source)
    }
}

/// The events of each date.
fn by_date(events: &RecordBatch) -> Result<Vec<(i32, RecordBatch)>, StorageError> {
    let missing = || StorageError::Corrupt("events without a date".to_owned());
    let dates = events.column_by_name(DATE).ok_or_else(missing)?.as_primitive::<Date32Type>();
    let mut different = dates.values().to_vec();
    different.sort_unstable();
    different.dedup();
    if let [date] = different[..] {
        return Ok(vec![(date, events.clone())]);
    }
    let of_date = |date: i32| {
        let wanted: BooleanArray = dates.values().iter().map(|other| Some(*other == date)).collect();
        Ok((date, filter_record_batch(events, &wanted)?))
    };
    different.into_iter().map(of_date).collect()
}
