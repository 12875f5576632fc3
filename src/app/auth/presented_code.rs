//! Codes that come back.
//!
//! A code is asked for its grounds and used up in the transaction of what it is used for, so that
//! neither happens without the other: see [`PresentedCode::redeem`]. Every look and every use counts
//! as an attempt, and so does every guess that came near.

use axum::http::StatusCode;
use muniment_domain::verification_code::{Purpose, VerificationCode, VerificationCodeCommand};
use muniment_domain::{SecretHash, VerificationCodeId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::verification_codes::{self, VerificationCodeRow};

use super::code_grounds;
use super::codes::tail_hash;
use crate::app::App;
use crate::error::ApiError;
use crate::error::known_error::{Code, KnownError, VerificationCodeNotFound};

/// What a look at a code leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// The look counts as an attempt.
    Check,
    /// It is used up.
    Redeem,
    /// Nothing: it is about to be used, or the attempt counted, by the caller.
    Present,
}

/// A code that came back and works, as far as is known before the transaction that uses it.
#[derive(Clone, Debug)]
pub struct PresentedCode {
    purpose: Purpose,
    row: VerificationCodeRow,
}

/// Looks up a code that is about to be used, by [`PresentedCode::redeem`] and then
/// [`PresentedCode::settle`].
///
/// # Errors
/// As for [`take`].
pub async fn present(
    app: &App,
    context: &EventContext,
    purpose: Purpose,
    code: &str,
) -> Result<PresentedCode, ApiError> {
    let row = take(app, context, purpose, code, Handling::Present).await?;
    Ok(PresentedCode { purpose, row })
}

/// Looks a code up, counts the attempt and, if wanted, uses the code up. What the caller does
/// with a code that was redeemed like this comes afterwards: if that fails, the code is gone all the
/// same, as is right for a challenge.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND`, also for a code whose grounds are gone;
/// `VERIFICATION_CODE_EXPIRED`, `VERIFICATION_CODE_ALREADY_USED`,
/// `VERIFICATION_CODE_MAX_ATTEMPTS_REACHED`; `TEAM_NOT_FOUND` for an invitation into a team that is
/// gone.
pub async fn take(
    app: &App,
    context: &EventContext,
    purpose: Purpose,
    code: &str,
    handling: Handling,
) -> Result<VerificationCodeRow, ApiError> {
    let rows =
        verification_codes::by_tail(app.pool(), &context.project_id, tail_hash(code)).await?;
    let hash = SecretHash::of(code);
    let (mut meant, others): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.is(purpose, hash));
    let Some(row) = meant.pop() else {
        count_attempts(app, context, &others).await?;
        return Err(KnownError::verification_code_not_found().into());
    };
    let code = PresentedCode { purpose, row };
    code.handle(app, context, handling).await?;
    Ok(code.row)
}

/// Counts a guess against every code that it came near.
async fn count_attempts(
    app: &App,
    context: &EventContext,
    near: &[VerificationCodeRow],
) -> Result<(), LedgerError> {
    if near.is_empty() {
        return Ok(());
    }
    app.log
        .transact(context, |mut unit| async move {
            for row in near {
                count_attempt(&mut unit, row.code_id()).await?;
            }
            Ok::<_, LedgerError>((unit, ()))
        })
        .await
}

async fn count_attempt(unit: &mut UnitOfWork, id: VerificationCodeId) -> Result<(), LedgerError> {
    unit.execute::<VerificationCode>(&id, VerificationCodeCommand::CountAttempt)
        .await
}

impl PresentedCode {
    /// What the code was issued with.
    #[must_use]
    pub fn row(&self) -> &VerificationCodeRow {
        &self.row
    }

    async fn handle(
        &self,
        app: &App,
        context: &EventContext,
        handling: Handling,
    ) -> Result<(), ApiError> {
        app.log
            .transact(context, |mut unit| async move {
                let verdict = self.require(&mut unit).await?;
                match (&verdict, handling) {
                    (Ok(()), Handling::Present) => {}
                    (Ok(()), Handling::Redeem) => self.use_up(&mut unit).await?,
                    (Ok(()), Handling::Check) | (Err(_), _) => {
                        count_attempt(&mut unit, self.row.code_id()).await?;
                    }
                }
                Ok::<_, LedgerError>((unit, verdict))
            })
            .await?
    }

    /// Whether the code works, and all that it rests on is so. The outer error is ours.
    async fn require(&self, unit: &mut UnitOfWork) -> Result<Result<(), ApiError>, LedgerError> {
        let now = unit.context().now;
        let state = unit
            .state::<VerificationCode>(&self.row.code_id())
            .await?
            .check(now);
        if let Err(refusal) = state {
            return Ok(Err(LedgerError::from(refusal).into()));
        }
        code_grounds::require(unit, self.purpose, &self.row).await
    }

    /// Uses the code up, and voids its siblings with it.
    async fn use_up(&self, unit: &mut UnitOfWork) -> Result<(), LedgerError> {
        let redeem = VerificationCodeCommand::Redeem(unit.context().now);
        unit.execute::<VerificationCode>(&self.row.code_id(), redeem)
            .await?;
        code_grounds::void_siblings(unit, self.purpose, &self.row).await
    }

    /// Uses the code up in the unit of work of what it is used for, if it and its grounds still hold
    /// there.
    ///
    /// # Errors
    /// As for [`take`].
    pub async fn redeem(&self, unit: &mut UnitOfWork) -> Result<(), ApiError> {
        self.require(unit).await??;
        Ok(self.use_up(unit).await?)
    }

    /// Settles what became of the use of a code. A caller who was refused has used it up all the
    /// same, as the API promises; one who met a failure may try again, and an attempt is counted.
    ///
    /// # Errors
    /// The one that it is given.
    pub async fn settle<T>(
        &self,
        app: &App,
        context: &EventContext,
        done: Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let Err(error) = done else {
            return done;
        };
        let id = self.row.code_id();
        let burns = is_refusal(&error);
        app.log
            .transact(context, |mut unit| async move {
                let now = unit.context().now;
                let works = unit.state::<VerificationCode>(&id).await?.check(now);
                if burns && works.is_ok() {
                    let redeem = VerificationCodeCommand::Redeem(now);
                    unit.execute::<VerificationCode>(&id, redeem).await?;
                } else {
                    count_attempt(&mut unit, id).await?;
                }
                Ok::<_, LedgerError>((unit, ()))
            })
            .await?;
        Err(error)
    }
}

/// Whether the caller, and not the server or another caller, is why it did not happen.
fn is_refusal(error: &ApiError) -> bool {
    match error {
        // It is not this caller's to use, or void for the moment.
        ApiError::Known(known) => !known.is(VerificationCodeNotFound::DESCRIPTION),
        ApiError::Text(status, _) => *status != StatusCode::SERVICE_UNAVAILABLE,
        ApiError::TooMany(..) | ApiError::Unavailable(..) | ApiError::Internal(_) => false,
    }
}
