//! What caches write about a request, and what Tally counts it as.

use tally_storage::events::requests::{CacheState, Service};

/// Vendors' words in upper case, each with its meaning. Any other word counts as neither.
pub const CACHE_WORDS: [(&str, CacheState); 16] = [
    ("HIT", CacheState::Hit),
    ("REFRESHHIT", CacheState::Hit),
    ("REFRESH_HIT", CacheState::Hit),
    ("STALE", CacheState::Hit),
    ("UPDATING", CacheState::Hit),
    ("REVALIDATED", CacheState::Hit),
    ("HIT-CLUSTER", CacheState::Hit),
    ("TCP_HIT", CacheState::Hit),
    ("TCP_MEM_HIT", CacheState::Hit),
    ("MISS", CacheState::Miss),
    ("EXPIRED", CacheState::Miss),
    ("BYPASS", CacheState::Miss),
    ("DYNAMIC", CacheState::Miss),
    ("PASS", CacheState::Miss),
    ("MISS-CLUSTER", CacheState::Miss),
    ("TCP_MISS", CacheState::Miss),
];

/// The word of a delivery service that did not ask its cache.
pub const NO_CACHE_WORD: &str = "-";

/// What a cache's word means for a request that `service` answered.
#[must_use]
pub fn cache_state(word: &str, service: Service) -> Option<CacheState> {
    if word == NO_CACHE_WORD {
        return service.is_delivery().then_some(CacheState::Miss);
    }
    CACHE_WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, state)| *state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_any_case() {
        assert_eq!(cache_state("RefreshHit", Service::Cdn), Some(CacheState::Hit));
        assert_eq!(cache_state("tcp_miss", Service::Cma), Some(CacheState::Miss));
    }

    #[test]
    fn a_word_nobody_knows_counts_as_neither() {
        assert_eq!(cache_state("Error", Service::Cdn), None);
        assert_eq!(cache_state("", Service::Cdn), None);
    }

    #[test]
    fn a_dash_is_a_miss_only_where_a_cache_could_have_answered() {
        assert_eq!(cache_state("-", Service::Images), Some(CacheState::Miss));
        assert_eq!(cache_state("-", Service::Cma), None);
        assert_eq!(cache_state("-", Service::Launch), None);
    }
}
