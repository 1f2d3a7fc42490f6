//! A cache's word as servers put it into a response's `X-Cache` header, and logs repeat it.
//!
//! `HIT`, but also `Hit from cloudfront`, `HIT from proxy.example:3128`, and `MISS, HIT` where a request passed several
//! caches: the last one is nearest to the client, and is the one that answered.

use std::borrow::Cow;

/// The word that counts.
pub(super) fn cache_word(header: Cow<'_, str>) -> Cow<'_, str> {
    match header {
        Cow::Borrowed(text) => Cow::Borrowed(nearest(text)),
        Cow::Owned(text) => Cow::Owned(nearest(&text).to_owned()),
    }
}

fn nearest(header: &str) -> &str {
    let last = header.rsplit(',').next().unwrap_or(header).trim();
    last.split([' ', ';']).next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_the_nearest_cache_counts() {
        let word = |text: &'static str| cache_word(text.into());
        assert_eq!(word("HIT"), "HIT");
        assert_eq!(word("RefreshHit from cloudfront"), "RefreshHit");
        assert_eq!(word("MISS, HIT"), "HIT");
        assert_eq!(word("HIT, MISS from proxy.example:3128"), "MISS");
        assert_eq!(word("-"), "-");
        assert_eq!(word(""), "");
        assert_eq!(cache_word(Cow::Owned("MISS, HIT".to_owned())), "HIT");
    }
}
