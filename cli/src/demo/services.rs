//! Who answers: how busy each service is, and who asks it for what.

use rand::rngs::Xoshiro256PlusPlus;
use tally_storage::events::requests::Service;

use super::rhythm::Moment;
use super::sampling::{Choice, zipf};

/// One service's traffic. Chances are in thousandths.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) service: Service,
    /// Share of the traffic while editors are at work.
    office_weight: u64,
    /// Share of the traffic at other times.
    quiet_weight: u64,
    /// How many different URLs there are.
    urls: u32,
    /// Chance that a browser asks, rather than a program.
    pub(super) browser_chance: u64,
    /// Chance that the client names its SDK.
    pub(super) sdk_chance: u64,
    /// Chance that the request changes something.
    pub(super) write_chance: u64,
    /// Chance that a warm cache answers; none where there is no cache.
    pub(super) hit_chance: Option<u64>,
    /// Size of the largest answer.
    pub(super) largest_bytes: u64,
    /// A usual answer's time, in tenths of a millisecond.
    pub(super) usual_tenths: u64,
}

/// All services, busiest first: 300,000 URLs together.
pub(super) const PROFILES: [Profile; 8] = [
    Profile {
        service: Service::Cdn,
        office_weight: 500,
        quiet_weight: 580,
        urls: 140_000,
        browser_chance: 560,
        sdk_chance: 620,
        write_chance: 0,
        hit_chance: Some(940),
        largest_bytes: 400_000,
        usual_tenths: 420,
    },
    Profile {
        service: Service::Cma,
        office_weight: 170,
        quiet_weight: 90,
        urls: 40_000,
        browser_chance: 250,
        sdk_chance: 450,
        write_chance: 310,
        hit_chance: None,
        largest_bytes: 250_000,
        usual_tenths: 1_300,
    },
    Profile {
        service: Service::Graphql,
        office_weight: 110,
        quiet_weight: 120,
        urls: 25_000,
        browser_chance: 480,
        sdk_chance: 240,
        write_chance: 0,
        hit_chance: Some(820),
        largest_bytes: 180_000,
        usual_tenths: 610,
    },
    Profile {
        service: Service::Images,
        office_weight: 85,
        quiet_weight: 105,
        urls: 50_000,
        browser_chance: 930,
        sdk_chance: 0,
        write_chance: 0,
        hit_chance: Some(965),
        largest_bytes: 3_500_000,
        usual_tenths: 880,
    },
    Profile {
        service: Service::Assets,
        office_weight: 55,
        quiet_weight: 60,
        urls: 25_000,
        browser_chance: 880,
        sdk_chance: 20,
        write_chance: 0,
        hit_chance: Some(950),
        largest_bytes: 40_000_000,
        usual_tenths: 1_500,
    },
    Profile {
        service: Service::Ui,
        office_weight: 45,
        quiet_weight: 10,
        urls: 6_000,
        browser_chance: 1_000,
        sdk_chance: 0,
        write_chance: 180,
        hit_chance: None,
        largest_bytes: 900_000,
        usual_tenths: 950,
    },
    Profile {
        service: Service::Automations,
        office_weight: 20,
        quiet_weight: 18,
        urls: 2_000,
        browser_chance: 0,
        sdk_chance: 0,
        write_chance: 850,
        hit_chance: None,
        largest_bytes: 30_000,
        usual_tenths: 2_600,
    },
    Profile {
        service: Service::Launch,
        office_weight: 15,
        quiet_weight: 17,
        urls: 12_000,
        browser_chance: 960,
        sdk_chance: 0,
        write_chance: 20,
        hit_chance: Some(880),
        largest_bytes: 600_000,
        usual_tenths: 700,
    },
];

/// Draws services and their URLs.
#[derive(Debug)]
pub(super) struct Services {
    office: Choice<usize>,
    quiet: Choice<usize>,
    ranks: [Choice<u32>; 8],
}

impl Services {
    pub(super) fn new() -> Self {
        let by = |weight: fn(&Profile) -> u64| Choice::of(PROFILES.iter().map(weight).enumerate());
        Self {
            office: by(|profile| profile.office_weight),
            quiet: by(|profile| profile.quiet_weight),
            ranks: PROFILES.each_ref().map(|profile| zipf(profile.urls)),
        }
    }

    /// A service, and the rank of one of its URLs.
    pub(super) fn draw(&self, moment: Moment, rng: &mut Xoshiro256PlusPlus) -> (&'static Profile, u32) {
        let services = if moment.office_hours { &self.office } else { &self.quiet };
        let index = *services.draw(rng);
        (&PROFILES[index], *self.ranks[index].draw(rng))
    }
}
