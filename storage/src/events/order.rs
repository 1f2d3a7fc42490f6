//! The order of the events of a segment, and how events get into it.
//!
//! By service, since reports ask for some of them. Then by size, which costs little to compare, and often brings the answers
//! to one URL together: many responses are as large as they were the last time. Where they are, URLs, sizes and statuses
//! take much less room, and times only a little more than in their own order; where they are not, sizes still do.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringViewArray, new_null_array};
use arrow::compute::interleave;
use arrow::error::ArrowError;

use super::requests::{self, MAX_BYTES};
use super::segment::{DAY_MS, column, day_of, times};
use crate::error::StorageError;

/// The columns by which the events of a segment are sorted.
pub(crate) const ORDER: [&str; 3] = ["service", "bytes", "ts"];

/// Where the parts of a number that orders an event begin: a time of a day takes 27 bits, a size 53, a service 16.
const SIZE_BIT: u32 = 27;
const SERVICE_BIT: u32 = SIZE_BIT + 53;
const DAY_BIT: u32 = SERVICE_BIT + 16;

/// The events of one UTC day.
#[derive(Debug, Clone)]
pub(crate) struct DayEvents {
    /// Days since 1970-01-01.
    pub(crate) day: i64,
    /// Sorted by [`ORDER`].
    pub(crate) events: RecordBatch,
}

/// Where the events of one UTC day are in some batches.
#[derive(Debug)]
pub(crate) struct DayRows {
    /// Days since 1970-01-01.
    pub(crate) day: i64,
    /// Batch and row of each event, in the order of a segment.
    rows: Vec<(usize, usize)>,
}

impl DayRows {
    /// The events, gathered from the batches that [`by_day`] was given.
    pub(crate) fn gather(&self, batches: &[RecordBatch]) -> Result<DayEvents, StorageError> {
        let schema = requests::schema();
        let columns = schema.fields().iter().enumerate().map(|(place, field)| {
            let columns: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(place).as_ref()).collect();
            // Most events leave most of the optional fields out.
            if columns.iter().all(|column| column.null_count() == column.len()) {
                return Ok(new_null_array(field.data_type(), self.rows.len()));
            }
            interleave(&columns, &self.rows)
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
        Ok(DayEvents { day: self.day, events: RecordBatch::try_new(Arc::clone(&schema), columns)? })
    }
}

/// The order of the events of batches: by day, then by [`ORDER`]. Equal keys keep their order.
///
/// The events stay where they are, so that whoever writes day after day needs memory for one day at a time.
pub(crate) fn by_day(batches: &[RecordBatch]) -> Result<Vec<DayRows>, StorageError> {
    let mut first_day = i64::MAX;
    for batch in batches {
        first_day = times(batch)?.values().iter().copied().min().map_or(first_day, |ts| day_of(ts).min(first_day));
    }
    let ranks = Ranks::of(batches)?;
    let mut order: Vec<(u128, (u32, u32))> = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (number, batch) in batches.iter().enumerate() {
        let number = u32::try_from(number).map_err(|_| too_many_rows())?;
        let rows = 0..u32::try_from(batch.num_rows()).map_err(|_| too_many_rows())?;
        let services: &StringViewArray = column(batch, "service")?;
        let sizes: &Int64Array = column(batch, "bytes")?;
        for (((ts, size), service), row) in
            times(batch)?.values().iter().zip(sizes.values()).zip(services.views()).zip(rows)
        {
            let day = u32::try_from(day_of(*ts).abs_diff(first_day)).map_err(|_| too_many_rows())?;
            order.push((sort_key(day, ranks.rank(*service), *size, ts.rem_euclid(DAY_MS)), (number, row)));
        }
    }
    order.sort_unstable();
    let days = order.chunk_by(|(left, _), (right, _)| left >> DAY_BIT == right >> DAY_BIT);
    days.map(|events| {
        let day = i64::try_from(events[0].0 >> DAY_BIT).map_err(|_| too_many_rows())?;
        let rows = events.iter().map(|(_, (batch, row))| (*batch as usize, *row as usize)).collect();
        Ok(DayRows { day: first_day + day, rows })
    })
    .collect()
}

/// One number that orders an event: its day, its service, its size, its time of that day. Numbers sort much faster than
/// what they stand for.
fn sort_key(day: u32, service: u16, size: i64, time_ms: i64) -> u128 {
    let size = size.unsigned_abs().min(MAX_BYTES);
    u128::from(day) << DAY_BIT
        | u128::from(service) << SERVICE_BIT
        | u128::from(size) << SIZE_BIT
        | u128::from(time_ms.unsigned_abs())
}

/// The place of each service among those that are there, by its view. A name of at most 12 bytes, as all are, is in the
/// view itself: it has one, and is found without looking at text.
struct Ranks(Vec<(u128, u16)>);

impl Ranks {
    fn of(batches: &[RecordBatch]) -> Result<Self, StorageError> {
        let mut names: Vec<(&str, u128)> = Vec::new();
        for batch in batches {
            let services: &StringViewArray = column(batch, "service")?;
            for (row, view) in services.views().iter().enumerate() {
                if names.iter().all(|(_, known)| known != view) {
                    names.push((services.value(row), *view));
                }
            }
        }
        names.sort_unstable();
        let services = names.chunk_by(|(left, _), (right, _)| left == right);
        Ok(Self(services.zip(0..).flat_map(|(views, rank)| views.iter().map(move |(_, view)| (*view, rank))).collect()))
    }

