//! Wrong passwords: after five for one account from one address within a minute, that pair waits.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use crate::error::ApiError;

const WRONG_PASSWORDS: u32 = 5;
const WINDOW: Duration = Duration::from_mins(1);
/// Pairs remembered at most: a crowd that guesses must not fill the memory.
const REMEMBERED: u64 = 100_000;

/// Remembers wrong passwords for a minute from the first.
#[derive(Debug)]
pub(crate) struct LoginGuard {
    wrong: Cache<(String, IpAddr), Arc<AtomicU32>>,
}

impl LoginGuard {
    pub(crate) fn new() -> Self {
        Self { wrong: Cache::builder().max_capacity(REMEMBERED).time_to_live(WINDOW).build() }
    }

    /// Refuses an account and address with too many wrong passwords, before the password is looked at.
    pub(crate) fn check(&self, email: &str, address: IpAddr) -> Result<(), ApiError> {
        let wrong = self.wrong.get(&key(email, address)).map_or(0, |count| count.load(Ordering::Relaxed));
        if wrong >= WRONG_PASSWORDS {
            return Err(ApiError::RateLimited {
                limit: WRONG_PASSWORDS,
                window: "a minute for wrong passwords of one account",
                retry_after_s: WINDOW.as_secs(),
            });
        }
        Ok(())
    }

    /// Counts a wrong password.
    pub(crate) fn count_wrong(&self, email: &str, address: IpAddr) {
        let count = self.wrong.get_with(key(email, address), Arc::default);
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn key(email: &str, address: IpAddr) -> (String, IpAddr) {
    (email.trim().to_lowercase(), address)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_sixth_attempt_waits_for_that_account_and_address_alone() {
        let guard = LoginGuard::new();
        let (here, there) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
        for _ in 0..WRONG_PASSWORDS {
            assert!(guard.check("Ada@example.com", here).is_ok());
            guard.count_wrong("ada@example.com ", here);
        }
        assert!(guard.check("ada@example.com", here).is_err());
        assert!(guard.check("ada@example.com", there).is_ok());
        assert!(guard.check("bob@example.com", here).is_ok());
    }
}
