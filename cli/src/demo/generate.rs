//! A plan, and the stream of events that it stands for.

use chrono::NaiveDate;
use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use tally_storage::events::requests::{RequestEvent, Service};

use super::answers::Answers;
use super::clients::Audience;
use super::rhythm::Rhythm;
use super::sampling::Traits;
use super::services::Services;
use super::urls::{self, LaunchSite, launch_sites};

/// Which events to make up. Equal plans give equal events, on every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoPlan {
    /// How many events.
    pub events: u64,
    /// Another seed gives other events with the same shape.
    pub seed: u64,
    /// Over how many UTC days; none counts as one.
    pub days: u32,
    /// The last of those days.
    pub end: NaiveDate,
    /// API keys of the stacks that own the URLs, the first ones the most; with none, events name no stack.
    /// Automations and Launch belong to no stack.
    pub stacks: Vec<String>,
    /// Whether each event has an id of its own, so that a repeat is known.
    pub ids: bool,
}

impl DemoPlan {
    /// The events, the oldest first.
    #[must_use]
    pub fn events(&self) -> DemoEvents<'_> {
        DemoEvents {
            plan: self,
            rng: Xoshiro256PlusPlus::seed_from_u64(self.seed),
            rhythm: Rhythm::new(self.events, self.days, self.end, self.seed),
            services: Services::new(),
            answers: Answers::new(),
            audience: Audience::new(),
            sites: launch_sites(),
            produced: 0,
            url: String::new(),
            id: String::new(),
        }
    }
}

/// The events of a plan. Each is lent until the next one is asked for, so none costs an allocation.
#[derive(Debug)]
pub struct DemoEvents<'p> {
    plan: &'p DemoPlan,
    rng: Xoshiro256PlusPlus,
    rhythm: Rhythm,
    services: Services,
    answers: Answers,
    audience: Audience,
    sites: Vec<LaunchSite>,
    produced: u64,
    url: String,
    id: String,
}

impl DemoEvents<'_> {
    /// The next event, or none after the last.
    pub fn next_event(&mut self) -> Option<RequestEvent<'_>> {
        let moment = self.rhythm.next(&mut self.rng)?;
        let (profile, rank) = self.services.draw(moment, &mut self.rng);
        let mut traits = Traits::of(urls::number(profile.service, rank));
        let site = &self.sites[rank as usize % self.sites.len()];
        self.url.clear();
        urls::write_url(&mut self.url, profile.service, rank, &mut traits, site);
        let stack = stack_of(&self.plan.stacks, profile.service, &mut traits);
        let answer = self.answers.draw(profile, moment, &mut traits, &mut self.rng);
        let (user_agent, sdk) = self.audience.draw(profile, &mut self.rng);
        self.produced += 1;
        if self.plan.ids {
            self.id = format!("demo-{}-{}", self.plan.seed, self.produced);
        }
        let site = (profile.service == Service::Launch).then_some(site);
        Some(RequestEvent {
            ts_ms: moment.ts_ms,
            url: &self.url,
            service: profile.service,
            status: answer.status,
            method: answer.method,
            bytes: answer.bytes,
            api_key: stack,
            cache: answer.cache,
            user_agent,
            sdk,
            duration_ms: Some(answer.duration_ms),
            project_uid: site.map(|site| site.project_uid.as_str()),
            environment_uid: site.map(|site| site.environment_uid.as_str()),
            domain: site.map(|site| site.domain.as_str()),
            id: self.plan.ids.then_some(&self.id),
        })
    }
}

