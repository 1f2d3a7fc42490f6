//! Query strings, read strictly: what cannot be decoded is refused, not guessed at.

use crate::error::ApiError;

/// The pairs of a query string, decoded, in order. A part without `=` is a name with an empty value.
///
/// # Errors
/// When an escape is cut off or no hex, or the bytes are no UTF-8.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(unreadable(text)),
            },
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| unreadable(text))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn unreadable(text: &str) -> ApiError {
    let shown: String = text.chars().take(64).collect();
    ApiError::Unreadable(format!("the query cannot be read: `{shown}` is no percent-encoded UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_plus_signs_are_decoded() {
        let read = pairs("services=%5B%22cdn%22%5D&a+b=%C3%A9&flag&&empty=").unwrap();
        let expected = [("services", "[\"cdn\"]"), ("a b", "é"), ("flag", ""), ("empty", "")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_no_encoding_is_refused() {
        for query in ["a=%", "a=%4", "a=%zz", "a=%ff", "%c3=1"] {
            assert!(matches!(pairs(query), Err(ApiError::Unreadable(_))), "{query}");
        }
    }
}
