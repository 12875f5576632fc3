//! Subscriptions: durable cursors for whatever follows the log.
//!
//! A subscription hands every event to its [`Subscriber`] at least once, in order, skipping none:
//! it reads by (epoch, transaction, position) below the oldest append that is still running, so one that
//! commits late is waited for. The cursor is a row and moves in the transaction that
//! the subscriber may write to: a sink in this database gets every event exactly once.
//!
//! One process at a time holds a subscription, by an advisory lock; others stand by. A failing
//! batch is tried again with growing pauses, then event by event, and what still fails goes to
//! `dead_letters` so that one bad event does not hold up the rest. But if it is the sink that is
//! away ([`LedgerError::SinkAway`]), no event is to blame: the batch waits until the sink is back. Events
//! that cannot be read are passed over and noted: see [`Subscriber::pass_over`].

mod batch_policy;
mod dead_letters;
mod lag;
mod set_aside;

use std::future::Future;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

use crate::event::{Cursor, RecordedEvent};
pub use crate::event_log::horizon::{SlowAppender, slow_appenders};
use crate::leader_lock::lead;
use crate::unreadable::{Page, Unreadable};
use crate::{EventLog, LedgerError};

pub use batch_policy::BatchPolicy;
pub use lag::{Lag, lags};
pub use set_aside::{PassedOver, count_set_aside, set_aside};

/// An append that has been running for so long is named, and again after as long.
const COMPLAIN: Duration = Duration::from_secs(5);

/// Something that follows the log.
pub trait Subscriber: Send + Sync + 'static {
    /// Its name, under which its cursor is kept. Never change it.
    fn name(&self) -> &'static str;

    /// Takes a batch. What it writes through `connection` commits together with the cursor; other
    /// effects must be idempotent by the events' positions.
    ///
    /// # Errors
    /// Then the batch is handed over again: for ever, if it is [`LedgerError::SinkAway`].
    fn accept(
        &self,
        connection: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Passes over events of a batch that this version cannot read, of which it knows type and ids.
    /// They are noted in either case.
    ///
    /// # Errors
    /// Then the batch is handed over again.
    fn pass_over(
        &self,
        connection: &mut PgConnection,
        events: &[Unreadable],
    ) -> impl Future<Output = Result<PassedOver, LedgerError>> + Send {
        let _ = (connection, events);
        std::future::ready(Ok(PassedOver::SetAside))
    }

    /// How much of the events it wants to see.
    fn view(&self) -> EventView {
        EventView::Full
    }
}

/// How much of an event a subscriber sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventView {
    /// Everything.
    Full,
    /// Everything but personal data, as if everybody had been erased: faster, for those who only
    /// want to know what an event is about.
    Sealed,
    /// Not even by whom and in which request: no metadata.
    Bare,
}

/// A running subscription; stops when dropped. Stopping at any instruction is safe.
pub struct Subscription(JoinHandle<()>);

