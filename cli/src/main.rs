//! The `tally` binary.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    tally::run(env::args_os())
}