    fn rank(&self, view: u128) -> u16 {
        self.0.iter().find(|(known, _)| *known == view).map_or(u16::MAX, |(_, rank)| *rank)
    }
}

fn too_many_rows() -> StorageError {
    StorageError::Corrupt("more events in one batch than a segment can number".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::events::requests::{RequestColumns, RequestEvent, Service};

    fn batch(events: &[(i64, usize, u64)]) -> RecordBatch {
        let mut columns = RequestColumns::new();
        for (number, (ts_ms, service, bytes)) in events.iter().enumerate() {
            columns.push(&RequestEvent {
                ts_ms: *ts_ms,
                url: &format!("https://example.com/{number}"),
                service: Service::ALL[*service],
                status: 200,
                method: "GET",
                bytes: *bytes,
                api_key: None,
                cache: None,
                user_agent: "-",
                sdk: None,
                duration_ms: None,
                project_uid: None,
                environment_uid: None,
                domain: None,
                id: None,
            });
        }
        columns.finish().unwrap()
    }

    /// What an event is sorted by.
    fn keys(events: &RecordBatch) -> Vec<(i64, String, i64, i64)> {
        let services: &StringViewArray = column(events, "service").unwrap();
        let sizes: &Int64Array = column(events, "bytes").unwrap();
        let rows = times(events).unwrap().values().iter().zip(services).zip(sizes.values());
        rows.map(|((ts, service), size)| (day_of(*ts), service.unwrap().to_owned(), *size, *ts)).collect()
    }

    proptest! {
        #[test]
        fn events_of_any_batches_come_in_order_day_by_day(
            batches in prop::collection::vec(
                prop::collection::vec((-3 * DAY_MS..3 * DAY_MS, 0..8_usize, prop_oneof![0..3_u64, Just(MAX_BYTES)]), 0..20),
                1..5,
            ),
        ) {
            let batches: Vec<RecordBatch> = batches.iter().map(|events| batch(events)).collect();
            let days: Vec<DayEvents> =
                by_day(&batches).unwrap().iter().map(|day| day.gather(&batches).unwrap()).collect();
            prop_assert!(days.is_sorted_by(|left, right| left.day < right.day));
            for day in &days {
                prop_assert!(keys(&day.events).iter().all(|(number, ..)| *number == day.day));
            }
            let sorted: Vec<_> = days.iter().flat_map(|day| keys(&day.events)).collect();
            let mut expected: Vec<_> = batches.iter().flat_map(keys).collect();
            expected.sort();
            prop_assert_eq!(sorted, expected);
        }
    }

    #[test]
    fn equal_events_keep_their_order() {
        let batches = [batch(&[(0, 0, 1); 40]), batch(&[(0, 0, 1); 40])];
        let days = by_day(&batches).unwrap();
        let events = days[0].gather(&batches).unwrap().events;
        let urls: &StringViewArray = column(&events, "url").unwrap();
        let expected = (0..80).map(|number| format!("https://example.com/{}", number % 40));
        assert!(urls.iter().flatten().eq(expected));
    }
}
