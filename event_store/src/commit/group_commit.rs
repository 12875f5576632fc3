//! Group commit: units of work that are ready at the same moment share one transaction.
//!
//! A transaction costs five round trips and a flush of the write-ahead log, whatever it carries.
//! Under load many units wait for those at once, so a lane takes all that are waiting, appends and
//! projects them in one transaction, and answers them together. Alone, a unit waits for nobody.
//!
//! Units share a transaction, not a fate: when a shared transaction fails, each of its units is
//! carried out in a transaction of its own, and is told what became of it. An answer is given after
//! the commit only. The exception is a unit that was submitted on the state which another will
//! leave behind: it stands behind that one in the same lane's queue, may share its transaction, and
//! fails if it fails.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use sqlx::PgPool;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Mutex, oneshot};

use crate::LedgerError;
use crate::commit::append::append;
use crate::commit::commit_outcome::{CommitNotifier, CommitOutcome, CommitStatus};
use crate::commit::hold::hold;
use crate::commit::prepared_unit::PreparedUnit;
use crate::listing::are_unchanged;
use crate::looked_at::LookedAt;
use crate::notifier::Notifier;
use crate::projector::InlineProjector;
use crate::sealing::{FreshKeys, Sealer};

/// Transactions that this process may have running at once: one can be decoded and folded while the
/// other waits for the disk.
const LANES: usize = 2;
/// Units per transaction. More would gain little and make the first of them wait longer.
const UNITS: usize = 64;

struct Job {
    unit: PreparedUnit,
    notifier: CommitNotifier,
    answer: oneshot::Sender<Result<(), LedgerError>>,
}

impl Job {
    fn new(unit: PreparedUnit, notifier: CommitNotifier) -> (Self, Answer) {
        let (answer, answered) = oneshot::channel();
        let job = Self {
            unit,
            notifier,
            answer,
        };
        (job, Answer(answered))
    }

    /// Whether what the unit was decided on has come to pass.
    fn is_grounded(&self) -> bool {
        let mut outcomes = self.unit.depends_on.iter();
        outcomes.all(|outcome| outcome.status() == CommitStatus::Committed)
    }

    fn builds_on(&self, other: &Job) -> bool {
        let mut outcomes = self.unit.depends_on.iter();
        outcomes.any(|outcome| other.notifier.notifies(outcome))
    }

    fn notify(&self, outcome: &Result<(), LedgerError>) {
        self.notifier.notify(match outcome {
            Ok(()) => CommitStatus::Committed,
            Err(_) => CommitStatus::Failed,
        });
    }

    /// The caller may have gone; then nobody needs the answer.
    fn answer(self, outcome: Result<(), LedgerError>) {
        self.notify(&outcome);
        let _ = self.answer.send(outcome);
    }
}

/// What will become of a unit that was submitted.
pub(crate) struct Answer(oneshot::Receiver<Result<(), LedgerError>>);

impl Answer {
    /// Waits for it.
    pub(crate) async fn wait(self) -> Result<(), LedgerError> {
        self.0.await.map_err(|_| ended())?
    }
}

fn ended() -> LedgerError {
    LedgerError::Store("the committing task has ended".into())
}

/// Where units of work are submitted.
pub(crate) struct Committer {
    /// For whichever lane is free.
    any: UnboundedSender<Job>,
    /// For one lane each, which keeps the order.
    each: Vec<UnboundedSender<Job>>,
}

impl Committer {
    /// Starts the lanes. They end when the committer is dropped and what was submitted is done.
    pub(crate) fn start(
        pool: &PgPool,
        sealer: &Sealer,
        notifier: &Arc<Notifier>,
        projector: Arc<dyn InlineProjector>,
    ) -> Self {
        let (any, shared) = mpsc::unbounded_channel();
        let shared = Arc::new(Mutex::new(shared));
        let writer = Writer {
            pool: pool.clone(),
            sealer: sealer.clone(),
            notifier: Arc::clone(notifier),
            projector,
            busy: Arc::default(),
        };
        let lanes = (0..LANES).map(|_| {
            let (sender, own) = mpsc::unbounded_channel();
            let shared = Arc::clone(&shared);
            tokio::spawn(Lane { own, shared }.run(writer.clone()));
            sender
        });
        let each = lanes.collect();
        Self { any, each }
    }

    /// Appends and projects a unit, with others or alone. Once submitted it is carried out even if
    /// the caller stops waiting.
    pub(crate) async fn commit(&self, unit: PreparedUnit) -> Result<(), LedgerError> {
        let (job, answer) = Job::new(unit, CommitNotifier::new());
        self.any.send(job).map_err(|_| ended())?;
        answer.wait().await
    }

