//! Finding out who is calling, from the headers of a request. The order of the checks is part of the
//! API: the first that fails is the one that callers are told of.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use muniment_domain::{MAIN_BRANCH, Millis, ProjectId, UserId};
use muniment_event_store::{AccessType, Preconditions};
use muniment_projections::read_models::users;

use super::caller::{Auth, Caller, CurrentSession};
use super::end_user;
use crate::app::App;
use crate::app::auth::revoked_sessions::ended_at;
use crate::app::authorization::is_owner;
use crate::app::projects::directory::{KeyKind, LoadedProject};
use crate::error::ApiError;
use crate::error::known_error::KnownError;
use crate::security::tokens::{Claims, Rejection};

/// Stands for "no publishable key" where a client library must send something.
const PUBLIC_CLIENT: &str = "__stack_public_client__";

/// Establishes the caller from the headers.
///
/// # Errors
/// The first check that fails.
pub(crate) async fn establish(
    app: &App,
    request: &Parts,
    peer: Option<IpAddr>,
    request_id: String,
) -> Result<Caller, ApiError> {
    let headers = &request.headers;
    let ended = EndedSessions::of(request);
    let auth = authenticate(app, headers, ended).await?;
    Ok(Caller {
        auth,
        request_id,
        address: end_user::client_address(headers, app.trusted_proxy.as_ref(), peer),
        end_user: end_user::locate(headers, app.trusted_proxy.as_ref(), peer),
        user_agent: header(headers, "user-agent").map(str::to_owned),
        refresh_token: header(headers, "x-stack-refresh-token").map(str::to_owned),
    })
}

/// What becomes of the access token of a session that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndedSessions {
    /// It is refused.
    Refused,
    /// It is let through: whoever signs out twice is told that they are signed out, which client
    /// libraries take for success.
    Admitted,
}

impl EndedSessions {
    fn of(request: &Parts) -> Self {
        let path = request.uri.path();
        if request.method == Method::DELETE && path.ends_with("/auth/sessions/current") {
            return Self::Admitted;
        }
        Self::Refused
    }
}

/// An empty header counts as absent; so does one that is no text.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get(name)?
        .to_str()
        .ok()
        .filter(|value| !value.is_empty())
}

/// The keys and tokens that stand for a project.
struct Credentials<'h> {
    publishable: Option<&'h str>,
    server: Option<&'h str>,
    admin: Option<&'h str>,
    admin_token: Option<&'h str>,
}

impl<'h> Credentials<'h> {
    fn read(headers: &'h HeaderMap) -> Self {
        Self {
            publishable: header(headers, "x-stack-publishable-client-key"),
            server: header(headers, "x-stack-secret-server-key"),
            admin: header(headers, "x-stack-super-secret-admin-key"),
            admin_token: header(headers, "x-stack-admin-access-token"),
        }
    }

    fn is_empty(&self) -> bool {
        [self.publishable, self.server, self.admin, self.admin_token]
            .iter()
            .all(Option::is_none)
    }
}

async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    ended: EndedSessions,
) -> Result<Option<Auth>, ApiError> {
    let credentials = Credentials::read(headers);
    let Some(access) = header(headers, "x-stack-access-type") else {
        if credentials.is_empty() {
            return Ok(None);
        }
        return Err(KnownError::project_key_without_access_type().into());
    };
    let access = match access {
        "client" => AccessType::Client,
        "server" => AccessType::Server,
        "admin" => AccessType::Admin,
        _ => return Err(KnownError::invalid_access_type().into()),
    };
    let project_id = header(headers, "x-stack-project-id")
        .map(ProjectId::from_caller)
        .ok_or_else(|| KnownError::access_type_without_project_id(access))?;
    let claims = match header(headers, "x-stack-access-token") {
        Some(token) => Some(check_access_token(app, headers, token, &project_id, ended).await?),
        None => None,
    };
    let project = app.projects.find(&project_id).await?;
    let project = project.ok_or_else(|| KnownError::current_project_not_found(&project_id))?;
    let branch = header(headers, "x-stack-branch-id").unwrap_or(MAIN_BRANCH);
    let preconditions = Preconditions::default();
    let scope = (&*project, &preconditions);
    let owner = check_credentials(app, access, scope, branch, &credentials).await?;
    if branch != MAIN_BRANCH {
        return Err(KnownError::branch_does_not_exist(branch).into());
    }
    let user = match claims {
        Some(claims) => load_user(app, headers, &project, &claims).await?,
        None => None,
    };
    Ok(Some(Auth {
        access_type: access,
        project,
        user,
        owner,
        preconditions,
    }))
}

/// Judges by the token's own claims, not by the user's present state; but a token whose session has
/// ended is worth no more than one that has expired. It is called that, because a client library then
/// drops it, asks for another one, is refused that, and knows that it is signed out.
async fn check_access_token(
    app: &App,
    headers: &HeaderMap,
    token: &str,
    project: &ProjectId,
    ended: EndedSessions,
) -> Result<Arc<Claims>, ApiError> {
    let claims = app
        .tokens
        .verify(token, app.now())
        .map_err(|rejection| match rejection {
            Rejection::Unparsable => KnownError::unparsable_access_token(),
            Rejection::Expired {
                expired_at,
                project_id,
                user_id,
                refresh_token_id,
            } => KnownError::access_token_expired(
                expired_at,
                project_id.as_deref(),
                user_id.as_deref(),
                refresh_token_id.as_deref(),
            ),
        })?;
    if ended == EndedSessions::Refused
        && let Some(at) = ended_at(app, &claims.project_id, claims.session_id).await?
    {
        return Err(outdated(&claims, at).into());
    }
    if claims.project_id != *project {
        return Err(
            KnownError::invalid_project_for_access_token(project, &claims.project_id).into(),
        );
    }
    let anonymous_allowed = allows_anonymous(headers);
    let restricted_allowed = allows_restricted(headers);
    if claims.is_anonymous && !anonymous_allowed {
        return Err(KnownError::anonymous_authentication_not_allowed().into());
    }
    match claims.restricted_reason {
        Some(reason) if !restricted_allowed && !claims.is_anonymous => {
            Err(KnownError::restricted_user_not_allowed(reason).into())
        }
        _ => Ok(claims),
    }
}

