//! The commands to an API key.

use super::event::{ApiKeyDeletion, ApiKeyIssued, ApiKeyRevocation};
use crate::Millis;

/// A command to an API key.
#[derive(Clone, Debug)]
pub enum ApiKeyCommand {
    /// Issue the key. Refused if the id is taken.
    Issue(Box<ApiKeyIssued>),
    /// Change the key's description, even of a revoked key.
    Describe(String),
    /// Revoke the key for good. Revoking it again changes nothing.
    Revoke {
        /// When the key stops working.
        now: Millis,
        /// Whether somebody revoked the key, or it leaked.
        cause: ApiKeyRevocation,
    },
    /// Delete the key, because its owner is deleted.
    Delete(ApiKeyDeletion),
}
