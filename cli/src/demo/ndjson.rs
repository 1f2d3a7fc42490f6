//! Events as lines of JSON, in the form that `POST /ingest/v1/requests` and `tally ingest` read.
//!
//! The lines are put together here instead of by a serializer for the whole event, which takes half as long
//! again: nearly every text needs no escaping, which is seen at a glance. What does, and every number, is left to `serde_json`.

use std::fmt::Write as _;
use std::io::{self, Write};

use chrono::DateTime;
use serde::Serialize;
use tally_storage::events::requests::{CacheState, RequestEvent};

use super::DemoPlan;

/// Lines are gathered up to about this size, so that a system call serves hundreds of them.
const BUFFER_BYTES: usize = 256 * 1024;

const HOUR_MS: i64 = 3_600_000;

impl DemoPlan {
    /// Writes the events as NDJSON, and tells `progress` now and then how many are written.
    ///
    /// # Errors
    /// What `out` refuses.
    pub fn write_ndjson(&self, out: &mut impl Write, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let mut events = self.events();
        let mut time = TimeText::default();
        let mut lines = Vec::with_capacity(BUFFER_BYTES + 16 * 1024);
        let mut written = 0;
        while let Some(event) = events.next_event() {
            push_line(&mut lines, &event, time.of(event.ts_ms))?;
            written += 1;
            if lines.len() >= BUFFER_BYTES {
                out.write_all(&lines)?;
                lines.clear();
                progress(written);
            }
        }
        out.write_all(&lines)?;
        progress(written);
        out.flush()
    }
}

/// Appends one event; what it does not know is left out.
fn push_line(line: &mut Vec<u8>, event: &RequestEvent<'_>, ts: &str) -> io::Result<()> {
    push_text(line, b"{\"ts\":", ts)?;
    push_text(line, b",\"service\":", event.service.as_str())?;
    push_text(line, b",\"method\":", event.method)?;
    push_text(line, b",\"url\":", event.url)?;
    push_number(line, b",\"status\":", event.status)?;
    push_number(line, b",\"bytes\":", event.bytes)?;
    if let Some(duration_ms) = event.duration_ms {
        push_number(line, b",\"duration_ms\":", duration_ms)?;
    }
    push_text(line, b",\"user_agent\":", event.user_agent)?;
    let optional: [(&[u8], Option<&str>); 7] = [
        (b",\"cache\":", event.cache.map(CacheState::as_str)),
        (b",\"api_key\":", event.api_key),
        (b",\"sdk\":", event.sdk),
        (b",\"project_uid\":", event.project_uid),
        (b",\"environment_uid\":", event.environment_uid),
        (b",\"domain\":", event.domain),
        (b",\"id\":", event.id),
    ];
    for (key, text) in optional {
        if let Some(text) = text {
            push_text(line, key, text)?;
        }
    }
    line.extend_from_slice(b"}\n");
    Ok(())
}

fn push_text(line: &mut Vec<u8>, key: &[u8], text: &str) -> io::Result<()> {
    line.extend_from_slice(key);
    // Without an early exit, so that many bytes are looked at together.
    let escapes = text.bytes().fold(0, |escapes, byte| escapes | u8::from(matches!(byte, 0..b' ' | b'"' | b'\\')));
    if escapes == 0 {
        line.push(b'"');
        line.extend_from_slice(text.as_bytes());
        line.push(b'"');
        return Ok(());
    }
    Ok(serde_json::to_writer(line, text)?)
}

fn push_number(line: &mut Vec<u8>, key: &[u8], number: impl Serialize) -> io::Result<()> {
    line.extend_from_slice(key);
    Ok(serde_json::to_writer(line, &number)?)
}

/// RFC 3339 text of times in order: date and hour are only worked out when they change.
#[derive(Debug, Default)]
struct TimeText {
    hour: i64,
    text: String,
    prefix_len: usize,
}

impl TimeText {
    fn of(&mut self, ts_ms: i64) -> &str {
        let (hour, ms) = (ts_ms.div_euclid(HOUR_MS), ts_ms.rem_euclid(HOUR_MS));
        if hour != self.hour || self.text.is_empty() {
            self.hour = hour;
            self.text =
                DateTime::from_timestamp_millis(hour * HOUR_MS).unwrap_or_default().format("%FT%H:").to_string();
            self.prefix_len = self.text.len();
        }
        self.text.truncate(self.prefix_len);
        let written = write!(self.text, "{:02}:{:02}.{:03}Z", ms / 60_000, ms / 1_000 % 60, ms % 1_000);
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use serde_json::Value;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn written(seed: u64) -> Vec<u8> {
        let end = NaiveDate::from_ymd_opt(2026, 5, 31).unwrap();
        let plan =
            DemoPlan { events: 3_000, seed, days: 90, end, stacks: vec!["blt0000000000000001".into()], ids: false };
        let mut out = Vec::new();
        plan.write_ndjson(&mut out, &mut |_| {}).unwrap();
        out
    }

    #[test]
    fn a_seed_gives_the_same_bytes_for_ever() {
        let sum = |seed| u64::from_be_bytes(*Sha256::digest(written(seed)).first_chunk().unwrap());
        assert_eq!(sum(1), 0x31d7_5c43_2700_d837);
        assert_ne!(sum(1), sum(2));
    }

    #[test]
    fn the_first_lines_look_like_this() {
        let out = String::from_utf8(written(1)).unwrap();
        insta::assert_snapshot!(out.lines().take(5).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn every_line_is_json_with_a_time_in_utc() {
        let mut last = String::new();
        for line in String::from_utf8(written(1)).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let ts = event["ts"].as_str().unwrap().to_owned();
            assert!(ts >= last && ts.len() == 24 && DateTime::parse_from_rfc3339(&ts).is_ok(), "{ts} after {last}");
            last = ts;
        }
    }

    #[test]
    fn whatever_an_event_holds_is_read_back() {
        let awkward = "\"quoted\" back\\slash\ttab\u{7f} Grüße 買い物 \u{1f49a}";
        let event = RequestEvent {
            ts_ms: -1,
            url: awkward,
            service: tally_storage::events::requests::Service::Launch,
            status: 599,
            method: awkward,
            bytes: tally_storage::events::requests::MAX_BYTES,
            api_key: None,
            cache: Some(CacheState::Miss),
            user_agent: "-",
            sdk: Some(awkward),
            duration_ms: Some(0.1),
            project_uid: None,
            environment_uid: None,
            domain: Some("a.example.com"),
            id: Some(awkward),
        };
        let mut line = Vec::new();
        push_line(&mut line, &event, TimeText::default().of(event.ts_ms)).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&line).unwrap(),
            serde_json::json!({
                "ts": "1969-12-31T23:59:59.999Z", "url": awkward, "service": "launch", "status": 599, "method": awkward,
                "bytes": 9_007_199_254_740_991_u64, "cache": "MISS", "user_agent": "-", "sdk": awkward, "duration_ms": 0.1,
                "domain": "a.example.com", "id": awkward,
            }),
        );
    }
}