/// The stack that a URL belongs to. The lower of two draws, so that the first stacks own the most.
fn stack_of<'s>(stacks: &'s [String], service: Service, url: &mut Traits) -> Option<&'s str> {
    if stacks.is_empty() || matches!(service, Service::Automations | Service::Launch) {
        return None;
    }
    let count = stacks.len() as u64;
    let index = url.below(count).min(url.below(count));
    stacks.get(usize::try_from(index).ok()?).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use tally_storage::events::requests::CacheState;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn plan(events: u64, days: u32) -> DemoPlan {
        let end = NaiveDate::from_ymd_opt(2026, 5, 31).unwrap();
        let stacks = ["blt0000000000000001", "blt0000000000000002", "blt0000000000000003"].map(String::from).to_vec();
        DemoPlan { events, seed: 1, days, end, stacks, ids: false }
    }

    /// What `look` makes of each event of 16 days.
    fn sample<T>(look: impl Fn(&RequestEvent<'_>) -> T) -> Vec<T> {
        let plan = plan(100_000, 16);
        let mut events = plan.events();
        let mut seen = Vec::new();
        while let Some(event) = events.next_event() {
            seen.push(look(&event));
        }
        seen
    }

    fn count<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
        values.into_iter().fold(BTreeMap::new(), |mut counts, value| {
            *counts.entry(value).or_default() += 1;
            counts
        })
    }

    #[test]
    fn every_event_comes_in_order_and_is_one_that_ingest_accepts() {
        let events = sample(|event| {
            assert!((100..=599).contains(&event.status) && !event.method.is_empty());
            assert!(event.url.starts_with("https://") && event.url.len() < 200, "{}", event.url);
            event.ts_ms
        });
        assert_eq!(events.len(), 100_000);
        assert!(events.is_sorted());
    }

    #[test]
    fn services_are_skewed_and_the_cdn_is_busiest() {
        let services = count(sample(|event| event.service));
        assert_eq!(services.len(), 8);
        let share = |service| services[&service] * 100 / 100_000;
        assert!((50..60).contains(&share(Service::Cdn)), "{services:?}");
        assert!((9..18).contains(&share(Service::Cma)), "{services:?}");
        assert!((1..4).contains(&share(Service::Launch)), "{services:?}");
    }

    #[test]
    fn a_few_urls_get_most_requests_and_many_get_one() {
        let urls = count(sample(|event| event.url.to_owned()));
        let mut counts: Vec<usize> = urls.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let busiest: usize = counts[..100].iter().sum();
        assert!((50_000..75_000).contains(&busiest), "{busiest}");
        assert!(counts.iter().filter(|count| **count == 1).count() > 8_000);
    }

    #[test]
    fn errors_burst_while_the_origin_is_out() {
        let failures =
            count(sample(|event| (event.status >= 500).then_some(event.ts_ms / HOUR_MS)).into_iter().flatten());
        let mut worst: Vec<(usize, i64)> = failures.into_iter().map(|(hour, failed)| (failed, hour)).collect();
        worst.sort_unstable();
        let (quiet, outage) = worst.split_at(worst.len() - 4);
        let hours: BTreeMap<i64, usize> = outage.iter().map(|(failed, hour)| (*hour, *failed)).collect();
        assert!(hours.keys().zip(hours.keys().skip(1)).all(|(hour, next)| hour + 1 == *next), "{hours:?}");
        assert!(outage[0].0 > 10 * quiet[quiet.len() - 1].0, "{quiet:?} {outage:?}");
    }

    #[test]
    fn the_cache_warms_up() {
        let states = sample(|event| event.cache.map(|cache| (event.ts_ms, cache == CacheState::Hit)));
        let states: Vec<(i64, bool)> = states.into_iter().flatten().collect();
        let begin = states[0].0;
        let hits = |hours: std::ops::Range<i64>| {
            let states = states.iter().filter(|(ts_ms, _)| hours.contains(&((ts_ms - begin) / HOUR_MS)));
            let (hits, all) = states.fold((0, 0), |(hits, all), (_, hit)| (hits + usize::from(*hit), all + 1));
            hits * 100 / all
        };
        assert!((14..30).contains(&hits(0..6)), "{} % at first", hits(0..6));
        assert!((90..96).contains(&hits(48..384)), "{} % in the end", hits(48..384));
    }

    #[test]
    fn launch_alone_names_sites_and_every_stack_owns_something() {
        let seen = sample(|event| {
            let launch = event.service == Service::Launch;
            assert_eq!(
                launch,
                event.project_uid.is_some() && event.environment_uid.is_some() && event.domain.is_some()
            );
            assert!(!launch || event.api_key.is_none());
            event.api_key.map(str::to_owned)
        });
        assert_eq!(count(seen.into_iter().flatten()).len(), 3);
    }

    #[test]
    fn ids_are_there_only_when_asked_for_and_never_repeat() {
        let mut with_ids = plan(500, 1);
        with_ids.ids = true;
        let mut events = with_ids.events();
        let mut ids = HashSet::new();
        while let Some(event) = events.next_event() {
            ids.insert(event.id.unwrap().to_owned());
        }
        assert_eq!(ids.len(), 500);
        assert!(sample(|event| event.id.is_none()).into_iter().all(|none| none));
    }
}
