//! The parent's side: starts the child, and starts it again whenever it ends.
//!
//! A thread of its own, not a task: it waits for one process, and it outlives the runtime that
//! asked for the engine, which in tests is that of a single test.

use std::fs::File;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Home;
use super::child::SUBCOMMAND;

/// The first pause before a new child; it doubles with each child that does not last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A child that lived that long had started well.
const LASTING: Duration = Duration::from_secs(30);
/// How long a child may take to end in good order.
const GRACE: Duration = Duration::from_secs(5);

/// What to start.
pub(super) struct Order {
    pub(super) program: PathBuf,
    pub(super) library: PathBuf,
    pub(super) home: Home,
    pub(super) owner_password: String,
    pub(super) tenant_password: String,
}

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    log: PathBuf,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    stopping: Condvar,
}

#[derive(Default)]
struct State {
    process_id: Option<u32>,
    /// The child reads from it only to see it end.
    lifeline: Option<ChildStdin>,
    ended_children: u32,
    is_stopping: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supervisor {
    pub(super) fn start(order: Order, listener: TcpListener) -> io::Result<Self> {
        let (folder, temporary) = match &order.home {
            Home::Kept(folder) => (std::path::absolute(folder)?, None),
            Home::Temporary => {
                let temporary = TempDir::with_prefix("muniment-analytics-")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        std::fs::create_dir_all(&folder)?;
        let shared = Arc::new(Shared::default());
        let log = folder.join("engine.log");
        let keeper = Keeper {
            order,
            folder,
            temporary,
            log: log.clone(),
            listener,
            shared: Arc::clone(&shared),
        };
        let thread = thread::Builder::new()
            .name("analytics-engine".to_owned())
            .spawn(move || keeper.keep())?;
        Ok(Self {
            shared,
            log,
            thread: Some(thread),
        })
    }

    pub(super) fn process_id(&self) -> Option<u32> {
        self.shared.state().process_id
    }

    pub(super) fn ended_children(&self) -> u32 {
        self.shared.state().ended_children
    }

    /// The last line that a child wrote.
    pub(super) fn last_words(&self) -> String {
        last_words(&self.log)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_stopping = true;
        // The child sees the end of its input, and ends.
        state.lifeline = None;
        drop(state);
        self.shared.stopping.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Keeper {
    order: Order,
    folder: PathBuf,
    temporary: Option<TempDir>,
    log: PathBuf,
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Keeper {
    fn keep(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            match self.spawn() {
                Ok(child) => self.wait_for(child),
                Err(error) => {
                    tracing::error!(%error, "the analytics engine cannot be started");
                    self.shared.state().ended_children += 1;
                }
            }
            if started.elapsed() > LASTING {
                pause = FIRST_PAUSE;
            }
            let state = self.shared.state();
            let waiting = self
                .shared
                .stopping
                .wait_timeout_while(state, pause, |state| !state.is_stopping);
            let (state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
            if state.is_stopping {
                break;
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        if let Some(temporary) = self.temporary
            && let Err(error) = temporary.close()
        {
            tracing::debug!(%error, "the analytics engine's folder was left behind");
        }
    }

    /// Standard input carries the passwords, which nobody can read from a process list, and ends
    /// when we do. Standard output is the socket to listen on.
    fn spawn(&self) -> io::Result<Child> {
        let socket = OwnedFd::from(self.listener.try_clone()?);
        let mut command = Command::new(&self.order.program);
        command
            .arg(SUBCOMMAND)
            .arg("--library")
            .arg(&self.order.library)
            .arg("--dir")
            .arg(&self.folder);
        if self.temporary.is_some() {
            command.arg("--remove-dir");
        }
        // Nothing of our configuration is the child's business.
        command
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| is_passed_on(name)))
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::from(socket))
            .stderr(self.open_log()?);
        let mut child = command.spawn()?;
        let mut lifeline = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let Order {
            owner_password,
            tenant_password,
            ..
        } = &self.order;
        // A child that ended already is noticed by waiting for it.
        let _ = writeln!(lifeline, "{owner_password}\n{tenant_password}");
        let mut state = self.shared.state();
        state.process_id = Some(child.id());
        state.lifeline = (!state.is_stopping).then_some(lifeline);
        Ok(child)
    }

    fn open_log(&self) -> io::Result<File> {
        File::options().create(true).append(true).open(&self.log)
    }

    /// Looks again and again, because waiting for a process cannot be interrupted.
    fn wait_for(&self, mut child: Child) {
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "the analytics engine cannot be waited for");
                    break None;
                }
            }
            let state = self.shared.state();
            if state.is_stopping {
                drop(state);
                end(&mut child);
                break None;
            }
            let tick = Duration::from_millis(20);
            drop(self.shared.stopping.wait_timeout(state, tick));
        };
        let mut state = self.shared.state();
        state.process_id = None;
        state.lifeline = None;
        state.ended_children += 1;
        if !state.is_stopping {
            let status = status.map(|status| status.to_string()).unwrap_or_default();
            let last_words = last_words(&self.log);
            tracing::warn!(%status, %last_words, "the analytics engine ended; starting it again");
            metrics::counter!("muniment_analytics_engine_restarts_total").increment(1);
        }
    }
}

/// Waits for a child that was told to end, and loses patience.
fn end(child: &mut Child) {
    let deadline = Instant::now() + GRACE;
    while let Ok(None) = child.try_wait() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_passed_on(name: &std::ffi::OsStr) -> bool {
    ["LD_LIBRARY_PATH", "PATH", "RUST_BACKTRACE", "RUST_LOG"]
        .iter()
        .any(|passed_on| name == *passed_on)
}

/// The last line of the log, or nothing.
fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or_default().to_owned()
}
