//! Who asks: about 800 user agents and 60 SDKs, put together from the tables in `agents`.

use rand::rngs::Xoshiro256PlusPlus;

use super::agents::{BROWSERS, Family, OTHER_SDKS, PROGRAMS, WEB_SDKS};
use super::sampling::{Choice, happens};
use super::services::Profile;

/// One kind of client.
#[derive(Debug)]
struct Client {
    user_agent: String,
    /// The SDK that the user agent itself names.
    sdk: Option<String>,
}

/// Draws who asks.
#[derive(Debug)]
pub(super) struct Audience {
    browsers: Choice<Client>,
    programs: Choice<Client>,
    web_sdks: Choice<String>,
    sdks: Choice<String>,
}

impl Audience {
    pub(super) fn new() -> Self {
        Self {
            browsers: Choice::of(BROWSERS.iter().flat_map(clients)),
            programs: Choice::of(PROGRAMS.iter().flat_map(clients)),
            web_sdks: Choice::of(sdks(WEB_SDKS)),
            sdks: Choice::of(sdks(WEB_SDKS.into_iter().chain(OTHER_SDKS))),
        }
    }

    /// A client of `profile`'s service: its user agent, and the SDK that it names.
    pub(super) fn draw(&self, profile: &Profile, rng: &mut Xoshiro256PlusPlus) -> (&str, Option<&str>) {
        let browser = happens(profile.browser_chance, rng);
        let (clients, sdks) = if browser { (&self.browsers, &self.web_sdks) } else { (&self.programs, &self.sdks) };
        let client = clients.draw(rng);
        let sdk = match &client.sdk {
            None => happens(profile.sdk_chance, rng).then(|| sdks.draw(rng)),
            own => own.as_ref(),
        };
        (&client.user_agent, sdk.map(String::as_str))
    }
}

/// Every client of a family, with its weight.
fn clients(family: &'static Family) -> impl Iterator<Item = (Client, u64)> {
    family.platforms.iter().zip(0..).flat_map(move |(platform, place)| {
        family.versions.iter().zip(0..).map(move |(version, age)| {
            let user_agent = family.template.replace("{p}", platform).replace("{v}", version);
            let sdk = user_agent.strip_prefix("sdk ").and_then(|rest| rest.split(';').next()).map(str::to_owned);
            (Client { user_agent, sdk }, family.weight * 1_000 / (1 + 2 * place + age * age))
        })
    })
}

/// Every version of the SDKs, with its weight.
fn sdks(names: impl IntoIterator<Item = (&'static str, [&'static str; 5])>) -> impl Iterator<Item = (String, u64)> {
    names.into_iter().zip(1..).flat_map(|((name, versions), place)| {
        versions
            .into_iter()
            .zip(1..)
            .map(move |(version, age)| (format!("{name}/{version}"), 10_000 / (place * age * age)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_about_eight_hundred_devices_and_sixty_sdks() {
        let audience = Audience::new();
        let clients = || audience.browsers.items.iter().chain(&audience.programs.items);
        let devices: HashSet<&str> = clients().map(|client| client.user_agent.as_str()).collect();
        assert_eq!(devices.len(), clients().count());
        assert!((780..=820).contains(&devices.len()), "{}", devices.len());
        let own = clients().filter_map(|client| client.sdk.as_ref());
        assert_eq!(own.chain(&audience.sdks.items).collect::<HashSet<_>>().len(), 60);
    }

    #[test]
    fn some_user_agents_need_escaping() {
        let audience = Audience::new();
        for wanted in [|letter| letter == '"', |letter| letter == '\\', |letter: char| !letter.is_ascii()] {
            assert!(audience.programs.items.iter().any(|client| client.user_agent.contains(wanted)));
        }
    }
}
