//! Rate limits: so many requests in each full second, for an organization or, where nobody proved who they are, for an
//! address.
//!
//! The contract's count starts again at each full second. So each second has limiters of its own, which never refill
//! while it lasts; they are forgotten with it, which also bounds what a crowd of addresses can make us remember.
//!
//! Where several processes answer, the requests of an organization are counted by all of them together: `shared.rs`.

mod shared;

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

pub use self::shared::SharedCounts;
use crate::error::ApiError;
use crate::metrics::Metrics;

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
    shared: Option<SharedCounts>,
    clock: Clock,
    metrics: Metrics,
}

impl RateLimiters {
    pub(crate) fn new(limits: RateLimits, shared: Option<SharedCounts>, clock: Clock, metrics: Metrics) -> Self {
        let (organizations, addresses) = (Windows::new(clock.clone()), Windows::new(clock.clone()));
        Self { limits, organizations, addresses, shared, clock, metrics }
    }

    /// Counts a request of an organization.
    pub(crate) async fn count_organization(
        &self,
        organization: &OrganizationUid,
        own: Option<NonZeroU32>,
    ) -> RateState {
        let limit = own.unwrap_or(self.limits.organization);
        let Some(shared) = &self.shared else { return self.organizations.count(organization, limit) };
        if let Some(count) = shared.count(organization, second_of(&self.clock)).await {
            let remaining = u64::from(limit.get()).saturating_sub(count);
            let exceeded = count > u64::from(limit.get());
            return RateState { limit: limit.get(), remaining: u32::try_from(remaining).unwrap_or(u32::MAX), exceeded };
        }
        self.metrics.request_counted_alone();
        self.organizations.count(organization, limit)
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
        let second = second_of(&self.clock);
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

fn second_of(clock: &Clock) -> i64 {
    clock.now_ms().div_euclid(1000)
}

fn limiter(limit: NonZeroU32) -> Limiter {
    let period = REFILLED_AFTER / limit.get();
    let quota = Quota::with_period(period).unwrap_or_else(|| Quota::per_hour(limit)).allow_burst(limit);
    DefaultDirectRateLimiter::direct(quota).with_middleware()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use futures::future::join_all;
    use tally_tests::{Scratch, Shape};

    use super::*;

    fn limiters(limits: RateLimits, clock: Clock) -> RateLimiters {
        RateLimiters::new(limits, None, clock, Metrics::new().unwrap())
    }

    #[tokio::test]
    async fn the_count_starts_again_at_each_full_second() {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap();
        let clock = Clock::fixed(at(1_999));
        let limits = RateLimits { organization: NonZeroU32::new(2).unwrap(), address: NonZeroU32::MIN };
        let limiters = limiters(limits, clock.clone());
        let organization = OrganizationUid::mint();
        let count = || limiters.count_organization(&organization, None);
        assert_eq!(count().await, RateState { limit: 2, remaining: 1, exceeded: false });
        assert_eq!(count().await, RateState { limit: 2, remaining: 0, exceeded: false });
        assert_eq!(count().await, RateState { limit: 2, remaining: 0, exceeded: true });
        clock.set(at(2_000));
        assert_eq!(count().await, RateState { limit: 2, remaining: 1, exceeded: false });
    }

    #[tokio::test]
    async fn organizations_are_counted_apart_and_may_have_limits_of_their_own() {
        let limits = RateLimits { organization: NonZeroU32::MIN, address: NonZeroU32::MIN };
        let limiters = limiters(limits, Clock::fixed(DateTime::default()));
        let (first, second) = (OrganizationUid::mint(), OrganizationUid::mint());
        assert!(!limiters.count_organization(&first, None).await.exceeded);
        assert!(limiters.count_organization(&first, None).await.exceeded);
        assert_eq!(limiters.count_organization(&second, NonZeroU32::new(5)).await.remaining, 4);
        let third = OrganizationUid::mint();
        assert_eq!(limiters.count_organization(&third, Some(NonZeroU32::MAX)).await.remaining, u32::MAX - 1);
    }

    #[tokio::test]
    async fn processes_that_share_their_counts_answer_as_many_requests_as_one_would() {
        let scratch = Scratch::in_shape(Shape::ScaledOut);
        let (url, prefix) = scratch.queue().unwrap();
        let limits = RateLimits { organization: NonZeroU32::new(10).unwrap(), address: NonZeroU32::MIN };
        let clock = Clock::fixed(DateTime::default());
        let process = || {
            let shared = SharedCounts::open(&url, prefix).unwrap();
            RateLimiters::new(limits, Some(shared), clock.clone(), Metrics::new().unwrap())
        };
        let (one, other) = (process(), process());
        let organization = OrganizationUid::mint();
        let both = (0..15).map(|index| if index % 2 == 0 { &one } else { &other });
        let counted = join_all(both.map(|process| process.count_organization(&organization, None))).await;
        assert_eq!(counted.iter().filter(|state| !state.exceeded).count(), 10);
        let mut remaining: Vec<u32> = counted.iter().map(|state| state.remaining).collect();
        remaining.sort_unstable();
        assert_eq!(remaining, [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        clock.set(clock.now() + TimeDelta::seconds(1));
        assert_eq!(one.count_organization(&organization, None).await.remaining, 9);
    }

    #[tokio::test]
    async fn without_redis_each_process_counts_by_itself_and_says_so() {
        let limits = RateLimits { organization: NonZeroU32::new(2).unwrap(), address: NonZeroU32::MIN };
        // Nobody listens there: the port was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let shared = SharedCounts::open(&format!("redis://{free}"), "test").unwrap();
        let metrics = Metrics::new().unwrap();
        let alone = RateLimiters::new(limits, Some(shared), Clock::fixed(DateTime::default()), metrics.clone());
        let organization = OrganizationUid::mint();
        for exceeded in [false, false, true] {
            assert_eq!(alone.count_organization(&organization, None).await.exceeded, exceeded);
        }
        let text = String::from_utf8(metrics.render(&Vec::new(), 0).unwrap()).unwrap();
        assert!(text.contains("tally_rate_limit_local_total 3"), "{text}");
    }
}
