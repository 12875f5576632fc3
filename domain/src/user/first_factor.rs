//! What opens an account, and whether it still does.
//!
//! A first factor is proved outside of the log: a password takes 20 ms to compare, a passkey a
//! ceremony, a mailbox days. By then the account may have changed. So what was proved travels with
//! the decision, and the account is asked again when the session is opened, and once more when the
//! second factor completes what the first began. What voids a proof is in [`crate::grounds`].

use serde::{Deserialize, Serialize};

use super::User;
use crate::SecretHash;

/// The proof of a first factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FirstFactor {
    /// The password whose stored hash has this digest was given.
    Password {
        /// The SHA-256 digest of the hash as it is stored, in PHC or modular crypt format.
        digest: SecretHash,
    },
    /// The passkey with this credential id signed.
    Passkey {
        /// The credential's id, base64url without padding.
        credential_id: String,
    },
    /// A code that was sent to this address came back.
    Mailbox {
        /// The normalised address.
        address: String,
    },
    /// The caller was signed in as an anonymous user, who signs up.
    Anonymous,
}

impl FirstFactor {
    /// The password that is stored under this hash.
    #[must_use]
    pub fn password(stored_hash: &str) -> Self {
        Self::Password {
            digest: SecretHash::of(stored_hash),
        }
    }
}

impl User {
    /// Whether what was proved still opens the account.
    #[must_use]
    pub fn accepts(&self, proof: &FirstFactor) -> bool {
        self.is_active()
            && match proof {
                FirstFactor::Password { digest } => self.password_digest == Some(*digest),
                FirstFactor::Passkey { credential_id } => {
                    self.passkey_id.as_ref() == Some(credential_id)
                }
                FirstFactor::Mailbox { address } => {
                    let mut channels = self.channels.values();
                    channels.any(|it| it.used_for_auth && it.value == *address)
                }
                FirstFactor::Anonymous => true,
            }
    }
}
