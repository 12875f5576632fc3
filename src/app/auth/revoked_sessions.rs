//! Sessions that ended while access tokens of theirs are still to expire.
//!
//! An access token says by itself whose it is, and is believed without asking anybody: so it would
//! outlive its session. This is what is asked instead, in memory: the sessions that ended within the
//! life of an access token. The node that ends one knows it at once; the others learn it from the
//! log, in a fraction of a second; and one that starts reads what the log says of the last minutes.
//!
//! Deleted users need no place here: they are looked up with every request, and not found.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use muniment_domain::session::{Session, SessionEvent};
use muniment_domain::{Millis, ProjectId, SessionId};
use muniment_event_store::{CommitObserver, EventContext, EventLog, LedgerError, LedgerEvent};
use muniment_projections::read_models::seen_until::SeenUntil;
use muniment_projections::read_models::sessions::ended::{ended_lately, ended_since};

use crate::app::App;
use crate::clock::Clock;

/// How often other nodes' sessions are looked for when nothing is announced.
const LOOK_AROUND: Duration = Duration::from_millis(500);
/// How long announcements are gathered.
const GATHERING: Duration = Duration::from_millis(20);
/// How far this clock and the database's may differ, in seconds.
const SKEW_SECONDS: i64 = 60;
/// How many sessions are remembered per life of an access token: some 20 MB. With more than that,
/// those that are not remembered are looked up.
const MOST: usize = 500_000;

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not ended.
    Open,
    /// It ended, and was noticed then.
    Ended(Millis),
    /// Nothing is known: the log was not read yet, or too many sessions ended at once.
    Unknown,
}

/// Remembers sessions that ended. Cheap to clone.
#[derive(Clone)]
pub struct RevokedSessions {
    clock: Clock,
    lifetime_millis: i64,
    most: usize,
    memory: Arc<RwLock<Memory>>,
}

/// Two generations, each filled for the life of an access token: so an entry is kept for one life
/// at least, and forgetting takes no search.
#[derive(Default)]
struct Memory {
    young: Generation,
    old: Generation,
    /// When the young generation began.
    since: Millis,
    /// Whether the log was read.
    is_complete: bool,
}

#[derive(Default)]
struct Generation {
    ended: HashMap<SessionId, Millis>,
    /// Whether there was no room for some.
    has_overflown: bool,
}

impl RevokedSessions {
    /// Remembers what `log` appends from now on. What others append, and what was before, takes
    /// [`RevokedSessions::keep_up`].
    #[must_use]
    pub fn observing(log: &EventLog, clock: Clock, access_token_seconds: i64) -> Self {
        let sessions = Self::new(clock, access_token_seconds, MOST);
        let noting = sessions.clone();
        log.observe(CommitObserver {
            wants: |event| {
                matches!(
                    event,
                    LedgerEvent::Session(SessionEvent::SessionEnded { .. })
                )
            },
            committed: Box::new(move |id, _| {
                if let Ok(id) = id.parse() {
                    noting.note(&[SessionId(id)]);
                }
            }),
        });
        sessions
    }

