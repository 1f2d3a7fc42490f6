//! Values that make no sense, alone or together.

use std::ops::RangeInclusive;

use tracing_subscriber::EnvFilter;

use super::Config;

/// A prefix is a part of names in Redis, which people type.
const LONGEST_PREFIX: usize = 32;

/// Reports below this cannot even sort a page.
const LEAST_REPORT_MEMORY_BYTES: u64 = 16 << 20;

/// Ten years, which is as good as for ever and can still be added to any date.
const MOST_SECONDS: u64 = 10 * 365 * 24 * 60 * 60;

/// As long as any retention.
const MOST_DAYS: u64 = 36_500;

/// Of threads, and of bodies that are read at once, which have one each.
const MOST_CONCURRENT: u64 = 10_000;

/// What is wrong with one setting, or with two of them together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Fault {
    /// The settings at fault, as `section.key`.
    pub settings: Vec<&'static str>,
    /// What is wrong and what would be right; names the settings and their values.
    pub sentence: String,
}

impl Config {
    /// Everything that makes no sense.
    ///
    /// # Errors
    /// All faults, in the order of the settings.
    pub fn validate(&self) -> Result<(), Vec<Fault>> {
        let alone = self.out_of_range().into_iter().chain(self.unreadable());
        let faults: Vec<Fault> = alone.chain(self.contradictions()).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    fn out_of_range(&self) -> Vec<Fault> {
        self.ranges().into_iter().filter_map(|(setting, value, range)| outside(setting, value, &range)).collect()
    }

    /// Every number that has bounds: the setting, its value, and what it may be.
    pub(super) fn ranges(&self) -> Vec<(&'static str, u64, RangeInclusive<u64>)> {
        let (catalog, queue, server, ingest, jobs) =
            (&self.catalog, &self.queue, &self.server, &self.ingest, &self.jobs);
        let limits = &self.rate_limit;
        let (count, seconds, ms) = (1..=u64::MAX, 1..=MOST_SECONDS, 1..=MOST_SECONDS * 1000);
        vec![
            ("catalog.max_connections", catalog.max_connections.into(), 1..=MOST_CONCURRENT),
            ("catalog.acquire_timeout_seconds", catalog.acquire_timeout_seconds, seconds.clone()),
            ("queue.poll_ms", queue.poll_ms, ms),
            ("queue.timeout_seconds", queue.timeout_seconds, seconds.clone()),
            ("server.workers", server.workers as u64, 0..=MOST_CONCURRENT),
            ("server.request_timeout_seconds", server.request_timeout_seconds, seconds.clone()),
            ("ingest.max_wire_bytes", ingest.max_wire_bytes, count.clone()),
            ("ingest.max_decompressed_bytes", ingest.max_decompressed_bytes, count.clone()),
            ("ingest.max_line_bytes", ingest.max_line_bytes as u64, count.clone()),
            ("ingest.max_concurrent", ingest.max_concurrent as u64, 1..=MOST_CONCURRENT),
            ("ingest.max_backlog_bytes", ingest.max_backlog_bytes, count.clone()),
            ("ingest.flush_after_seconds", ingest.flush_after_seconds, seconds.clone()),
            ("ingest.flush_bytes", ingest.flush_bytes, count.clone()),
            ("jobs.concurrency", jobs.concurrency as u64, 0..=MOST_CONCURRENT),
            ("jobs.time_limit_seconds", jobs.time_limit_seconds, seconds.clone()),
            ("jobs.lease_seconds", jobs.lease_seconds, seconds.clone()),
            ("jobs.max_attempts", jobs.max_attempts.into(), count.clone()),
            ("jobs.backoff_ms", jobs.backoff_ms, 0..=MOST_SECONDS * 1000),
            ("jobs.upkeep_seconds", jobs.upkeep_seconds, seconds),
            ("jobs.shutdown_grace_seconds", jobs.shutdown_grace_seconds, 0..=MOST_SECONDS),
            ("retention.events_days", self.retention.events_days.into(), 0..=MOST_DAYS),
            ("retention.results_hours", self.retention.results_hours.into(), 1..=MOST_SECONDS / 3600),
            ("reports.memory_bytes", self.reports.memory_bytes as u64, LEAST_REPORT_MEMORY_BYTES..=u64::MAX),
            ("rate_limit.requests_per_second", limits.requests_per_second.into(), count.clone()),
            ("rate_limit.anonymous_requests_per_second", limits.anonymous_requests_per_second.into(), count),
        ]
    }

    fn unreadable(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.data_dir.as_os_str().is_empty() {
            faults.push(alone("data_dir", "`data_dir` is empty: expected the name of a folder".to_owned()));
        }
        if !is_prefix(&self.queue.prefix) {
            let expected = format!("expected 1 to {LONGEST_PREFIX} of the letters `a` to `z`, digits, `_` and `-`");
            faults.push(alone("queue.prefix", format!("`queue.prefix` is `{}`: {expected}", self.queue.prefix)));
        }
        if let Err(error) = EnvFilter::try_new(&self.log.level) {
            let level = &self.log.level;
            let expected = "expected `error`, `warn`, `info`, `debug`, `trace`, or such as `info,tally_storage=debug`";
            faults.push(alone("log.level", format!("`log.level` is `{level}` ({error}): {expected}")));
        }
        faults
    }

    fn contradictions(&self) -> Vec<Fault> {
        let (ingest, jobs) = (&self.ingest, &self.jobs);
        let line = ("ingest.max_line_bytes", ingest.max_line_bytes as u64);
        let wire = ("ingest.max_wire_bytes", ingest.max_wire_bytes);
        let decompressed = ("ingest.max_decompressed_bytes", ingest.max_decompressed_bytes);
        let flush = ("ingest.flush_bytes", ingest.flush_bytes);
        let backlog = ("ingest.max_backlog_bytes", ingest.max_backlog_bytes);
        let lease = ("jobs.lease_seconds", jobs.lease_seconds);
        let time_limit = ("jobs.time_limit_seconds", jobs.time_limit_seconds);
        let faults = [
            over(line, decompressed, "a line is part of a body"),
            over(wire, decompressed, "a body that is not compressed counts as both"),
            over(flush, backlog, "nothing would be flushed before batches are refused"),
            over(lease, time_limit, "a job would have failed before its worker is missed"),
        ];
        faults.into_iter().flatten().collect()
    }
}

fn is_prefix(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=LONGEST_PREFIX).contains(&text.len()) && text.bytes().all(is_allowed)
}