fn allows_anonymous(headers: &HeaderMap) -> bool {
    header(headers, "x-stack-allow-anonymous-user") == Some("true")
}

fn allows_restricted(headers: &HeaderMap) -> bool {
    allows_anonymous(headers) || header(headers, "x-stack-allow-restricted-user") == Some("true")
}

/// What the bearer of a token is told that stopped to be true at that time.
fn outdated(claims: &Claims, at: Millis) -> KnownError {
    let (user, session) = (claims.user_id.to_string(), claims.session_id.to_string());
    let project = Some(claims.project_id.as_str());
    KnownError::access_token_expired(at, project, Some(&user), Some(&session))
}

/// Yields the owner, if it was one's token that was accepted.
async fn check_credentials(
    app: &App,
    access: AccessType,
    (project, preconditions): (&LoadedProject, &Preconditions),
    branch: &str,
    credentials: &Credentials<'_>,
) -> Result<Option<UserId>, ApiError> {
    if let Some(token) = credentials.admin_token {
        let owner = check_admin_token(app, token, project, preconditions).await?;
        return Ok(Some(owner));
    }
    let now = app.now();
    match access {
        AccessType::Client => {
            check_client_key(app, project, branch, credentials.publishable)?;
            Ok(None)
        }
        AccessType::Server => {
            let key = credentials
                .server
                .ok_or_else(KnownError::server_authentication_required)?;
            if project.accepts_key(KeyKind::SecretServer, key, now) {
                return Ok(None);
            }
            Err(KnownError::invalid_secret_server_key(&project.id).into())
        }
        AccessType::Admin => {
            let key = credentials
                .admin
                .ok_or_else(KnownError::admin_authentication_required)?;
            if project.accepts_key(KeyKind::SuperSecretAdmin, key, now) {
                return Ok(None);
            }
            Err(KnownError::invalid_super_secret_admin_key(&project.id).into())
        }
    }
}

/// Whether a publishable key is demanded: by the project, and on a branch that does not exist.
fn check_client_key(
    app: &App,
    project: &LoadedProject,
    branch: &str,
    key: Option<&str>,
) -> Result<(), ApiError> {
    let required = project.config.project.require_publishable_client_key || branch != MAIN_BRANCH;
    match key {
        None | Some(PUBLIC_CLIENT) if required => {
            Err(KnownError::publishable_client_key_required_for_project(Some(&project.id)).into())
        }
        None | Some(PUBLIC_CLIENT) => Ok(()),
        Some(key) if project.accepts_key(KeyKind::PublishableClient, key, app.now()) => Ok(()),
        Some(_) => Err(KnownError::invalid_publishable_client_key(&project.id).into()),
    }
}

/// A user of the `internal` project may do everything to the projects of their teams.
async fn check_admin_token(
    app: &App,
    token: &str,
    project: &LoadedProject,
    preconditions: &Preconditions,
) -> Result<UserId, ApiError> {
    let claims = app
        .tokens
        .verify(token, app.now())
        .map_err(|rejection| match rejection {
            Rejection::Unparsable => KnownError::unparsable_admin_access_token(),
            Rejection::Expired { expired_at, .. } => {
                KnownError::admin_access_token_expired(expired_at)
            }
        })?;
    if let Some(at) = ended_at(app, &claims.project_id, claims.session_id).await? {
        return Err(KnownError::admin_access_token_expired(at).into());
    }
    if claims.is_anonymous || claims.restricted_reason.is_some() {
        return Err(KnownError::unparsable_admin_access_token().into());
    }
    if !claims.project_id.is_internal() {
        return Err(KnownError::admin_access_token_is_not_admin().into());
    }
    let record = users::by_id(app.pool(), &claims.project_id, claims.user_id).await?;
    let Some(record) = record else {
        let gone = "The user of the admin access token no longer exists. Sign in again.";
        return Err(ApiError::text(StatusCode::UNAUTHORIZED, gone));
    };
    if record.user.restricted_by_admin {
        // The next one says so by itself.
        return Err(KnownError::admin_access_token_expired(app.now()).into());
    }
    let (owner, user) = (project.owner_team_id, claims.user_id);
    if is_owner(app, preconditions, &project.id, owner, user).await? {
        Ok(claims.user_id)
    } else {
        Err(KnownError::admin_access_token_is_not_admin().into())
    }
}

/// A user who was deleted since the token was issued is nobody, which is no error. Of one who was
/// restricted by an administrator since, the token no longer says the truth: the next one does.
async fn load_user(
    app: &App,
    headers: &HeaderMap,
    project: &LoadedProject,
    claims: &Claims,
) -> Result<Option<CurrentSession>, ApiError> {
    let record = app.users.by_id(&project.id, claims.user_id).await?;
    let Some(record) = record else {
        return Ok(None);
    };
    let is_news = record.user.restricted_by_admin && claims.restricted_reason.is_none();
    if is_news && !allows_restricted(headers) {
        return Err(outdated(claims, app.now()).into());
    }
    Ok(Some(CurrentSession {
        record: Arc::new(record),
        session: claims.session_id,
    }))
}
