//! Ctrl-C and SIGTERM: the first stops between two blocks, with what was read by then kept; the second at once.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// The exit status of a process that was stopped, as shells have it for SIGINT.
pub(super) const STOPPED: u8 = 130;

/// A flag that the first signal raises.
pub(super) fn on_signals(runtime: &Runtime) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    // Ends with the runtime; there is nothing to wait for.
    drop(runtime.spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if raised.swap(true, Ordering::Relaxed) {
                process::exit(STOPPED.into());
            }
        }
    }));
    flag
}
