//! The data vault.

use super::code::{Code, KnownError, codes};

codes! {
    /// A store of the data vault that the project did not configure.
    DataVaultStoreDoesNotExist: BAD_REQUEST "DATA_VAULT_STORE_DOES_NOT_EXIST" {
        /// The id.
        store_id: String,
    };

    /// Nothing is kept under that key.
    DataVaultStoreHashedKeyDoesNotExist: BAD_REQUEST "DATA_VAULT_STORE_HASHED_KEY_DOES_NOT_EXIST" {
        /// The store.
        store_id: String,
        /// The key, hashed.
        hashed_key: String,
    };
}

impl KnownError {
    /// A store of the data vault that the project did not configure.
    #[must_use]
    pub fn data_vault_store_does_not_exist(store: &str) -> Self {
        DataVaultStoreDoesNotExist {
            store_id: store.to_owned(),
        }
        .says(format!(
            "The data vault has no store {store}. Stores are made in the configuration."
        ))
    }

    /// Nothing is kept under that key.
    #[must_use]
    pub fn data_vault_store_hashed_key_does_not_exist(store: &str, hashed_key: &str) -> Self {
        DataVaultStoreHashedKeyDoesNotExist {
            store_id: store.to_owned(),
            hashed_key: hashed_key.to_owned(),
        }
        .says(format!(
            "The store {store} of the data vault keeps nothing under this key."
        ))
    }
}
