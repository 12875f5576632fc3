//! Group commit: units of work that are ready at the same moment share one transaction.
//!
//! A transaction costs five round trips and a flush of the write-ahead log, whatever it carries.
//! Under load many units wait for those at once, so a lane takes all that are waiting, appends and
//! projects them in one transaction, and answers them together. Alone, a unit waits for nobody.
//!
//! Units share a transaction, not a fate: when a shared transaction fails, each of its units is
//! carried out in a transaction of its own, and is told what became of it. An answer is given after
//! the commit only.

use std::collections::HashSet;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use cqrs_es::persist::SerializedEvent;
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::notifier::Notifier;
use crate::sealing::{FreshKeys, Sealer};
use crate::staging::{self, Snapshot};
use crate::{EventContext, LedgerError, LedgerEvent, read_models};

/// Transactions that this process may have running at once: one can be decoded and folded while the
/// other waits for the disk.
const LANES: usize = 2;
/// Units per transaction. More would gain little and make the first of them wait longer.
const UNITS: usize = 64;

/// A unit of work, decided and serialised.
pub(crate) struct Prepared {
    pub(crate) context: EventContext,
    /// What happened, in the order in which it was decided: aggregate and event.
    pub(crate) decided: Vec<(String, LedgerEvent)>,
    /// The same as rows of the log, not sealed yet.
    pub(crate) events: Vec<SerializedEvent>,
    pub(crate) snapshots: Vec<Snapshot>,
}

impl Prepared {
    fn streams(&self) -> impl Iterator<Item = &str> {
        self.decided.iter().map(|(id, _)| id.as_str())
    }
}

struct Job {
    unit: Prepared,
    answer: oneshot::Sender<Result<(), LedgerError>>,
}

/// Where units of work are handed in.
pub(crate) struct Committer(mpsc::UnboundedSender<Job>);

impl Committer {
    /// Starts the lanes. They end when the committer is dropped and what was handed in is done.
    pub(crate) fn start(pool: &PgPool, sealer: &Sealer, notifier: &Arc<Notifier>) -> Self {
        let (sender, jobs) = mpsc::unbounded_channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let lane = Lane {
            pool: pool.clone(),
            sealer: sealer.clone(),
            notifier: Arc::clone(notifier),
            busy: Arc::default(),
        };
        for _ in 0..LANES {
            tokio::spawn(lane.clone().run(Arc::clone(&jobs)));
        }
        Self(sender)
    }

    /// Appends and projects a unit, with others or alone. Once handed in it is carried out even if
    /// the caller stops waiting.
    pub(crate) async fn commit(&self, unit: Prepared) -> Result<(), LedgerError> {
        let (answer, answered) = oneshot::channel();
        let gone = || LedgerError::Store("the committing task has ended".into());
        self.0.send(Job { unit, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// The streams that running transactions append to. A unit that wants one of them was decided on a
/// state that is about to be out of date: it is told so at once, instead of waiting for the index
/// to find out and failing the units it shares a transaction with.
#[derive(Default)]
struct BusyStreams(StdMutex<HashSet<String>>);

impl BusyStreams {
    /// Takes those of `jobs` that want no busy stream, and tells the others.
    fn claim(self: &Arc<Self>, jobs: impl Iterator<Item = Job>) -> (Claim, Vec<Job>) {
        let mut busy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut streams, mut claimed) = (Vec::new(), Vec::new());
        for job in jobs {
            if job.unit.streams().any(|stream| busy.contains(stream)) {
                // The caller may have gone; then nobody needs the answer.
                let _ = job.answer.send(Err(LedgerError::Conflict));
                continue;
            }
            for stream in job.unit.streams() {
                if busy.insert(stream.to_owned()) {
                    streams.push(stream.to_owned());
                }
            }
            claimed.push(job);
        }
        let claim = Claim {
            streams,
            of: Arc::clone(self),
        };
        (claim, claimed)
    }
}

/// Streams that are busy until this is dropped.
struct Claim {
    streams: Vec<String>,
    of: Arc<BusyStreams>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut busy = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in &self.streams {
            busy.remove(stream);
        }
    }
}

#[derive(Clone)]
struct Lane {
    pool: PgPool,
    sealer: Sealer,
    notifier: Arc<Notifier>,
    busy: Arc<BusyStreams>,
}

impl Lane {
    async fn run(self, jobs: Arc<Mutex<mpsc::UnboundedReceiver<Job>>>) {
        let mut waiting = Vec::with_capacity(UNITS);
        loop {
            // The lock is given up before the transaction, so that the other lane can begin.
            if jobs.lock().await.recv_many(&mut waiting, UNITS).await == 0 {
                return;
            }
            // A task of its own, so that a panic fails these units and not the lane.
            let (claim, claimed) = self.busy.claim(waiting.drain(..));
            let carried_out = tokio::spawn(self.clone().carry_out(claim, claimed)).await;
            if let Err(error) = carried_out {
                tracing::error!(%error, "a transaction of units of work panicked");
            }
        }
    }

    async fn carry_out(self, claim: Claim, jobs: Vec<Job>) {
        let (units, answers): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.unit, job.answer)).unzip();
        let outcomes = self.together_or_each(units).await;
        drop(claim);
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            let _ = answer.send(outcome);
        }
    }

    async fn together_or_each(&self, units: Vec<Prepared>) -> Vec<Result<(), LedgerError>> {
        let count = units.len();
        match self.write(&units).await {
            Ok(()) => (0..count).map(|_| Ok(())).collect(),
            Err(error) if count == 1 => vec![Err(error)],
            Err(_) => {
                metrics::counter!("muniment_group_commits_split_total").increment(1);
                let mut outcomes = Vec::with_capacity(count);
                for unit in units {
                    outcomes.push(self.write(&[unit]).await);
                }
                outcomes
            }
        }
    }

    /// One transaction: append, fold into the read tables, commit.
    async fn write(&self, units: &[Prepared]) -> Result<(), LedgerError> {
        if units.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        let fresh: FreshKeys = staging::append(&mut transaction, &self.sealer, units).await?;
        let decided = units.iter().flat_map(|unit| {
            let project = &unit.context.project_id;
            unit.decided
                .iter()
                .map(|(id, event)| (project.clone(), id.clone(), event.clone()))
        });
        read_models::project_all(&mut transaction, decided.collect()).await?;
        transaction.commit().await?;
        self.sealer.remember(fresh);
        self.notifier.appended();
        Ok(())
    }
}
