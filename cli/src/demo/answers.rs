//! How a request is answered: method, status, cache, size and time.

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;
use tally_storage::events::requests::CacheState;

use super::rhythm::Moment;
use super::sampling::{Choice, Traits, happens};
use super::services::Profile;

const READ_METHODS: [(&str, u64); 3] = [("GET", 968), ("HEAD", 20), ("OPTIONS", 12)];
const WRITE_METHODS: [(&str, u64); 4] = [("POST", 560), ("PUT", 330), ("DELETE", 80), ("PATCH", 30)];

const HIT_STATUSES: [(u16, u64); 3] = [(200, 928), (304, 58), (404, 14)];
const READ_STATUSES: [(u16, u64); 9] =
    [(200, 9_180), (304, 420), (404, 230), (401, 50), (403, 45), (429, 40), (400, 25), (500, 6), (503, 4)];
const WRITE_STATUSES: [(u16, u64); 8] =
    [(200, 5_600), (201, 3_500), (422, 560), (401, 120), (409, 90), (429, 80), (404, 40), (500, 10)];
const OUTAGE_STATUSES: [(u16, u64); 4] = [(503, 520), (502, 230), (500, 150), (504, 100)];

/// Chance in thousandths that the failing origin fails a request that reaches it.
const OUTAGE_CHANCE: u64 = 450;
/// Chance in thousandths that even a cold cache answers.
const COLD_HIT_CHANCE: u64 = 140;
/// What a cache takes to answer, in tenths of a millisecond.
const HIT_TENTHS: u64 = 60;
/// How many times longer than usual a request takes that fails.
const OUTAGE_DELAY: u64 = 8;

/// How a request was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) method: &'static str,
    pub(super) status: u16,
    pub(super) cache: Option<CacheState>,
    pub(super) bytes: u64,
    pub(super) duration_ms: f64,
}

/// Draws answers.
#[derive(Debug)]
pub(super) struct Answers {
    reads: Choice<&'static str>,
    writes: Choice<&'static str>,
    hit: Choice<u16>,
    read: Choice<u16>,
    written: Choice<u16>,
    failed: Choice<u16>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            reads: Choice::of(READ_METHODS),
            writes: Choice::of(WRITE_METHODS),
            hit: Choice::of(HIT_STATUSES),
            read: Choice::of(READ_STATUSES),
            written: Choice::of(WRITE_STATUSES),
            failed: Choice::of(OUTAGE_STATUSES),
        }
    }

    /// What `profile`'s service answers; `url` are the traits of the URL.
    pub(super) fn draw(
        &self,
        profile: &Profile,
        moment: Moment,
        url: &mut Traits,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Answer {
        let writes = happens(profile.write_chance, rng);
        let hit = profile.hit_chance.map(|warm| !writes && happens(hit_chance(warm, moment.warmth), rng));
        let usual = profile.usual_tenths;
        let (statuses, usual_tenths) = match (hit, writes) {
            (Some(true), _) => (&self.hit, HIT_TENTHS),
            _ if moment.outage && happens(OUTAGE_CHANCE, rng) => (&self.failed, usual * OUTAGE_DELAY),
            (_, true) => (&self.written, usual),
            (_, false) => (&self.read, usual),
        };
        let method = *if writes { &self.writes } else { &self.reads }.draw(rng);
        let status = *statuses.draw(rng);
        Answer {
            method,
            status,
            cache: hit.map(|hit| if hit { CacheState::Hit } else { CacheState::Miss }),
            bytes: body_bytes(profile, method, status, url),
            duration_ms: duration_ms(usual_tenths, rng),
        }
    }
}

/// The chance of a hit in a cache of that warmth, which is `warm` in the end.
fn hit_chance(warm: u64, warmth: u64) -> u64 {
    COLD_HIT_CHANCE + warm.saturating_sub(COLD_HIT_CHANCE) * warmth / 1_000
}

/// The size of the answer's body. A URL's answer always has the same size: most are small, a few are large.
fn body_bytes(profile: &Profile, method: &str, status: u16, url: &mut Traits) -> u64 {
    const ONE: u64 = 1 << 16;
    match (method, status) {
        ("HEAD" | "OPTIONS", _) | (_, 304) => 0,
        (_, 200..=299) => {
            let position = url.below(ONE);
            let cube = position * position / ONE * position / ONE;
            310 + profile.largest_bytes * cube / ONE
        }
        (_, status) => 90 + u64::from(status % 100) * 3,
    }
}

/// A time around the usual one, now and then many times that.
fn duration_ms(usual_tenths: u64, rng: &mut Xoshiro256PlusPlus) -> f64 {
    let doublings = (rng.random::<u64>().trailing_zeros() / 2).min(6);
    let tenths = usual_tenths / 2 + (rng.random_range(0..=usual_tenths) << doublings);
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}
