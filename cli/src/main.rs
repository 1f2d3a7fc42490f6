//! The `tally` binary.

use std::env;
use std::process::ExitCode;

/// Many threads make and drop large columns for as long as a server lives: most systems' own allocator keeps ever more of
/// that memory in pieces that fit nothing.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tally::run(env::args_os())
}
