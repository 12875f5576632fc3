//! `/user-api-keys`: keys that a user hands to programs.

use axum::Json;
use muniment_domain::api_key::ApiKeyOwner;
use muniment_domain::{ApiKeyId, UserId};
use utoipa_axum::router::OpenApiRouter;

use super::owner_api_keys::{
    self as common, ApiKeyFields, CheckApiKey, Family, FoundApiKey, NamesApiKey, NewApiKey,
    NotManaged, NotWorking, api_key_id,
};
use crate::app::App;
use crate::error::ApiResult;
use crate::error::codes::{Errors, UserNotFound};
use crate::http::answer::List;
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ServerAccess};
use crate::http::request::declare::{fields, request};
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::user_id_or_me;
use crate::views::{ApiKeyView, IssuedApiKey};

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_user_api_keys, create_user_api_key))
        .routes(operations!(get_user_api_key, update_user_api_key))
        .routes(operations!(check_user_api_key))
}

request! {
    /// A key to be issued to a user.
    struct CreateUserApiKey {
        body {
            .. key: NewApiKey;
            /// The user whose key it is: an id, or `me` for the signed-in user's.
            user_id: UserId = required(user_id_or_me());
        }
    }

    /// Whose keys to list.
    struct ListUserApiKeys {
        query {
            /// The user whose keys to list: an id, or `me` for the signed-in user's.
            user_id: UserId = required(user_id_or_me());
        }
    }

    /// A key that is asked for.
    struct GetUserApiKey {
        path {
            .. path: UserApiKeyPath;
        }
        query {
            .. _owner: IgnoredUser;
        }
    }

    /// A change of a key.
    struct UpdateUserApiKey {
        path {
            .. path: UserApiKeyPath;
        }
        query {
            .. _owner: IgnoredUser;
        }
        body {
            .. fields: ApiKeyFields;
        }
    }
}

fields! {
    /// What names a key in a path.
    struct UserApiKeyPath {
        /// The key's id.
        api_key_id: ApiKeyId = required(api_key_id());
    }

    /// The owner may be named beside the key; the key's id alone finds it.
    struct IgnoredUser {
        /// The user whose key it is: an id, or `me` for the signed-in user's. The key's id alone finds it.
        _user_id as "user_id": Option<UserId> = optional(user_id_or_me());
    }
}

impl NamesApiKey for GetUserApiKey {
    const FAMILY: Family = Family::Users;

    fn api_key_id(&self) -> ApiKeyId {
        self.path.api_key_id
    }
}

impl NamesApiKey for UpdateUserApiKey {
    const FAMILY: Family = Family::Users;

    fn api_key_id(&self) -> ApiKeyId {
        self.path.api_key_id
    }
}

/// Issues a key to a user, and shows it this once.
///
/// Clients manage keys of the signed-in user only.
#[utoipa::path(post, path = "/user-api-keys", tag = "API keys", responses(Errors<(NotManaged, UserNotFound)>))]
async fn create_user_api_key(
    access: ClientAccess,
    CreateUserApiKey { key, user_id }: CreateUserApiKey,
) -> ApiResult<Json<IssuedApiKey>> {
    common::create(&access, ApiKeyOwner::User { user_id }, key).await
}

/// Lists a user's keys, newest first, expired and revoked ones included.
///
/// Clients manage keys of the signed-in user only.
#[utoipa::path(get, path = "/user-api-keys", tag = "API keys", responses(Errors<NotManaged>))]
async fn list_user_api_keys(
    access: ClientAccess,
    ListUserApiKeys { user_id }: ListUserApiKeys,
) -> ApiResult<Json<List<ApiKeyView>>> {
    common::list(&access, ApiKeyOwner::User { user_id }).await
}

/// One key of a user.
///
/// Clients manage keys of the signed-in user only.
#[utoipa::path(get, path = "/user-api-keys/{api_key_id}", tag = "API keys")]
async fn get_user_api_key(
    _access: ClientAccess,
    FoundApiKey(row, owner, _): FoundApiKey<GetUserApiKey>,
) -> Json<ApiKeyView> {
    Json(ApiKeyView::new(&row, owner))
}

/// Describes or revokes a key of a user. A revoked key stays revoked.
///
/// Clients manage keys of the signed-in user only.
#[utoipa::path(patch, path = "/user-api-keys/{api_key_id}", tag = "API keys")]
async fn update_user_api_key(
    access: ClientAccess,
    FoundApiKey(row, _, update): FoundApiKey<UpdateUserApiKey>,
) -> ApiResult<Json<ApiKeyView>> {
    common::update(Family::Users, &access, row.api_key_id(), update.fields).await
}

/// Says which user's key a string is, if it works now.
#[utoipa::path(post, path = "/user-api-keys/check", tag = "API keys", responses(Errors<NotWorking>))]
async fn check_user_api_key(access: ServerAccess, key: CheckApiKey) -> ApiResult<Json<ApiKeyView>> {
    common::check(Family::Users, &access, key).await
}