fn alone(setting: &'static str, sentence: String) -> Fault {
    Fault { settings: vec![setting], sentence }
}

fn outside(setting: &'static str, value: u64, range: &RangeInclusive<u64>) -> Option<Fault> {
    let (least, most) = (range.start(), range.end());
    let bound = if value < *least { format!("at least {least}") } else { format!("at most {most}") };
    (!range.contains(&value)).then(|| alone(setting, format!("`{setting}` is `{value}`: expected {bound}")))
}

/// The fault where the first is larger than the second.
fn over(first: (&'static str, u64), second: (&'static str, u64), why: &str) -> Option<Fault> {
    let ((first, value), (second, bound)) = (first, second);
    (value > bound).then(|| Fault {
        settings: vec![first, second],
        sentence: format!("`{first}` is `{value}` and `{second}` is `{bound}`: the first may not be larger, as {why}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        config.validate().err().unwrap_or_default().into_iter().map(|fault| fault.sentence).collect()
    }

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn a_contradiction_names_both_settings_and_their_values() {
        let said = sentences(|config| config.ingest.flush_bytes = config.ingest.max_backlog_bytes + 1);
        insta::assert_snapshot!(said.join("\n"), @"`ingest.flush_bytes` is `134217729` and `ingest.max_backlog_bytes` is `134217728`: the first may not be larger, as nothing would be flushed before batches are refused");
        for change in [
            (|config| config.ingest.max_line_bytes = usize::MAX) as fn(&mut Config),
            |config| config.ingest.max_wire_bytes = config.ingest.max_decompressed_bytes + 1,
            |config| config.jobs.lease_seconds = config.jobs.time_limit_seconds + 1,
        ] {
            assert_eq!(sentences(change).len(), 1);
        }
    }

    #[test]
    fn what_nothing_could_be_done_with_is_refused() {
        let said = sentences(|config| config.jobs.max_attempts = 0);
        assert_eq!(said, ["`jobs.max_attempts` is `0`: expected at least 1"]);
        let said = sentences(|config| config.retention.results_hours = u32::MAX);
        assert_eq!(said, ["`retention.results_hours` is `4294967295`: expected at most 87600"]);
        assert!(sentences(|config| (config.jobs.backoff_ms, config.server.workers) = (0, 0)).is_empty());
    }

    #[test]
    fn a_prefix_is_short_and_has_nothing_in_it_that_means_something_to_redis() {
        for prefix in ["tally", "a", "tally_2-b", &"x".repeat(32)] {
            assert!(sentences(|config| config.queue.prefix = prefix.to_owned()).is_empty(), "{prefix}");
        }
        for prefix in ["", "Tally", "tally:", "tälly", "a b", "*", &"x".repeat(33)] {
            let said = sentences(|config| config.queue.prefix = prefix.to_owned());
            let expected = "expected 1 to 32 of the letters `a` to `z`, digits, `_` and `-`";
            assert_eq!(said, [format!("`queue.prefix` is `{prefix}`: {expected}")]);
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let said = sentences(|config| {
            config.reports.memory_bytes = 1;
            config.data_dir = "".into();
            config.log.level = "info,=,".to_owned();
        });
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[2].starts_with("`log.level` is `info,=,` ("), "{said:?}");
    }
}
