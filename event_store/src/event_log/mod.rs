//! The event log: reading streams, and appending through units of work.

pub(crate) mod horizon;
mod reading;
mod repository;

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use postgres_es::PostgresEventRepository;
use sqlx::PgPool;

use crate::commit::group_commit::{Answer, Committer};
use crate::commit_observer::{CommitObserver, Observed};
use crate::context::EventContext;
use crate::error::LedgerError;
use crate::keyed_lock::KeyedLock;
use crate::loaded_aggregates::AggregateCache;
use crate::looked_at::{LookedAt, Looks};
use crate::notifier::Notifier;
use crate::projector::InlineProjector;
use crate::sealing::{MasterKey, Sealer};
use crate::unit_of_work::{Freshness, UnitOfWork};

/// How often a unit of work is decided anew when other writers are faster.
const ATTEMPTS: u32 = 12;
/// The longest pause between two attempts grows from here.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// The log. Cheap to clone; one per process and database.
#[derive(Clone)]
pub struct EventLog(Arc<Inner>);

struct Inner {
    pool: PgPool,
    stock: PostgresEventRepository,
    sealer: Sealer,
    cache: AggregateCache,
    notifier: Arc<Notifier>,
    committer: Committer,
    observed: Observed,
    /// Units that were decided on what others changed in the meantime, by their first stream.
    contended: KeyedLock<String>,
}

/// What was decided in memory and waits for its transaction.
pub struct PendingCommit {
    log: EventLog,
    /// None if nothing was decided.
    submitted: Option<(Answer, Vec<LookedAt>)>,
}

impl PendingCommit {
    /// Waits until it is in the log for good. It gets there, or not, without being waited for.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when it was decided on what did not come to pass; when the
    /// database fails.
    pub async fn committed(self) -> Result<(), LedgerError> {
        let Some((answer, looked_at)) = self.submitted else {
            return Ok(());
        };
        let done = answer.wait().await;
        if matches!(done, Err(LedgerError::Conflict)) {
            // Another node may have changed them; the next try reads them anew.
            for stream in &looked_at {
                self.log.cache().forget(stream);
            }
        }
        done
    }
}

impl EventLog {
    /// The log of a database, whose appends `projector` folds into read models. Starts the task that
    /// announces appends, and those that commit, so a runtime must be there.
    #[must_use]
    pub fn new(pool: PgPool, master: MasterKey, projector: impl InlineProjector) -> Self {
        let sealer = Sealer::new(pool.clone(), master);
        let notifier = Arc::new(Notifier::start(pool.clone()));
        Self(Arc::new(Inner {
            stock: PostgresEventRepository::new(pool.clone()),
            committer: Committer::start(&pool, &sealer, &notifier, Arc::new(projector)),
            sealer,
            observed: Observed::default(),
            cache: AggregateCache::default(),
            contended: KeyedLock::default(),
            notifier,
            pool,
        }))
    }