    fn new(clock: Clock, access_token_seconds: i64, most: usize) -> Self {
        let memory = Memory {
            since: clock.now(),
            ..Memory::default()
        };
        Self {
            clock,
            lifetime_millis: access_token_seconds.saturating_mul(1000),
            most,
            memory: Arc::new(RwLock::new(memory)),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a session.
    #[must_use]
    pub fn standing(&self, id: SessionId) -> Standing {
        let memory = self.read();
        let generations = [&memory.young, &memory.old];
        let ended = generations.iter().find_map(|it| it.ended.get(&id));
        match ended {
            Some(at) => Standing::Ended(*at),
            None if !memory.is_complete => Standing::Unknown,
            None if generations.iter().any(|it| it.has_overflown) => Standing::Unknown,
            None => Standing::Open,
        }
    }

    fn note(&self, ids: &[SessionId]) {
        let now = self.clock.now();
        let mut memory = self.write();
        memory.grow_old(now, self.lifetime_millis);
        let Memory { young, old, .. } = &mut *memory;
        for id in ids {
            if old.ended.contains_key(id) || young.ended.contains_key(id) {
                continue;
            }
            if young.ended.len() < self.most {
                young.ended.insert(*id, now);
            } else {
                young.has_overflown = true;
            }
        }
    }

    /// Follows the log. Never returns.
    pub async fn keep_up(self, log: EventLog) {
        let mut appends = log.appends();
        let mut seen = None;
        loop {
            match self.catch_up(&log, seen).await {
                Ok(now) => seen = Some(now),
                Err(error) => tracing::warn!(%error, "ended sessions cannot be followed"),
            }
            let announced = tokio::time::timeout(LOOK_AROUND, appends.changed()).await;
            if let Ok(Err(_)) = announced {
                return;
            }
            tokio::time::sleep(GATHERING).await;
        }
    }

    async fn catch_up(
        &self,
        log: &EventLog,
        seen: Option<SeenUntil>,
    ) -> Result<SeenUntil, LedgerError> {
        let (ended, now) = match seen {
            Some(seen) => ended_since(log.pool(), seen).await?,
            None => ended_lately(log.pool(), self.seconds_back()).await?,
        };
        self.note(&ended);
        if seen.is_none() {
            self.write().is_complete = true;
        }
        Ok(now)
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "the life of an access token is some minutes"
    )]
    fn seconds_back(&self) -> f64 {
        (self.lifetime_millis / 1000 + SKEW_SECONDS) as f64
    }
}

impl Memory {
    fn grow_old(&mut self, now: Millis, lifetime: i64) {
        if now < self.since.plus(lifetime) {
            return;
        }
        let is_long_ago = now >= self.since.plus(lifetime.saturating_mul(2));
        let young = std::mem::take(&mut self.young);
        self.old = if is_long_ago {
            Generation::default()
        } else {
            young
        };
        self.since = now;
    }
}

/// When a session of that project ended, if it did: out of memory, or of its stream where memory
/// does not tell.
///
/// # Errors
/// When the database fails.
pub async fn ended_at(
    app: &App,
    project: &ProjectId,
    id: SessionId,
) -> Result<Option<Millis>, LedgerError> {
    match app.revoked_sessions.standing(id) {
        Standing::Open => Ok(None),
        Standing::Ended(at) => Ok(Some(at)),
        Standing::Unknown => {
            let context = EventContext::system(project.clone(), "access token", app.now());
            let state = app.state::<Session>(&context, &id).await?;
            Ok((state == Session::Ended).then(|| app.now()))
        }
    }
}

#[cfg(test)]
mod tests {
    use muniment_domain::{Millis, SessionId};
    use uuid::Uuid;

    use super::{RevokedSessions, Standing};
    use crate::clock::Clock;

    const START: Millis = Millis(1_000_000);

    fn id(n: u128) -> SessionId {
        SessionId(Uuid::from_u128(n))
    }

    fn remembering(most: usize) -> (RevokedSessions, Clock) {
        let clock = Clock::fixed(START);
        let sessions = RevokedSessions::new(clock.clone(), 600, most);
        sessions.write().is_complete = true;
        (sessions, clock)
    }

    #[test]
    fn a_session_is_remembered_for_the_life_of_an_access_token_and_then_forgotten() {
        let (sessions, clock) = remembering(10);
        sessions.note(&[id(1)]);
        clock.advance(599_999);
        sessions.note(&[id(2)]);
        assert_eq!(sessions.standing(id(1)), Standing::Ended(START));
        clock.advance(600_000);
        sessions.note(&[]);
        assert_eq!(
            sessions.standing(id(2)),
            Standing::Ended(START.plus(599_999))
        );
        clock.advance(600_000);
        sessions.note(&[]);
        assert_eq!(sessions.standing(id(2)), Standing::Open);
        assert!(sessions.read().young.ended.is_empty() && sessions.read().old.ended.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_says_so() {
        let (sessions, clock) = remembering(2);
        sessions.note(&[id(1), id(2), id(1)]);
        assert_eq!(sessions.standing(id(3)), Standing::Open);
        sessions.note(&[id(3)]);
        assert_eq!(sessions.read().young.ended.len(), 2);
        assert_eq!(sessions.standing(id(1)), Standing::Ended(START));
        for other in [id(3), id(4)] {
            assert_eq!(sessions.standing(other), Standing::Unknown);
        }
        clock.advance(1_200_000);
        sessions.note(&[]);
        assert_eq!(sessions.standing(id(4)), Standing::Open);
    }

    #[test]
    fn nothing_is_known_before_the_log_was_read() {
        let sessions = RevokedSessions::new(Clock::fixed(START), 600, 10);
        assert_eq!(sessions.standing(id(1)), Standing::Unknown);
    }
}
