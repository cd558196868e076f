//! `recoup`: arguments, then configuration, then the app.

use std::process::ExitCode;

fn main() -> ExitCode {
    recoup::cli::run()
}
