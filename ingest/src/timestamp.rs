//! Times as logs write them, in milliseconds since 1970-01-01 UTC.

use chrono::{DateTime, NaiveDate};

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// RFC 3339 with any offset; a leap second counts as the second after it. None for anything else.
pub(crate) fn rfc3339_ms(text: &str) -> Option<i64> {
    utc_seconds_ms(text.as_bytes())
        .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis()))
}

/// [`rfc3339_ms`], also without the colon in the offset.
pub(crate) fn iso8601_ms(text: &str) -> Option<i64> {
    let basic = || DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").ok().map(|time| time.timestamp_millis());
    rfc3339_ms(text).or_else(basic)
}

/// A number of seconds, milliseconds, microseconds or nanoseconds since 1970, as milliseconds. The unit is told from the
/// size: what is 2015 in one of them is before 1971 or after the year 40,000 in the others.
pub(crate) const fn epoch_ms(number: i64) -> i64 {
    match number.unsigned_abs() {
        ..100_000_000_000 => number * 1000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number.div_euclid(1000),
        _ => number.div_euclid(1_000_000),
    }
}

/// `2015-05-17` and `10:05:03`, both UTC; the time may have a fraction. None for anything else.
pub(crate) fn date_and_time_ms(date: &str, time: &str) -> Option<i64> {
    let (time, fraction) = time.as_bytes().split_at_checked(8)?;
    let millis = match fraction {
        [] => 0,
        [b'.', digits @ ..] => fraction_ms(digits)?,
        _ => return None,
    };
    let date = date_numbers(date.as_bytes())?;
    date_time_ms(date, time_numbers(time)?).map(|ms| ms + i64::from(millis))
}

/// `06/Feb/2009:12:14:14.655`, taken for UTC. None for anything else.
pub(crate) fn clf_utc_ms(text: &str) -> Option<i64> {
    let (time, fraction) = text.as_bytes().split_at_checked(20)?;
    let millis = fraction.strip_prefix(b".").and_then(fraction_ms)?;
    clf_date_time_ms(time).map(|ms| ms + i64::from(millis))
}

/// `17/May/2015:10:05:03 +0000`, as Apache and nginx write it. None for anything else.
pub(crate) fn clf_ms(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 26 || bytes[20] != b' ' {
        return None;
    }
    let local_ms = clf_date_time_ms(&bytes[..20])?;
    let sign = match bytes[21] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (number(&bytes[22..24])?, number(&bytes[24..26])?);
    let offset_minutes = i64::from(hours * 60 + minutes);
    (hours < 24 && minutes < 60).then_some(local_ms - sign * offset_minutes * 60_000)
}

/// The 20 bytes `17/May/2015:10:05:03`.
fn clf_date_time_ms(bytes: &[u8]) -> Option<i64> {
    let marks = [(2, b'/'), (6, b'/'), (11, b':')];
    if !marks.iter().all(|(at, mark)| bytes.get(*at) == Some(mark)) {
        return None;
    }
    let month = MONTHS.iter().position(|name| bytes[3..6].eq_ignore_ascii_case(*name))?;
    let date = (number(&bytes[7..11])?, u32::try_from(month).ok()? + 1, number(&bytes[0..2])?);
    date_time_ms(date, time_numbers(&bytes[12..])?)
}

/// The frequent form `2015-05-17T10:05:03[.123]Z`; chrono reads the rest, at a third of the speed.
fn utc_seconds_ms(bytes: &[u8]) -> Option<i64> {
    let millis = match bytes.get(19..)? {
        b"Z" => 0,
        [b'.', digits @ .., b'Z'] => fraction_ms(digits)?,
        _ => return None,
    };
    if bytes[10] != b'T' {
        return None;
    }
    date_time_ms(date_numbers(&bytes[..10])?, time_numbers(&bytes[11..19])?).map(|ms| ms + i64::from(millis))
}

/// `2015-05-17`.
fn date_numbers(bytes: &[u8]) -> Option<(u32, u32, u32)> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *bytes else { return None };
    Some((number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?))
}

/// `10:05:03`.
fn time_numbers(bytes: &[u8]) -> Option<(u32, u32, u32)> {
    let [h0, h1, b':', m0, m1, b':', s0, s1] = *bytes else { return None };
    Some((number(&[h0, h1])?, number(&[m0, m1])?, number(&[s0, s1])?))
}