    /// The database.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// The keys of the subjects.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    pub(crate) fn cache(&self) -> &AggregateCache {
        &self.0.cache
    }

    pub(crate) fn committer(&self) -> &Committer {
        &self.0.committer
    }

    /// Has `observer` told of what units of work of this process commit. A log has one.
    pub fn observe(&self, observer: CommitObserver) {
        self.0.observed.set(observer);
    }

    pub(crate) fn observed(&self) -> &Observed {
        &self.0.observed
    }

    /// Changes with every append that this process knows of, its own and others'.
    #[must_use]
    pub fn appends(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.notifier.watch()
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.0.notifier
    }

    /// Runs `work` and commits what it did: all of it, or nothing.
    ///
    /// `work` may run several times, because it is decided anew when another writer changed what
    /// it was decided on; so it must not have effects of its own.
    ///
    /// # Errors
    /// What `work` refuses; [`LedgerError::Taken`] when a unique value is in use; `Conflict` when
    /// other writers were faster too many times in a row.
    pub async fn transact<T, E, F, W>(&self, context: &EventContext, work: F) -> Result<T, E>
    where
        F: Fn(UnitOfWork) -> W,
        W: Future<Output = Result<(UnitOfWork, T), E>>,
        E: From<LedgerError>,
    {
        let (mut freshness, mut of_project) = (Freshness::Cached, Freshness::Cached);
        let mut turn = None;
        for attempt in 0..ATTEMPTS {
            let mut unit = UnitOfWork::new(self.clone(), context.clone(), freshness);
            let looks = unit.looks();
            let outcome = match unit.require_grounds(of_project).await {
                Ok(()) => work(unit).await,
                Err(error) => Err(error.into()),
            };
            match &outcome {
                // The commit finds out by itself what has changed.
                Ok((unit, _)) if unit.has_decided() => {}
                // What is read is read from the log: a remembered state outlives its subject's key.
                Ok(_) if looks.used_memory() => {
                    freshness = Freshness::Log;
                    continue;
                }
                // A refusal rests only on what is so.
                Err(_) if !looks.hold_now(self.pool()).await? => {
                    (freshness, of_project) = (Freshness::Log, Freshness::Log);
                    continue;
                }
                Ok(_) | Err(_) => {}
            }
            let (unit, value) = outcome?;
            let stream = unit.first_stream().map(str::to_owned);
            match unit.commit().await {
                Ok(()) => return Ok(value),
                Err(LedgerError::Conflict) => {
                    (freshness, of_project) = (Freshness::Log, Freshness::Log);
                    metrics::counter!("muniment_append_conflicts_total").increment(1);
                    // Most likely somebody in this process was faster, so queue up behind them;
                    // other processes are given way to.
                    match (&turn, stream) {
                        (None, Some(stream)) => turn = Some(self.0.contended.lock(stream).await),
                        _ => pause(attempt).await,
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Conflict.into())
    }

    /// Runs `work`, which decides about the one stream `id`, on the state that those before it will
    /// leave behind, without waiting for their transactions: so a stream that many write to grows by
    /// many events per transaction. Should one of those before fail, then so does this one, with
    /// [`LedgerError::Conflict`], and may be tried again.
    ///
    /// Callers for one stream take turns, which end when this returns. Nothing has happened before
    /// [`PendingCommit::committed`] says so. `work` may run twice, so it must not have effects of its
    /// own.
    ///
    /// # Errors
    /// What `work` refuses, on what the log says: a refusal is never based on what might not come to
    /// pass. [`LedgerError::Conflict`] when the log changed while it was looked at.
    pub async fn submit<F, W>(
        &self,
        context: &EventContext,
        id: &impl Display,
        work: F,
    ) -> Result<PendingCommit, LedgerError>
    where
        F: Fn(UnitOfWork) -> W,
        W: Future<Output = Result<UnitOfWork, LedgerError>>,
    {
        let stream = id.to_string();
        let (looks, decided) = self.decide(context, Freshness::Speculative, &work).await;
        if let Ok(unit) = decided
            && unit.has_decided()
        {
            return self.pending(unit, &stream).await;
        }
        looks.wait().await;
        let (looks, decided) = self.decide(context, Freshness::Log, &work).await;
        match decided {
            Ok(unit) => self.pending(unit, &stream).await,
            Err(refusal) if looks.hold_now(self.pool()).await? => Err(refusal),
            Err(_) => Err(LedgerError::Conflict),
        }
    }

    async fn decide<F, W>(
        &self,
        context: &EventContext,
        freshness: Freshness,
        work: &F,
    ) -> (Looks, Result<UnitOfWork, LedgerError>)
    where
        F: Fn(UnitOfWork) -> W,
        W: Future<Output = Result<UnitOfWork, LedgerError>>,
    {
        let mut unit = UnitOfWork::new(self.clone(), context.clone(), freshness);
        let looks = unit.looks();
        let decided = match unit.require_grounds(Freshness::Cached).await {
            Ok(()) => work(unit).await,
            Err(error) => Err(error),
        };
        (looks, decided)
    }

    async fn pending(&self, unit: UnitOfWork, stream: &str) -> Result<PendingCommit, LedgerError> {
        Ok(PendingCommit {
            log: self.clone(),
            submitted: unit.submit(stream).await?,
        })
    }
}

/// Full jitter: two writers that collided once should not meet again.
#[expect(
    clippy::disallowed_methods,
    reason = "jitter decides nothing that is kept"
)]
async fn pause(attempt: u32) {
    let ceiling = FIRST_PAUSE * 2u32.saturating_pow(attempt.min(6));
    tokio::time::sleep(ceiling.mul_f64(rand::random())).await;
}
