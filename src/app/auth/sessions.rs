//! Sessions and the access tokens issued for them.

use futures_util::FutureExt as _;
use muniment_domain::session::{
    EndCause, Session, SessionCommand, SessionError, SessionOrigin, SessionStarted,
};
use muniment_domain::user::UserError;
use muniment_domain::{Millis, ProjectId, SecretHash, SessionId, UserId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::sessions;
use muniment_projections::read_models::users::{UserRecord, UserRow};
use muniment_projections::telemetry::event::IssuedToken;

use crate::app::App;
use crate::app::auth::geo::GeoLocation;
use crate::app::projects::directory::LoadedProject;
use crate::app::users::require_living;
use crate::error::ApiError;
use crate::error::known_error::KnownError;
use crate::security::tokens::NewClaims;

/// A year, the life of a refresh token.
pub const LIFETIME_MILLIS: i64 = 365 * 24 * 60 * 60 * 1000;

/// A session that is about to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// The refresh token, which only the caller gets to see.
    pub refresh_token: String,
    /// When the refresh token stops working.
    pub expires_at: Millis,
    /// An operator acts as the user.
    pub is_impersonation: bool,
    /// How it is opened.
    pub opening: SessionOrigin,
}

impl NewSession {
    /// A session of the usual life.
    #[must_use]
    pub fn generate(app: &App, opening: SessionOrigin) -> Self {
        Self {
            id: SessionId(app.random.uuid()),
            refresh_token: app.random.token(),
            expires_at: app.now().plus(LIFETIME_MILLIS),
            is_impersonation: false,
            opening,
        }
    }

    /// Opens it within a unit of work.
    ///
    /// # Errors
    /// `User(NotFound)` when the user is gone by now.
    pub async fn start(&self, unit: &mut UnitOfWork, user: UserId) -> Result<(), LedgerError> {
        require_living(unit, user).await?;
        let started = SessionStarted {
            project_id: unit.context().project_id.clone(),
            user_id: user,
            token_hash: SecretHash::of(&self.refresh_token),
            created_at: unit.context().now,
            expires_at: Some(self.expires_at),
            is_impersonation: self.is_impersonation,
            opening: self.opening,
        };
        unit.create::<Session>(&self.id, SessionCommand::Start(started))
            .await
    }
}

/// Opens a session of an existing user.
///
/// # Errors
/// `USER_ID_DOES_NOT_EXIST` when the user is gone by now.
pub async fn open(
    app: &App,
    context: &EventContext,
    user: UserId,
    session: &NewSession,
) -> Result<(), ApiError> {
    let opened = app.log.transact(context, |mut unit| async move {
        session.start(&mut unit, user).await?;
        Ok::<_, LedgerError>((unit, ()))
    });
    opened.await.map_err(|error| match error {
        LedgerError::User(UserError::NotFound) => KnownError::user_id_does_not_exist(user).into(),
        error => error.into(),
    })
}

/// Ends a session.
///
/// # Errors
/// `Session(NotFound)` when it has ended already.
pub async fn end(
    app: &App,
    context: &EventContext,
    id: SessionId,
    cause: EndCause,
) -> Result<(), LedgerError> {
    app.execute::<Session>(context, &id, &SessionCommand::End(cause))
        .await
}

/// Ends all sessions of a user, but the one that is kept, within a unit of work.
///
/// # Errors
/// When the database fails.
pub async fn end_all(
    unit: &mut UnitOfWork,
    user: UserId,
    kept: Option<SessionId>,
    cause: EndCause,
) -> Result<(), LedgerError> {
    let open = unit.list(move |db| sessions::ids_of_user(db, user).boxed());
    for id in open.await? {
        if Some(id) == kept {
            continue;
        }
        match unit
            .execute::<Session>(&id, SessionCommand::End(cause))
            .await
        {
            // Somebody signed out in the same moment.
            Ok(()) | Err(LedgerError::Session(SessionError::NotFound)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The session and the user that a refresh token stands for.
///
/// # Errors
/// `REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED` when it does not work.
pub async fn by_refresh_token(
    app: &App,
    project: &ProjectId,
    token: &str,
) -> Result<(SessionId, UserRecord), ApiError> {
    let session = sessions::by_token(app.pool(), project, SecretHash::of(token))
        .await?
        .filter(|session| session.is_valid_at(app.now()))
        .ok_or_else(KnownError::refresh_token_not_found_or_expired)?;
    let user = app
        .users
        .by_id(project, UserId(session.user_id))
        .await?
        .ok_or_else(KnownError::refresh_token_not_found_or_expired)?;
    Ok((session.session_id(), user))
}

/// Issues an access token, which also counts as activity of session and user. The only place where
/// one is issued: so each leaves exactly one event for analytics.
///
/// # Errors
/// When the token cannot be signed.
pub fn issue_access_token(
    app: &App,
    project: &LoadedProject,
    user: &UserRow,
    session: SessionId,
    geo: Option<&GeoLocation>,
) -> Result<String, ApiError> {
    let now = app.now();
    let claims = NewClaims {
        project_id: project.id.clone(),
        user_id: user.user_id(),
        session_id: session,
        name: user.display_name.clone(),
        email: user.primary_email.clone(),
        email_verified: user.primary_email_verified,
        selected_team_id: user.selected_team_id.map(muniment_domain::TeamId),
        signed_up_at: Millis(user.signed_up_at),
        is_anonymous: user.is_anonymous,
        restricted_reason: user.restricted_reason(project.config.email_verification()),
        requires_totp_mfa: user.totp_enabled,
    };
    let token = app.tokens.issue(&claims, now).map_err(ApiError::internal)?;
    let shown = geo.map(GeoLocation::shown);
    app.activity.note(session, user.user_id(), now, shown);
    app.recorder.observe(IssuedToken {
        project_id: project.id.clone(),
        user: user.user_id(),
        is_anonymous: user.is_anonymous,
        session,
        ip_info: geo.map(GeoLocation::ip_info),
        at: now,
    });
    Ok(token)
}
