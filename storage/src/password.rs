//! Passwords: checked when set, stored as Argon2id, verified off the async threads.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher as _, PasswordVerifier as _};

use crate::blocking;
use crate::error::StorageError;

/// A password fit to be set. Its text is never printed.
#[derive(Clone)]
pub struct Password(String);

/// A password that may not be set; says why, without the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitPassword {
    /// Under [`Password::MIN_CHARS`].
    #[error("the password has {0} characters: expected at least {min}", min = Password::MIN_CHARS)]
    TooShort(usize),
    /// Over [`Password::MAX_CHARS`].
    #[error("the password has {0} characters: expected at most {max}", max = Password::MAX_CHARS)]
    TooLong(usize),
}

impl Password {
    /// The least number of characters.
    pub const MIN_CHARS: usize = 8;
    /// The greatest number of characters: a passphrase fits, a file sent by mistake does not.
    pub const MAX_CHARS: usize = 1024;

    /// Checks a password that somebody wants to set.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn new(text: String) -> Result<Self, UnfitPassword> {
        match text.chars().count() {
            chars if chars < Self::MIN_CHARS => Err(UnfitPassword::TooShort(chars)),
            chars if chars > Self::MAX_CHARS => Err(UnfitPassword::TooLong(chars)),
            _ => Ok(Self(text)),
        }
    }

    /// The Argon2id hash with a salt of its own, as a PHC string.
    ///
    /// # Errors
    /// When the system has no randomness for the salt.
    pub(crate) async fn hash(&self) -> Result<String, StorageError> {
        let text = self.0.clone();
        blocking(move || hash(&text)).await
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Whether the attempt is the password of the stored hash. Without a hash the answer is no, after the same work, so that
/// the delay of a login does not tell who has an account.
///
/// # Errors
/// When the stored hash cannot be read.
pub(crate) async fn verify(attempt: &str, stored: Option<String>) -> Result<bool, StorageError> {
    let attempt = attempt.to_owned();
    blocking(move || {
        let Some(stored) = stored else {
            return hash(&attempt).map(|_| false);
        };
        match Argon2::default().verify_password(attempt.as_bytes(), stored.as_str()) {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(StorageError::Password(error.to_string())),
        }
    })
    .await
}

fn hash(text: &str) -> Result<String, StorageError> {
    let hash: PasswordHash =
        Argon2::default().hash_password(text.as_bytes()).map_err(|error| StorageError::Password(error.to_string()))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_characters_are_too_few_and_eight_enough() {
        assert_eq!(Password::new("éééé123".to_owned()).unwrap_err(), UnfitPassword::TooShort(7));
        assert!(Password::new("éééé1234".to_owned()).is_ok());
        let message = Password::new("x".repeat(1025)).unwrap_err().to_string();
        assert_eq!(message, "the password has 1025 characters: expected at most 1024");
    }

    #[test]
    fn a_password_is_never_printed() {
        let password = Password::new("correct horse".to_owned()).unwrap();
        assert_eq!(format!("{password:?}"), "Password(…)");
    }

    #[tokio::test]
    async fn only_the_password_verifies_and_each_hash_has_its_own_salt() {
        let password = Password::new("correct horse".to_owned()).unwrap();
        let stored = password.hash().await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$"), "{stored}");
        assert_ne!(stored, password.hash().await.unwrap());
        assert!(verify("correct horse", Some(stored.clone())).await.unwrap());
        assert!(!verify("correct hors", Some(stored)).await.unwrap());
        assert!(!verify("correct horse", None).await.unwrap());
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_no_wrong_password() {
        let error = verify("correct horse", Some("$argon2id$nonsense".to_owned())).await.unwrap_err();
        assert!(matches!(error, StorageError::Password(_)), "{error}");
    }
}
