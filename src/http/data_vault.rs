//! `/data-vault`: values that clients sealed, kept under hashed keys.

use axum::Json;
use muniment_domain::VaultEntryId;
use muniment_domain::vault_entry::{VaultEntry, VaultEntryCommand, VaultValue, VaultValueSet};
use muniment_event_store::LedgerError;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::error::codes::{
    DataVaultStoreDoesNotExist, DataVaultStoreHashedKeyDoesNotExist, Errors,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::Success;
use crate::http::openapi::operations;
use crate::http::request::access::ServerAccess;
use crate::http::request::caller::Auth;
use crate::http::request::declare::{fields, request};
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::{non_empty_text, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(set_data_vault_value))
        .routes(operations!(get_data_vault_value))
}

request! {
    /// A value to be kept.
    struct SetDataVaultValue {
        path {
            .. store: StorePath;
        }
        body {
            /// The key, hashed by the client.
            hashed_key: String = required(non_empty_text());
            /// The value, sealed by the client.
            encrypted_value: String = required(text());
        }
    }

    /// A value that is asked for.
    struct GetDataVaultValue {
        path {
            .. store: StorePath;
        }
        body {
            /// The key, hashed by the client.
            hashed_key: String = required(non_empty_text());
        }
    }
}

fields! {
    /// What names a store in a path.
    struct StorePath {
        /// The store's id in the project's configuration.
        id: String = required(text());
    }
}

/// A value that was kept.
#[derive(Serialize, ToSchema)]
struct DataVaultValue {
    /// The value exactly as it was set, sealed by the client.
    encrypted_value: String,
}

/// Keeps a value, in the place of any other under the key.
#[utoipa::path(post, path = "/data-vault/stores/{id}/set", tag = "data vault",
    responses(Errors<DataVaultStoreDoesNotExist>))]
async fn set_data_vault_value(
    access: ServerAccess,
    new: SetDataVaultValue,
) -> ApiResult<Json<Success>> {
    let store_id = new.store.id;
    require_store(&access, &store_id)?;
    let id = VaultEntryId::of(access.project_id(), &store_id, &new.hashed_key);
    let value = VaultValueSet {
        project_id: access.project_id().clone(),
        store_id,
        hashed_key: new.hashed_key,
        personal: VaultValue {
            encrypted: new.encrypted_value,
        }
        .into(),
    };
    let (command, context) = (VaultEntryCommand::Set(value), access.event_context());
    let app = &access.app;
    app.execute::<VaultEntry>(context, &id, &command).await?;
    Ok(Success::ANSWER)
}

/// Shows the value under a key, exactly as it was set.
#[utoipa::path(post, path = "/data-vault/stores/{id}/get", tag = "data vault",
    responses(Errors<(DataVaultStoreDoesNotExist, DataVaultStoreHashedKeyDoesNotExist)>))]
async fn get_data_vault_value(
    access: ServerAccess,
    wanted: GetDataVaultValue,
) -> ApiResult<Json<DataVaultValue>> {
    let (store, hashed_key) = (wanted.store.id, wanted.hashed_key);
    require_store(&access, &store)?;
    let id = VaultEntryId::of(access.project_id(), &store, &hashed_key);
    let log = &access.app.log;
    let entry = log.transact(access.event_context(), |mut unit| async move {
        let entry = unit.state::<VaultEntry>(&id).await?;
        Ok::<_, LedgerError>((unit, entry))
    });
    let entry = entry.await?;
    let missing = || KnownError::data_vault_store_hashed_key_does_not_exist(&store, &hashed_key);
    let value = entry.value().ok_or_else(missing)?;
    Ok(Json(DataVaultValue {
        encrypted_value: value.to_owned(),
    }))
}

/// Stores are made by configuration alone.
fn require_store(auth: &Auth, store: &str) -> Result<(), ApiError> {
    if auth.project.config.data_vault.stores.contains_key(store) {
        return Ok(());
    }
    Err(KnownError::data_vault_store_does_not_exist(store).into())
}
