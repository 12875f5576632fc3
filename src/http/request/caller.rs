//! Who is calling: access type, project, keys, and the signed-in user.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use muniment_domain::{ProjectId, SessionId, UserId};
use muniment_event_store::{AccessType, Actor, EventContext, Preconditions};
use muniment_projections::read_models::users::UserRecord;

use super::end_user::EndUser;
use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::error::ApiError;
use crate::error::known_error::KnownError;
use crate::security::limits::Limit;

/// The caller of a request. What they sent to prove who they are has been checked.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(super) auth: Option<Auth>,
    pub(super) request_id: String,
    pub(super) address: Option<IpAddr>,
    pub(super) end_user: EndUser,
    pub(super) user_agent: Option<String>,
    pub(super) refresh_token: Option<String>,
}

/// A caller with access to a project.
#[derive(Clone, Debug)]
pub(crate) struct Auth {
    /// With which access.
    pub access_type: AccessType,
    /// To which project.
    pub project: Arc<LoadedProject>,
    /// As whom.
    pub user: Option<CurrentSession>,
    /// The user of the `internal` project whose admin access token stood for a key.
    pub owner: Option<UserId>,
    /// What the caller was let in for.
    pub preconditions: Preconditions,
}

/// The user that the access token names, and the session it was issued for.
#[derive(Clone, Debug)]
pub(crate) struct CurrentSession {
    /// The user as they are now.
    pub record: Arc<UserRecord>,
    /// The session, which may have ended by now.
    pub session: SessionId,
}

impl Auth {
    /// The signed-in user.
    #[must_use]
    pub(crate) fn user(&self) -> Option<&UserRecord> {
        self.user.as_ref().map(|current| &*current.record)
    }

    /// The signed-in user's id.
    #[must_use]
    pub(crate) fn user_id(&self) -> Option<UserId> {
        self.user().map(|record| record.user.user_id())
    }

    /// The project's id.
    #[must_use]
    pub(crate) fn project_id(&self) -> &ProjectId {
        &self.project.id
    }

    /// The signed-in user, for endpoints about one's own account.
    ///
    /// # Errors
    /// `CANNOT_GET_OWN_USER_WITHOUT_USER`.
    pub(crate) fn own_user(&self) -> Result<&UserRecord, ApiError> {
        self.user()
            .ok_or_else(|| KnownError::cannot_get_own_user_without_user().into())
    }

    /// The signed-in user, for endpoints that want somebody to be signed in.
    ///
    /// # Errors
    /// `USER_AUTHENTICATION_REQUIRED`.
    pub(crate) fn signed_in(&self) -> Result<&UserRecord, ApiError> {
        self.user()
            .ok_or_else(|| KnownError::user_authentication_required().into())
    }
}

impl Caller {
    /// Lets every access type through.
    ///
    /// # Errors
    /// `ACCESS_TYPE_REQUIRED`.
    pub(crate) fn client(&self) -> Result<&Auth, ApiError> {
        self.at_least(&[AccessType::Client, AccessType::Server, AccessType::Admin])
    }

    /// Lets servers and administrators through.
    ///
    /// # Errors
    /// `ACCESS_TYPE_REQUIRED`, `INSUFFICIENT_ACCESS_TYPE`.
    pub(crate) fn server(&self) -> Result<&Auth, ApiError> {
        self.at_least(&[AccessType::Server, AccessType::Admin])
    }

    /// Lets administrators through.
    ///
    /// # Errors
    /// `ACCESS_TYPE_REQUIRED`, `INSUFFICIENT_ACCESS_TYPE`.
    pub(crate) fn admin(&self) -> Result<&Auth, ApiError> {
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
    pub(crate) fn auth(&self) -> Option<&Auth> {
        self.auth.as_ref()
    }

    /// The signed-in user's id, if any.
    #[must_use]
    pub(crate) fn user_id(&self) -> Option<UserId> {
        self.auth.as_ref().and_then(Auth::user_id)
    }

    /// The refresh token sent along.
    #[must_use]
    pub(crate) fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_deref()
    }

    /// Takes one of the tries that a limit grants each IP. A caller with a secret key of the
    /// project asks on behalf of many users from one address, and is not limited by it.
    ///
    /// # Errors
    /// 429 when there is none left.
    pub(crate) fn limit(&self, app: &App, limit: Limit) -> Result<(), ApiError> {
        let access = self.auth.as_ref().map(|auth| auth.access_type);
        match (access, self.address) {
            (Some(AccessType::Server | AccessType::Admin), _) | (_, None) => Ok(()),
            (_, Some(address)) => Ok(app.limits.spend(limit, &network_of(address), app.now())?),
        }
    }

    /// Where the end user is, if a browser sent the request.
    #[must_use]
    pub(crate) fn end_user(&self) -> &EndUser {
        &self.end_user
    }

    /// The request's id.
    #[must_use]
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The circumstances under which events of this request are appended.
    #[must_use]
    pub(crate) fn event_context(&self, app: &App, project: &ProjectId) -> EventContext {
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
            preconditions: self.preconditions(),
        }
    }

    fn preconditions(&self) -> Preconditions {
        let auth = self.auth.as_ref();
        auth.map_or_else(Preconditions::default, |auth| auth.preconditions.clone())
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

/// The network that counts as one caller: the owner of one IPv6 address has 2⁶⁴ of them.
fn network_of(address: IpAddr) -> IpAddr {
    const HOST: u128 = (1 << 64) - 1;
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !HOST).into()),
    }
}

impl Caller {
    /// The caller that was established for a request.
    ///
    /// # Errors
    /// None was, which is ours to mend.
    pub(crate) fn of(parts: &Parts) -> Result<&Self, ApiError> {
        let caller = parts.extensions.get();
        caller.ok_or_else(|| ApiError::internal("the caller was not established"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Self::of(parts).cloned()
    }
}
