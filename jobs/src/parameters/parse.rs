//! Reads a request's parameters, and says everything that is wrong with them at once.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::NaiveDate;
use tally_storage::events::requests::{CacheState, Service};
use tally_storage::lake::aggregate::{Bucket, DayRange};

use super::{Accepted, MAX_LIMIT, MAX_SPAN_DAYS, Parameter, Parameters};

/// The largest number that every JSON client reads exactly.
const MAX_SKIP: u64 = (1 << 53) - 1;

/// A longer value is cut in messages.
const SHOWN_CHARS: usize = 64;

/// What is wrong, by parameter.
pub type Faults = BTreeMap<String, Vec<String>>;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Parameters are missing, malformed, unknown, or contradict each other.
    Invalid(Faults),
    /// Nothing else is wrong, but the range is longer than a job may cover.
    RangeTooLong {
        /// How many days `to` lies after `from`.
        span_days: i64,
    },
}

/// Reads the parameters of a request for a report that accepts those. `orgUid` may be among the pairs; who asks is
/// checked elsewhere.
///
/// # Errors
/// Names every fault.
pub fn parse(accepted: &[Accepted], pairs: &[(String, String)]) -> Result<Parameters, Refusal> {
    let mut reader = Reader::new(accepted, pairs);
    let days = reader.days();
    let parameters = Parameters {
        // Where there is a fault the days are never used.
        days: days.unwrap_or(DayRange { from: NaiveDate::MIN, to: NaiveDate::MIN }),
        services: reader.services(),
        duration: reader.one_of(Parameter::Duration, &Bucket::ALL, Bucket::as_str).unwrap_or(Bucket::Day),
        include_count: reader.flag(Parameter::IncludeCount).or(reader.flag(Parameter::IncludeTotalCount)),
        ascending: reader.one_of(Parameter::OrderBy, &["-1", "1"], |value| value) == Some("1"),
        skip: reader.number(Parameter::Skip, &(0..=MAX_SKIP)).unwrap_or(0),
        limit: reader.number(Parameter::Limit, &(1..=MAX_LIMIT)).unwrap_or(MAX_LIMIT),
        api_key: reader.text(Parameter::ApiKey),
        status: reader.number(Parameter::HttpStatusCode, &(100..=599)),
        cache: reader.one_of(Parameter::Cache, &[CacheState::Hit, CacheState::Miss], CacheState::as_str),
        project_uid: reader.text(Parameter::ProjectUid),
        environment_uid: reader.text(Parameter::EnvironmentUid),
    };
    reader.check_launch(&parameters);
    let span_days = days.map_or(0, |days| days.to.signed_duration_since(days.from).num_days());
    match (reader.faults.is_empty(), span_days > MAX_SPAN_DAYS) {
        (true, false) => Ok(parameters),
        (true, true) => Err(Refusal::RangeTooLong { span_days }),
        (false, too_long) => {
            if too_long {
                reader.fault("to", Refusal::RangeTooLong { span_days }.to_string());
            }
            Err(Refusal::Invalid(reader.faults))
        }
    }
}

impl Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(faults) => {
                let faults = faults.iter().flat_map(|(name, faults)| faults.iter().map(move |what| (name, what)));
                let faults: Vec<String> = faults.map(|(name, what)| format!("`{name}` {what}")).collect();
                formatter.write_str(&faults.join(" "))
            }
            Self::RangeTooLong { span_days } => {
                write!(
                    formatter,
                    "lies {span_days} days after `from`; the range may span at most {MAX_SPAN_DAYS} days."
                )
            }
        }
    }
}

struct Reader<'a> {
    values: BTreeMap<&'a str, &'a str>,
    accepted: &'a [Accepted],
    faults: Faults,
}

