//! What a report asks of the events, in words that every event store understands: no engine is named here.

use chrono::{Datelike, Days, NaiveDate};

use serde::{Deserialize, Serialize};

use crate::ids::OrganizationUid;

/// The length of the periods that a result is cut into. Each starts on a UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bucket {
    /// A UTC day.
    Day,
    /// An ISO week: starts on Monday.
    Week,
    /// A calendar month.
    Month,
}

impl Bucket {
    /// Every bucket, the shortest first.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the bucket that holds the day. It may lie before the range that cuts the bucket.
    #[must_use]
    pub fn start_of(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => day - Days::new(u64::from(day.weekday().num_days_from_monday())),
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }

    /// The starts of all buckets that hold a day of the range, in order.
    #[must_use]
    pub fn starts_in(self, days: DayRange) -> Vec<NaiveDate> {
        let mut starts: Vec<NaiveDate> = days.iter().map(|day| self.start_of(day)).collect();
        starts.dedup();
        starts
    }
}

/// UTC days, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRange {
    /// The first day.
    pub from: NaiveDate,
    /// The last day, not before `from`.
    pub to: NaiveDate,
}

impl DayRange {
    /// Every day of it, in order.
    pub fn iter(self) -> impl Iterator<Item = NaiveDate> {
        self.from.iter_days().take_while(move |day| *day <= self.to)
    }

    /// First and last day, in days since 1970-01-01.
    pub(crate) fn as_numbers(self) -> (i64, i64) {
        (day_number(self.from), day_number(self.to))
    }
}

/// Days since 1970-01-01.
pub(crate) fn day_number(day: NaiveDate) -> i64 {
    day.signed_duration_since(NaiveDate::default()).num_days()
}

/// What events can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// What answered the request.
    Service,
    /// The stack that was asked.
    ApiKey,
    /// HTTP status.
    Status,
    /// `HIT` or `MISS`.
    Cache,
    /// The client's user agent.
    Device,
    /// `name/version` of the client's SDK.
    Sdk,
    /// The URL that was asked for.
    Url,
    /// Launch project.
    Project,
    /// Launch environment.
    Environment,
}

impl Dimension {
    /// Every dimension, each at the place that `as usize` says.
    pub(crate) const ALL: [Self; 9] = [
        Self::Service,
        Self::ApiKey,
        Self::Status,
        Self::Cache,
        Self::Device,
        Self::Sdk,
        Self::Url,
        Self::Project,
        Self::Environment,
    ];

    /// The event column that holds it.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::ApiKey => "api_key",
            Self::Status => "status",
            Self::Cache => "cache",
            Self::Device => "user_agent",
            Self::Sdk => "sdk",
            Self::Url => "url",
            Self::Project => "project_uid",
            Self::Environment => "environment_uid",
        }
    }
}

/// What is added up over the events of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// How many events.
    Count,
    /// The bytes of their responses.
    Bytes,
}

impl Measure {
    /// The column of the answer that holds it.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
        }
    }
}

/// Which events are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Those whose dimension has one of these values.
    OneOf(Dimension, Vec<String>),
    /// Those with that HTTP status.
    Status(u16),
    /// Those that have a value in the dimension at all.
    Present(Dimension),
}

/// How the rows of an answer are ordered. Ties are broken by date, then by the group's dimensions, always ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By count, the largest first.
    CountDescending,
    /// By count, the smallest first.
    CountAscending,
    /// By date alone.
    Date,
}

/// A question: which events, cut and grouped how, what is added up, in which order. The answer's columns are `date`
/// (the bucket's first day, where there is a bucket), the group's columns, and the measures'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// Whose events.
    pub organization: OrganizationUid,
    /// Of which days.
    pub days: DayRange,
    /// Cut into these; `None`: the range is one bucket, and the answer has no date.
    pub bucket: Option<Bucket>,
    /// Of these only; all of the filters must let an event through.
    pub filters: Vec<Filter>,
    /// Grouped by these, after the date.
    pub group: Vec<Dimension>,
    /// What is added up.
    pub measures: Vec<Measure>,
    /// In this order.
    pub order: Order,
}

impl Aggregate {
    /// What it looks at, each once: to group by or to filter by.
    pub(crate) fn dimensions(&self) -> Vec<Dimension> {
        let filtered = self.filters.iter().map(|filter| match filter {
            Filter::OneOf(dimension, _) | Filter::Present(dimension) => *dimension,
            Filter::Status(_) => Dimension::Status,
        });
        let mut dimensions: Vec<Dimension> = self.group.iter().copied().chain(filtered).collect();
        dimensions.sort_unstable();
        dimensions.dedup();
        dimensions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn weeks_start_on_monday_also_over_the_end_of_a_year() {
        assert_eq!(Bucket::Week.start_of(day("2025-01-01")), day("2024-12-30"));
        assert_eq!(Bucket::Week.start_of(day("2024-12-30")), day("2024-12-30"));
        assert_eq!(Bucket::Week.start_of(day("2024-12-29")), day("2024-12-23"));
    }

    #[test]
    fn a_range_is_cut_into_every_bucket_that_it_touches() {
        let days = DayRange { from: day("2024-01-31"), to: day("2024-03-01") };
        assert_eq!(Bucket::Month.starts_in(days), [day("2024-01-01"), day("2024-02-01"), day("2024-03-01")]);
        assert_eq!(Bucket::Day.starts_in(days).len(), 31);
        assert_eq!(Bucket::Week.starts_in(days).len(), 5);
    }
}
