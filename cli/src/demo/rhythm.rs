//! When the events happen: hours of the day, days of the week, slow growth, and two things to find in the reports,
//! an outage of four hours and a cache that starts cold.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Timelike as _, Utc};
use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;

use super::sampling::Traits;

const HOUR_MS: u64 = 3_600_000;

/// Traffic by hour of the day in UTC: Europe's morning, America's afternoon.
const BY_HOUR: [u64; 24] =
    [38, 31, 27, 25, 26, 31, 42, 58, 74, 85, 91, 93, 92, 97, 103, 106, 104, 99, 92, 86, 79, 69, 58, 47];

/// Traffic by day of the week, from Monday.
const BY_WEEKDAY: [u64; 7] = [100, 104, 105, 103, 97, 62, 57];

/// How much the last hour is busier than the first, in thousandths.
const GROWTH: u64 = 350;

/// The outage: these hours of one day, five eighths into the time.
const OUTAGE_HOURS: std::ops::Range<u64> = 13..17;

/// The cache is warm after an eighth of the time, or after this many hours.
const LONGEST_WARM_UP_HOURS: u64 = 240;

/// When an event happens, and what is going on at that time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Milliseconds since 1970-01-01 UTC.
    pub(super) ts_ms: i64,
    /// Whether editors are at work.
    pub(super) office_hours: bool,
    /// Whether the origin is failing.
    pub(super) outage: bool,
    /// How warm the cache is: 0 cold, 1000 warm.
    pub(super) warmth: u64,
}

/// Hands out the moments of all events, never going back in time.
#[derive(Debug)]
pub(super) struct Rhythm {
    events: u64,
    start: DateTime<Utc>,
    hours: u64,
    /// The sum of the weights of the hours before each hour, and of all at the end.
    weight_before: Vec<u64>,
    /// The hour that is being handed out, what goes on in it, its events and how many of them were handed out.
    hour: u64,
    now: Moment,
    hour_events: u64,
    hour_done: u64,
}

impl Rhythm {
    /// Spreads `events` over the `days` that end with `end`; the seed only roughens the curve.
    pub(super) fn new(events: u64, days: u32, end: NaiveDate, seed: u64) -> Self {
        let days = u64::from(days.max(1));
        let first = end.checked_sub_days(Days::new(days - 1)).unwrap_or(NaiveDate::MIN);
        let start = first.and_time(NaiveTime::MIN).and_utc();
        let hours = days * 24;
        let mut weight_before = vec![0];
        let mut sum = 0;
        let mut weekday = first.weekday().num_days_from_monday() as usize;
        for day in 0..days {
            for (hour, by_hour) in (day * 24..).zip(BY_HOUR) {
                let growth = 1_000 + GROWTH * hour / hours;
                let roughness = 940 + Traits::of(seed ^ (hour << 32)).below(121);
                sum += by_hour * BY_WEEKDAY[weekday] * growth * roughness / 1_000;
                weight_before.push(sum);
            }
            weekday = (weekday + 1) % 7;
        }
        let now = Moment { ts_ms: 0, office_hours: false, outage: false, warmth: 0 };
        let mut rhythm = Self { events, start, hours, weight_before, hour: 0, now, hour_events: 0, hour_done: 0 };
        rhythm.enter_hour(0);
        rhythm
    }

    /// The next event's moment, or none after the last.
    pub(super) fn next(&mut self, rng: &mut Xoshiro256PlusPlus) -> Option<Moment> {
        while self.hour_done == self.hour_events {
            if self.hour + 1 >= self.hours {
                return None;
            }
            self.enter_hour(self.hour + 1);
        }
        // Each event has its own slice of the hour: random, yet in order without sorting.
        let offset_ms = (self.hour_done * HOUR_MS + rng.random_range(0..HOUR_MS)) / self.hour_events;
        self.hour_done += 1;
        Some(Moment { ts_ms: self.now.ts_ms + offset_ms.cast_signed(), ..self.now })
    }

