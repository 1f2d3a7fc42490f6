//! What is asked for: the URL of each rank, built when it is needed rather than kept.
//!
//! All hosts are under names reserved for examples, so that no demo names anybody's site.

use std::fmt::Write as _;

use tally_storage::events::requests::Service;

use super::sampling::Traits;

const CONTENT_TYPES: [&str; 14] = [
    "article",
    "author",
    "banner",
    "category",
    "event",
    "faq",
    "footer",
    "header",
    "landing_page",
    "navigation",
    "press_release",
    "product",
    "promotion",
    "store",
];
const ENVIRONMENTS: [&str; 5] = ["production", "production", "production", "preview", "staging"];
const LOCALES: [&str; 8] = ["en-us", "en-us", "en-us", "en-gb", "de-de", "fr-fr", "ja-jp", "pt-br"];
const PICTURES: [&str; 8] = [
    "hero.jpg",
    "teaser.webp",
    "product-front.png",
    "product-back.png",
    "team.jpg",
    "Stra%C3%9Fenkarte.png",
    "logo.svg",
    "%E6%96%B0%E5%95%86%E5%93%81.jpg",
];
const FILES: [&str; 6] = ["catalogue.pdf", "fonts.woff2", "manual.pdf", "app.js", "prices.csv", "intro.mp4"];
const WIDTHS: [u16; 6] = [320, 480, 640, 960, 1_280, 1_920];
const SECTIONS: [&str; 6] = ["blog", "docs", "products", "careers", "support", "news"];

const PROJECTS: u32 = 12;
const SITES: [&str; 3] = ["www", "preview", "staging"];

/// A domain that a Launch environment serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchSite {
    /// The project; several sites share one.
    pub project_uid: String,
    /// The environment; each site has its own.
    pub environment_uid: String,
    /// The host name.
    pub domain: String,
}

/// Every site that the demo's Launch events name, in a fixed order: 12 projects of 3 environments each.
#[must_use]
pub fn launch_sites() -> Vec<LaunchSite> {
    let uid = |prefix: &str, number: u32| format!("{prefix}{number:04x}{:016x}", Traits::of(u64::from(number)).uid());
    (0..PROJECTS)
        .flat_map(|project| {
            (0..).zip(SITES).map(move |(environment, name)| LaunchSite {
                project_uid: uid("66a1", project),
                environment_uid: uid("66a2", project * 3 + environment),
                domain: format!("{name}.shop-{:02}.example.com", project + 1),
            })
        })
        .collect()
}

/// The number of a service's URL of that rank among all URLs.
pub(super) fn number(service: Service, rank: u32) -> u64 {
    (service as u64) << 32 | u64::from(rank)
}

/// Writes the URL of `service` at `rank`, whose fixed traits are drawn from `url`; `site` is where Launch serves it.
pub(super) fn write_url(out: &mut String, service: Service, rank: u32, url: &mut Traits, site: &LaunchSite) {
    let uid = url.uid();
    let (kind, environment, locale) = (url.pick(&CONTENT_TYPES), url.pick(&ENVIRONMENTS), url.pick(&LOCALES));
    let written = match service {
        Service::Cdn if rank % 5 == 4 => write!(
            out,
            "https://cdn.example.com/v3/content_types/{kind}/entries?environment={environment}&locale={locale}&skip={rank}",
        ),
        Service::Cdn => write!(
            out,
            "https://cdn.example.com/v3/content_types/{kind}/entries/blt{uid:016x}?environment={environment}&locale={locale}",
        ),
        Service::Cma => {
            write!(out, "https://api.example.com/v3/content_types/{kind}/entries/blt{uid:016x}?locale={locale}")
        }
        Service::Graphql => write!(
            out,
            "https://graphql.example.com/stacks/api?environment={environment}&operation=all_{kind}&query_hash={uid:016x}",
        ),
        Service::Images => write!(
            out,
            "https://images.example.com/v3/assets/blt{uid:016x}/{}?width={}&auto=webp",
            url.pick(&PICTURES),
            url.pick(&WIDTHS),
        ),
        Service::Assets => write!(out, "https://assets.example.com/v3/assets/blt{uid:016x}/{}", url.pick(&FILES)),
        Service::Ui => {
            write!(out, "https://app.example.com/stack/content-type/{kind}/{locale}/entry/blt{uid:016x}/edit")
        }
        Service::Automations => write!(out, "https://automations.example.com/run/{uid:016x}"),
        Service::Launch => write!(out, "https://{}/{locale}/{}/{kind}-{rank}", site.domain, url.pick(&SECTIONS)),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_ranks_of_a_service_share_a_url() {
        let sites = launch_sites();
        for service in Service::ALL {
            let urls: HashSet<String> = (0..2_000)
                .map(|rank| {
                    let mut text = String::new();
                    write_url(&mut text, service, rank, &mut Traits::of(number(service, rank)), &sites[0]);
                    text
                })
                .collect();
            assert_eq!(urls.len(), 2_000, "{}", service.as_str());
        }
    }

    #[test]
    fn every_launch_site_has_its_own_environment_and_domain() {
        let sites = launch_sites();
        let different = |part: fn(&LaunchSite) -> &String| sites.iter().map(part).collect::<HashSet<_>>().len();
        assert_eq!(different(|site| &site.project_uid), 12);
        assert_eq!(different(|site| &site.environment_uid), 36);
        assert_eq!(different(|site| &site.domain), 36);
    }
}
