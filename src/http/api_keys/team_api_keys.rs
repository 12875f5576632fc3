//! `/team-api-keys`: keys that a team hands to programs.

use axum::Json;
use muniment_domain::api_key::ApiKeyOwner;
use muniment_domain::{ApiKeyId, TeamId};
use utoipa_axum::router::OpenApiRouter;

use super::owner_api_keys::{
    self as common, ApiKeyFields, CheckApiKey, Family, FoundApiKey, NamesApiKey, NewApiKey,
    NotWorking, api_key_id,
};
use crate::app::App;
use crate::error::ApiResult;
use crate::error::codes::{ApiKeyNotFound, Errors, TeamNotFound, Text, UserAuthenticationRequired};
use crate::http::answer::List;
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ServerAccess};
use crate::http::request::declare::{fields, request};
use crate::http::request::presence::{optional, required};
use crate::http::teams::find::team_id;
use crate::views::{ApiKeyView, IssuedApiKey};

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_team_api_keys, create_team_api_key))
        .routes(operations!(get_team_api_key, update_team_api_key))
        .routes(operations!(check_team_api_key))
}

request! {
    /// A key to be issued to a team.
    struct CreateTeamApiKey {
        body {
            .. key: NewApiKey;
            /// The team whose key it is.
            team_id: TeamId = required(team_id());
        }
    }

    /// Whose keys to list.
    struct ListTeamApiKeys {
        query {
            /// The team whose keys to list.
            team_id: TeamId = required(team_id());
        }
    }

    /// A key that is asked for.
    struct GetTeamApiKey {
        path {
            .. path: TeamApiKeyPath;
        }
        query {
            .. _owner: IgnoredTeam;
        }
    }

    /// A change of a key.
    struct UpdateTeamApiKey {
        path {
            .. path: TeamApiKeyPath;
        }
        query {
            .. _owner: IgnoredTeam;
        }
        body {
            .. fields: ApiKeyFields;
        }
    }
}

fields! {
    /// What names a key in a path.
    struct TeamApiKeyPath {
        /// The key's id.
        api_key_id: ApiKeyId = required(api_key_id());
    }

    /// The owner may be named beside the key; the key's id alone finds it.
    struct IgnoredTeam {
        /// The team whose key it is. The key's id alone finds it.
        _team_id as "team_id": Option<TeamId> = optional(team_id());
    }
}

impl NamesApiKey for GetTeamApiKey {
    const FAMILY: Family = Family::Teams;

    fn api_key_id(&self) -> ApiKeyId {
        self.path.api_key_id
    }
}

impl NamesApiKey for UpdateTeamApiKey {
    const FAMILY: Family = Family::Teams;

    fn api_key_id(&self) -> ApiKeyId {
        self.path.api_key_id
    }
}

/// Why somebody may not manage a team's keys. A team that one may not manage looks like one that does
/// not exist.
type NotManaged = (UserAuthenticationRequired, ApiKeyNotFound, Text<400>);

/// Issues a key to a team, and shows it this once.
///
/// Clients need the permission `$manage_api_keys` in the team.
#[utoipa::path(post, path = "/team-api-keys", tag = "API keys", responses(Errors<(NotManaged, TeamNotFound)>))]
async fn create_team_api_key(
    access: ClientAccess,
    CreateTeamApiKey { key, team_id }: CreateTeamApiKey,
) -> ApiResult<Json<IssuedApiKey>> {
    common::create(&access, ApiKeyOwner::Team { team_id }, key).await
}

/// Lists a team's keys, newest first, expired and revoked ones included.
///
/// Clients need the permission `$manage_api_keys` in the team.
#[utoipa::path(get, path = "/team-api-keys", tag = "API keys", responses(Errors<NotManaged>))]
async fn list_team_api_keys(
    access: ClientAccess,
    ListTeamApiKeys { team_id }: ListTeamApiKeys,
) -> ApiResult<Json<List<ApiKeyView>>> {
    common::list(&access, ApiKeyOwner::Team { team_id }).await
}

/// One key of a team.
///
/// Clients need the permission `$manage_api_keys` in the team.
#[utoipa::path(get, path = "/team-api-keys/{api_key_id}", tag = "API keys")]
async fn get_team_api_key(
    _access: ClientAccess,
    FoundApiKey(row, owner, _): FoundApiKey<GetTeamApiKey>,
) -> Json<ApiKeyView> {
    Json(ApiKeyView::new(&row, owner))
}

/// Describes or revokes a key of a team. A revoked key stays revoked.
///
/// Clients need the permission `$manage_api_keys` in the team.
#[utoipa::path(patch, path = "/team-api-keys/{api_key_id}", tag = "API keys")]
async fn update_team_api_key(
    access: ClientAccess,
    FoundApiKey(row, _, update): FoundApiKey<UpdateTeamApiKey>,
) -> ApiResult<Json<ApiKeyView>> {
    common::update(Family::Teams, &access, row.api_key_id(), update.fields).await
}

/// Says which team's key a string is, if it works now.
#[utoipa::path(post, path = "/team-api-keys/check", tag = "API keys", responses(Errors<NotWorking>))]
async fn check_team_api_key(access: ServerAccess, key: CheckApiKey) -> ApiResult<Json<ApiKeyView>> {
    common::check(Family::Teams, &access, key).await
}
