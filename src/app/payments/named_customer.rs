//! Customers as requests name them: by type and id, existing or not.

use muniment_domain::customer::{CustomerRef, CustomerType, Product};
use muniment_domain::{ProjectId, TeamId, UserId};
use muniment_projections::read_models::{teams, users};
use uuid::Uuid;

use crate::app::App;
use crate::error::ApiResult;
use crate::error::known_error::KnownError;

/// A customer as a request names it.
#[derive(Clone, Debug)]
pub struct NamedCustomer {
    /// Its type.
    pub kind: CustomerType,
    /// Its id, which need not be one.
    pub id: String,
}

impl NamedCustomer {
    /// The customer, if it exists.
    ///
    /// # Errors
    /// `USER_NOT_FOUND`, `TEAM_NOT_FOUND`.
    pub async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<CustomerRef> {
        let uuid = || Uuid::parse_str(&self.id).ok();
        match self.kind {
            CustomerType::User => {
                let id = uuid().ok_or_else(KnownError::user_not_found)?;
                let user = users::by_id(app.pool(), project, UserId(id)).await?;
                user.ok_or_else(KnownError::user_not_found)?;
            }
            CustomerType::Team => {
                let missing = || KnownError::no_team(&self.id);
                let id = uuid().ok_or_else(missing)?;
                let team = teams::by_id(app.pool(), project, TeamId(id)).await?;
                team.ok_or_else(missing)?;
            }
            CustomerType::Custom => {}
        }
        self.unchecked()
    }

    /// The customer, existing or not.
    ///
    /// # Errors
    /// `USER_NOT_FOUND`, `TEAM_NOT_FOUND` for what is no id.
    pub fn unchecked(&self) -> ApiResult<CustomerRef> {
        let uuid = || Uuid::parse_str(&self.id);
        Ok(match self.kind {
            CustomerType::User => CustomerRef::User {
                user_id: UserId(uuid().map_err(|_| KnownError::user_not_found())?),
            },
            CustomerType::Team => CustomerRef::Team {
                team_id: TeamId(uuid().map_err(|_| KnownError::no_team(&self.id))?),
            },
            CustomerType::Custom => CustomerRef::Custom {
                custom_id: self.id.clone(),
            },
        })
    }

    /// Makes sure that a product is for customers of this kind.
    ///
    /// # Errors
    /// `PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH`.
    pub fn require_type(&self, id: Option<&str>, product: &Product) -> ApiResult<()> {
        if product.customer_type == self.kind {
            return Ok(());
        }
        let expected = product.customer_type;
        Err(
            KnownError::product_customer_type_does_not_match(id, &self.id, expected, self.kind)
                .into(),
        )
    }
}
