//! Events over HTTP into another Tally: each portion is one request, sent until it is answered.

use std::io::Read as _;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use tally_ingest::encode::LinesBody;
use tally_ingest::files::{self, Batch, PortionBounds, Sink, SinkError, Stored};
use tally_storage::events::ledger::SourcePosition;
use tally_storage::events::receipt::{LineError, Receipt};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::ledger::{LedgerFile, Portion};

/// Smaller than for the own store: a portion is held in memory, compressed, until it is answered.
pub(super) const PORTION: PortionBounds = PortionBounds { events: 100_000, size_bytes: 64 << 20 };

/// What servers take unless they are told otherwise.
const MAX_LINE_BYTES: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(5);
/// How much of a refusal is read.
const MAX_REFUSAL_BYTES: u64 = 4096;
const PAUSE_STEP: Duration = Duration::from_millis(100);

/// How long a portion is tried for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) tries: u32,
    /// Doubled after each try, where the server does not say how long to wait.
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 8, first_pause: Duration::from_secs(1), longest_pause: Duration::from_mins(1) }
    }
}

/// The server's end.
#[derive(Debug)]
pub(super) struct Remote {
    agent: Agent,
    url: String,
    authorization: String,
    patience: Patience,
    cancelled: Arc<AtomicBool>,
}

/// Why a try failed, and whether another may not.
enum Refusal {
    Final(anyhow::Error),
    Temporary { error: anyhow::Error, retry_after: Option<Duration> },
}

impl Remote {
    pub(super) fn new(server: &str, key: &str, patience: Patience, cancelled: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let known = server.starts_with("http://") || server.starts_with("https://");
        ensure!(known, "`{server}` is no server: expected a URL such as `https://tally.example.com`");
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT));
        Ok(Self {
            agent: config.build().into(),
            url: format!("{}/ingest/v1/requests", server.trim_end_matches('/')),
            authorization: format!("Bearer {key}"),
            patience,
            cancelled,
        })
    }

    /// Sends until it is answered; a repeat under the same key is counted once.
    fn send(&self, body: &[u8], idempotency_key: &str) -> anyhow::Result<Receipt> {
        let mut pause = self.patience.first_pause;
        for left in (0..self.patience.tries).rev() {
            match self.try_once(body, idempotency_key) {
                Ok(receipt) => return Ok(receipt),
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Temporary { error, .. }) if left == 0 => {
                    return Err(error.context(format!("gave up after {} tries", self.patience.tries)));
                }
                Err(Refusal::Temporary { error, retry_after }) => {
                    let wait = retry_after.unwrap_or(pause).min(self.patience.longest_pause);
                    tracing::warn!(error = format!("{error:#}"), ?wait, "the events were not taken yet");
                    self.pause(wait)?;
                    pause = pause.saturating_mul(2);
                }
            }
        }
        Err(anyhow!("not tried"))
    }

    fn try_once(&self, body: &[u8], idempotency_key: &str) -> Result<Receipt, Refusal> {
        let request = self
            .agent
            .post(&self.url)
            .header("authorization", &self.authorization)
            .header("content-type", "application/x-ndjson")
            .header("content-encoding", "zstd")
            .header("idempotency-key", idempotency_key);
        let sent = request.send(body).with_context(|| format!("`{}` does not answer", self.url));
        let mut response = sent.map_err(|error| Refusal::Temporary { error, retry_after: None })?;
        if response.status() == StatusCode::OK {
            let receipt = response.body_mut().read_json();
            // An answer cut off after the commit: the repeat gets the same receipt.
            let error = |error| Refusal::Temporary { error: anyhow::Error::from(error), retry_after: None };
            return receipt.map_err(error);
        }
        Err(self.refusal(response))
    }

    fn refusal(&self, mut response: Response<Body>) -> Refusal {
        let status = response.status();
        let seconds = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let mut text = String::new();
        let read = response.body_mut().as_reader().take(MAX_REFUSAL_BYTES).read_to_string(&mut text);
        let text = read.map_or_else(|error| error.to_string(), |_| text);
        let error = anyhow!("`{}` answers {status}: {text}", self.url);
        let temporary = matches!(
            status,
            // CONFLICT: the same portion is being counted, by a request whose answer was lost.
            StatusCode::CONFLICT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        if temporary {
            Refusal::Temporary { error, retry_after: seconds.map(Duration::from_secs) }
        } else {
            Refusal::Final(error)
        }
    }

    /// Waits, unless it is told to stop meanwhile.
    fn pause(&self, wait: Duration) -> anyhow::Result<()> {
        let mut left = wait;
        while !left.is_zero() {
            ensure!(!self.cancelled.load(Ordering::Relaxed), "stopped while waiting for the server");
            let step = left.min(PAUSE_STEP);
            thread::sleep(step);
            left -= step;
        }
        Ok(())
    }
}

