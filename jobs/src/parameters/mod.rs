//! What can be asked of a report: the parameters of all reports, their values, and what is wrong with a request.
//!
//! A report lists the parameters that it takes; `parse.rs` reads a request against that list and names every fault at
//! once. What it yields is stored with the job, so a worker never sees an unchecked value.

mod parse;

use serde::{Deserialize, Serialize};
use tally_storage::events::requests::{CacheState, Service};
use tally_storage::lake::aggregate::{Bucket, DayRange, Dimension, Filter, Order};

pub use self::parse::{Faults, Refusal, parse};

/// The most days that `to` may lie after `from`.
pub const MAX_SPAN_DAYS: i64 = 90;

/// Rows of a page at most, and where `limit` is not given.
pub const MAX_LIMIT: u64 = 900;

/// A parameter besides `orgUid`, `from` and `to`, which every report takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parameter {
    /// Which services' requests.
    Services,
    /// The length of a bucket.
    Duration,
    /// Whether the result says its totals.
    IncludeCount,
    /// The same, under the name that Top URLs has for it.
    IncludeTotalCount,
    /// Largest or smallest count first.
    OrderBy,
    /// Rows left out before page 0.
    Skip,
    /// Rows of a page.
    Limit,
    /// One stack's requests only.
    ApiKey,
    /// One status only.
    HttpStatusCode,
    /// One cache state only.
    Cache,
    /// One Launch project only.
    ProjectUid,
    /// One environment of it only.
    EnvironmentUid,
}

impl Parameter {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Duration => "duration",
            Self::IncludeCount => "includeCount",
            Self::IncludeTotalCount => "includeTotalCount",
            Self::OrderBy => "orderBy",
            Self::Skip => "skip",
            Self::Limit => "limit",
            Self::ApiKey => "apiKey",
            Self::HttpStatusCode => "httpStatusCode",
            Self::Cache => "cache",
            Self::ProjectUid => "projectUid",
            Self::EnvironmentUid => "environmentUid",
        }
    }

    /// What values it takes, for people.
    #[must_use]
    pub const fn values(self) -> &'static str {
        match self {
            Self::Services => {
                "a JSON array of `cma`, `ui`, `cdn`, `graphql`, `images`, `assets`, `automations`, `launch`: \
                 at least one, no repeats"
            }
            Self::Duration => "`day`, `week` (ISO week, starts on Monday) or `month`",
            Self::IncludeCount | Self::IncludeTotalCount => "`true` or `false`",
            Self::OrderBy => "`-1` (largest count first) or `1` (smallest first)",
            Self::Skip => "a whole number from 0: rows left out before page 0",
            Self::Limit => "a whole number from 1 to 900: rows of a page",
            Self::ApiKey => "the API key of a stack of the organization",
            Self::HttpStatusCode => "a whole number from 100 to 599",
            Self::Cache => "`HIT` or `MISS`",
            Self::ProjectUid => "a Launch project; only with `services=[\"launch\"]`",
            Self::EnvironmentUid => "an environment of the Launch project; needs `projectUid`",
        }
    }

    /// What holds where it is not given; `None` where that is simply everything.
    #[must_use]
    pub const fn default_value(self) -> Option<&'static str> {
        match self {
            Self::Services => Some("[\"cdn\",\"cma\"]"),
            Self::Duration => Some("day"),
            Self::IncludeCount | Self::IncludeTotalCount => Some("true"),
            Self::OrderBy => Some("-1"),
            Self::Skip => Some("0"),
            Self::Limit => Some("900"),
            Self::ApiKey | Self::HttpStatusCode | Self::Cache | Self::ProjectUid | Self::EnvironmentUid => None,
        }
    }
}

/// A parameter that a report takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Which one.
    pub parameter: Parameter,
    /// Whether a request without it is refused.
    pub required: bool,
}

/// A parameter that a report cannot do without.
#[must_use]
pub const fn required(parameter: Parameter) -> Accepted {
    Accepted { parameter, required: true }
}

/// A parameter that a report takes, and has a default for.
#[must_use]
pub const fn optional(parameter: Parameter) -> Accepted {
    Accepted { parameter, required: false }
}

/// A checked request. What the report does not take has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// The days asked about.
    #[serde(flatten)]
    pub days: DayRange,
    /// In the order asked for.
    pub services: Vec<Service>,
    /// The length of a bucket.
    pub duration: Bucket,
    /// `includeCount` or `includeTotalCount`, as given.
    pub include_count: Option<bool>,
    /// Whether the smallest count comes first.
    pub ascending: bool,
    /// Rows left out before page 0.
    pub skip: u64,
    /// Rows of a page.
    pub limit: u64,
    /// One stack's requests only.
    pub api_key: Option<String>,
    /// One status only.
    pub status: Option<u16>,
    /// One cache state only.
    pub cache: Option<CacheState>,
    /// One Launch project's requests only.
    pub project_uid: Option<String>,
    /// One Launch environment's requests only.
    pub environment_uid: Option<String>,
}

impl Parameters {
    /// The order by count that was asked for.
    #[must_use]
    pub fn order(&self) -> Order {
        if self.ascending { Order::CountAscending } else { Order::CountDescending }
    }

    /// Lets the events through that were asked about.
    #[must_use]
    pub fn filters(&self) -> Vec<Filter> {
        let one = |dimension, value: &Option<String>| {
            value.as_ref().map(|value| Filter::OneOf(dimension, vec![value.clone()]))
        };
        let services = self.services.iter().map(|service| service.as_str().to_owned()).collect();
        let filters = [
            Some(Filter::OneOf(Dimension::Service, services)),
            one(Dimension::ApiKey, &self.api_key),
            self.status.map(Filter::Status),
            self.cache.map(|state| Filter::OneOf(Dimension::Cache, vec![state.as_str().to_owned()])),
            one(Dimension::Project, &self.project_uid),
            one(Dimension::Environment, &self.environment_uid),
        ];
        filters.into_iter().flatten().collect()
    }
}
