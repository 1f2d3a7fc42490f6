//! Choosing: by weight at random, and by a fixed hash where the same thing must always be chosen the same way.

use rand::RngExt as _;
use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::Xoshiro256PlusPlus;

/// Things of which one is drawn at random, each with a chance in proportion to its weight.
#[derive(Debug)]
pub(super) struct Choice<T> {
    pub(super) items: Vec<T>,
    chances: WeightedIndex<u64>,
}

impl<T> Choice<T> {
    /// # Panics
    /// If no weight is above zero. The weights are constants of this module.
    #[expect(clippy::expect_used, reason = "the tables are constants, and the tests draw from each of them")]
    pub(super) fn of(weighted: impl IntoIterator<Item = (T, u64)>) -> Self {
        let (items, weights): (Vec<T>, Vec<u64>) = weighted.into_iter().unzip();
        Self { items, chances: WeightedIndex::new(weights).expect("a weight is above zero") }
    }

    pub(super) fn draw(&self, rng: &mut Xoshiro256PlusPlus) -> &T {
        &self.items[self.chances.sample(rng)]
    }
}

/// Whether something with a chance in thousandths happens.
pub(super) fn happens(chance: u64, rng: &mut Xoshiro256PlusPlus) -> bool {
    rng.random_range(0..1_000) < chance
}

/// Ranks below `count`, 0 the most likely, by Zipf's law with an exponent of 1.156.
///
/// The exponent is 1 + 1/8 + 1/32, so that square roots suffice: their result is the same on every machine, that of
/// `powf` is not.
pub(super) fn zipf(count: u32) -> Choice<u32> {
    const SCALE: f64 = 1e12;
    Choice::of((0..count).map(|rank| {
        let place = f64::from(rank) + 1.0;
        let eighth = place.sqrt().sqrt().sqrt();
        let weight = SCALE / (place * eighth * eighth.sqrt().sqrt());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 1 and SCALE")]
        let weight = weight as u64;
        (rank, weight)
    }))
}

/// Fixed properties of a thing, drawn one after the other from the hash of its number.
#[derive(Debug, Clone)]
pub(super) struct Traits(u64);

impl Traits {
    /// The properties of thing `number`; different numbers have different [`uid`](Self::uid)s.
    pub(super) const fn of(number: u64) -> Self {
        // The finalizer of SplitMix64: a bijection that spreads neighbouring numbers.
        let mut hash = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(hash ^ (hash >> 31))
    }

    /// The whole hash. Only before anything was drawn is it one of a kind.
    pub(super) const fn uid(&self) -> u64 {
        self.0
    }

    /// A number below `bound`; the bounds of all draws multiply to far less than 2^64.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        let drawn = self.0 % bound;
        self.0 /= bound;
        drawn
    }

    /// One of `items`, which are not none.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.below(items.len() as u64);
        &items[usize::try_from(index).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_zipf_rank_is_as_likely_as_its_power_says() {
        let ranks = zipf(1_000);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut seen = vec![0_u32; 1_000];
        for _ in 0..400_000 {
            seen[*ranks.draw(&mut rng) as usize] += 1;
        }
        // 2^1.156 = 2.23 and 10^1.156 = 14.3
        let ratio = |rank: usize| f64::from(seen[0]) / f64::from(seen[rank - 1]);
        assert!((2.1..2.4).contains(&ratio(2)), "{}", ratio(2));
        assert!((13.0..15.7).contains(&ratio(10)), "{}", ratio(10));
    }

    #[test]
    fn the_traits_of_a_number_never_change() {
        let mut traits = Traits::of(1);
        assert_eq!(traits.uid(), 0x910a_2dec_8902_5cc1);
        assert_eq!((traits.below(10), *traits.pick(&["a", "b", "c"])), (5, "a"));
    }
}