/// Gathers a portion as compressed lines and sends it.
#[derive(Debug)]
pub(super) struct RemoteSink {
    remote: Remote,
    ledger: LedgerFile,
    body: LinesBody,
    /// The file's line of each line of the body.
    lines: Vec<u64>,
    too_long: Vec<LineError>,
}

impl RemoteSink {
    pub(super) fn new(remote: Remote, ledger: LedgerFile) -> anyhow::Result<Self> {
        let body = LinesBody::new(MAX_LINE_BYTES)?;
        Ok(Self { remote, ledger, body, lines: Vec::new(), too_long: Vec::new() })
    }

    fn send(&mut self, portion: &Portion) -> anyhow::Result<Stored> {
        let body = mem::replace(&mut self.body, LinesBody::new(MAX_LINE_BYTES)?).finish()?;
        let lines = mem::take(&mut self.lines);
        let mut errors = mem::take(&mut self.too_long);
        let mut refused = errors.len() as u64;
        let mut receipt = Receipt::default();
        if !lines.is_empty() {
            self.ledger.announce(portion)?;
            receipt = self.remote.send(&body, &idempotency_key(portion))?;
        }
        self.ledger.acknowledge(portion)?;
        refused += receipt.rejected;
        errors.extend(receipt.errors.into_iter().map(|error| in_file(error, &lines)));
        Ok(Stored { accepted: receipt.accepted, duplicates: receipt.duplicates, refused, errors })
    }
}

/// The same for every try of the same portion, and for no other.
fn idempotency_key(portion: &Portion) -> String {
    let from = portion.from.as_ref().map_or(0, |from| from.offset);
    let to = &portion.to;
    format!("file-{}-{from}-{}-{}", to.head_sha256, to.offset, to.tail_sha256)
}

/// The error at its line of the file, where the server names the body's.
fn in_file(error: LineError, lines: &[u64]) -> LineError {
    let line = usize::try_from(error.line).ok().and_then(|line| lines.get(line.checked_sub(1)?)).copied();
    LineError { line: line.unwrap_or(error.line), ..error }
}

impl Sink for RemoteSink {
    fn positions(&mut self) -> Result<Vec<SourcePosition>, SinkError> {
        Ok(self.ledger.entries()?.positions)
    }

    fn unanswered(&mut self) -> Result<Vec<(Option<SourcePosition>, SourcePosition)>, SinkError> {
        Ok(self.ledger.entries()?.unanswered.into_iter().map(|portion| (portion.from, portion.to)).collect())
    }

    fn push(&mut self, batch: Batch) -> Result<(), SinkError> {
        let pushed = self.body.push(&batch.events)?;
        for (line, fits) in batch.lines.into_iter().zip(pushed) {
            if fits {
                self.lines.push(line);
            } else {
                let reason = format!("is longer than {MAX_LINE_BYTES} bytes as a line of Tally's own");
                self.too_long.push(LineError { line, field: "line".to_owned(), reason });
            }
        }
        Ok(())
    }

    fn commit(&mut self, portion: files::Portion) -> Result<Stored, SinkError> {
        Ok(self.send(&Portion { from: portion.replaces, to: portion.position })?)
    }
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
