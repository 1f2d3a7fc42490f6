//! Email addresses, in the one spelling by which a user is found.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The longest address that a mail server has to take.
const MAX_LEN: usize = 254;

/// An email address: trimmed, in lower case, with one `@` between a name and a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(String);

/// A text that is no email address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no email address: expected one like `name@example.com`")]
pub struct MalformedEmail(String);

impl Email {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = MalformedEmail;

    fn from_str(text: &str) -> Result<Self, MalformedEmail> {
        let email = text.trim().to_lowercase();
        let well_formed = email.len() <= MAX_LEN
            && email.chars().all(|character| !character.is_whitespace() && !character.is_control())
            && email.split_once('@').is_some_and(|(name, host)| {
                !name.is_empty() && !host.contains('@') && host.split('.').all(|label| !label.is_empty())
            });
        if well_formed { Ok(Self(email)) } else { Err(MalformedEmail(text.to_owned())) }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_trimmed_and_lower_cased() {
        assert_eq!(" Ada.L+x@Example.COM \n".parse::<Email>().unwrap().as_str(), "ada.l+x@example.com");
        assert!("root@localhost".parse::<Email>().is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_text() {
        for text in ["", "ada", "@example.com", "ada@", "a@b@c", "a b@c.de", "a@.de", "a@c..de", "a@c.de.", "a\0@c.de"]
        {
            let error = text.parse::<Email>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is no email address")), "{error}");
        }
        assert!(format!("{}@example.com", "a".repeat(243)).parse::<Email>().is_err());
        assert!(format!("{}@example.com", "a".repeat(242)).parse::<Email>().is_ok());
    }
}
