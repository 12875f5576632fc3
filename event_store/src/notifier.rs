//! Announcing appends, to this process and to others.
//!
//! `NOTIFY` inside the appending transaction would make all commits queue for one lock, so it is
//! sent afterwards, once for many appends. A lost notification loses nothing: subscribers poll.

use std::sync::Arc;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, watch};

/// The channel on which appends are announced.
const CHANNEL: &str = "muniment_events";

/// Wakes those who follow the log.
pub(crate) struct Notifier {
    pending: Arc<Notify>,
    appended: watch::Sender<u64>,
}

impl Notifier {
    pub(crate) fn start(pool: PgPool) -> Self {
        let pending = Arc::new(Notify::new());
        tokio::spawn(announce(pool, Arc::clone(&pending)));
        Self {
            pending,
            appended: watch::Sender::new(0),
        }
    }

    /// Something was appended by this process.
    pub(crate) fn appended(&self) {
        self.appended
            .send_modify(|count| *count = count.wrapping_add(1));
        self.pending.notify_one();
    }

    /// Changes with every append that this process knows of.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    /// Passes on the announcements of other processes, until the connection fails.
    pub(crate) async fn listen(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            listener.recv().await?;
            self.appended
                .send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

/// Ends when the log is dropped: then nothing can be appended any more.
async fn announce(pool: PgPool, pending: Arc<Notify>) {
    while Arc::strong_count(&pending) > 1 {
        let woken = tokio::time::timeout(std::time::Duration::from_secs(60), pending.notified());
        if woken.await.is_err() {
            continue;
        }
        let sent = sqlx::query!("SELECT pg_notify($1, '')", CHANNEL)
            .execute(&pool)
            .await;
        if let Err(error) = sent {
            tracing::debug!(%error, "an append could not be announced; subscribers will poll");
        }
    }
}
