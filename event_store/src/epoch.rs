//! Epochs: the stays of a log in clusters of Postgres.
//!
//! Within a cluster, the order of the log is that of transaction ids, which tell readers whether an
//! append is still running that would come before what they have read. But ids belong to the cluster.
//! A log that was moved by `pg_dump` or by logical replication finds itself among ids that were
//! counted from elsewhere: new events would sort before old ones, and no reader would see them.
//!
//! So every event and every cursor carries an epoch, by which it is ordered first. Each connection of
//! the server, and thereby each command, looks whether the log is in the cluster in which the present
//! epoch began. If not, it begins the next one: what is in the log sorts before everything to come,
//! and is settled, because the transactions that wrote it are over.
//!
//! Two signs tell of a strange cluster: another system identifier, and a next transaction id that the
//! log has passed already. The second one is enough to keep the order, so a role that may not ask for
//! the identifier is no danger. Timelines are no sign: through a promotion or a recovery to a point in
//! time, ids go on counting from where the recovered log ends.

use sqlx::{Connection, PgConnection};

use crate::error::LedgerError;

/// What a look at the cluster has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// The database has no epochs yet: its schema is of an earlier version.
    NotMigrated,
    /// The log is where it was.
    AtHome,
    /// The log was moved here, and begins this epoch.
    CarriedOver {
        /// The new epoch.
        epoch: i32,
        /// How it was noticed.
        reason: String,
    },
}

/// Makes sure that what is appended from now on sorts after everything that is in the log, and that
/// readers see it. Cheap where nothing has changed, and safe on any number of nodes at once.
///
/// # Errors
/// [`LedgerError::StrangeCluster`] when the log was moved and the next epoch cannot begin, because the
/// database is read-only or the role may not write.
pub async fn recognise_cluster(connection: &mut PgConnection) -> Result<Recognition, LedgerError> {
    let is_migrated = sqlx::query_scalar!(
        r#"SELECT to_regclass('public.log_epochs') IS NOT NULL AS "is_migrated!""#
    );
    if !is_migrated.fetch_one(&mut *connection).await? {
        return Ok(Recognition::NotMigrated);
    }
    let identifier = system_identifier(connection).await?;
    let standing = Standing::read(connection).await?;
    if let Some(reason) = standing.strangeness(identifier) {
        let carried = carry_over(connection, identifier).await;
        return carried.map_err(|error| LedgerError::StrangeCluster {
            reason,
            error: Box::new(error),
        });
    }
    if let Some(identifier) = identifier {
        note_identifier(connection, &standing, identifier).await;
    }
    Ok(Recognition::AtHome)
}

/// Notes the cluster of an epoch that began when nobody could ask. Whoever may only read leaves that to
/// others.
async fn note_identifier(connection: &mut PgConnection, standing: &Standing, identifier: i64) {
    if standing.system_identifier.is_some() || standing.is_read_only {
        return;
    }
    let noted = sqlx::query!(
        "UPDATE log_epochs SET system_identifier = $2
         WHERE epoch = $1 AND system_identifier IS NULL",
        standing.epoch,
        identifier,
    );
    if let Err(error) = noted.execute(connection).await {
        tracing::debug!(%error, "the cluster's identifier was not noted");
    }
}

/// The cluster's identifier; none if the role may not ask for it.
async fn system_identifier(connection: &mut PgConnection) -> Result<Option<i64>, LedgerError> {
    let may_ask = sqlx::query_scalar!(
        r#"SELECT coalesce(has_function_privilege(to_regprocedure('pg_control_system()'), 'EXECUTE'),
                           false) AS "may_ask!""#
    );
    if !may_ask.fetch_one(&mut *connection).await? {
        tracing::debug!(
            "this role may not call pg_control_system(); whether the database was moved is told by \
             transaction ids alone"
        );
        return Ok(None);
    }
    let identifier = sqlx::query_scalar!("SELECT system_identifier FROM pg_control_system()");
    Ok(identifier.fetch_one(connection).await?)
}

