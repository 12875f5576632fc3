//! Events that a subscriber cannot take, however often it tries.

use sqlx::{Connection, PgConnection};

use super::{Follower, Subscriber};
use crate::LedgerError;
use crate::event::{Cursor, RecordedEvent};
use crate::unreadable::Page;

impl<S: Subscriber> Follower<S> {
    /// Delivers the events of a batch that failed as a whole, each by itself.
    pub(super) async fn deliver_one_by_one(
        &self,
        connection: &mut PgConnection,
        mut from: Cursor,
        batch: Page<RecordedEvent>,
    ) -> Result<(), LedgerError> {
        for event in batch.one_by_one() {
            self.deliver_stubbornly(connection, from, &event).await?;
            from = event.end.unwrap_or(from);
        }
        Ok(())
    }

    async fn deliver_stubbornly(
        &self,
        connection: &mut PgConnection,
        from: Cursor,
        event: &Page<RecordedEvent>,
    ) -> Result<(), LedgerError> {
        let (mut failures, mut refusals) = (0u32, 0);
        loop {
            match self.deliver(connection, from, event).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    failures = failures.saturating_add(1);
                    refusals += u32::from(!error.is_sink_away());
                    self.report(&error, failures);
                    if refusals >= self.policy.attempts {
                        let to = event.end.unwrap_or(from);
                        return self.bury(connection, from, to, &error).await;
                    }
                    tokio::time::sleep(self.pause(failures)).await;
                }
            }
        }
    }

    /// Puts the event into `dead_letters` and goes on behind it.
    async fn bury(
        &self,
        connection: &mut PgConnection,
        from: Cursor,
        event: Cursor,
        error: &LedgerError,
    ) -> Result<(), LedgerError> {
        let name = self.subscriber.name();
        let mut transaction = connection.begin().await?;
        sqlx::query!(
            "INSERT INTO dead_letters (subscription, position, error, attempts)
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            name,
            event.position,
            error.to_string(),
            i32::try_from(self.policy.attempts).unwrap_or(i32::MAX),
        )
        .execute(&mut *transaction)
        .await?;
        self.move_cursor(&mut transaction, from, event).await?;
        transaction.commit().await?;
        metrics::counter!("muniment_dead_letters_total", "subscription" => name).increment(1);
        let position = event.position;
        tracing::error!(subscription = name, position, %error, "event moved to dead_letters");
        Ok(())
    }
}
