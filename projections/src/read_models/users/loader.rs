//! Reading users, several at a time.
//!
//! Nearly every request reads its user. Under load many do so at once: a lane takes all that are
//! waiting and asks Postgres once. A request that comes alone waits for nobody. What is read is
//! never older than the moment of asking, because the question to Postgres comes after it.

use std::collections::HashMap;
use std::sync::Arc;

use muniment_domain::{ProjectId, UserId};
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::read_models::users::{self, UserRecord};
use muniment_event_store::LedgerError;

/// Questions to Postgres that may be under way at once.
const LANES: usize = 2;
/// Users per question.
const USERS: usize = 64;

type Answer = Result<Option<UserRecord>, LedgerError>;

struct Wanted {
    project: ProjectId,
    id: UserId,
    answer: oneshot::Sender<Answer>,
}

/// Reads users. Cheap to clone; its tasks end with its last clone.
#[derive(Clone)]
pub struct UserLoader(mpsc::UnboundedSender<Wanted>);

impl UserLoader {
    /// Starts the lanes, so a runtime must be there.
    #[must_use]
    pub fn start(pool: &PgPool) -> Self {
        let (sender, wanted) = mpsc::unbounded_channel();
        let wanted = Arc::new(Mutex::new(wanted));
        for _ in 0..LANES {
            tokio::spawn(run(pool.clone(), Arc::clone(&wanted)));
        }
        Self(sender)
    }

    /// The user of that id, if the project has one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_id(&self, project: &ProjectId, id: UserId) -> Answer {
        let (answer, answered) = oneshot::channel();
        let gone = || LedgerError::Store("the loading task has ended".into());
        let wanted = Wanted {
            project: project.clone(),
            id,
            answer,
        };
        self.0.send(wanted).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn run(pool: PgPool, wanted: Arc<Mutex<mpsc::UnboundedReceiver<Wanted>>>) {
    let mut batch = Vec::new();
    // The lock is given up before the question, so that the other lane can begin.
    while wanted.lock().await.recv_many(&mut batch, USERS).await > 0 {
        answer(&pool, std::mem::take(&mut batch)).await;
    }
}

async fn answer(pool: &PgPool, batch: Vec<Wanted>) {
    let ids: Vec<_> = batch.iter().map(|wanted| wanted.id).collect();
    let Ok(found) = users::by_ids(pool, &ids).await else {
        // One question may fail for a reason of its own; the others need not suffer.
        for wanted in batch {
            let answer = users::by_id(pool, &wanted.project, wanted.id).await;
            let _ = wanted.answer.send(answer);
        }
        return;
    };
    let found: HashMap<_, _> = found
        .into_iter()
        .map(|record| (record.user.id, record))
        .collect();
    for wanted in batch {
        let record = found.get(&wanted.id.0);
        let record = record.filter(|record| record.user.project_id == wanted.project.as_str());
        // Whoever asked may have gone.
        let _ = wanted.answer.send(Ok(record.cloned()));
    }
}
