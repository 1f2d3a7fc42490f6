//! Percent-encoding, as logs use it to keep blanks and quotes out of their values.

use std::borrow::Cow;

/// The text without percent-encoding. What would be no UTF-8 stays encoded.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    unescaped(text, b'%')
}

/// The text with every mark and two hexadecimal digits as the byte they stand for. What would be no UTF-8 stays as it is.
pub(super) fn unescaped(text: &str, mark: u8) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let Some(first) = memchr::memchr(mark, bytes) else { return Cow::Borrowed(text) };
    let mut plain = Vec::with_capacity(bytes.len());
    plain.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while let [byte, tail @ ..] = rest {
        let (value, after) = match tail {
            [high, low, after @ ..] if *byte == mark => hex(*high, *low).map_or((*byte, tail), |value| (value, after)),
            _ => (*byte, tail),
        };
        plain.push(value);
        rest = after;
    }
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A URL whose own percent signs were encoded once more: `%2520` becomes `%20`, and all else stays.
pub(super) fn undoubled(url: &str) -> Cow<'_, str> {
    if !url.contains("%25") {
        return Cow::Borrowed(url);
    }
    let mut pieces = url.split("%25");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let doubled = matches!(piece.as_bytes(), [high, low, ..] if hex(*high, *low).is_some());
        plain.push_str(if doubled { "%" } else { "%25" });
        plain.push_str(piece);
    }
    Cow::Owned(plain)
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_nothing_else() {
        assert_eq!(decoded("a%20b%22%E3%81%82"), "a b\"あ");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
        assert_eq!(decoded("caf%E9"), "caf%E9");
        assert_eq!(unescaped("a#22b#23", b'#'), "a\"b#");
        assert!(matches!(decoded("plain"), Cow::Borrowed("plain")));
    }

    #[test]
    fn a_url_that_was_encoded_twice_is_as_it_was_sent() {
        assert_eq!(undoubled("/a%2520b%25E3"), "/a%20b%E3");
        assert_eq!(undoubled("/a%20b"), "/a%20b");
        assert_eq!(undoubled("/100%25"), "/100%25");
        assert_eq!(undoubled("/%25zz%25"), "/%25zz%25");
    }
}
