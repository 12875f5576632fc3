//! Email addresses of users: proving them, and changing them.

use muniment_domain::user::{User, UserCommand};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{EmailAddress, UserId};
use muniment_event_store::{EventContext, LedgerError, Reservation};
use muniment_projections::read_models::users::ContactChannelRow;

use crate::app::App;
use crate::app::auth::presented_code::present;
use crate::app::auth::redirects;
use crate::app::emails;
use crate::app::emails::CodeEmail;
use crate::app::request_context::RequestContext;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// Mails a link that proves a channel's address.
///
/// # Errors
/// `EMAIL_ALREADY_VERIFIED`, `REDIRECT_URL_NOT_WHITELISTED`.
pub async fn send_verification_code(
    request: RequestContext<'_>,
    channel: &ContactChannelRow,
    callback: &str,
) -> Result<(), ApiError> {
    if channel.is_verified {
        return Err(KnownError::email_already_verified().into());
    }
    redirects::require_trusted(callback, &request.project.config.domains)?;
    let user = UserId(channel.user_id);
    let message = CodeEmail::email_verification(request.app, user, &channel.value, callback);
    emails::enqueue(request.app, request.context, &message).await?;
    Ok(())
}

/// Notes that an address reaches its owner, who brought the code back.
///
/// # Errors
/// What is wrong with the code: `VERIFICATION_CODE_NOT_FOUND` also when the user does not have the
/// address any more.
pub async fn verify(app: &App, context: &EventContext, code: &str) -> Result<(), ApiError> {
    let purpose = Purpose::ContactChannelVerification;
    let code = &present(app, context, purpose, code).await?;
    let (Some(user), Some(address)) = (code.row().subject, code.row().email.as_deref()) else {
        return Err(KnownError::verification_code_not_found().into());
    };
    let verified = app
        .log
        .transact(context, |mut unit| async move {
            code.redeem(&mut unit).await?;
            let verify = UserCommand::VerifyAddress(EmailAddress::from_stored(address.to_owned()));
            unit.execute::<User>(&UserId(user), verify).await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await;
    code.settle(app, context, verified).await
}

/// Why a channel was not changed.
#[derive(Debug)]
pub enum ChangeError {
    /// Somebody else signs in with the address. Holds what the caller may be told of it.
    TakenForAuth(Option<String>),
    /// Anything else.
    Ledger(LedgerError),
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::TakenForAuth(value) => {
                KnownError::contact_channel_already_used_for_auth(value.as_deref()).into()
            }
            ChangeError::Ledger(error) => error.into(),
        }
    }
}

/// Carries out a command on a user's channels. `shown` is the address to be named if somebody
/// else signs in with it.
///
/// # Errors
/// See [`ChangeError`].
pub async fn change(
    app: &App,
    context: &EventContext,
    user: UserId,
    command: UserCommand,
    shown: Option<&str>,
) -> Result<(), ChangeError> {
    let done = app.execute::<User>(context, &user, &command).await;
    done.map_err(|error| match error {
        LedgerError::Taken(Reservation::EmailForAuth) => {
            ChangeError::TakenForAuth(shown.map(str::to_owned))
        }
        error => ChangeError::Ledger(error),
    })
}
