//! Values that make no sense, alone or together.

use tracing_subscriber::EnvFilter;

use super::Config;

/// Reports below this cannot even sort a page.
const LEAST_REPORT_MEMORY_BYTES: usize = 16 << 20;

/// What is wrong with one setting, or with two of them together.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let alone = self.too_small().into_iter().chain(self.unreadable());
        let faults: Vec<Fault> = alone.chain(self.contradictions()).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    fn too_small(&self) -> Vec<Fault> {
        let (ingest, jobs) = (&self.ingest, &self.jobs);
        let counts = [
            ("server.request_timeout_seconds", self.server.request_timeout_seconds),
            ("ingest.max_wire_bytes", ingest.max_wire_bytes),
            ("ingest.max_decompressed_bytes", ingest.max_decompressed_bytes),
            ("ingest.max_line_bytes", ingest.max_line_bytes as u64),
            ("ingest.max_concurrent", ingest.max_concurrent as u64),
            ("ingest.max_backlog_bytes", ingest.max_backlog_bytes),
            ("ingest.flush_after_seconds", ingest.flush_after_seconds),
            ("ingest.flush_bytes", ingest.flush_bytes),
            ("jobs.time_limit_seconds", jobs.time_limit_seconds),
            ("jobs.lease_seconds", jobs.lease_seconds),
            ("jobs.max_attempts", u64::from(jobs.max_attempts)),
            ("jobs.upkeep_seconds", jobs.upkeep_seconds),
            ("results.kept_hours", self.results.kept_hours),
            ("rate_limit.requests_per_second", u64::from(self.rate_limit.requests_per_second)),
            ("rate_limit.anonymous_requests_per_second", u64::from(self.rate_limit.anonymous_requests_per_second)),
        ];
        let zeros = counts.into_iter().filter(|(_, count)| *count == 0);
        zeros.map(|(setting, _)| alone(setting, format!("`{setting}` is `0`: expected at least 1"))).collect()
    }

    fn unreadable(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.data_dir.as_os_str().is_empty() {
            faults.push(alone("data_dir", "`data_dir` is empty: expected the name of a folder".to_owned()));
        }
        let memory = self.reports.memory_bytes;
        if memory < LEAST_REPORT_MEMORY_BYTES {
            let sentence =
                format!("`reports.memory_bytes` is `{memory}`: expected at least {LEAST_REPORT_MEMORY_BYTES}");
            faults.push(alone("reports.memory_bytes", sentence));
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

fn alone(setting: &'static str, sentence: String) -> Fault {
    Fault { settings: vec![setting], sentence }
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
    fn a_zero_where_nothing_could_happen_is_refused() {
        let said = sentences(|config| config.jobs.max_attempts = 0);
        assert_eq!(said, ["`jobs.max_attempts` is `0`: expected at least 1"]);
        assert!(sentences(|config| (config.jobs.backoff_ms, config.server.workers) = (0, 0)).is_empty());
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let said = sentences(|config| {
            config.data_dir = "".into();
            config.reports.memory_bytes = 1;
            config.log.level = "info,=,".to_owned();
        });
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[2].starts_with("`log.level` is `info,=,` ("), "{said:?}");
    }
}
