//! The order of the events of a segment, and how events get into it.
//!
//! By service, since reports ask for some of them. Then by size, which costs little to compare, and often brings the answers
//! to one URL together: many responses are as large as they were the last time. Where they are, URLs, sizes and statuses
//! take much less room, and times only a little more than in their own order; where they are not, sizes still do.

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringViewArray, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
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

/// Where the events of one UTC day are in a batch.
#[derive(Debug)]
pub(crate) struct DayRows {
    /// Days since 1970-01-01.
    pub(crate) day: i64,
    /// The row of each event, in the order of a segment.
    rows: UInt32Array,
}

impl DayRows {
    /// The events, gathered from the batch that [`by_day`] was given.
    pub(crate) fn gather(&self, events: &RecordBatch) -> Result<DayEvents, StorageError> {
        let columns = events.columns().iter().map(|column| {
            if is_empty(column) { Ok(nothing(column, self.rows.len())) } else { take(column, &self.rows, None) }
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
        Ok(DayEvents { day: self.day, events: RecordBatch::try_new(events.schema(), columns)? })
    }
}

/// Whether no event has a value. Most leave most of the optional fields out.
pub(crate) fn is_empty(column: &ArrayRef) -> bool {
    column.null_count() == column.len()
}

fn nothing(column: &ArrayRef, rows: usize) -> ArrayRef {
    new_null_array(column.data_type(), rows)
}

/// Batches as one: rows all over it are gathered in half the time that those of many batches take.
pub(crate) fn together(batches: &[RecordBatch]) -> Result<RecordBatch, StorageError> {
    let schema = requests::schema();
    let row_count = batches.iter().map(RecordBatch::num_rows).sum();
    let columns = schema.fields().iter().enumerate().map(|(place, field)| {
        if batches.iter().all(|batch| is_empty(batch.column(place))) {
            return Ok(new_null_array(field.data_type(), row_count));
        }
        let columns: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(place).as_ref()).collect();
        concat(&columns)
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The order of the events of a batch: by day, then by [`ORDER`]. Equal keys keep their order.
///
/// The events stay where they are, so that whoever writes day after day needs memory for one day at a time.
pub(crate) fn by_day(events: &RecordBatch) -> Result<Vec<DayRows>, StorageError> {
    let times = times(events)?.values();
    let first_day = times.iter().copied().min().map_or(0, day_of);
    let services: &StringViewArray = column(events, "service")?;
    let sizes: &Int64Array = column(events, "bytes")?;
    let ranks = Ranks::of(services);
    let rows = 0..u32::try_from(events.num_rows()).map_err(|_| too_many_rows())?;
    let mut order: Vec<(u128, u32)> = Vec::with_capacity(events.num_rows());
    for (((ts, size), service), row) in times.iter().zip(sizes.values()).zip(services.views()).zip(rows) {
        let day = u32::try_from(day_of(*ts).abs_diff(first_day)).map_err(|_| too_many_rows())?;
        order.push((sort_key(day, ranks.rank(*service), *size, ts.rem_euclid(DAY_MS)), row));
    }
    order.sort_unstable();
    let days = order.chunk_by(|(left, _), (right, _)| left >> DAY_BIT == right >> DAY_BIT);
    days.map(|events| {
        let day = i64::try_from(events[0].0 >> DAY_BIT).map_err(|_| too_many_rows())?;
        let rows = events.iter().map(|(_, row)| *row).collect::<Vec<u32>>().into();
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
    fn of(services: &StringViewArray) -> Self {
        let mut names: Vec<(&str, u128)> = Vec::new();
        for (row, view) in services.views().iter().enumerate() {
            if names.iter().all(|(_, known)| known != view) {
                names.push((services.value(row), *view));
            }
        }
        names.sort_unstable();
        let services = names.chunk_by(|(left, _), (right, _)| left == right);
        Self(services.zip(0..).flat_map(|(views, rank)| views.iter().map(move |(_, view)| (*view, rank))).collect())
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
            let events = together(&batches).unwrap();
            let days: Vec<DayEvents> =
                by_day(&events).unwrap().iter().map(|day| day.gather(&events).unwrap()).collect();
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
        let events = together(&[batch(&[(0, 0, 1); 40]), batch(&[(0, 0, 1); 40])]).unwrap();
        let days = by_day(&events).unwrap();
        let events = days[0].gather(&events).unwrap().events;
        let urls: &StringViewArray = column(&events, "url").unwrap();
        let expected = (0..80).map(|number| format!("https://example.com/{}", number % 40));
        assert!(urls.iter().flatten().eq(expected));
    }
}
