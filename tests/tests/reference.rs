//! Every report a second way: plain loops over the events, written from the contract, with no engine and no code of
//! the product.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, NaiveDate, Weekday};
use serde_json::{Map, Value, json};

use crate::events::Event;
use crate::tenant::Tenant;

const CDN: [&str; 4] = ["cdn", "graphql", "images", "assets"];
const PAGINATED: [&str; 3] = ["devices", "sdk", "url"];

/// A request for a report; `None` is left out of the query.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) report: &'static str,
    pub(crate) from: NaiveDate,
    pub(crate) to: NaiveDate,
    pub(crate) services: Option<Vec<&'static str>>,
    pub(crate) duration: Option<&'static str>,
    /// `includeCount`, or `includeTotalCount` on Top URLs.
    pub(crate) include: Option<bool>,
    pub(crate) order_by: Option<i64>,
    pub(crate) skip: Option<usize>,
    pub(crate) limit: Option<usize>,
    pub(crate) stack: Option<usize>,
    pub(crate) status: Option<u16>,
    pub(crate) cache: Option<&'static str>,
    pub(crate) project: Option<&'static str>,
    pub(crate) environment: Option<&'static str>,
}

/// What the pages of a report must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expected {
    /// Bodies without `uid`.
    pub(crate) pages: Vec<Value>,
    pub(crate) row_count: usize,
}

type Row = Map<String, Value>;

impl Ask {
    /// With what the report cannot do without, and nothing else.
    pub(crate) fn new(report: &'static str, from: &str, to: &str) -> Self {
        let needs_services = ["http-statuses", "hit-miss-ratio", "sdk"].contains(&report);
        Self {
            report,
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            services: needs_services.then(|| vec!["cdn", "cma"]),
            duration: needs_services.then_some("day"),
            include: ["sdk", "url"].contains(&report).then_some(true),
            order_by: None,
            skip: None,
            limit: None,
            stack: None,
            status: None,
            cache: None,
            project: None,
            environment: None,
        }
    }

    pub(crate) fn is_paginated(&self) -> bool {
        PAGINATED.contains(&self.report)
    }

    /// Its query, without `orgUid`.
    pub(crate) fn pairs(&self, tenant: &Tenant) -> Vec<(&'static str, String)> {
        let include = if self.report == "url" { "includeTotalCount" } else { "includeCount" };
        let pairs = [
            ("from", Some(self.from.to_string())),
            ("to", Some(self.to.to_string())),
            ("services", self.services.as_ref().map(|services| json!(services).to_string())),
            ("duration", self.duration.map(str::to_owned)),
            (include, self.include.map(|include| include.to_string())),
            ("orderBy", self.order_by.map(|order| order.to_string())),
            ("skip", self.skip.map(|skip| skip.to_string())),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("apiKey", self.stack.map(|stack| tenant.stacks[stack].clone())),
            ("httpStatusCode", self.status.map(|status| status.to_string())),
            ("cache", self.cache.map(str::to_owned)),
            ("projectUid", self.project.map(str::to_owned)),
            ("environmentUid", self.environment.map(str::to_owned)),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn services(&self) -> Vec<&'static str> {
        self.services.clone().unwrap_or_else(|| vec!["cdn", "cma"])
    }

    fn duration(&self) -> &'static str {
        self.duration.unwrap_or("day")
    }

    fn asks_for(&self, event: &Event) -> bool {
        (self.from..=self.to).contains(&day_of(event))
            && self.services().contains(&event.service)
            && self.stack.is_none_or(|stack| event.stack == Some(stack))
            && self.status.is_none_or(|status| event.status == status)
            && self.cache.is_none_or(|cache| cache_of(event) == Some(cache))
            && self.project.is_none_or(|project| event.project == Some(project))
            && self.environment.is_none_or(|environment| event.environment == Some(environment))
    }

    /// The first day of the bucket that holds the day.
    fn bucket(&self, day: NaiveDate) -> NaiveDate {
        match self.duration() {
            "day" => day,
            "week" => NaiveDate::from_isoywd_opt(day.iso_week().year(), day.iso_week().week(), Weekday::Mon).unwrap(),
            "month" => NaiveDate::from_ymd_opt(day.year(), day.month(), 1).unwrap(),
            other => panic!("no bucket `{other}`"),
        }
    }

    /// What the report must say of these events.
    pub(crate) fn answer(&self, events: &[Event], tenant: &Tenant) -> Expected {
        let events: Vec<&Event> = events.iter().filter(|event| self.asks_for(event)).collect();
        let mut body = Map::new();
        let mut rows = match self.report {
            "usage" => self.usage(&events),
            "url" => self.counted(&events, "url", |event| Some(event.url.clone())),
            "devices" => self.counted(&events, "device", |event| Some(device_of(event))),
            "sdk" => self.counted(&events, "sdk", sdk_of),
            "http-statuses" => self.counted(&events, "status", |event| Some(event.status.to_string())),
            "hit-miss-ratio" => self.counted(&events, "status", |event| cache_of(event).map(str::to_owned)),
            other => panic!("no report `{other}`"),
        };
        if self.is_paginated() && self.include != Some(false) {
            let total: u64 = rows.iter().map(|row| row["count"].as_u64().unwrap()).sum();
            body.insert("total".to_owned(), json!(total));
            body.insert("totalDocs".to_owned(), json!(rows.len()));
        }
        if self.report == "url" {
            body.insert("urlDataSource".to_owned(), json!("datafusion"));
            for row in &mut rows {
                row["count"] = json!(row["count"].to_string());
            }
        }
        body.insert("meta".to_owned(), self.meta(tenant));
        let marker = self.marker(&rows);
        let rows: Vec<Row> = rows.into_iter().skip(self.skip.unwrap_or(0)).collect();
        let size = if self.is_paginated() { self.limit.unwrap_or(900) } else { usize::MAX };
        let row_count = rows.len();
        let mut pages: Vec<Vec<Row>> = rows.chunks(size).map(<[Row]>::to_vec).collect();
        if pages.is_empty() {
            pages.push(Vec::new());
        }
        pages.last_mut().unwrap().extend(marker);
        let page = |rows: Vec<Row>| {
            let mut page = body.clone();
            page.insert("data".to_owned(), json!(rows));
            Value::Object(page)
        };
        Expected { pages: pages.into_iter().map(page).collect(), row_count }
    }

