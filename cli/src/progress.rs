//! Progress bars: on a terminal, and nowhere else.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over so many events.
#[must_use]
pub(crate) fn events_bar(events: u64) -> ProgressBar {
    ProgressBar::new(events).with_style(style("{wide_bar} {human_pos}/{human_len} events, {per_sec}, {eta} left"))
}

/// A bar over so many things.
#[must_use]
pub(crate) fn counting(things: u64, what: &'static str) -> ProgressBar {
    let template = format!("{{wide_bar}} {{human_pos}}/{{human_len}} {what}, {{eta}} left");
    ProgressBar::new(things).with_style(style(&template))
}

/// A bar over bytes, whose number is said later.
#[must_use]
pub(crate) fn bytes_bar() -> ProgressBar {
    ProgressBar::new(0).with_style(style("{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left"))
}

/// A bar over a whole of 1000 parts.
#[must_use]
pub(crate) fn share_bar(what: &str) -> ProgressBar {
    ProgressBar::new(1000).with_style(style("{msg} {wide_bar} {percent} %")).with_message(what.to_owned())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
