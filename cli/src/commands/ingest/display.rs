//! How far the run has come, on standard error: a bar on a terminal, else a line every ten seconds.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tally_ingest::files::Progress;

const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(10);
const BAR: &str = "{bytes}/{total_bytes} {wide_bar} {msg}, {eta} left";
const NO_END: &str = "{spinner} {bytes} {msg}";

/// A thread that shows the progress.
pub(super) struct Shown {
    done: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Shown {
    /// Shows it until [`finish`](Self::finish). `total_bytes` is none where nobody knows the end.
    pub(super) fn start(progress: Arc<Progress>, total_bytes: Option<u64>) -> Self {
        let (done, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            let show = if io::stderr().is_terminal() { bar } else { lines };
            show(&progress, total_bytes, &ended);
        });
        Self { done, thread }
    }

    /// Clears the bar.
    pub(super) fn finish(self) {
        drop(self.done);
        // What it shows is a courtesy: a failure to show it is none of the run.
        drop(self.thread.join());
    }
}

fn bar(progress: &Progress, total_bytes: Option<u64>, ended: &mpsc::Receiver<()>) {
    let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(if total_bytes.is_some() { BAR } else { NO_END }) {
        bar.set_style(style);
    }
    let started = Instant::now();
    while ended.recv_timeout(BAR_EVERY) == Err(RecvTimeoutError::Timeout) {
        bar.set_position(progress.bytes());
        bar.set_message(events(progress, started.elapsed()));
    }
    bar.finish_and_clear();
}

fn lines(progress: &Progress, total_bytes: Option<u64>, ended: &mpsc::Receiver<()>) {
    let started = Instant::now();
    let before = progress.bytes();
    while ended.recv_timeout(LINE_EVERY) == Err(RecvTimeoutError::Timeout) {
        let line = line(progress, total_bytes, before, started.elapsed());
        drop(writeln!(io::stderr(), "{line}"));
    }
}

fn line(progress: &Progress, total_bytes: Option<u64>, before: u64, elapsed: Duration) -> String {
    let (bytes, events) = (progress.bytes(), events(progress, elapsed));
    let Some(total) = total_bytes else { return format!("{} read, {events}", HumanBytes(bytes)) };
    let line = format!("{} of {} read, {events}", HumanBytes(bytes), HumanBytes(total));
    match remaining(bytes.saturating_sub(before), total.saturating_sub(bytes), elapsed) {
        Some(left) => format!("{line}, {} left", HumanDuration(left)),
        None => line,
    }
}

fn events(progress: &Progress, elapsed: Duration) -> String {
    let (events, rejected) = (progress.events(), progress.rejected());
    let each_second = u128::from(events) * 1000 / elapsed.as_millis().max(1);
    let each_second = u64::try_from(each_second).unwrap_or(u64::MAX);
    let text = format!("{} events, {}/s", HumanCount(events), HumanCount(each_second));
    if rejected == 0 { text } else { format!("{text}, {} rejected", HumanCount(rejected)) }
}

/// How long `left` bytes will take where `read` took `elapsed`.
fn remaining(read: u64, left: u64, elapsed: Duration) -> Option<Duration> {
    let ms = elapsed.as_millis().checked_mul(left.into())?.checked_div(read.into())?;
    Some(Duration::from_millis(u64::try_from(ms).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_and_how_long() {
        let progress = Progress::default();
        let ten = Duration::from_secs(10);
        assert_eq!(line(&progress, Some(2048), 0, ten), "0 B of 2.00 KiB read, 0 events, 0/s");
        assert_eq!(line(&progress, None, 0, ten), "0 B read, 0 events, 0/s");
        assert_eq!(remaining(1000, 3000, ten), Some(Duration::from_secs(30)));
    }
}
