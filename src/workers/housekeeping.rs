//! Housekeeping that no request asks for: discarding codes that expired a while ago.

use std::time::Duration;

use muniment_domain::verification_code::{VerificationCode, VerificationCodeCommand};
use muniment_event_store::{EventContext, EventLog, LedgerError};
use muniment_projections::read_models::verification_codes;

use crate::clock::Clock;

/// How often expired codes are looked for.
const INTERVAL: Duration = Duration::from_secs(600);
/// How long an expired code is kept, so that its owner is told that it expired: a day.
const KEPT_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Codes that are looked for at once.
const BATCH: i64 = 200;

/// Discards what nobody needs any more. Several nodes may run it at once: what one has done, the
/// others find done.
#[derive(Clone)]
pub struct Housekeeper {
    /// The event log and its database.
    pub log: EventLog,
    /// The time.
    pub clock: Clock,
}

impl Housekeeper {
    /// Keeps house every ten minutes. Never returns.
    pub async fn run(self) {
        let mut interval = tokio::time::interval(INTERVAL);
        loop {
            interval.tick().await;
            match self.discard_expired_codes().await {
                Ok(0) => {}
                Ok(count) => tracing::debug!(count, "expired codes were discarded"),
                Err(error) => tracing::warn!(%error, "expired codes could not be discarded"),
            }
        }
    }

    /// Discards the codes that expired more than a day ago. Returns how many those were.
    pub async fn discard_expired_codes(&self) -> Result<usize, LedgerError> {
        let mut count = 0;
        loop {
            let before = self.clock.now().plus(-KEPT_MILLIS);
            let expired = verification_codes::expired(self.log.pool(), before, BATCH).await?;
            if expired.is_empty() {
                return Ok(count);
            }
            for (project, id) in expired {
                let context = &EventContext::system(project, "housekeeping", self.clock.now());
                let discarding = self.log.transact(context, |mut unit| async move {
                    let discard = VerificationCodeCommand::Discard;
                    unit.execute::<VerificationCode>(&id, discard).await?;
                    Ok::<_, LedgerError>((unit, ()))
                });
                discarding.await?;
                count += 1;
            }
        }
    }
}