impl Subscription {
    /// Waits until it ends, which it never does of itself. A panic in it goes on here.
    pub async fn ended(mut self) {
        if let Err(error) = (&mut self.0).await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts to follow the log.
#[must_use]
pub fn follow<S: Subscriber>(log: EventLog, subscriber: S, policy: BatchPolicy) -> Subscription {
    let follower = Follower {
        log,
        subscriber,
        policy,
    };
    Subscription(tokio::spawn(async move { follower.run().await }))
}

/// Passes on what other processes announce. One per process is enough.
#[must_use]
pub fn listen(log: EventLog) -> Subscription {
    let pause = BatchPolicy::default().longest_pause;
    Subscription(tokio::spawn(async move {
        loop {
            if let Err(error) = log.notifier().listen(log.pool()).await {
                tracing::warn!(%error, "not listening for notifications; polling until it works again");
            }
            tokio::time::sleep(pause).await;
        }
    }))
}

/// A batch that is read and opened while the one before it is delivered.
struct Ahead {
    after: Cursor,
    batch: JoinHandle<Result<Page<RecordedEvent>, LedgerError>>,
}

async fn read_after(
    log: &EventLog,
    view: EventView,
    cursor: Cursor,
    limit: i64,
) -> Result<Page<RecordedEvent>, LedgerError> {
    match view {
        EventView::Full => log.read_after(cursor, limit).await,
        EventView::Sealed => log.read_sealed_after(cursor, limit).await,
        EventView::Bare => log.read_bare_after(cursor, limit).await,
    }
}

struct Follower<S> {
    log: EventLog,
    subscriber: S,
    policy: BatchPolicy,
}

impl<S: Subscriber> Follower<S> {
    async fn run(&self) {
        loop {
            if let Err(error) = self.hold().await {
                let name = self.subscriber.name();
                tracing::warn!(subscription = name, %error, "subscription interrupted");
            }
            tokio::time::sleep(self.policy.poll).await;
        }
    }

    /// Follows the log while this process leads. Returns at once if another one does.
    async fn hold(&self) -> Result<(), LedgerError> {
        let name = format!("muniment subscription {}", self.subscriber.name());
        lead(self.log.pool(), &name, |connection| self.follow(connection)).await?;
        Ok(())
    }

    async fn follow(&self, mut connection: PgConnection) -> Result<(), LedgerError> {
        self.enroll(&mut connection).await?;
        self.hand_over(&mut connection).await?;
        let mut appended = self.log.notifier().watch();
        let mut failures = 0;
        let mut ahead = None;
        let mut complained = Instant::now();
        loop {
            appended.mark_unchanged();
            let begun = Instant::now();
            let cursor = self.cursor(&mut connection).await?;
            let batch = self.batch_after(cursor, ahead.take()).await?;
            if batch.is_empty() {
                if complained.elapsed() >= COMPLAIN {
                    complained = Instant::now();
                    self.name_slow_appenders().await?;
                }
                // Either a notification or the time to look anyway.
                let _ = tokio::time::timeout(self.policy.poll, appended.changed()).await;
                tokio::time::sleep(self.policy.linger).await;
                continue;
            }
            if self.is_full(&batch) && failures == 0 {
                ahead = batch.end.map(|end| self.read_ahead(end));
            }
            match self.deliver(&mut connection, cursor, &batch).await {
                Ok(()) => {
                    failures = 0;
                    if !self.is_full(&batch) {
                        let rest = self.policy.interval.saturating_sub(begun.elapsed());
                        tokio::time::sleep(rest).await;
                    }
                }
                Err(error) if error.is_sink_away() || failures + 1 < self.policy.attempts => {
                    failures = failures.saturating_add(1);
                    self.report(&error, failures);
                    tokio::time::sleep(self.pause(failures)).await;
                }
                Err(_) => {
                    self.deliver_one_by_one(&mut connection, cursor, batch)
                        .await?;
                    failures = 0;
                }
            }
        }
    }

    /// Says whom all subscriptions wait for, if that takes long.
    async fn name_slow_appenders(&self) -> Result<(), LedgerError> {
        for slow in slow_appenders(self.log.pool(), COMPLAIN.as_secs_f64()).await? {
            tracing::warn!(
                subscription = self.subscriber.name(),
                pid = slow.pid,
                client = slow.client,
                seconds = slow.seconds,
                "an append has been running for long; nothing behind it is read before it ends"
            );
        }
        Ok(())
    }

    /// What was read ahead, if that is what comes after the cursor and there was anything.
    async fn batch_after(
        &self,
        cursor: Cursor,
        ahead: Option<Ahead>,
    ) -> Result<Page<RecordedEvent>, LedgerError> {
        if let Some(ahead) = ahead.filter(|ahead| ahead.after == cursor) {
            let read = ahead.batch.await;
            let batch = read.map_err(|error| LedgerError::Store(Box::new(error)))??;
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
        read_after(&self.log, self.subscriber.view(), cursor, self.policy.batch).await
    }

    fn read_ahead(&self, cursor: Cursor) -> Ahead {
        let (log, view, limit) = (self.log.clone(), self.subscriber.view(), self.policy.batch);
        let reading = async move { read_after(&log, view, cursor, limit).await };
        Ahead {
            after: cursor,
            batch: tokio::spawn(reading),
        }
    }

    fn is_full(&self, batch: &Page<RecordedEvent>) -> bool {
        i64::try_from(batch.len()).is_ok_and(|events| events >= self.policy.batch)
    }

    async fn enroll(&self, connection: &mut PgConnection) -> Result<(), LedgerError> {
        let name = self.subscriber.name();
        sqlx::query!(
            "INSERT INTO subscriptions (name) VALUES ($1) ON CONFLICT DO NOTHING",
            name
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn cursor(&self, connection: &mut PgConnection) -> Result<Cursor, LedgerError> {
        let cursor = sqlx::query_as!(
            Cursor,
            r#"SELECT epoch, transaction::text::bigint AS "transaction!", position
               FROM subscriptions WHERE name = $1"#,
            self.subscriber.name(),
        )
        .fetch_one(connection)
        .await?;
        Ok(cursor)
    }

    /// Hands the batch over and moves the cursor, in one transaction.
    async fn deliver(
        &self,
        connection: &mut PgConnection,
        from: Cursor,
        batch: &Page<RecordedEvent>,
    ) -> Result<(), LedgerError> {
        let Some(end) = batch.end else {
            return Ok(());
        };
        let mut transaction = connection.begin().await?;
        if !batch.events.is_empty() {
            self.subscriber
                .accept(&mut transaction, &batch.events)
                .await?;
        }
        self.pass_over(&mut transaction, &batch.unreadable).await?;
        self.move_cursor(&mut transaction, from, end).await?;
        transaction.commit().await?;
        let delivered = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        metrics::counter!("muniment_subscription_events_total", "subscription" => self.subscriber.name())
            .increment(delivered);
        Ok(())
    }

    async fn pass_over(
        &self,
        connection: &mut PgConnection,
        events: &[Unreadable],
    ) -> Result<(), LedgerError> {
        if events.is_empty() {
            return Ok(());
        }
        let passed_over = self.subscriber.pass_over(connection, events).await?;
        set_aside(connection, self.subscriber.name(), events, passed_over).await
    }

    async fn move_cursor(
        &self,
        connection: &mut PgConnection,
        from: Cursor,
        to: Cursor,
    ) -> Result<(), LedgerError> {
        let moved = sqlx::query!(
            "UPDATE subscriptions
             SET epoch = $6, transaction = $2::bigint::text::xid8, position = $3,
                 updated_at = now()
             WHERE name = $1 AND epoch = $7 AND transaction = $4::bigint::text::xid8
               AND position = $5",
            self.subscriber.name(),
            to.transaction,
            to.position,
            from.transaction,
            from.position,
            to.epoch,
            from.epoch,
        )
        .execute(connection)
        .await?;
        if moved.rows_affected() == 1 {
            Ok(())
        } else {
            Err(LedgerError::Conflict)
        }
    }

    fn report(&self, error: &LedgerError, failures: u32) {
        let name = self.subscriber.name();
        tracing::warn!(subscription = name, failures, %error, "a subscriber failed; trying again");
    }

    fn pause(&self, failures: u32) -> Duration {
        let growth = 2u32.saturating_pow(failures.saturating_sub(1));
        self.policy
            .first_pause
            .saturating_mul(growth)
            .min(self.policy.longest_pause)
    }
}