/// Where the log and the cluster stand.
struct Standing {
    epoch: i32,
    system_identifier: Option<i64>,
    /// The lowest transaction id that nobody can have completed yet.
    next: i64,
    /// The highest one that the present epoch has seen.
    highest: i64,
    is_read_only: bool,
}

impl Standing {
    async fn read(connection: &mut PgConnection) -> Result<Self, LedgerError> {
        let standing = sqlx::query_as!(
            Self,
            r#"SELECT l.epoch, l.system_identifier,
                      pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS "next!",
                      greatest(
                          l.first_transaction,
                          (SELECT e.transaction FROM events e WHERE e.epoch = l.epoch
                           ORDER BY e.transaction DESC LIMIT 1),
                          (SELECT s.transaction FROM subscriptions s WHERE s.epoch = l.epoch
                           ORDER BY s.transaction DESC LIMIT 1)
                      )::text::bigint AS "highest!",
                      current_setting('transaction_read_only')::boolean AS "is_read_only!"
               FROM log_epochs l ORDER BY l.epoch DESC LIMIT 1"#
        )
        .fetch_one(connection)
        .await?;
        Ok(standing)
    }

    /// Why this is not the cluster of the present epoch, if it is not. One snapshot sees an event and
    /// an end of all ids behind the event's, unless the event came from elsewhere.
    fn strangeness(&self, identifier: Option<i64>) -> Option<String> {
        let Self { next, highest, .. } = self;
        if next <= highest {
            return Some(format!(
                "the log has seen transaction {highest}, and this cluster is at {next} only"
            ));
        }
        let (here, there) = identifier.zip(self.system_identifier)?;
        (here != there).then(|| format!("the log was in cluster {there}, and this is {here}"))
    }
}

/// Begins the next epoch, unless somebody else just has.
async fn carry_over(
    connection: &mut PgConnection,
    identifier: Option<i64>,
) -> Result<Recognition, LedgerError> {
    let mut transaction = connection.begin().await?;
    // Waits for running appends, and holds new ones: none of the old epoch commits after this one.
    sqlx::query!("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    let standing = Standing::read(&mut transaction).await?;
    let Some(reason) = standing.strangeness(identifier) else {
        return Ok(Recognition::AtHome);
    };
    let epoch = standing.epoch + 1;
    sqlx::query!(
        "INSERT INTO log_epochs (epoch, system_identifier, first_transaction, reason)
         VALUES ($1, $2, pg_current_xact_id(), $3)",
        epoch,
        identifier,
        reason,
    )
    .execute(&mut *transaction)
    .await?;
    // A dump brings the sequence along, logical replication does not. Positions must not repeat.
    sqlx::query!(
        r#"SELECT setval('events_position_seq', greatest(nextval('events_position_seq'),
                                                         (SELECT max(position) FROM events)))
                      AS "position!""#
    )
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    tracing::warn!(
        epoch,
        reason,
        "the database was moved to another cluster of Postgres; the log goes on in a new epoch"
    );
    Ok(Recognition::CarriedOver { epoch, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: i64, highest: i64, system_identifier: Option<i64>) -> Standing {
        Standing {
            epoch: 1,
            system_identifier,
            next,
            highest,
            is_read_only: false,
        }
    }

    #[test]
    fn a_cluster_is_strange_by_its_identifier_or_by_its_ids() {
        assert_eq!(at(10, 9, Some(1)).strangeness(Some(1)), None);
        assert!(at(10, 10, Some(1)).strangeness(Some(1)).is_some());
        assert!(at(10, 9, Some(1)).strangeness(Some(2)).is_some());
    }

    #[test]
    fn without_an_identifier_the_ids_decide() {
        assert_eq!(at(10, 9, None).strangeness(Some(1)), None);
        assert_eq!(at(10, 9, Some(1)).strangeness(None), None);
        assert!(at(9, 9, None).strangeness(None).is_some());
    }
}
