//! What `/user-api-keys` and `/team-api-keys` have in common: keys that a user or a team hands to
//! programs.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::api_key::{ApiKeyKind, ApiKeyOwner, ApiKeyRevocation};
use muniment_domain::permission::MANAGE_API_KEYS;
use muniment_domain::{ApiKeyId, Millis, PermissionId, SecretHash, TeamId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::api_keys::{self, ApiKeyRow};
use muniment_projections::read_models::permissions::{self, Holding};
use serde_json::Value;

use crate::app::App;
use crate::app::api_keys::{ApiKeyChange, WantedApiKey, issue, update as change};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::whole_list;
use crate::http::request::access::{ClientAccess, ProjectAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{boolean, integer, only_true, text, uuid};
use crate::http::teams::find::find_team;
use crate::http::users::find::find_user;
use crate::views;

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

    /// Reads who owns the keys, if that is said.
    fn optional_owner(self, fields: &mut Fields<'_>) -> Checked<Option<ApiKeyOwner>> {
        Some(match self {
            Self::Users => {
                let user = fields.optional_user_id_or_me("user_id")?;
                user.map(|user_id| ApiKeyOwner::User { user_id })
            }
            Self::Teams => {
                let team = fields.optional("team_id", uuid)?.map(TeamId);
                team.map(|team_id| ApiKeyOwner::Team { team_id })
            }
        })
    }

    fn required_owner(self, fields: &mut Fields<'_>) -> Checked<ApiKeyOwner> {
        match self {
            Self::Users => {
                let user_id = fields.required_user_id_or_me("user_id")?;
                Some(ApiKeyOwner::User { user_id })
            }
            Self::Teams => {
                let team_id = TeamId(fields.required("team_id", uuid)?);
                Some(ApiKeyOwner::Team { team_id })
            }
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
        Err(ApiError::text(StatusCode::BAD_REQUEST, text))
    }
}

/// Issues a key, and shows it this once.
pub(crate) async fn create(family: Family, access: &ClientAccess, input: &Input) -> ApiResult {
    let mut form = access.form(input).no_query();
    let wanted = read_wanted(family, &mut form);
    let wanted = form.finish(wanted)?;
    family.require_enabled(access)?;
    require_manager(access, wanted.owner).await?;
    require_owner(access, wanted.owner).await?;
    let (id, value) = issue(&access.app, access.event_context(), wanted).await?;
    let row = find(family, access, id).await?;
    Ok(Json(views::api_key(&row, Some(&value))).into_response())
}

fn read_wanted(family: Family, form: &mut Form<'_>) -> Option<WantedApiKey> {
    let mut body = form.body();
    let owner = family.required_owner(&mut body);
    let description = body.required("description", text);
    let expires_at = body.required_nullable("expires_at_millis", integer(i64::MIN..=i64::MAX));
    let is_public = body.or_default("is_public", boolean, false);
    body.close();
    Some(WantedApiKey {
        owner: owner?,
        kind: if is_public? {
            ApiKeyKind::Public
        } else {
            ApiKeyKind::Secret
        },
        description: description?,
        // Zero means never, too.
        expires_at: expires_at?.filter(|at| *at != 0).map(Millis),
    })
}

/// Lists an owner's keys, newest first.
pub(crate) async fn list(family: Family, access: &ClientAccess, input: &Input) -> ApiResult {
    let mut form = access.form(input);
    let mut query = form.query();
    let owner = family.required_owner(&mut query);
    query.close();
    let owner = form.finish(owner)?;
    family.require_enabled(access)?;
    require_manager(access, owner).await?;
    let rows = api_keys::of_owner(access.app.pool(), access.project_id(), owner).await?;
    let items: Vec<Value> = rows.iter().map(|row| views::api_key(row, None)).collect();
    Ok(whole_list(&items))
}

/// One key.
pub(crate) async fn read(family: Family, access: &ClientAccess, input: &Input) -> ApiResult {
    let mut form = access.form(input);
    let id = id_in_path(family, &mut form);
    let id = form.finish(id)?;
    let row = find_to_manage(family, access, id).await?;
    Ok(Json(views::api_key(&row, None)).into_response())
}

/// Describes or revokes a key. A revoked key stays revoked.
pub(crate) async fn update(family: Family, access: &ClientAccess, input: &Input) -> ApiResult {
    let mut form = access.form(input);
    let id = id_in_path(family, &mut form);
    let mut body = form.body();
    let description = body.optional("description", text);
    let revoked = body.optional("revoked", only_true);
    body.close();
    let (id, description, revoked) = form.finish((|| Some((id?, description?, revoked?)))())?;
    find_to_manage(family, access, id).await?;
    let wanted = ApiKeyChange {
        description,
        revocation: revoked.map(|_| ApiKeyRevocation::Manual),
    };
    change(&access.app, access.event_context(), id, &wanted).await?;
    let row = find(family, access, id).await?;
    Ok(Json(views::api_key(&row, None)).into_response())
}

/// Whose key a string is, if it works now.
pub(crate) async fn check(family: Family, access: &ServerAccess, input: &Input) -> ApiResult {
    let mut form = access.form(input).no_query();
    let key = read_key(&mut form);
    let key = form.finish(key)?;
    family.require_enabled(access)?;
    let row = by_secret(&access.app, &key).await?;
    if row.project_id != access.project_id().as_str() {
        return Err(KnownError::api_key_not_found().into());
    }
    let actual = row.owner().map_or(family, Family::of);
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
    Ok(Json(views::api_key(&row, None)).into_response())
}

/// Reads a body that is nothing but a key.
pub(crate) fn read_key(form: &mut Form<'_>) -> Option<String> {
    let mut body = form.body();
    let key = body.required("api_key", text);
    body.close();
    key
}

/// The key whose value that is, in any project.
///
/// # Errors
/// `API_KEY_NOT_FOUND`.
pub(crate) async fn by_secret(app: &App, key: &str) -> Result<ApiKeyRow, ApiError> {
    let row = api_keys::by_secret(app.pool(), SecretHash::of(key)).await?;
    row.ok_or_else(|| KnownError::api_key_not_found().into())
}

/// The owner may be named in the query, too; the id alone finds the key.
fn id_in_path(family: Family, form: &mut Form<'_>) -> Option<ApiKeyId> {
    let mut query = form.query();
    let owner = family.optional_owner(&mut query);
    query.close();
    let id = form.params().required("api_key_id", uuid);
    owner?;
    id.map(ApiKeyId)
}

async fn find_to_manage(
    family: Family,
    access: &ProjectAccess,
    id: ApiKeyId,
) -> Result<ApiKeyRow, ApiError> {
    family.require_enabled(access)?;
    if access.access_type == AccessType::Client {
        access.signed_in()?;
    }
    let row = find(family, access, id).await?;
    if let Some(owner) = row.owner() {
        require_manager(access, owner).await?;
    }
    Ok(row)
}

async fn find(family: Family, access: &ProjectAccess, id: ApiKeyId) -> Result<ApiKeyRow, ApiError> {
    let row = api_keys::by_id(access.app.pool(), access.project_id(), id).await?;
    let row = row.filter(|row| row.owner().map(Family::of) == Some(family));
    row.ok_or_else(|| KnownError::api_key_not_found().into())
}

/// Clients manage their own keys, and those of teams in which they hold the permission. A team
/// that they do not belong to looks like one that does not exist.
async fn require_manager(access: &ProjectAccess, owner: ApiKeyOwner) -> Result<(), ApiError> {
    if access.access_type != AccessType::Client {
        return Ok(());
    }
    let own = access.signed_in()?.user.user_id();
    match owner {
        ApiKeyOwner::User { user_id } if user_id == own => Ok(()),
        ApiKeyOwner::User { .. } => {
            let text = "You can only manage your own API keys.";
            Err(ApiError::text(StatusCode::FORBIDDEN, text))
        }
        ApiKeyOwner::Team { team_id } => {
            let permission = PermissionId::new(MANAGE_API_KEYS);
            match permissions::in_team(access.app.pool(), team_id, own, &permission).await? {
                Holding::Held => Ok(()),
                Holding::NotMember | Holding::Lacking => {
                    Err(KnownError::api_key_not_found().into())
                }
            }
        }
    }
}

async fn require_owner(access: &ProjectAccess, owner: ApiKeyOwner) -> Result<(), ApiError> {
    match owner {
        ApiKeyOwner::User { user_id } => find_user(access, user_id).await.map(drop),
        ApiKeyOwner::Team { team_id } => find_team(access, team_id).await.map(drop),
    }
}
