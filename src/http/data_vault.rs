//! `/data-vault`: values that clients sealed, kept under hashed keys.

use axum::Json;
use axum::response::IntoResponse;
use muniment_domain::VaultEntryId;
use muniment_domain::vault_entry::{VaultEntry, VaultEntryCommand, VaultValue, VaultValueSet};
use muniment_event_store::LedgerError;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::ServerAccess;
use crate::http::request::caller::Auth;
use crate::http::request::input::Input;
use crate::http::request::values::{non_empty_text, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(set))
        .routes(routes!(get))
}

/// Keeps a value, in the place of any other under the key.
#[utoipa::path(post, path = "/data-vault/stores/{id}/set", tag = "data vault", params(("id" = String, Path)), request_body = Value,
    responses((status = 200, description = "Kept"), (status = 400, description = "SCHEMA_ERROR, DATA_VAULT_STORE_DOES_NOT_EXIST")))]
async fn set(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let store = form.params().required("id", text);
    let mut body = form.body();
    let hashed_key = body.required("hashed_key", non_empty_text);
    let encrypted = body.required("encrypted_value", text);
    body.close();
    let (store_id, hashed_key, encrypted) =
        form.finish((|| Some((store?, hashed_key?, encrypted?)))())?;
    require_store(&access, &store_id)?;
    let id = VaultEntryId::of(access.project_id(), &store_id, &hashed_key);
    let value = VaultValueSet {
        project_id: access.project_id().clone(),
        store_id,
        hashed_key,
        personal: VaultValue { encrypted }.into(),
    };
    let command = VaultEntryCommand::Set(value);
    access
        .app
        .execute::<VaultEntry>(access.event_context(), &id, &command)
        .await?;
    Ok(success())
}

/// The value under a key, exactly as it was set.
#[utoipa::path(post, path = "/data-vault/stores/{id}/get", tag = "data vault", params(("id" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{encrypted_value}`"), (status = 400, description = "SCHEMA_ERROR, DATA_VAULT_STORE_DOES_NOT_EXIST, DATA_VAULT_STORE_HASHED_KEY_DOES_NOT_EXIST")))]
async fn get(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let store = form.params().required("id", text);
    let mut body = form.body();
    let hashed_key = body.required("hashed_key", non_empty_text);
    body.close();
    let (store, hashed_key) = form.finish((|| Some((store?, hashed_key?)))())?;
    require_store(&access, &store)?;
    let id = VaultEntryId::of(access.project_id(), &store, &hashed_key);
    let entry = access
        .app
        .log
        .transact(access.event_context(), |mut unit| async move {
            let entry = unit.state::<VaultEntry>(&id).await?;
            Ok::<_, LedgerError>((unit, entry))
        })
        .await?;
    let value = entry.value().ok_or_else(|| {
        KnownError::data_vault_store_hashed_key_does_not_exist(&store, &hashed_key)
    })?;
    Ok(Json(json!({"encrypted_value": value})).into_response())
}

/// Stores are made by configuration alone.
fn require_store(auth: &Auth, store: &str) -> Result<(), ApiError> {
    if auth.project.config.data_vault.stores.contains_key(store) {
        return Ok(());
    }
    Err(KnownError::data_vault_store_does_not_exist(store).into())
}