    /// Takes in a unit about one stream, which others may build on at once: they stand behind it.
    pub(crate) fn submit(
        &self,
        unit: PreparedUnit,
        notifier: CommitNotifier,
        stream: &str,
    ) -> Result<Answer, LedgerError> {
        let mut hasher = DefaultHasher::new();
        stream.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default();
        let (job, answer) = Job::new(unit, notifier);
        self.each[lane].send(job).map_err(|_| ended())?;
        Ok(answer)
    }
}

/// The streams that running transactions append to. A unit that wants one of them was decided on a
/// state that is about to be out of date: it is told so at once, instead of waiting for the index
/// to find out and failing the units it shares a transaction with.
#[derive(Default)]
struct BusyStreams(StdMutex<HashSet<String>>);

impl BusyStreams {
    /// Takes those of `jobs` that can share a transaction now, and tells the others.
    fn claim(self: &Arc<Self>, jobs: Vec<Job>) -> (Claim, Vec<Job>) {
        let mut busy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut claimed: Vec<Job> = Vec::with_capacity(jobs.len());
        // Who of the claimed was the last to want a stream.
        let mut last: HashMap<String, usize> = HashMap::new();
        for job in jobs {
            let is_next_on = |stream: &str| match last.get(stream) {
                Some(&before) => job.builds_on(&claimed[before]),
                None => !busy.contains(stream),
            };
            let is_founded = |outcome: &CommitOutcome| match outcome.status() {
                CommitStatus::Committed => true,
                CommitStatus::Failed => false,
                CommitStatus::Pending => claimed
                    .iter()
                    .any(|before| before.notifier.notifies(outcome)),
            };
            // What another transaction is changing is waited for; see `hold`. What this one is going to
            // change is as good as changed.
            let is_unchanged = |look: &LookedAt| match last.get(look.id.as_str()) {
                Some(&before) => job.builds_on(&claimed[before]),
                None => true,
            };
            let fits = job.unit.streams().all(is_next_on)
                && job.unit.depends_on.iter().all(is_founded)
                && job.unit.looked_at.iter().all(is_unchanged);
            if !fits {
                job.answer(Err(LedgerError::Conflict));
                continue;
            }
            for stream in job.unit.streams() {
                last.insert(stream.to_owned(), claimed.len());
            }
            claimed.push(job);
        }
        let streams: Vec<String> = last.into_keys().collect();
        busy.extend(streams.iter().cloned());
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

/// A queue of its own, the queue it shares, and one transaction at a time.
struct Lane {
    own: UnboundedReceiver<Job>,
    shared: Arc<Mutex<UnboundedReceiver<Job>>>,
}

impl Lane {
    async fn run(mut self, writer: Writer) {
        while let Some(waiting) = self.next().await {
            let (claim, claimed) = writer.busy.claim(waiting);
            // A task of its own, so that a panic fails these units and not the lane.
            let carried_out = tokio::spawn(writer.clone().carry_out(claim, claimed)).await;
            if let Err(error) = carried_out {
                tracing::error!(%error, "a transaction of units of work panicked");
            }
        }
    }

    /// The jobs that are waiting in one of the queues, once there are any. The shared queue is free
    /// again when this returns, so that the other lane can begin while this one writes.
    async fn next(&mut self) -> Option<Vec<Job>> {
        let jobs = tokio::select! {
            jobs = take(&mut self.own) => jobs,
            jobs = async { take(&mut *self.shared.lock().await).await } => jobs,
        };
        if !jobs.is_empty() {
            return Some(jobs);
        }
        // The committer is gone. What is left comes without waiting.
        let mut left = take(&mut self.own).await;
        if left.is_empty() {
            left = take(&mut *self.shared.lock().await).await;
        }
        (!left.is_empty()).then_some(left)
    }
}

/// Waits for jobs; none, when no more can come. Takes nothing if it is dropped before it is done.
async fn take(queue: &mut UnboundedReceiver<Job>) -> Vec<Job> {
    let mut jobs = Vec::new();
    queue.recv_many(&mut jobs, UNITS).await;
    jobs
}

/// Why a transaction took no effect, or none that is known.
enum Failure {
    /// It was rolled back.
    Undone(LedgerError),
    /// The connection broke while it was being committed: it may be in the log or not, so that it
    /// must not be tried again.
    Unknown(sqlx::Error),
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::Undone(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Undone(error.into())
    }
}

#[derive(Clone)]
struct Writer {
    pool: PgPool,
    sealer: Sealer,
    notifier: Arc<Notifier>,
    projector: Arc<dyn InlineProjector>,
    busy: Arc<BusyStreams>,
}

impl Writer {
    /// What an error of the database means, if a read model's constraint brought it about.
    fn meaning(&self, error: LedgerError) -> LedgerError {
        error.explained(|constraint| self.projector.constraint(constraint))
    }

    async fn carry_out(self, claim: Claim, jobs: Vec<Job>) {
        let outcomes = self.together_or_each(&jobs).await;
        drop(claim);
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            job.answer(outcome);
        }
    }

    async fn together_or_each(&self, jobs: &[Job]) -> Vec<Result<(), LedgerError>> {
        // A unit that listed something must see what the others write.
        if jobs.len() > 1 && jobs.iter().any(|job| !job.unit.listed.is_empty()) {
            return self.one_by_one(jobs).await;
        }
        match self.write(jobs).await {
            Ok(standing) => standing.into_iter().map(told).collect(),
            Err(Failure::Unknown(error)) => {
                tracing::error!(%error, "a transaction was sent, and its end is unknown");
                jobs.iter().map(|_| Err(end_unknown())).collect()
            }
            Err(Failure::Undone(error)) if jobs.len() == 1 => vec![Err(error)],
            Err(Failure::Undone(_)) => {
                metrics::counter!("muniment_group_commits_split_total").increment(1);
                self.one_by_one(jobs).await
            }
        }
    }

    async fn one_by_one(&self, jobs: &[Job]) -> Vec<Result<(), LedgerError>> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            let outcome = if job.is_grounded() {
                let written = self.write(std::slice::from_ref(job)).await;
                match written {
                    Ok(standing) => told(standing == [true]),
                    Err(Failure::Undone(error)) => Err(error),
                    Err(Failure::Unknown(_)) => Err(end_unknown()),
                }
            } else {
                Err(LedgerError::Conflict)
            };
            job.notify(&outcome);
            outcomes.push(outcome);
        }
        outcomes
    }

    /// One transaction: hold the streams, append, fold into the read tables, commit. Says which of the
    /// jobs took effect: what the others had looked at, or were built on, was changed meanwhile.
    async fn write(&self, jobs: &[Job]) -> Result<Vec<bool>, Failure> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let units: Vec<&PreparedUnit> = jobs.iter().map(|job| &job.unit).collect();
        let mut transaction = self.pool.begin().await?;
        let mut standing = hold(&mut transaction, &units).await?;
        for (unit, stands) in units.iter().zip(&mut standing) {
            *stands = *stands && are_unchanged(&mut transaction, &unit.listed).await?;
        }
        drop_what_has_no_ground(jobs, &mut standing);
        let stands = |(unit, stands): (&'_ _, &bool)| stands.then_some(*unit);
        let units: Vec<&PreparedUnit> = units.iter().zip(&standing).filter_map(stands).collect();
        if units.is_empty() {
            transaction.rollback().await?;
            return Ok(standing);
        }
        let fresh: FreshKeys = append(&mut transaction, &self.sealer, &units).await?;
        let events = units.iter().flat_map(|unit| unit.envelopes()).collect();
        let projected = self.projector.project(&mut transaction, events).await;
        projected.map_err(|error| self.meaning(error))?;
        match transaction.commit().await {
            Ok(()) => {}
            // Postgres says no: the transaction was rolled back.
            Err(error @ sqlx::Error::Database(_)) => return Err(self.meaning(error.into()).into()),
            Err(error) => return Err(Failure::Unknown(error)),
        }
        self.sealer.remember(fresh);
        self.notifier.appended();
        Ok(standing)
    }
}

/// What a unit is told of a transaction that was committed.
fn told(has_taken_effect: bool) -> Result<(), LedgerError> {
    has_taken_effect.then_some(()).ok_or(LedgerError::Conflict)
}

/// What was decided on the outcome of a unit that fell away falls with it. Jobs stand in the order in
/// which they build on each other.
fn drop_what_has_no_ground(jobs: &[Job], standing: &mut [bool]) {
    for place in 0..jobs.len() {
        let is_fallen = |&before: &usize| !standing[before];
        let mut fallen = (0..place).filter(is_fallen);
        let is_groundless = fallen.any(|before| jobs[place].builds_on(&jobs[before]));
        standing[place] &= !is_groundless;
    }
}

fn end_unknown() -> LedgerError {
    LedgerError::Store("the database went away while a change was being committed".into())
}
