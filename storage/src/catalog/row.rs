//! Reading a row of the catalog: what types its columns become, and an error where a value makes no sense.

use std::error::Error;
use std::num::NonZeroU32;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::Row;
use sqlx::any::AnyRow;

/// A column that is stored as text and has a type of its own.
pub(super) fn parsed<T>(row: &AnyRow, name: &str) -> sqlx::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    row.try_get::<&str, _>(name)?.parse().map_err(|error| refused(name, error))
}

/// As [`parsed`], of a column that may be empty.
pub(super) fn optional_parsed<T>(row: &AnyRow, name: &str) -> sqlx::Result<Option<T>>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text: Option<&str> = row.try_get(name)?;
    text.map(|text| text.parse().map_err(|error| refused(name, error))).transpose()
}

/// A time, stored as milliseconds since 1970-01-01 UTC.
pub(super) fn time(row: &AnyRow, name: &str) -> sqlx::Result<DateTime<Utc>> {
    time_of(name, row.try_get(name)?)
}

/// As [`time`], of a column that may be empty.
pub(super) fn optional_time(row: &AnyRow, name: &str) -> sqlx::Result<Option<DateTime<Utc>>> {
    row.try_get::<Option<i64>, _>(name)?.map(|ms| time_of(name, ms)).transpose()
}

fn time_of(name: &str, ms: i64) -> sqlx::Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| refused(name, format!("{ms} ms since 1970 is no time")))
}

/// A day, stored as days since 1970-01-01, of a column that may be empty.
pub(super) fn optional_day(row: &AnyRow, name: &str) -> sqlx::Result<Option<NaiveDate>> {
    let days: Option<i64> = row.try_get(name)?;
    let date = |days| i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days);
    days.map(|days| date(days).ok_or_else(|| refused(name, format!("day {days} since 1970 is no date")))).transpose()
}

/// A number of things.
pub(super) fn count(row: &AnyRow, name: &str) -> sqlx::Result<u64> {
    let value: i64 = row.try_get(name)?;
    u64::try_from(value).map_err(|error| refused(name, error))
}

/// A number that may be missing.
pub(super) fn optional_number(row: &AnyRow, name: &str) -> sqlx::Result<Option<u32>> {
    let number: Option<i64> = row.try_get(name)?;
    number.map(|number| u32::try_from(number).map_err(|error| refused(name, error))).transpose()
}

/// As [`optional_number`], of what is at least 1.
pub(super) fn optional_limit(row: &AnyRow, name: &str) -> sqlx::Result<Option<NonZeroU32>> {
    let limit = optional_number(row, name)?;
    limit.map(|limit| NonZeroU32::try_from(limit).map_err(|error| refused(name, error))).transpose()
}

fn refused(name: &str, why: impl Into<Box<dyn Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: name.to_owned(), source: why.into() }
}
