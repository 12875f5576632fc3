//! What `/user-api-keys` and `/team-api-keys` have in common: keys that a user or a team hands to
//! programs.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use muniment_domain::api_key::{ApiKeyKind, ApiKeyOwner, ApiKeyRevocation};
use muniment_domain::{ApiKeyId, Millis, SecretHash};
use muniment_event_store::AccessType;
use muniment_projections::read_models::api_keys::{self, ApiKeyRow};

use crate::app::App;
use crate::app::api_keys::{ApiKeyChange, WantedApiKey, issue, update as change};
use crate::app::authorization::require_key_manager;
use crate::error::codes::{
    ApiKeyExpired, ApiKeyNotFound, ApiKeyRevoked, Text, UserAuthenticationRequired, WrongApiKeyType,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::List;
use crate::http::openapi::describe::{OperationDescription, OperationInput, describe_request};
use crate::http::request::access::ProjectAccess;
use crate::http::request::caller::{Auth, Caller};
use crate::http::request::declare::{Request, extract, fields, request};
use crate::http::request::presence::{optional, or_default, required, required_or_null};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{boolean, integer, only_true, text, uuid};
use crate::http::teams::find::find_team;
use crate::http::users::find::find_user;
use crate::views::{ApiKeyView, IssuedApiKey};

/// One of the two families of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `/user-api-keys`
    Users,
    /// `/team-api-keys`
    Teams,
}

impl Family {
    /// The owner's type on the wire.
    fn owner_type(self) -> &'static str {
        match self {
            Self::Users => "user",
            Self::Teams => "team",
        }
    }

    fn of(owner: ApiKeyOwner) -> Self {
        match owner {
            ApiKeyOwner::User { .. } => Self::Users,
            ApiKeyOwner::Team { .. } => Self::Teams,
        }
    }

    /// Whether the project has such keys at all.
    fn require_enabled(self, auth: &Auth) -> Result<(), ApiError> {
        let switches = &auth.project.config.api_keys.enabled;
        let enabled = match self {
            Self::Users => switches.user,
            Self::Teams => switches.team,
        };
        if enabled {
            return Ok(());
        }
        let owners = self.owner_type();
        let text = format!("API keys of {owners}s are switched off in this project's settings.");
        Err(ApiError::bad_request(text))
    }
}

request! {
    /// A key that somebody claims to have.
    pub(super) struct CheckApiKey {
        body {
            /// The key.
            api_key: String = required(text());
        }
    }
}

fields! {
    /// What is said of a key that is to be issued, beside its owner.
    pub(super) struct NewApiKey {
        /// What it is for.
        description: String = required(text());
        /// When it stops working, in milliseconds since the Unix epoch. Null or zero for never.
        expires_at_millis: Option<i64> = required_or_null(integer(i64::MIN..=i64::MAX));
        /// Whether everybody may see it. A public key that leaks is not revoked.
        is_public: bool = or_default(boolean(), false);
    }

    /// What may be changed of a key.
    pub(super) struct ApiKeyFields {
        /// What it is for.
        description: Option<String> = optional(text());
        /// That it is revoked from now on.
        revoked: Option<bool> = optional(only_true());
    }
}

/// A key's id.
pub(super) fn api_key_id() -> impl Shape<Value = ApiKeyId> {
    uuid().map(ApiKeyId)
}

impl NewApiKey {
    fn wanted_for(self, owner: ApiKeyOwner) -> WantedApiKey {
        WantedApiKey {
            owner,
            kind: if self.is_public {
                ApiKeyKind::Public
            } else {
                ApiKeyKind::Secret
            },
            description: self.description,
            expires_at: self.expires_at_millis.filter(|at| *at != 0).map(Millis),
        }
    }
}

/// A request that names a key.
pub(super) trait NamesApiKey: Request {
    /// Whose keys are meant.
    const FAMILY: Family;

    /// The key's id.
    fn api_key_id(&self) -> ApiKeyId;
}

/// The key that the request `R` names, which the caller may manage, its owner, and the request. It
/// comes after the access in a handler's signature. It fails as `R` does, then with [`NotManaged`].
pub(super) struct FoundApiKey<R>(pub ApiKeyRow, pub ApiKeyOwner, pub R);

/// Why somebody may not manage a key. Of users' keys, the 403 is for another user's.
pub(super) type NotManaged = (
    UserAuthenticationRequired,
    ApiKeyNotFound,
    Text<400>,
    Text<403>,
);

impl<R: NamesApiKey + Send> FromRequestParts<App> for FoundApiKey<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let request: R = extract(parts, app).await?;
        let caller = Caller::of(parts)?;
        let auth = caller.client()?;
        R::FAMILY.require_enabled(auth)?;
        if auth.access_type == AccessType::Client {
            auth.signed_in()?;
        }
        let (row, owner) = find(R::FAMILY, app, auth, request.api_key_id()).await?;
        require_manager(app, auth, owner).await?;
        Ok(Self(row, owner, request))
    }
}

impl<R: NamesApiKey> OperationInput for FoundApiKey<R> {
    fn describe(operation: &mut OperationDescription) {
        describe_request(operation, &R::describe());
        operation.fails_with::<(UserAuthenticationRequired, ApiKeyNotFound, Text<400>)>();
        if R::FAMILY == Family::Users {
            operation.fails_with::<Text<403>>();
        }
    }
}

