//! What can be asked of an API key.

use super::event::{ApiKeyDeletion, ApiKeyIssued, ApiKeyRevocation};
use crate::Millis;

/// A command to an API key.
#[derive(Clone, Debug)]
pub enum ApiKeyCommand {
    /// Issue it.
    Issue(Box<ApiKeyIssued>),
    /// Describe it anew; revoked keys, too.
    Describe(String),
    /// Revoke it for good. Revoking it again changes nothing.
    Revoke {
        /// When.
        now: Millis,
        /// Why.
        cause: ApiKeyRevocation,
    },
    /// Delete it, because its owner is deleted.
    Delete(ApiKeyDeletion),
}
