//! A second set of read tables, in a schema of its own, folded afresh from the log.

use std::time::Instant;

use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc;

use crate::read_models::batch::Volume;
use crate::read_models::ddl::run;
use crate::read_models::projector::project;
use crate::read_models::registry::TABLES;
use muniment_event_store::event::{Cursor, EventEnvelope, StoredEvent};
use muniment_event_store::leader_lock::try_lead;
use muniment_event_store::{EventLog, LedgerError, Page, Unreadable};

/// Events per page: many enough to write in bulk, few enough for memory.
const PAGE: i64 = 8_000;
/// Pages that are read and opened ahead of the writer.
const PAGES_AHEAD: usize = 2;

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Events folded.
    pub done: u64,
    /// Events there were at the start.
    pub total: u64,
    /// Events per second so far.
    pub rate: f64,
}

/// The schema's name. One per purpose, so that a replay and a verification may run side by side.
#[derive(Clone, Copy)]
pub(crate) struct Schema(pub(crate) &'static str);

pub(crate) struct Shadow {
    pub(crate) schema: Schema,
    pub(crate) connection: PgConnection,
    pub(crate) cursor: Cursor,
    /// What could not be folded, because it could not be read.
    pub(crate) unreadable: Vec<Unreadable>,
    folded: u64,
}

impl Shadow {
    /// Makes the schema and its tables, with primary keys and nothing else.
    ///
    /// # Errors
    /// `Refused` when another process works in that schema.
    pub(crate) async fn create(log: &EventLog, schema: Schema) -> Result<Self, LedgerError> {
        let name = format!("muniment schema {}", schema.0);
        let Some(mut connection) = try_lead(log.pool(), &name).await? else {
            let busy = "another replay or verification is running; wait until it has finished";
            return Err(LedgerError::Refused(busy.to_owned()));
        };
        drop_schema(&mut connection, schema).await?;
        run(&mut connection, &["CREATE SCHEMA ", schema.0]).await?;
        for table in TABLES {
            let parts = [
                "CREATE TABLE ",
                schema.0,
                ".",
                table,
                " (LIKE public.",
                table,
                ")",
            ];
            run(&mut connection, &parts).await?;
        }
        let keys = definitions(&mut connection, Kind::PrimaryKeys).await?;
        enter(&mut connection, schema).await?;
        // What a crash takes of a shadow is made again, so nothing waits for the disk.
        run(&mut connection, &["SET synchronous_commit = off"]).await?;
        for key in keys {
            run(&mut connection, &[&key.statement]).await?;
        }
        Ok(Self {
            schema,
            connection,
            cursor: Cursor::default(),
            unreadable: Vec::new(),
            folded: 0,
        })
    }

    /// Folds the log as far as it is settled. What cannot be read is passed over. Reading and opening run ahead of writing.
    pub(crate) async fn catch_up(
        &mut self,
        log: &EventLog,
        mut progress: impl FnMut(Progress),
    ) -> Result<(), LedgerError> {
        let total = count_events(log).await?;
        let begun = Instant::now();
        let (pages, mut ready) = mpsc::channel(PAGES_AHEAD);
        let reader = tokio::spawn(read_pages(log.clone(), self.cursor, pages));
        while let Some(page) = ready.recv().await {
            self.fold(page?).await?;
            #[allow(clippy::cast_precision_loss, reason = "a rate for human eyes")]
            let rate = self.folded as f64 / begun.elapsed().as_secs_f64();
            progress(Progress {
                done: self.folded,
                total,
                rate,
            });
        }
        reader
            .await
            .map_err(|error| LedgerError::Store(Box::new(error)))
    }

    async fn fold(&mut self, page: Page<EventEnvelope>) -> Result<(), LedgerError> {
        self.cursor = page.end.unwrap_or(self.cursor);
        self.folded += u64::try_from(page.len()).unwrap_or(u64::MAX);
        self.unreadable.extend(page.unreadable);
        let mut transaction = self.connection.begin().await?;
        project(&mut transaction, page.events, Volume::Page).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Drops the schema. The lock is given back by a statement: a closed connection would give it
    /// back too, but some time later, and the next verification would be refused until then.
    pub(crate) async fn remove(mut self) -> Result<(), LedgerError> {
        drop_schema(&mut self.connection, self.schema).await?;
        sqlx::query!(
            "SELECT pg_advisory_unlock(hashtextextended('muniment schema ' || $1, 0))",
            self.schema.0
        )
        .fetch_one(&mut self.connection)
        .await?;
        self.connection.close().await?;
        Ok(())
    }
}

async fn read_pages(
    log: EventLog,
    mut cursor: Cursor,
    pages: mpsc::Sender<Result<Page<EventEnvelope>, LedgerError>>,
) {
    loop {
        let page = log.envelopes_after(cursor, PAGE).await;
        let is_last = page.as_ref().is_ok_and(Page::is_empty) || page.is_err();
        if let Some(end) = page.as_ref().ok().and_then(|page| page.end) {
            cursor = end;
        }
        // A closed channel means that the writer has failed and says so itself.
        if pages.send(page).await.is_err() || is_last {
            return;
        }
    }
}

/// Folds everything that the transaction of `connection` sees and the shadow has not seen, and yields
/// what cannot be read. The caller makes sure that what it sees is complete: by a lock on the log, or
/// by a snapshot.
pub(crate) async fn fold_visible(
    connection: &mut PgConnection,
    log: &EventLog,
    mut cursor: Cursor,
) -> Result<Vec<Unreadable>, LedgerError> {
    let mut unreadable = Vec::new();
    loop {
        let stored = sqlx::query_as!(
            StoredEvent,
            r#"SELECT position, epoch, transaction::text::bigint AS "transaction!", project_id,
                      aggregate_type, aggregate_id, sequence, event_type, event_version,
                      payload, '{}'::jsonb AS "metadata!", 0::bigint AS "recorded_at!"
               FROM public.events AS events
               WHERE (epoch, transaction, position) > ($4, $1::bigint::text::xid8, $2)
               ORDER BY epoch, transaction, position
               LIMIT $3"#,
            cursor.transaction,
            cursor.position,
            PAGE,
            cursor.epoch,
        )
        .fetch_all(&mut *connection)
        .await?;
        if stored.is_empty() {
            return Ok(unreadable);
        }
        let page = log.envelopes(stored).await?;
        cursor = page.end.unwrap_or(cursor);
        unreadable.extend(page.unreadable);
        project(&mut *connection, page.events, Volume::Page).await?;
    }
}

async fn count_events(log: &EventLog) -> Result<u64, LedgerError> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM events"#)
        .fetch_one(log.pool())
        .await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

async fn drop_schema(connection: &mut PgConnection, schema: Schema) -> Result<(), LedgerError> {
    run(
        connection,
        &["DROP SCHEMA IF EXISTS ", schema.0, " CASCADE"],
    )
    .await
}

/// Makes unqualified names mean the tables of `schema`.
pub(crate) async fn enter(
    connection: &mut PgConnection,
    schema: Schema,
) -> Result<(), LedgerError> {
    run(connection, &["SET search_path = ", schema.0]).await
}

/// What to read from the catalogue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PrimaryKeys,
    UniqueConstraints,
    ForeignKeys,
}

impl Kind {
    fn contype(self) -> &'static str {
        match self {
            Self::PrimaryKeys => "p",
            Self::UniqueConstraints => "u",
            Self::ForeignKeys => "f",
        }
    }
}