impl<'a> Reader<'a> {
    fn new(accepted: &'a [Accepted], pairs: &'a [(String, String)]) -> Self {
        let mut reader = Self { values: BTreeMap::new(), accepted, faults: Faults::new() };
        let known: Vec<&str> = ["orgUid", "from", "to"]
            .into_iter()
            .chain(accepted.iter().map(|accepted| accepted.parameter.name()))
            .collect();
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                reader.fault(name, unknown_field(name, &known));
            } else if reader.values.insert(name, value).is_some() {
                reader.fault(name, "is given more than once.".to_owned());
            }
        }
        reader
    }

    fn fault(&mut self, name: &str, what: String) {
        let faults = self.faults.entry(shown(name)).or_default();
        if !faults.contains(&what) {
            faults.push(what);
        }
    }

    /// The value of a parameter, if the report takes it and it was given.
    fn value(&mut self, parameter: Parameter) -> Option<&'a str> {
        let accepted = self.accepted.iter().find(|accepted| accepted.parameter == parameter)?;
        let value = self.values.get(parameter.name()).copied();
        if value.is_none() && accepted.required {
            self.fault(parameter.name(), format!("is required: {}.", parameter.values()));
        }
        value
    }

    fn refuse<T>(&mut self, parameter: Parameter, value: &str) -> Option<T> {
        self.fault(parameter.name(), format!("`{}` is not valid: expected {}.", shown(value), parameter.values()));
        None
    }

    fn days(&mut self) -> Option<DayRange> {
        let (from, to) = (self.date("from"), self.date("to"));
        let (from, to) = (from?, to?);
        if to < from {
            self.fault("to", format!("`{to}` lies before `from`, `{from}`."));
            return None;
        }
        Some(DayRange { from, to })
    }

    fn date(&mut self, name: &str) -> Option<NaiveDate> {
        let Some(value) = self.values.get(name).copied() else {
            self.fault(name, "is required: a UTC day as `YYYY-MM-DD`.".to_owned());
            return None;
        };
        let well_formed = value.len() == 10
            && value
                .bytes()
                .enumerate()
                .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
        let date = if well_formed { value.parse().ok() } else { None };
        if date.is_none() {
            self.fault(name, format!("`{}` is not valid: expected a UTC day as `YYYY-MM-DD`.", shown(value)));
        }
        date
    }

    fn services(&mut self) -> Vec<Service> {
        let fallback = vec![Service::Cdn, Service::Cma];
        let Some(value) = self.value(Parameter::Services) else { return fallback };
        let Ok(names) = serde_json::from_str::<Vec<String>>(value) else {
            return self.refuse(Parameter::Services, value).unwrap_or(fallback);
        };
        if names.is_empty() {
            return self.refuse(Parameter::Services, value).unwrap_or(fallback);
        }
        let mut services = Vec::with_capacity(names.len());
        let mut seen = HashSet::new();
        for name in &names {
            match Service::from_name(name) {
                None => self.fault(Parameter::Services.name(), unknown_service(name)),
                Some(_) if !seen.insert(name) => {
                    self.fault(Parameter::Services.name(), format!("names `{name}` more than once."));
                }
                Some(service) => services.push(service),
            }
        }
        services
    }

    fn one_of<T: Copy>(&mut self, parameter: Parameter, values: &[T], name: fn(T) -> &'static str) -> Option<T> {
        let value = self.value(parameter)?;
        let found = values.iter().copied().find(|candidate| name(*candidate) == value);
        found.or_else(|| self.refuse(parameter, value))
    }

    fn flag(&mut self, parameter: Parameter) -> Option<bool> {
        self.one_of(parameter, &["true", "false"], |value| value).map(|value| value == "true")
    }

    fn number<T>(&mut self, parameter: Parameter, range: &RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd,
    {
        let value = self.value(parameter)?;
        // `parse` takes a plus sign, which a URL means as a space.
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { value.parse().ok() } else { None };
        number.filter(|number| range.contains(number)).or_else(|| self.refuse(parameter, value))
    }

    fn text(&mut self, parameter: Parameter) -> Option<String> {
        let value = self.value(parameter)?;
        if value.is_empty() { self.refuse(parameter, value) } else { Some(value.to_owned()) }
    }

    /// What the Launch parameters ask of each other, and of the services.
    fn check_launch(&mut self, parameters: &Parameters) {
        let takes_projects = self.accepted.iter().any(|accepted| accepted.parameter == Parameter::ProjectUid);
        if !takes_projects {
            return;
        }
        let only_launch = parameters.services == [Service::Launch];
        for (parameter, value) in
            [(Parameter::ProjectUid, &parameters.project_uid), (Parameter::EnvironmentUid, &parameters.environment_uid)]
        {
            if value.is_some() && !only_launch {
                self.fault(parameter.name(), "may only be given with `services=[\"launch\"]`.".to_owned());
            }
        }
        if parameters.environment_uid.is_some() && parameters.project_uid.is_none() {
            self.fault(Parameter::EnvironmentUid.name(), "may only be given with `projectUid`.".to_owned());
        }
        let stackless = parameters.services.iter().find(|it| matches!(it, Service::Automations | Service::Launch));
        if let (Some(service), Some(_)) = (stackless, &parameters.api_key) {
            let what = format!("may not be given with `{}` in `services`.", service.as_str());
            self.fault(Parameter::ApiKey.name(), what);
        }
    }
}

fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (best.0 > 0.8).then_some(best.1)
}

fn unknown_field(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(candidate) => format!("is an unknown field; did you mean `{candidate}`?"),
        None => format!("is an unknown field; this endpoint takes `{}`.", known.join("`, `")),
    }
}

fn unknown_service(name: &str) -> String {
    let known = Service::ALL.map(Service::as_str);
    match nearest(name, known) {
        Some(candidate) => format!("`{}` is no service; did you mean `{candidate}`?", shown(name)),
        None => format!("`{}` is no service; there are `{}`.", shown(name), known.join("`, `")),
    }
}
