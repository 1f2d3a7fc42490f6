//! Seconds, as logs write times and durations, become milliseconds.

use crate::fault::{Fault, shown};
use crate::raw::{Field, Value};

/// `1431857103.250` as epoch milliseconds.
pub(super) fn epoch_seconds(text: &str) -> Result<Value<'static>, Fault> {
    let ms = text.split_once('.').and_then(|(seconds, fraction)| {
        let millis = format!("{fraction:0<3}");
        let whole_ms = seconds.parse::<i64>().ok()?.checked_mul(1000)?;
        whole_ms.checked_add(millis.get(..3)?.parse::<u16>().ok()?.into())
    });
    ms.map(Value::Integer).ok_or_else(|| {
        Fault::new(Field::Ts.name(), format!("{} is no time: expected seconds such as `1431857103.250`", shown(text)))
    })
}

/// `0.125` as milliseconds.
pub(super) fn seconds_as_ms(text: &str) -> Value<'_> {
    seconds_value(Value::Text(text.into()))
}

/// A number of seconds as milliseconds, and anything else as it is.
#[expect(clippy::cast_precision_loss, reason = "a duration beyond 2^53 seconds is none")]
pub(super) fn seconds_value(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Integer(seconds) => Value::Number(seconds as f64 * 1e3),
        Value::Number(seconds) => Value::Number(rounded_ms(seconds)),
        Value::Text(text) => match text.parse() {
            Ok(seconds) => Value::Number(rounded_ms(seconds)),
            Err(_) => Value::Text(text),
        },
        other => other,
    }
}

/// To the microsecond: what lies beyond is an error of the multiplication.
fn rounded_ms(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_milliseconds_without_crumbs() {
        assert_eq!(seconds_as_ms("0.007"), Value::Number(7.0));
        assert_eq!(seconds_as_ms("x"), Value::Text("x".into()));
        assert_eq!(epoch_seconds("1431857103.250"), Ok(Value::Integer(1_431_857_103_250)));
        assert_eq!(epoch_seconds("1431857103.2"), Ok(Value::Integer(1_431_857_103_200)));
        for text in ["", "1431857103", "x.1", "1.x", "1.é", "9223372036854775807.1", "9223372036854775.999"] {
            assert!(epoch_seconds(text).is_err(), "{text}");
        }
    }
}