/// A constraint of a table of the schema `public`.
pub(crate) struct Definition {
    pub(crate) table: String,
    pub(crate) name: String,
    /// The table that a foreign key points to.
    pub(crate) target: Option<String>,
    /// The statement that adds it, with names that are looked up on the search path.
    pub(crate) statement: String,
}

/// The constraints of the read tables. `connection` must have `public` on its search path, so
/// that Postgres leaves the schema's name out of the definitions.
pub(crate) async fn definitions(
    connection: &mut PgConnection,
    kind: Kind,
) -> Result<Vec<Definition>, LedgerError> {
    let rows = sqlx::query_as!(
        Definition,
        r#"SELECT c.conrelid::regclass::text AS "table!", c.conname::text AS "name!",
                  CASE WHEN c.confrelid <> 0 THEN c.confrelid::regclass::text END AS target,
                  'ALTER TABLE ' || c.conrelid::regclass || ' ADD CONSTRAINT '
                      || quote_ident(c.conname) || ' ' || pg_get_constraintdef(c.oid, true)
                      AS "statement!"
           FROM pg_constraint c
           WHERE c.connamespace = 'public'::regnamespace AND c.contype::text = $1
             AND c.conrelid::regclass::text = ANY($2)
           ORDER BY c.conrelid, c.conname"#,
        kind.contype(),
        &TABLES.map(str::to_owned),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// The statements that create the read tables' plain indexes, those of no constraint.
pub(crate) async fn index_definitions(
    connection: &mut PgConnection,
) -> Result<Vec<String>, LedgerError> {
    let rows = sqlx::query_scalar!(
        r#"SELECT pg_get_indexdef(i.indexrelid, 0, true) AS "statement!"
           FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
           WHERE t.relnamespace = 'public'::regnamespace AND t.relname::text = ANY($1)
             AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid
                             AND c.contype IN ('p', 'u'))
           ORDER BY i.indexrelid"#,
        &TABLES.map(str::to_owned),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}
