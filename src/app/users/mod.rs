//! Use cases of user accounts: creating, changing and deleting them, and their addresses.

pub mod accounts;
pub mod contact_channels;

use muniment_domain::UserId;
use muniment_domain::user::{User, UserError};
use muniment_event_store::{LedgerError, UnitOfWork};

/// Makes sure that a user exists, now and when the unit takes effect.
///
/// # Errors
/// `User(NotFound)`.
pub async fn require_living(unit: &mut UnitOfWork, user: UserId) -> Result<(), LedgerError> {
    if unit.look::<User>(&user).await?.is_active() {
        return Ok(());
    }
    Err(UserError::NotFound.into())
}
