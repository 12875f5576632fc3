//! What is done now and then, on behalf of nobody: forgetting codes that expired a while ago.

use std::time::Duration;

use muniment_domain::verification_code::{VerificationCode, VerificationCodeCommand};
use muniment_projections::read_models::verification_codes;
use muniment_projections::{EventContext, LedgerError};
use tokio::task::JoinHandle;

use crate::app::App;

/// How often it is done.
const INTERVAL: Duration = Duration::from_secs(600);
/// How long an expired code is kept, so that its owner is told that it expired: a day.
const KEPT_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Codes that are looked for at once.
const BATCH: i64 = 200;

/// The task that keeps house. Stops when it is dropped.
pub struct Housekeeping(JoinHandle<()>);

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts to keep house. Several nodes may: what one has done, the others find done.
#[must_use]
pub fn start(app: App) -> Housekeeping {
    Housekeeping(tokio::spawn(async move {
        let mut interval = tokio::time::interval(INTERVAL);
        loop {
            interval.tick().await;
            match discard_expired_codes(&app).await {
                Ok(0) => {}
                Ok(count) => tracing::debug!(count, "expired codes were discarded"),
                Err(error) => tracing::warn!(%error, "expired codes could not be discarded"),
            }
        }
    }))
}

/// Discards the codes that expired more than a day ago. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn discard_expired_codes(app: &App) -> Result<usize, LedgerError> {
    let mut count = 0;
    loop {
        let before = app.now().plus(-KEPT_MILLIS);
        let expired = verification_codes::expired(app.pool(), before, BATCH).await?;
        if expired.is_empty() {
            return Ok(count);
        }
        for (project, id) in expired {
            let context = &EventContext::system(project, "housekeeping", app.now());
            app.execute::<VerificationCode>(context, &id, &VerificationCodeCommand::Discard)
                .await?;
            count += 1;
        }
    }
}
