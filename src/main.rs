//! The binary: see `muniment --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    muniment::cli::main()
}
