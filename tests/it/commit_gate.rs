//! A pause between deciding and committing: nothing commits while the gate is closed.
//!
//! Every transaction of a unit of work begins with a shared lock (`event_store/src/commit/hold.rs`). The
//! gate holds it exclusively: so requests are carried out up to their commit and wait there, decided on
//! one and the same state. Two servers over one database do not know of each other's units, so both of
//! two requests get as far as that, whatever they change.

use muniment::server::Follow;
use sqlx::{Connection, PgConnection};

use crate::support::{Answer, Call, TestServer, database, eventually};

/// The lock that all commits share.
const ALL_STREAMS: i64 = 0x6d75_6e69_6d65_6e74;

/// As long as it is closed, nothing commits.
pub(crate) struct CommitGate(PgConnection);

impl CommitGate {
    pub(crate) async fn close(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(ALL_STREAMS)
            .execute(&mut connection)
            .await
            .unwrap();
        Self(connection)
    }

    pub(crate) async fn open(self) {
        self.0.close().await.unwrap();
    }
}

/// Two servers over one database, with one project in common.
pub(crate) struct TwoNodes {
    pub(crate) url: String,
    pub(crate) one: TestServer,
    pub(crate) other: TestServer,
}

impl TwoNodes {
    pub(crate) async fn start() -> Self {
        let url = database().await;
        let one = TestServer::start_on(&url, Follow::Nothing).await;
        let mut other = TestServer::start_on(&url, Follow::Nothing).await;
        other.project = one.project.clone();
        Self { url, one, other }
    }

    /// Has two requests, one to each server, decided before either commits. The answers in order.
    pub(crate) async fn at_once(&self, first: Call, second: Call) -> [Answer; 2] {
        let gate = CommitGate::close(&self.url).await;
        let first = tokio::spawn(first.send());
        self.wait_for(1).await;
        let second = tokio::spawn(second.send());
        self.wait_for(2).await;
        gate.open().await;
        [first.await.unwrap(), second.await.unwrap()]
    }

    /// Waits until so many transactions stand before the gate.
    async fn wait_for(&self, count: i64) {
        eventually("the requests are decided", || async {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                   AND (classid::bigint << 32) + objid::bigint = $1
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .bind(ALL_STREAMS)
            .fetch_one(self.one.pool())
            .await
            .unwrap();
            waiting == count
        })
        .await;
    }
}
