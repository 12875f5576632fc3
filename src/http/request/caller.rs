//! Who is calling: access type, project, keys, and the signed-in user (contract 01 §1.3 and §1.4).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use muniment_domain::{MAIN_BRANCH, ProjectId, SessionId, UserId};
use muniment_projections::read_models::teams;
use muniment_projections::read_models::users::{self, UserRecord};
use muniment_projections::{AccessType, Actor, EventContext};

use super::end_user::{self, EndUser};
use crate::app::App;
use crate::app::projects::{KeyKind, LoadedProject};
use crate::error::ApiError;
use crate::error::known_error::KnownError;
use crate::security::limits::Limit;
use crate::security::tokens::{Claims, Rejection};

/// Stands for "no publishable key" where a client library must send something.
const PUBLIC_CLIENT: &str = "__stack_public_client__";

/// The caller of a request. Every check of contract 01 §1.3 up to step 10 has passed.
#[derive(Clone, Debug)]
pub struct Caller {
    auth: Option<Auth>,
    request_id: String,
    address: Option<IpAddr>,
    end_user: EndUser,
    user_agent: Option<String>,
    refresh_token: Option<String>,
}

/// A caller with access to a project.
#[derive(Clone, Debug)]
pub struct Auth {
    /// With which access.
    pub access_type: AccessType,
    /// To which project.
    pub project: Arc<LoadedProject>,
    /// As whom.
    pub user: Option<CurrentSession>,
    /// The user of the `internal` project whose admin access token stood for a key.
    pub owner: Option<UserId>,
}

/// The user that the access token names, and the session it was issued for.
#[derive(Clone, Debug)]
pub struct CurrentSession {
    /// The user as they are now.
    pub record: Arc<UserRecord>,
    /// The session, which may have ended by now.
    pub session: SessionId,
}

impl Auth {
    /// The signed-in user.
    #[must_use]
    pub fn user(&self) -> Option<&UserRecord> {
        self.user.as_ref().map(|current| &*current.record)
    }

    /// The signed-in user's id.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.user().map(|record| record.user.user_id())
    }

    /// The project's id.
    #[must_use]
    pub fn project_id(&self) -> &ProjectId {
        &self.project.id
    }

    /// The signed-in user, for endpoints about one's own account.
    ///
    /// # Errors
    /// `CANNOT_GET_OWN_USER_WITHOUT_USER`.
    pub fn own_user(&self) -> Result<&UserRecord, ApiError> {
        self.user()
            .ok_or_else(|| KnownError::cannot_get_own_user_without_user().into())
    }

    /// The signed-in user, for endpoints that want somebody to be signed in.
    ///
    /// # Errors
    /// `USER_AUTHENTICATION_REQUIRED`.
    pub fn signed_in(&self) -> Result<&UserRecord, ApiError> {
        self.user()
            .ok_or_else(|| KnownError::user_authentication_required().into())
    }
}

impl Caller {
    /// Lets every access type through.
    ///
    /// # Errors
    /// `ACCESS_TYPE_REQUIRED`.
    pub fn client(&self) -> Result<&Auth, ApiError> {
        self.at_least(&[AccessType::Client, AccessType::Server, AccessType::Admin])
    }

    /// Lets servers and administrators through.
    ///
    /// # Errors
    /// `ACCESS_TYPE_REQUIRED`, `INSUFFICIENT_ACCESS_TYPE`.
    pub fn server(&self) -> Result<&Auth, ApiError> {
        self.at_least(&[AccessType::Server, AccessType::Admin])
    }

    /// Lets administrators through.
    ///
    /// # Errors
    /// `ACCESS_TYPE_REQUIRED`, `INSUFFICIENT_ACCESS_TYPE`.
    pub fn admin(&self) -> Result<&Auth, ApiError> {
        self.at_least(&[AccessType::Admin])
    }

    fn at_least(&self, allowed: &[AccessType]) -> Result<&Auth, ApiError> {
        let auth = self
            .auth
            .as_ref()
            .ok_or_else(KnownError::access_type_required)?;
        if allowed.contains(&auth.access_type) {
            return Ok(auth);
        }
        Err(KnownError::insufficient_access_type(auth.access_type, allowed).into())
    }

    /// The caller's access, if any.
    #[must_use]
    pub fn auth(&self) -> Option<&Auth> {
        self.auth.as_ref()
    }

    /// The signed-in user's id, if any.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.auth.as_ref().and_then(Auth::user_id)
    }

    /// The refresh token sent along.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_deref()
    }

    /// Takes one of the tries that a limit grants each IP. Whoever holds a secret key of the project
    /// asks on behalf of many users from one address, and is not limited by it.
    ///
    /// # Errors
    /// 429 when there is none left.
    pub fn limit(&self, app: &App, limit: Limit) -> Result<(), ApiError> {
        let access = self.auth.as_ref().map(|auth| auth.access_type);
        match (access, self.address) {
            (Some(AccessType::Server | AccessType::Admin), _) | (_, None) => Ok(()),
            (_, Some(address)) => Ok(app.limits.spend(limit, &network_of(address), app.now())?),
        }
    }

    /// Where the end user is, if a browser sent the request.
    #[must_use]
    pub fn end_user(&self) -> &EndUser {
        &self.end_user
    }

    /// The request's id.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The circumstances under which events of this request are appended.
    #[must_use]
    pub fn event_context(&self, app: &App, project: &ProjectId) -> EventContext {
        let access = self.auth.as_ref().map(|auth| auth.access_type);
        EventContext {
            project_id: project.clone(),
            actor: self.actor(),
            access,
            request_id: self.request_id.clone(),
            causation_id: None,
            ip: self.end_user.ip.clone(),
            user_agent: self.user_agent.clone(),
            now: app.now(),
        }
    }

    fn actor(&self) -> Actor {
        if let Some(owner) = self.auth.as_ref().and_then(|auth| auth.owner) {
            return Actor::Owner(owner);
        }
        match self
            .auth
            .as_ref()
            .map(|auth| (auth.access_type, auth.user_id()))
        {
            Some((AccessType::Admin, _)) => Actor::Admin,
            Some((AccessType::Server, _)) => Actor::ServerKey,
            Some((AccessType::Client, Some(user))) => Actor::User(user),
            Some((AccessType::Client, None)) | None => Actor::Client,
        }
    }
}

/// The network that counts as one caller: whoever has one IPv6 address has 2⁶⁴ of them.
fn network_of(address: IpAddr) -> IpAddr {
    const HOST: u128 = (1 << 64) - 1;
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !HOST).into()),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::internal("the caller was not established"))
    }
}

/// Establishes the caller from the headers, in the contract's order of checks.
///
/// # Errors
/// The first check that fails.
pub async fn establish(
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
    let owner = check_credentials(app, access, &project, branch, &credentials).await?;
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
    }))
}

/// Step 7: judges by the token's own claims, not by the user's present state.
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
    project: &LoadedProject,
    branch: &str,
    credentials: &Credentials<'_>,
) -> Result<Option<UserId>, ApiError> {
    if let Some(token) = credentials.admin_token {
        return Ok(Some(check_admin_token(app, token, project).await?));
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
    let owner = project.owner_team_id;
    let owns = match owner {
        Some(team) => teams::is_member(app.pool(), team, claims.user_id).await?,
        None => false,
    };
    if owns {
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
