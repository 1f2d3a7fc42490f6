//! Rate limits: so many requests in each full second, for an organization or, where nobody proved who they are, for an
//! address.
//!
//! The contract's count starts again at each full second. So each second has limiters of its own, which never refill
//! while it lasts; they are forgotten with it, which also bounds what a crowd of addresses can make us remember.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::middleware::StateInformationMiddleware;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tally_storage::clock::Clock;
use tally_storage::ids::OrganizationUid;

use crate::error::ApiError;

/// Within one second nothing refills.
const REFILLED_AFTER: Duration = Duration::from_hours(24);

/// How many requests a second are answered.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Of an organization, over all its users, unless the operator gave it a limit of its own.
    pub organization: NonZeroU32,
    /// Of an address, where the request proves no right.
    pub address: NonZeroU32,
}

/// What the answer says about the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateState {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) exceeded: bool,
}

impl RateState {
    /// Refuses a request that was over the limit.
    pub(crate) fn check(self) -> Result<(), ApiError> {
        if self.exceeded {
            return Err(ApiError::RateLimited { limit: self.limit, window: "a second", retry_after_s: 1 });
        }
        Ok(())
    }
}

/// Counts requests.
#[derive(Debug)]
pub(crate) struct RateLimiters {
    limits: RateLimits,
    organizations: Windows<OrganizationUid>,
    addresses: Windows<IpAddr>,
}

impl RateLimiters {
    pub(crate) fn new(limits: RateLimits, clock: Clock) -> Self {
        Self { limits, organizations: Windows::new(clock.clone()), addresses: Windows::new(clock) }
    }

    /// Counts a request of an organization.
    pub(crate) fn count_organization(&self, organization: &OrganizationUid, own: Option<NonZeroU32>) -> RateState {
        self.organizations.count(organization, own.unwrap_or(self.limits.organization))
    }

    /// Counts a request that proves no right.
    pub(crate) fn count_address(&self, address: IpAddr) -> RateState {
        self.addresses.count(&address, self.limits.address)
    }
}

type Limiter = RateLimiter<
    governor::state::direct::NotKeyed,
    governor::state::InMemoryState,
    governor::clock::DefaultClock,
    StateInformationMiddleware,
>;

#[derive(Debug)]
struct Windows<K> {
    clock: Clock,
    current: Mutex<Window<K>>,
}

#[derive(Debug)]
struct Window<K> {
    second: i64,
    limiters: HashMap<K, Limiter>,
}

impl<K: Hash + Eq + Clone> Windows<K> {
    fn new(clock: Clock) -> Self {
        Self { clock, current: Mutex::new(Window { second: 0, limiters: HashMap::new() }) }
    }

    fn count(&self, key: &K, limit: NonZeroU32) -> RateState {
        let second = self.clock.now_ms().div_euclid(1000);
        let mut window = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if window.second != second {
            *window = Window { second, limiters: HashMap::new() };
        }
        let limiter = window.limiters.entry(key.clone()).or_insert_with(|| limiter(limit));
        match limiter.check() {
            Ok(state) => RateState { limit: limit.get(), remaining: state.remaining_burst_capacity(), exceeded: false },
            Err(_) => RateState { limit: limit.get(), remaining: 0, exceeded: true },
        }
    }
}

fn limiter(limit: NonZeroU32) -> Limiter {
    let period = REFILLED_AFTER / limit.get();
    let quota = Quota::with_period(period).unwrap_or_else(|| Quota::per_hour(limit)).allow_burst(limit);
    DefaultDirectRateLimiter::direct(quota).with_middleware()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn the_count_starts_again_at_each_full_second() {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap();
        let clock = Clock::fixed(at(1_999));
        let limits = RateLimits { organization: NonZeroU32::new(2).unwrap(), address: NonZeroU32::MIN };
        let limiters = RateLimiters::new(limits, clock.clone());
        let organization = OrganizationUid::mint();
        let count = || limiters.count_organization(&organization, None);
        assert_eq!(count(), RateState { limit: 2, remaining: 1, exceeded: false });
        assert_eq!(count(), RateState { limit: 2, remaining: 0, exceeded: false });
        assert_eq!(count(), RateState { limit: 2, remaining: 0, exceeded: true });
        clock.set(at(2_000));
        assert_eq!(count(), RateState { limit: 2, remaining: 1, exceeded: false });
    }

    #[test]
    fn organizations_are_counted_apart_and_may_have_limits_of_their_own() {
        let limits = RateLimits { organization: NonZeroU32::MIN, address: NonZeroU32::MIN };
        let limiters = RateLimiters::new(limits, Clock::fixed(DateTime::default()));
        let (first, second) = (OrganizationUid::mint(), OrganizationUid::mint());
        assert!(!limiters.count_organization(&first, None).exceeded);
        assert!(limiters.count_organization(&first, None).exceeded);
        assert_eq!(limiters.count_organization(&second, NonZeroU32::new(5)).remaining, 4);
        let third = OrganizationUid::mint();
        assert_eq!(limiters.count_organization(&third, Some(NonZeroU32::MAX)).remaining, u32::MAX - 1);
    }
}
