//! The data vault.

use serde_json::json;

use super::KnownError;

impl KnownError {
    /// A store of the data vault that the project did not configure.
    #[must_use]
    pub fn data_vault_store_does_not_exist(store: &str) -> Self {
        Self::bad_request(
            "DATA_VAULT_STORE_DOES_NOT_EXIST",
            format!("The data vault has no store {store}. Stores are made in the configuration."),
        )
        .with(json!({"store_id": store}))
    }

    /// Nothing is kept under that key.
    #[must_use]
    pub fn data_vault_store_hashed_key_does_not_exist(store: &str, hashed_key: &str) -> Self {
        Self::bad_request(
            "DATA_VAULT_STORE_HASHED_KEY_DOES_NOT_EXIST",
            format!("The store {store} of the data vault keeps nothing under this key."),
        )
        .with(json!({"store_id": store, "hashed_key": hashed_key}))
    }
}
