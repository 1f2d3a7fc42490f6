//! Times as logs write them, in milliseconds since 1970-01-01 UTC.

use chrono::{DateTime, NaiveDate};

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// RFC 3339 with any offset; a leap second counts as the second after it. None for anything else.
pub(crate) fn rfc3339_ms(text: &str) -> Option<i64> {
    utc_seconds_ms(text.as_bytes())
        .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis()))
}

/// `17/May/2015:10:05:03 +0000`, as Apache and nginx write it. None for anything else.
pub(crate) fn clf_ms(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 26
        && [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')]
            .iter()
            .all(|(at, c)| bytes[*at] == *c);
    if !shape {
        return None;
    }
    let month = MONTHS.iter().position(|name| bytes[3..6].eq_ignore_ascii_case(*name))?;
    let date = (number(&bytes[7..11])?, u32::try_from(month).ok()? + 1, number(&bytes[0..2])?);
    let local_ms = date_time_ms(date, (number(&bytes[12..14])?, number(&bytes[15..17])?, number(&bytes[18..20])?))?;
    let sign = match bytes[21] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (number(&bytes[22..24])?, number(&bytes[24..26])?);
    let offset_minutes = i64::from(hours * 60 + minutes);
    (hours < 24 && minutes < 60).then_some(local_ms - sign * offset_minutes * 60_000)
}

/// The frequent form `2015-05-17T10:05:03[.123]Z`; chrono reads the rest, at a third of the speed.
fn utc_seconds_ms(bytes: &[u8]) -> Option<i64> {
    let millis = match bytes.get(19..)? {
        b"Z" => 0,
        [b'.', digits @ .., b'Z'] if digits.len() == 3 => number(digits)?,
        _ => return None,
    };
    let shape = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')].iter().all(|(at, c)| bytes[*at] == *c);
    if !shape {
        return None;
    }
    let date = (number(&bytes[0..4])?, number(&bytes[5..7])?, number(&bytes[8..10])?);
    let time = (number(&bytes[11..13])?, number(&bytes[14..16])?, number(&bytes[17..19])?);
    date_time_ms(date, time).map(|ms| ms + i64::from(millis))
}

fn date_time_ms((year, month, day): (u32, u32, u32), (hour, minute, second): (u32, u32, u32)) -> Option<i64> {
    // Second 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let midnight = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?.and_hms_opt(0, 0, 0)?;
    Some((midnight.and_utc().timestamp() + i64::from(hour * 3600 + minute * 60 + second)) * 1000)
}

fn number(digits: &[u8]) -> Option<u32> {
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
