//! Why a user is restricted: as users are shown, and as the error says it that they get.

use muniment_domain::RestrictedReason;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a user is restricted.
#[derive(Serialize, ToSchema, Clone, Debug)]
pub(crate) struct Restriction {
    #[serde(rename = "type")]
    #[schema(inline)]
    kind: RestrictionKind,
}

/// What kind of reason there is to restrict a user.
#[derive(Serialize, ToSchema, Clone, Copy, Debug)]
#[serde(rename_all = "snake_case")]
enum RestrictionKind {
    /// The user did not sign up.
    Anonymous,
    /// The project wants a verified email address, and the user has none.
    EmailNotVerified,
    /// An administrator wants it so.
    RestrictedByAdministrator,
}

impl From<RestrictedReason> for Restriction {
    fn from(reason: RestrictedReason) -> Self {
        let kind = match reason {
            RestrictedReason::Anonymous => RestrictionKind::Anonymous,
            RestrictedReason::EmailNotVerified => RestrictionKind::EmailNotVerified,
            RestrictedReason::RestrictedByAdministrator => {
                RestrictionKind::RestrictedByAdministrator
            }
        };
        Self { kind }
    }
}
