//! `recoup`: arguments, then configuration, then the app.

use std::process::ExitCode;

/// Working through a crowd of cases allocates so much that the allocator of the C library took a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    recoup::cli::run()
}