    fn enter_hour(&mut self, hour: u64) {
        let begin = self.start + chrono::TimeDelta::hours(hour.cast_signed());
        let outage_day = self.hours / 24 * 5 / 8;
        let warm_up = (self.hours / 8).min(LONGEST_WARM_UP_HOURS);
        let cold = 1_000 - 1_000 * hour.min(warm_up) / warm_up;
        self.hour = hour;
        self.hour_done = 0;
        self.hour_events = self.events_before(hour + 1) - self.events_before(hour);
        self.now = Moment {
            ts_ms: begin.timestamp_millis(),
            office_hours: begin.weekday().num_days_from_monday() < 5 && (7..18).contains(&begin.hour()),
            outage: hour / 24 == outage_day && OUTAGE_HOURS.contains(&(hour % 24)),
            warmth: 1_000 - cold * cold / 1_000,
        };
    }

    /// How many events happen before `hour`. A share of the whole rather than a sum of parts, so that none is lost.
    fn events_before(&self, hour: u64) -> u64 {
        let weight = |hour: u64| self.weight_before[usize::try_from(hour).unwrap_or(usize::MAX)];
        let share = u128::from(self.events) * u128::from(weight(hour)) / u128::from(weight(self.hours));
        u64::try_from(share).unwrap_or(self.events)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::*;

    fn moments(events: u64, days: u32) -> Vec<Moment> {
        let end = NaiveDate::from_ymd_opt(2026, 5, 31).unwrap();
        let mut rhythm = Rhythm::new(events, days, end, 1);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        std::iter::from_fn(|| rhythm.next(&mut rng)).collect()
    }

    proptest! {
        #[test]
        fn every_event_has_a_moment_within_the_days_and_none_goes_back(events in 0_u64..5_000, days in 1_u32..100) {
            let moments = moments(events, days);
            prop_assert_eq!(moments.len() as u64, events);
            prop_assert!(moments.is_sorted_by_key(|moment| moment.ts_ms));
            let end_ms = 1_780_272_000_000; // 2026-06-01
            let start_ms = end_ms - i64::from(days) * 86_400_000;
            prop_assert!(moments.iter().all(|moment| (start_ms..end_ms).contains(&moment.ts_ms)));
        }
    }

    #[test]
    fn nights_and_weekends_are_quieter() {
        let moments = moments(200_000, 28);
        let count = |wanted: &dyn Fn(DateTime<Utc>) -> bool| {
            moments.iter().filter(|moment| wanted(DateTime::from_timestamp_millis(moment.ts_ms).unwrap())).count()
        };
        let night = count(&|at| at.hour() == 3);
        let afternoon = count(&|at| at.hour() == 15);
        assert!(afternoon > 3 * night, "{afternoon} at 15 h, {night} at 3 h");
        let tuesdays = count(&|at| at.weekday() == chrono::Weekday::Tue);
        let sundays = count(&|at| at.weekday() == chrono::Weekday::Sun);
        assert!(2 * tuesdays > 3 * sundays, "{tuesdays} on Tuesdays, {sundays} on Sundays");
    }

    #[test]
    fn the_outage_lasts_four_hours_of_one_day() {
        for days in [1, 7, 90] {
            let outage: Vec<i64> =
                moments(100_000, days).iter().filter(|moment| moment.outage).map(|moment| moment.ts_ms).collect();
            let (first, last) = (outage[0], outage[outage.len() - 1]);
            assert!((3 * 3_600_000..4 * 3_600_000).contains(&(last - first)), "{days} days: {first} to {last}");
        }
    }

    #[test]
    fn the_cache_is_cold_at_first_and_warm_after_an_eighth_of_the_time() {
        let moments = moments(9_000, 16);
        assert_eq!(moments[0].warmth, 0);
        assert!(moments.is_sorted_by_key(|moment| moment.warmth));
        assert_eq!(moments[moments.len() / 7].warmth, 1_000);
    }
}
