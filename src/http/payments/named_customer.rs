//! Reading which customer a request is about, and whether its caller may speak for them.

use axum::http::StatusCode;
use muniment_domain::TeamId;
use muniment_domain::customer::CustomerType;
use muniment_domain::permission::TEAM_ADMIN;
use muniment_event_store::AccessType;

use crate::app::payments::named_customer::NamedCustomer;
use crate::app::teams::require_permission;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ProjectAccess;
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::values::{one_of, text};

/// The types of customers that can pay.
pub(super) const PAYERS: [&str; 2] = ["user", "team"];

impl NamedCustomer {
    /// Reads `customer_type`, one of these, and `customer_id`.
    pub(super) fn read(fields: &mut Fields<'_>, kinds: &'static [&'static str]) -> Checked<Self> {
        let kind = fields.required("customer_type", one_of(kinds));
        let id = fields.required("customer_id", text);
        Some(Self {
            kind: CustomerType::named(kind?)?,
            id: id?,
        })
    }

    /// Clients speak for themselves, and for teams that they administrate.
    pub(super) async fn check_client(&self, access: &ProjectAccess) -> ApiResult<()> {
        if access.access_type != AccessType::Client {
            return Ok(());
        }
        let own = access.signed_in()?.user.user_id();
        match self.kind {
            CustomerType::Custom => Err(ApiError::text(
                StatusCode::FORBIDDEN,
                "Custom customers can be reached with server access only.",
            )),
            CustomerType::User if self.id != own.to_string() => Err(ApiError::text(
                StatusCode::FORBIDDEN,
                "You can only reach your own items and products, and those of your teams.",
            )),
            CustomerType::User => Ok(()),
            CustomerType::Team => {
                let team = self.id.parse().map_err(|_| KnownError::no_team(&self.id))?;
                require_permission(&access.app, TeamId(team), own, TEAM_ADMIN).await
            }
        }
    }
}