    fn counted(&self, events: &[&Event], name: &str, dimension: impl Fn(&Event) -> Option<String>) -> Vec<Row> {
        let mut counts: BTreeMap<(Option<NaiveDate>, &str, String), i64> = BTreeMap::new();
        for event in events {
            let Some(value) = dimension(event) else { continue };
            let date = (self.report != "url").then(|| self.bucket(day_of(event)));
            *counts.entry((date, event.service, value)).or_default() += 1;
        }
        // The map is in the order of ties, and sorting keeps that order among equals.
        let mut counts: Vec<_> = counts.into_iter().collect();
        match self.order_by {
            None | Some(-1) => counts.sort_by_key(|(_, count)| Reverse(*count)),
            Some(_) => counts.sort_by_key(|(_, count)| *count),
        }
        let row = |((date, service, value), count): ((Option<NaiveDate>, &str, String), i64)| {
            let mut row = Map::new();
            row.insert("count".to_owned(), json!(count));
            row.insert("type".to_owned(), json!(service));
            row.insert(name.to_owned(), json!(value));
            row.extend(date.map(|date| ("date".to_owned(), json!(date))));
            row
        };
        counts.into_iter().map(row).collect()
    }

    fn usage(&self, events: &[&Event]) -> Vec<Row> {
        let mut buckets: BTreeMap<NaiveDate, [u64; 4]> = BTreeMap::new();
        for day in self.from.iter_days().take_while(|day| *day <= self.to) {
            buckets.entry(self.bucket(day)).or_default();
        }
        for event in events {
            let totals = buckets.get_mut(&self.bucket(day_of(event))).unwrap();
            let at = if CDN.contains(&event.service) { 2 } else { 0 };
            totals[at] += event.bytes;
            totals[at + 1] += 1;
        }
        let row = |(date, [api_bytes, api_count, cdn_bytes, cdn_count]): (NaiveDate, [u64; 4])| {
            let row = json!({
                "total_api_bandwidth": api_bytes, "total_api_count": api_count,
                "total_cdn_bandwidth": cdn_bytes, "total_cdn_count": cdn_count, "date": date,
            });
            row.as_object().unwrap().clone()
        };
        buckets.into_iter().map(row).collect()
    }

    fn marker(&self, rows: &[Row]) -> Option<Row> {
        let last = json!(self.bucket(self.to));
        let marker = match self.report {
            "devices" | "sdk" => json!({"date": last}),
            "http-statuses" | "hit-miss-ratio" => json!({"date": last, "count": 0}),
            _ => return None,
        };
        let has_row = rows.iter().any(|row| row["date"] == last);
        (!has_row).then(|| marker.as_object().unwrap().clone())
    }

    fn meta(&self, tenant: &Tenant) -> Value {
        let mut meta = Map::new();
        let mut say = |name: &str, value: Option<Value>| meta.extend(value.map(|value| (name.to_owned(), value)));
        say("orgUid", Some(json!(tenant.uid)));
        say("from", Some(json!(self.from)));
        say("to", Some(json!(self.to)));
        say("services", Some(json!(json!(self.services()).to_string())));
        say("duration", Some(json!(self.duration())));
        if self.is_paginated() {
            say("orderBy", Some(json!(self.order_by.unwrap_or(-1))));
            say("skip", Some(json!(self.skip.unwrap_or(0))));
            say("limit", Some(json!(self.limit.unwrap_or(900))));
        }
        match self.report {
            "devices" | "sdk" => say("includeCount", Some(json!(self.include.unwrap_or(true)))),
            "url" => say("includeTotalCount", self.include.map(|include| json!(include.to_string()))),
            _ => say("includeCount", self.include.map(|include| json!(include.to_string()))),
        }
        say("apiKey", self.stack.map(|stack| json!(tenant.stacks[stack])));
        say("httpStatusCode", self.status.map(|status| json!(status.to_string())));
        say("cache", self.cache.map(|cache| json!(cache)));
        say("projectUid", self.project.map(|project| json!(project)));
        say("environmentUid", self.environment.map(|environment| json!(environment)));
        Value::Object(meta)
    }
}

fn day_of(event: &Event) -> NaiveDate {
    DateTime::from_timestamp_millis(event.ts_ms).unwrap().date_naive()
}

fn device_of(event: &Event) -> String {
    event.user_agent.clone().unwrap_or_else(|| "-".to_owned())
}

fn sdk_of(event: &Event) -> Option<String> {
    let announced = || {
        let (name, _) = event.user_agent.as_ref()?.strip_prefix("sdk ")?.split_once(';')?;
        Some(name.to_owned())
    };
    event.sdk.clone().or_else(announced)
}

fn cache_of(event: &Event) -> Option<&'static str> {
    match event.cache?.to_lowercase().as_str() {
        "hit" | "refreshhit" | "tcp_mem_hit" => Some("HIT"),
        "miss" | "dynamic" | "expired" => Some("MISS"),
        "-" if CDN.contains(&event.service) => Some("MISS"),
        _ => None,
    }
}
