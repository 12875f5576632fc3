//! `/internal/onboarding`: whom a change of what is demanded of users would affect.

use axum::Json;
use muniment_domain::RestrictedReason;
use muniment_projections::read_models::users::{self, UnverifiedUser};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::app::App;
use crate::error::ApiResult;
use crate::error::known_error::Restriction;
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::declare::{fields, request};
use crate::http::request::presence::{optional, or_default, required};
use crate::http::request::shape::object;
use crate::http::request::shape::scalars::{boolean, integer};

/// How many users are shown if the caller does not say.
const SHOWN: i64 = 10;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(preview_affected_users))
}

request! {
    /// A change of what is demanded of users.
    struct PreviewAffectedUsers {
        query {
            /// How many of the affected users to show at most.
            limit: i64 = or_default(integer(0..=i64::MAX), SHOWN);
        }
        body {
            /// What would be demanded of users.
            onboarding: OnboardingDemands = required(object());
        }
        example {"onboarding": {"require_email_verification": true}}
    }
}

fields! {
    /// What is demanded of users.
    struct OnboardingDemands {
        /// Whether users need a verified primary email address. Without it, nobody is affected.
        require_email_verification: Option<bool> = optional(boolean());
    }
}

/// The users whom a change would restrict.
#[derive(Serialize, ToSchema)]
struct AffectedUsers {
    /// The newest of them, as many as were asked for.
    affected_users: Vec<AffectedUser>,
    /// How many there are in all.
    total_affected_count: i64,
}

/// A user whom a change would restrict.
#[derive(Serialize, ToSchema)]
struct AffectedUser {
    #[schema(required)]
    display_name: Option<String>,
    id: Uuid,
    #[schema(required)]
    primary_email: Option<String>,
    /// Why the user would be restricted.
    restricted_reason: Restriction,
}

impl From<UnverifiedUser> for AffectedUser {
    fn from(user: UnverifiedUser) -> Self {
        Self {
            display_name: user.display_name,
            id: user.id,
            primary_email: user.primary_email,
            restricted_reason: RestrictedReason::EmailNotVerified.into(),
        }
    }
}

/// Shows the users who would be restricted once email verification is demanded.
///
/// Nothing is changed.
#[utoipa::path(
    post,
    path = "/internal/onboarding/preview-affected-users",
    tag = "internal"
)]
async fn preview_affected_users(
    access: AdminAccess,
    wanted: PreviewAffectedUsers,
) -> ApiResult<Json<AffectedUsers>> {
    let present = access.project.config.onboarding.require_email_verification;
    let (users, total) = if present || wanted.onboarding.require_email_verification != Some(true) {
        (Vec::new(), 0)
    } else {
        users::unverified(access.app.pool(), access.project_id(), wanted.limit).await?
    };
    Ok(Json(AffectedUsers {
        affected_users: users.into_iter().map(AffectedUser::from).collect(),
        total_affected_count: total,
    }))
}
