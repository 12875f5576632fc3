//! Finding out who is calling, from the headers of a request. The order of the checks is part of the
//! API: the first that fails is the one that callers are told of.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use muniment_domain::{MAIN_BRANCH, ProjectId, UserId};
use muniment_event_store::{AccessType, Preconditions};
use muniment_projections::read_models::users;

use super::caller::{Auth, Caller, CurrentSession};
use super::end_user;
use crate::app::App;
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
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    request_id: String,
) -> Result<Caller, ApiError> {
    let auth = authenticate(app, headers).await?;
    Ok(Caller {
        auth,
        request_id,
        address: end_user::client_address(headers, app.trusted_proxy.as_ref(), peer),
        end_user: end_user::locate(headers, app.trusted_proxy.as_ref(), peer),
        user_agent: header(headers, "user-agent").map(str::to_owned),
        refresh_token: header(headers, "x-stack-refresh-token").map(str::to_owned),
    })
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

async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Option<Auth>, ApiError> {
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
        Some(token) => Some(check_access_token(app, headers, token, &project_id)?),
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
        Some(claims) => load_user(app, &project, &claims).await?,
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

/// Judges by the token's own claims, not by the user's present state.
fn check_access_token(
    app: &App,
    headers: &HeaderMap,
    token: &str,
    project: &ProjectId,
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
    if claims.project_id != *project {
        return Err(
            KnownError::invalid_project_for_access_token(project, &claims.project_id).into(),
        );
    }
    let says_true = |name| header(headers, name) == Some("true");
    let anonymous_allowed = says_true("x-stack-allow-anonymous-user");
    let restricted_allowed = anonymous_allowed || says_true("x-stack-allow-restricted-user");
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
    if claims.is_anonymous || claims.restricted_reason.is_some() {
        return Err(KnownError::unparsable_admin_access_token().into());
    }
    if !claims.project_id.is_internal() {
        return Err(KnownError::admin_access_token_is_not_admin().into());
    }
    if users::by_id(app.pool(), &claims.project_id, claims.user_id)
        .await?
        .is_none()
    {
        let gone = "The user of the admin access token no longer exists. Sign in again.";
        return Err(ApiError::text(StatusCode::UNAUTHORIZED, gone));
    }
    let (owner, user) = (project.owner_team_id, claims.user_id);
    if is_owner(app, preconditions, &project.id, owner, user).await? {
        Ok(claims.user_id)
    } else {
        Err(KnownError::admin_access_token_is_not_admin().into())
    }
}

/// A user who was deleted since the token was issued is nobody, which is no error.
async fn load_user(
    app: &App,
    project: &LoadedProject,
    claims: &Claims,
) -> Result<Option<CurrentSession>, ApiError> {
    let record = app.users.by_id(&project.id, claims.user_id).await?;
    Ok(record.map(|record| CurrentSession {
        record: Arc::new(record),
        session: claims.session_id,
    }))
}
