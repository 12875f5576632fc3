//! The binary: see `muniment --help`.

use std::process::ExitCode;

/// Gives memory back after a burst, which glibc's allocator does not: a flood of sign-ins, each of
/// which hashes in 19 MiB, would stay on the bill for good. It is the faster one, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    muniment::cli::main()
}
