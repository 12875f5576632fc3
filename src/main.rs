//! The binary: see `muniment --help`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Events are read as many small values; the C library's allocator took two fifths of that time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    muniment::cli::main()
}
