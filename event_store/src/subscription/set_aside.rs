//! Events that subscriptions passed over because they cannot be read, and handing them over once they
//! can: after an upgrade, or a repair.

use sqlx::{Connection, PgConnection, PgPool};

use super::{Follower, Subscriber};
use crate::LedgerError;
use crate::event::StoredEvent;
use crate::unreadable::Unreadable;

/// Events that are looked at again at once.
const PAGE: i64 = 500;

/// What a subscription did with an event that it could not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// It has to see the event, and is handed it when it can be read.
    SetAside,
    /// Type and ids were all it needed.
    Taken,
}

/// Notes events that a subscription passes over, and says so in the log.
pub async fn set_aside(
    connection: &mut PgConnection,
    subscription: &str,
    events: &[Unreadable],
    passed_over: PassedOver,
) -> Result<(), LedgerError> {
    for event in events {
        tracing::error!(
            subscription,
            position = event.cursor.position,
            project = %event.project_id,
            stream = %format_args!("{} {}", event.aggregate_type, event.aggregate_id),
            event_type = event.event_type,
            event_version = event.event_version,
            "an event cannot be read and is passed over: {}", event.why
        );
        sqlx::query!(
            "INSERT INTO set_aside (subscription, position, project_id, aggregate_type, aggregate_id,
                                    sequence, event_type, event_version, reason, is_taken)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
            subscription,
            event.cursor.position,
            event.project_id.as_str(),
            event.aggregate_type,
            event.aggregate_id,
            event.sequence,
            event.event_type,
            event.event_version,
            event.why.to_string(),
            passed_over == PassedOver::Taken,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// How many events some subscription has set aside or taken unread.
pub async fn count_set_aside(pool: &PgPool) -> Result<i64, LedgerError> {
    let count =
        sqlx::query_scalar!(r#"SELECT count(DISTINCT position) AS "count!" FROM set_aside"#)
            .fetch_one(pool)
            .await?;
    Ok(count)
}

impl<S: Subscriber> Follower<S> {
    /// Hands over what was set aside and can be read now. What the subscriber does not take stays.
    pub(super) async fn hand_over(&self, connection: &mut PgConnection) -> Result<(), LedgerError> {
        let mut after = 0;
        loop {
            let stored = self.stored_aside(connection, after).await?;
            let Some(last) = stored.iter().map(|event| event.position).max() else {
                return Ok(());
            };
            after = last;
            let page = self.log.open_for(self.subscriber.view(), stored).await?;
            for event in page.events {
                let position = event.cursor.position;
                let mut transaction = connection.begin().await?;
                let is_taken = sqlx::query_scalar!(
                    "DELETE FROM set_aside WHERE subscription = $1 AND position = $2
                     RETURNING is_taken",
                    self.subscriber.name(),
                    position,
                )
                .fetch_one(&mut *transaction)
                .await?;
                let handed_over = if is_taken {
                    Ok(())
                } else {
                    self.subscriber.accept(&mut transaction, &[event]).await
                };
                match handed_over {
                    Ok(()) => transaction.commit().await?,
                    Err(error) => {
                        self.report(&error, 1);
                        transaction.rollback().await?;
                    }
                }
            }
        }
    }

    async fn stored_aside(
        &self,
        connection: &mut PgConnection,
        after: i64,
    ) -> Result<Vec<StoredEvent>, LedgerError> {
        let stored = sqlx::query_as!(
            StoredEvent,
            r#"SELECT e.position, e.epoch, e.transaction::text::bigint AS "transaction!",
                      e.project_id, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type,
                      e.event_version, e.payload, e.metadata,
                      (extract(epoch FROM e.recorded_at) * 1000)::bigint AS "recorded_at!"
               FROM set_aside s JOIN events e USING (project_id, position)
               WHERE s.subscription = $1 AND s.position > $2 ORDER BY s.position LIMIT $3"#,
            self.subscriber.name(),
            after,
            PAGE,
        )
        .fetch_all(connection)
        .await?;
        Ok(stored)
    }
}