/// The digits behind the point of a second, one to nine of them, cut to milliseconds.
fn fraction_ms(digits: &[u8]) -> Option<u32> {
    match (digits.len(), number(digits)?) {
        (1, tenths) => Some(tenths * 100),
        (2, hundredths) => Some(hundredths * 10),
        (3, millis) => Some(millis),
        (4..=9, _) => number(&digits[..3]),
        _ => None,
    }
}

fn date_time_ms((year, month, day): (u32, u32, u32), (hour, minute, second): (u32, u32, u32)) -> Option<i64> {
    // Second 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let midnight = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?.and_hms_opt(0, 0, 0)?;
    Some((midnight.and_utc().timestamp() + i64::from(hour * 3600 + minute * 60 + second)) * 1000)
}

/// At most nine digits.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_fractions_and_leap_seconds_are_read() {
        let ten = 1_431_857_103_000;
        assert_eq!(rfc3339_ms("2015-05-17T10:05:03Z"), Some(ten));
        assert_eq!(rfc3339_ms("2015-05-17T12:05:03.250+02:00"), Some(ten + 250));
        assert_eq!(rfc3339_ms("2015-05-17T10:05:03.250Z"), Some(ten + 250));
        assert_eq!(rfc3339_ms("2015-05-17T10:05:03.1239999Z"), Some(ten + 123));
        assert_eq!(clf_ms("17/May/2015:10:05:03 +0000"), Some(ten));
        assert_eq!(clf_ms("17/May/2015:06:35:03 -0330"), Some(ten));
        assert_eq!(rfc3339_ms("2016-12-31T23:59:60Z"), rfc3339_ms("2017-01-01T00:00:00Z"));
        assert_eq!(clf_ms("31/Dec/2016:23:59:60 +0000"), rfc3339_ms("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn vendors_spell_times_in_their_own_ways() {
        let ten = 1_431_857_103_000;
        assert_eq!(iso8601_ms("2015-05-17T10:05:03+0000"), Some(ten));
        assert_eq!(iso8601_ms("2015-05-17T12:05:03.25+0200"), Some(ten + 250));
        assert_eq!(date_and_time_ms("2015-05-17", "10:05:03"), Some(ten));
        assert_eq!(date_and_time_ms("2015-05-17", "10:05:03.1239999"), Some(ten + 123));
        assert_eq!(clf_utc_ms("17/May/2015:10:05:03.250"), Some(ten + 250));
        for number in [1_431_857_103, ten, ten * 1000, ten * 1_000_000] {
            assert_eq!(epoch_ms(number), ten);
        }
        for time in ["", "10:05", "10:05:03Z", "10:05:03.", "10:05:03.1234567890", "10:05:é3", "24:00:00"] {
            assert_eq!(date_and_time_ms("2015-05-17", time), None, "{time}");
        }
        assert_eq!(date_and_time_ms("17.05.2015", "10:05:03"), None);
        assert_eq!(clf_utc_ms("17/May/2015:10:05:03"), None);
        assert_eq!(clf_utc_ms("17/May/2015:10:05:03.25x"), None);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "2015-05-17", "2015-02-30T00:00:00Z", "2015-05-17T24:00:00Z", "2015-05-17T10:05:03", "now"] {
            assert_eq!(rfc3339_ms(text), None, "{text}");
        }
        for text in ["", "17/May/2015:10:05:03", "31/Feb/2015:10:05:03 +0000", "17/May/2015:10:05:03 +2400", "-"] {
            assert_eq!(clf_ms(text), None, "{text}");
        }
        assert_eq!(clf_ms("17/Mai/2015:10:05:03 +0000"), None);
        assert_eq!(clf_ms("17/May/2015:10:05:03 é000"), None);
    }

    proptest! {
        #[test]
        fn both_spellings_of_a_moment_agree_with_the_calendar(ms in 946_684_800_000_i64..4_102_444_800_000) {
            let time = DateTime::from_timestamp_millis(ms).unwrap();
            prop_assert_eq!(rfc3339_ms(&time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)), Some(ms));
            prop_assert_eq!(clf_ms(&time.format("%d/%b/%Y:%H:%M:%S %z").to_string()), Some(ms / 1000 * 1000));
        }
    }
}