/// Issues a key, and shows it this once.
///
/// # Errors
/// [`NotManaged`]; `USER_NOT_FOUND` or `TEAM_NOT_FOUND` for an owner who does not exist.
pub(super) async fn create(
    access: &ProjectAccess,
    owner: ApiKeyOwner,
    new: NewApiKey,
) -> ApiResult<Json<IssuedApiKey>> {
    let family = Family::of(owner);
    family.require_enabled(access)?;
    require_manager(&access.app, access, owner).await?;
    require_owner(access, owner).await?;
    let (app, context) = (&access.app, access.event_context());
    let (id, value) = issue(app, context, new.wanted_for(owner)).await?;
    let (row, owner) = find(family, app, access, id).await?;
    Ok(Json(IssuedApiKey::new(&row, owner, value)))
}

/// Lists an owner's keys, newest first.
///
/// # Errors
/// [`NotManaged`]
pub(super) async fn list(
    access: &ProjectAccess,
    owner: ApiKeyOwner,
) -> ApiResult<Json<List<ApiKeyView>>> {
    Family::of(owner).require_enabled(access)?;
    require_manager(&access.app, access, owner).await?;
    let rows = api_keys::of_owner(access.app.pool(), access.project_id(), owner).await?;
    let views = rows.iter().map(|row| ApiKeyView::new(row, owner));
    Ok(List::of(views.collect()))
}

/// Describes or revokes a key that was found. A revoked key stays revoked.
///
/// # Errors
/// `API_KEY_NOT_FOUND` for one that was deleted in the meantime.
pub(super) async fn update(
    family: Family,
    access: &ProjectAccess,
    id: ApiKeyId,
    fields: ApiKeyFields,
) -> ApiResult<Json<ApiKeyView>> {
    let wanted = ApiKeyChange {
        description: fields.description,
        revocation: fields.revoked.map(|_| ApiKeyRevocation::Manual),
    };
    change(&access.app, access.event_context(), id, &wanted).await?;
    let (row, owner) = find(family, &access.app, access, id).await?;
    Ok(Json(ApiKeyView::new(&row, owner)))
}

/// Why a key is not one that works now. The text is for keys that the project does not have.
pub(super) type NotWorking = (
    WrongApiKeyType,
    ApiKeyRevoked,
    ApiKeyExpired,
    ApiKeyNotFound,
    Text<400>,
);

/// Whose key a string is, if it works now.
///
/// # Errors
/// [`NotWorking`]
pub(super) async fn check(
    family: Family,
    access: &ProjectAccess,
    CheckApiKey { api_key }: CheckApiKey,
) -> ApiResult<Json<ApiKeyView>> {
    family.require_enabled(access)?;
    let row = by_secret(&access.app, &api_key).await?;
    let owner = row.owner().ok_or_else(KnownError::api_key_not_found)?;
    if row.project_id != access.project_id().as_str() {
        return Err(KnownError::api_key_not_found().into());
    }
    let actual = Family::of(owner);
    if actual != family {
        let (expected, actual) = (family.owner_type(), actual.owner_type());
        return Err(KnownError::wrong_api_key_type(expected, actual).into());
    }
    if row.revoked_at.is_some() {
        return Err(KnownError::api_key_revoked().into());
    }
    if row.is_expired_at(access.app.now()) {
        return Err(KnownError::api_key_expired().into());
    }
    Ok(Json(ApiKeyView::new(&row, owner)))
}

/// The key whose value that is, in any project.
///
/// # Errors
/// `API_KEY_NOT_FOUND`.
pub(crate) async fn by_secret(app: &App, key: &str) -> Result<ApiKeyRow, ApiError> {
    let row = api_keys::by_secret(app.pool(), SecretHash::of(key)).await?;
    row.ok_or_else(|| KnownError::api_key_not_found().into())
}

async fn find(
    family: Family,
    app: &App,
    auth: &Auth,
    id: ApiKeyId,
) -> Result<(ApiKeyRow, ApiKeyOwner), ApiError> {
    let row = api_keys::by_id(app.pool(), auth.project_id(), id).await?;
    let owned = row.and_then(|row| row.owner().map(|owner| (row, owner)));
    let found = owned.filter(|(_, owner)| Family::of(*owner) == family);
    found.ok_or_else(|| KnownError::api_key_not_found().into())
}

/// Clients manage their own keys, and those of teams in which they hold the permission. A team
/// that they do not belong to looks like one that does not exist.
async fn require_manager(app: &App, auth: &Auth, owner: ApiKeyOwner) -> Result<(), ApiError> {
    if auth.access_type != AccessType::Client {
        return Ok(());
    }
    let own = auth.signed_in()?.user.user_id();
    match owner {
        ApiKeyOwner::User { user_id } if user_id == own => Ok(()),
        ApiKeyOwner::User { .. } => Err(ApiError::forbidden(
            "You can only manage your own API keys.",
        )),
        ApiKeyOwner::Team { team_id } => {
            require_key_manager(app, &auth.preconditions, (team_id, own)).await
        }
    }
}

async fn require_owner(access: &ProjectAccess, owner: ApiKeyOwner) -> Result<(), ApiError> {
    match owner {
        ApiKeyOwner::User { user_id } => find_user(access, user_id).await.map(drop),
        ApiKeyOwner::Team { team_id } => find_team(access, team_id).await.map(drop),
    }
}
