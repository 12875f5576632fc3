//! The supervisor of everything that runs beside requests.
//!
//! A worker is a loop without an end. One that ends or panics all the same is logged, counted on
//! `/metrics`, and started again after a pause that grows while it keeps failing. All workers stop
//! when the supervisor is told to, or dropped: at any of their instructions, which is safe for each
//! of them.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The pause before a worker is started again for the first time; each further one is twice as
/// long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A worker that ran for so long counts as healthy again.
const HEALTHY_AFTER: Duration = Duration::from_secs(300);

/// Runs named workers, and starts those again that end.
#[derive(Default)]
pub struct Supervisor {
    tasks: TaskTracker,
    cancellation: CancellationToken,
}

impl Supervisor {
    /// Starts a worker. `work` makes its loop, anew for each restart.
    pub fn start<W, F>(&self, name: &'static str, work: W)
    where
        W: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        restarts(name).increment(0);
        let cancelled = self.cancellation.clone().cancelled_owned();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = cancelled => {}
                () = keep_running(name, work) => {}
            }
        });
    }

    /// Stops all workers, and waits until they have.
    pub async fn stop(self) {
        self.cancellation.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.cancellation.cancel();
    }
}

/// Runs a worker again and again. Never returns.
async fn keep_running<W, F>(name: &'static str, work: W)
where
    W: Fn() -> F,
    F: Future<Output = ()>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        // Nothing that a worker owns outlives it, so a panic leaves nothing half changed behind
        // but what other tasks can see too, and those survive each other's panics anyway.
        let run = AssertUnwindSafe(async { work().await }).catch_unwind();
        match run.await {
            Ok(()) => tracing::error!(worker = name, "a worker ended; it is started again"),
            Err(panic) => {
                let panic = text_of(panic.as_ref());
                tracing::error!(
                    worker = name,
                    panic,
                    "a worker panicked; it is started again"
                );
            }
        }
        restarts(name).increment(1);
        if started.elapsed() >= HEALTHY_AFTER {
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn restarts(worker: &'static str) -> metrics::Counter {
    metrics::counter!("muniment_worker_restarts_total", "worker" => worker)
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_panics_is_started_again_and_counted() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let supervisor = Supervisor::default();
        let (ran, mut runs) = mpsc::unbounded_channel();
        supervisor.start("fragile", move || {
            let ran = ran.clone();
            async move {
                ran.send(Instant::now()).unwrap();
                panic!("it is fragile");
            }
        });
        let shown = recorder.handle().render();
        assert!(shown.contains(r#"muniment_worker_restarts_total{worker="fragile"} 0"#));
        let mut times = Vec::new();
        for _ in 0..4 {
            times.push(runs.recv().await.unwrap());
        }
        let pauses: Vec<u64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4]);
        let shown = recorder.handle().render();
        assert!(shown.contains(r#"muniment_worker_restarts_total{worker="fragile"} 4"#));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_ends_is_started_again_and_soon_if_it_ran_for_long() {
        let supervisor = Supervisor::default();
        let (ran, mut runs) = mpsc::unbounded_channel();
        supervisor.start("short", move || {
            let ran = ran.clone();
            async move {
                ran.send(Instant::now()).unwrap();
                tokio::time::sleep(HEALTHY_AFTER).await;
            }
        });
        let mut last = runs.recv().await.unwrap();
        for _ in 0..5 {
            let next = runs.recv().await.unwrap();
            assert_eq!(next - last, HEALTHY_AFTER + FIRST_PAUSE);
            last = next;
        }
    }

    /// Counts as running as long as it lives.
    struct Running(Arc<AtomicU32>);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn start_three(supervisor: &Supervisor) -> Arc<AtomicU32> {
        let running = Arc::new(AtomicU32::new(0));
        for name in ["one", "two", "three"] {
            let running = Arc::clone(&running);
            supervisor.start(name, move || {
                running.fetch_add(1, Ordering::SeqCst);
                let running = Running(Arc::clone(&running));
                async move {
                    let _running = running;
                    std::future::pending::<()>().await;
                }
            });
        }
        running
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_stops_all_workers_and_waits_for_them() {
        let supervisor = Supervisor::default();
        let running = start_three(&supervisor);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(running.load(Ordering::SeqCst), 3);
        supervisor.stop().await;
        assert_eq!(running.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_supervisor_stops_all_workers() {
        let supervisor = Supervisor::default();
        let running = start_three(&supervisor);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(running.load(Ordering::SeqCst), 3);
        drop(supervisor);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(running.load(Ordering::SeqCst), 0);
    }
}
