//! The child process: `muniment analytics-engine`, which nobody calls by hand.
//!
//! - [`chdb`]: the library's C interface, the only unsafe code there is.
//! - [`configuration`]: who may read what, as ClickHouse's configuration has it.
//! - [`confinement`]: what the process may touch on this machine.
//! - [`http`]: the ClickHouse HTTP interface; [`session`]: running one request.
//! - [`statement`]: what of a tenant's query is let through to the engine.

mod chdb;
mod configuration;
#[cfg(target_os = "linux")]
mod confinement;
mod http;
mod session;
pub mod statement;

use std::fs::{self, File};
use std::io::{self, BufRead, Read};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;

use clap::Args;
use rustix::process::{Signal, getpid, kill_process};

use chdb::Chdb;
use session::Sessions;

/// The name of the command.
pub const SUBCOMMAND: &str = "analytics-engine";
/// The user with all rights.
pub const OWNER: &str = "default";

/// The engine's threads parse queries of tenants, which may be deeply nested.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// Requests that run at the same time; others wait.
const MAX_RUNNING: usize = 64;

/// The flags of `analytics-engine`.
#[derive(Args)]
pub struct Arguments {
    /// `libchdb.so`
    #[arg(long)]
    library: PathBuf,
    /// Where data and configuration are.
    #[arg(long)]
    dir: PathBuf,
    /// Whether the folder goes with the process.
    #[arg(long)]
    remove_dir: bool,
}

/// What requests must show.
struct Passwords {
    owner: String,
    tenant: String,
}

/// Serves until the parent is gone.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Arguments { library, dir, .. } = arguments;
    let passwords = read_passwords()?;
    let listener = take_socket()?;
    configuration::write(dir)?;
    fs::create_dir_all(configuration::data(dir))?;
    let inserts = dir.join("inserts");
    // What a killed process left there is of no use.
    let _ = fs::remove_dir_all(&inserts);
    fs::create_dir_all(&inserts)?;
    // Before there are threads: it holds for those that come afterwards.
    #[cfg(target_os = "linux")]
    confinement::confine(dir, library);
    let chdb = Chdb::open(library, dir)?;
    let sessions = Sessions::open(chdb, &inserts)?;
    end_with_the_parent(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MAX_RUNNING)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    runtime.block_on(http::serve(listener, sessions, passwords))?;
    Ok(())
}

fn read_passwords() -> io::Result<Passwords> {
    let mut lines = io::stdin().lock().lines();
    let mut next = || {
        lines
            .next()
            .unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()))
    };
    Ok(Passwords {
        owner: next()?,
        tenant: next()?,
    })
}

/// Takes the socket out of standard output, which afterwards leads nowhere: the library would
/// write to it.
fn take_socket() -> io::Result<TcpListener> {
    let socket = io::stdout().as_fd().try_clone_to_owned()?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(nowhere)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Standard input ends when the parent does, or when it wants us to end.
fn end_with_the_parent(arguments: &Arguments) -> io::Result<()> {
    let removed = arguments.remove_dir.then(|| arguments.dir.clone());
    thread::Builder::new()
        .name("lifeline".to_owned())
        .spawn(move || {
            let mut nothing = [0; 64];
            while io::stdin().read(&mut nothing).is_ok_and(|count| count > 0) {}
            if let Some(dir) = removed {
                let _ = fs::remove_dir_all(dir);
            }
            // The library's threads and destructors need not be waited for: what an insert
            // reported as written is a finished part on disk.
            let _ = kill_process(getpid(), Signal::KILL);
        })?;
    Ok(())
}
