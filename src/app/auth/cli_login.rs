//! Signing a command-line program in through a browser.

use axum::http::StatusCode;
use muniment_domain::cli_login::{
    CliLogin, CliLoginCommand, CliLoginError, CliLoginStarted, HandedToken,
};
use muniment_domain::session::Session;
use muniment_domain::user::User;
use muniment_domain::{CliLoginId, Millis, SecretHash, SessionId, UserId};
use muniment_event_store::{LedgerError, UnitOfWork};
use muniment_projections::read_models::users::{self, UserRecord};
use muniment_projections::read_models::{cli_logins, sessions as session_rows};

use super::sessions::issue_access_token;
use crate::app::request_context::RequestContext;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// A login that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// What the program asks with.
    pub polling_code: String,
    /// What the browser answers with.
    pub login_code: String,
    /// When both stop working.
    pub expires_at: Millis,
}

/// What a program that asks is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nobody has answered yet.
    Waiting,
    /// It is too late.
    Expired,
    /// The session was fetched before.
    Used,
    /// Here is the session's refresh token. It is told once.
    Success(String),
}

/// The tokens of an anonymous session that moves from the program into the browser.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// A fresh access token.
    pub access_token: String,
    /// The very refresh token that the program began with.
    pub refresh_token: String,
}

/// Begins to wait for a browser.
///
/// # Errors
/// A text when `anonymous_token` is not that of a living anonymous user of this project.
pub async fn begin(
    request: RequestContext<'_>,
    lifetime: i64,
    anonymous_token: Option<String>,
) -> Result<Begun, ApiError> {
    let RequestContext { app, context, .. } = request;
    if let Some(token) = &anonymous_token
        && anonymous_session(request, token).await?.is_none()
    {
        return Err(refusal(
            "anon_refresh_token is not that of an anonymous user of this project.",
        ));
    }
    let begun = Begun {
        polling_code: app.random.token(),
        login_code: app.random.token(),
        expires_at: context.now.plus(lifetime),
    };
    let started = &CliLoginStarted {
        project_id: context.project_id.clone(),
        polling_hash: SecretHash::of(&begun.polling_code),
        login_hash: SecretHash::of(&begun.login_code),
        started_at: context.now,
        expires_at: begun.expires_at,
        personal: HandedToken {
            refresh_token: anonymous_token,
        }
        .into(),
    };
    let id = CliLoginId(app.random.uuid());
    app.log
        .transact(context, |mut unit| async move {
            let start = CliLoginCommand::Start(Box::new(started.clone()));
            unit.create::<CliLogin>(&id, start).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await?;
    Ok(begun)
}

/// Tells the program how far the login has come.
///
/// # Errors
/// `INVALID_POLLING_CODE`.
pub async fn poll(request: RequestContext<'_>, polling_code: &str) -> Result<Answer, ApiError> {
    let RequestContext { app, context, .. } = request;
    let code = SecretHash::of(polling_code);
    let id = cli_logins::by_polling_code(app.pool(), &request.project.id, code)
        .await?
        .ok_or_else(KnownError::invalid_polling_code)?;
    let answer = app
        .log
        .transact(context, |mut unit| async move {
            let now = unit.context().now;
            let login = unit.state::<CliLogin>(&id).await?;
            if login.expires_at().is_none_or(|end| end < now) {
                return Ok((unit, Answer::Expired));
            }
            let token = match login {
                CliLogin::Absent | CliLogin::Pending { .. } => {
                    return Ok((unit, Answer::Waiting));
                }
                CliLogin::Fetched { .. } => return Ok((unit, Answer::Used)),
                CliLogin::Completed { handed, .. } => handed.refresh_token,
            };
            let Some(token) = token else {
                return Ok((unit, Answer::Used));
            };
            // What was handed over may have ended before it was fetched.
            if !is_open(&mut unit, &token).await? {
                return Ok((unit, Answer::Expired));
            }
            unit.execute::<CliLogin>(&id, CliLoginCommand::Fetch(now))
                .await?;
            Ok::<_, LedgerError>((unit, Answer::Success(token)))
        })
        .await;
    match answer {
        // Another poll fetched it in the same moment.
        Err(LedgerError::CliLogin(CliLoginError::NothingToFetch)) => Ok(Answer::Used),
        answer => Ok(answer?),
    }
}

/// Whether the program has an anonymous session that the browser could take over.
///
/// # Errors
/// A text when the login code does not work.
pub async fn has_anonymous_session(
    request: RequestContext<'_>,
    login_code: &str,
) -> Result<bool, ApiError> {
    let (_, login) = pending(request, login_code).await?;
    let Some(token) = login.anonymous_token() else {
        return Ok(false);
    };
    Ok(anonymous_session(request, token).await?.is_some())
}

/// Takes the program's anonymous session over into the browser. Works once.
///
/// # Errors
/// A text when the login code does not work, or there is nothing to take over.
pub async fn claim(request: RequestContext<'_>, login_code: &str) -> Result<Claimed, ApiError> {
    let (id, login) = pending(request, login_code).await?;
    let nothing = || refusal("There is no anonymous session to claim, or it was claimed already.");
    let token = login.anonymous_token().ok_or_else(nothing)?.to_owned();
    let (session, record) = anonymous_session(request, &token)
        .await?
        .ok_or_else(nothing)?;
    let command = CliLoginCommand::ClaimAnonymousSession(request.context.now);
    carry_out(request, id, command, &token).await?;
    Ok(Claimed {
        access_token: issue_access_token(
            request.app,
            request.project,
            &record.user,
            session,
            request.geo,
        )?,
        refresh_token: token,
    })
}

/// Hands the browser's session to the program.
///
/// # Errors
/// A text when the login code does not work, or the refresh token does not.
pub async fn complete(
    request: RequestContext<'_>,
    login_code: &str,
    refresh_token: Option<String>,
) -> Result<(), ApiError> {
    let (id, _) = pending(request, login_code).await?;
    let token = refresh_token.ok_or_else(|| refusal("refresh_token is required to complete."))?;
    let works = live_session(request, &token).await?.is_some();
    if !works {
        return Err(refusal(
            "refresh_token is not that of a session of this project, or has expired.",
        ));
    }
    let command = CliLoginCommand::Complete {
        at: request.context.now,
        refresh_token: token.clone(),
    };
    carry_out(request, id, command, &token).await
}

/// Carries out a command that hands the session of this token to somebody, if it is open.
async fn carry_out(
    request: RequestContext<'_>,
    id: CliLoginId,
    command: CliLoginCommand,
    token: &str,
) -> Result<(), ApiError> {
    let command = &command;
    request
        .app
        .log
        .transact(request.context, |mut unit| async move {
            if !is_open(&mut unit, token).await? {
                return Err(refusal("The session has ended. Sign in again."));
            }
            let done = unit.execute::<CliLogin>(&id, command.clone()).await;
            done.map_err(|error| match error {
                LedgerError::CliLogin(error) => refusal(&format!("Not possible: {error}.")),
                error => error.into(),
            })?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

/// Whether the session of a refresh token is open, and its user there, now and at the commit.
async fn is_open(unit: &mut UnitOfWork, token: &str) -> Result<bool, LedgerError> {
    let (project, hash) = (unit.context().project_id.clone(), SecretHash::of(token));
    let row = session_rows::by_token(unit.log().pool(), &project, hash).await?;
    let Some(row) = row.filter(|row| row.is_valid_at(unit.context().now)) else {
        return Ok(false);
    };
    let is_open = *unit.look::<Session>(&row.session_id()).await? == Session::Open;
    let user = UserId(row.user_id);
    Ok(is_open && unit.look::<User>(&user).await?.is_active())
}

async fn pending(
    request: RequestContext<'_>,
    login_code: &str,
) -> Result<(CliLoginId, CliLogin), ApiError> {
    let RequestContext { app, context, .. } = request;
    let dead = || refusal("The login code is unknown, has expired or was used already.");
    let code = SecretHash::of(login_code);
    let id = cli_logins::by_login_code(app.pool(), &request.project.id, code)
        .await?
        .ok_or_else(dead)?;
    let login = app.state::<CliLogin>(context, &id).await?;
    if login.is_pending(context.now) {
        Ok((id, login))
    } else {
        Err(dead())
    }
}

async fn anonymous_session(
    request: RequestContext<'_>,
    token: &str,
) -> Result<Option<(SessionId, UserRecord)>, ApiError> {
    let found = live_session(request, token).await?;
    Ok(found.filter(|(_, record)| record.user.is_anonymous))
}

async fn live_session(
    request: RequestContext<'_>,
    token: &str,
) -> Result<Option<(SessionId, UserRecord)>, ApiError> {
    let (app, project) = (request.app, &request.project.id);
    let session = session_rows::by_token(app.pool(), project, SecretHash::of(token)).await?;
    let Some(session) = session.filter(|session| session.is_valid_at(request.context.now)) else {
        return Ok(None);
    };
    let user = users::by_id(app.pool(), project, UserId(session.user_id)).await?;
    Ok(user.map(|user| (session.session_id(), user)))
}

fn refusal(message: &str) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, message)
}
