//! `/payments` and `/internal/payments`: items, products, purchases, transactions (contract 06).
//!
//! Whoever is to be charged is charged through Stripe, in the name of the project's account there.
//! Items, grants and lists work without.

mod billing;
mod inline_product;
mod invoices;
mod items;
mod method_configs;
mod products;
mod purchase_sessions;
mod purchases;
mod refunds;
mod stripe_account;
mod switches;
mod transactions;

use axum::http::StatusCode;
use muniment_domain::customer::{
    CustomerError, CustomerRef, CustomerType, Product, Purchase, WantedPurchase, check,
};
use muniment_domain::permission::TEAM_ADMIN;
use muniment_domain::{TeamId, UserId};
use muniment_projections::read_models::{customers, teams, users};
use muniment_projections::{AccessType, LedgerError};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::app::App;
use crate::app::payments::checkout;
use crate::app::payments::stripe_customers::{self, LookupError};
use crate::app::projects::LoadedProject;
use crate::app::teams::require_permission;
use crate::clients::stripe::ConnectedStripe;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ProjectAccess;
use crate::http::request::caller::Auth;
use crate::http::request::input::{Checked, Fields, one_of, text};

/// The routes of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(items::router())
        .merge(products::router())
        .merge(switches::router())
        .merge(purchases::router())
        .merge(purchase_sessions::router())
        .merge(transactions::router())
        .merge(refunds::router())
        .merge(billing::router())
        .merge(invoices::router())
        .merge(stripe_account::router())
        .merge(method_configs::router())
}

/// A customer as a request names it.
#[derive(Clone, Debug)]
struct Named {
    kind: CustomerType,
    id: String,
}

impl Named {
    fn read(fields: &mut Fields<'_>, kinds: &'static [&'static str]) -> Checked<Self> {
        let kind = fields.required("customer_type", one_of(kinds));
        let id = fields.required("customer_id", text);
        Some(Self {
            kind: CustomerType::named(kind?)?,
            id: id?,
        })
    }

    /// Clients speak for themselves, and for teams that they administrate.
    async fn check_client(&self, access: &ProjectAccess) -> ApiResult<()> {
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

    /// The customer, if it exists.
    async fn find(&self, access: &ProjectAccess) -> ApiResult<CustomerRef> {
        let uuid = || Uuid::parse_str(&self.id).ok();
        match self.kind {
            CustomerType::User => {
                let id = uuid().ok_or_else(KnownError::user_not_found)?;
                let user = users::by_id(access.app.pool(), access.project_id(), UserId(id)).await?;
                user.ok_or_else(KnownError::user_not_found)?;
            }
            CustomerType::Team => {
                let missing = || KnownError::no_team(&self.id);
                let id = uuid().ok_or_else(missing)?;
                let team = teams::by_id(access.app.pool(), access.project_id(), TeamId(id)).await?;
                team.ok_or_else(missing)?;
            }
            CustomerType::Custom => {}
        }
        self.unchecked()
    }

    /// The customer, existing or not.
    fn unchecked(&self) -> ApiResult<CustomerRef> {
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
    fn require_type(&self, id: Option<&str>, product: &Product) -> ApiResult<()> {
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

/// A product as a request names or describes it.
#[derive(Clone, Debug)]
enum Meant {
    Configured(String),
    Inline(Box<Product>),
}

impl Meant {
    /// Reads `{name}_id` and `{name}_inline`.
    fn read(body: &mut Fields<'_>, name: &str) -> Checked<(Option<String>, Option<Box<Product>>)> {
        let id = body.optional(&format!("{name}_id"), text);
        let inline = body.optional(&format!("{name}_inline"), inline_product::read);
        let id = id?.filter(|id| !id.is_empty());
        Some((id, inline?.flatten().map(Box::new)))
    }

    fn choose(
        auth: &Auth,
        (id, inline): (Option<String>, Option<Box<Product>>),
    ) -> ApiResult<Self> {
        let refuse = |text: &str| Err(ApiError::text(StatusCode::BAD_REQUEST, text));
        match (id, inline) {
            (Some(_), Some(_)) => refuse("Give product_id or product_inline, not both."),
            (None, Some(_)) if auth.access_type == AccessType::Client => {
                refuse("Products can be described with server access only. Give product_id.")
            }
            (None, None) => refuse("Give product_id or product_inline."),
            (None, Some(inline)) => Ok(Self::Inline(inline)),
            (Some(id), None) => Ok(Self::Configured(id)),
        }
    }

    /// Its id and the product itself.
    fn resolve(self, auth: &Auth) -> ApiResult<(Option<String>, Product)> {
        match self {
            Self::Inline(product) => Ok((None, *product)),
            Self::Configured(id) => {
                let product = configured(auth, &id)?;
                Ok((Some(id), product))
            }
        }
    }
}

/// A product of the settings, if this caller may know of it.
fn configured(auth: &Auth, id: &str) -> ApiResult<Product> {
    let payments = &auth.project.catalogue;
    let missing = |context| KnownError::product_does_not_exist(id, context).into();
    match payments.product(id) {
        Some(product) if product.server_only && auth.access_type == AccessType::Client => {
            Err(missing(Some("server_only")))
        }
        Some(product) => Ok(product),
        None => Err(missing(
            payments.items.contains_key(id).then_some("item_exists"),
        )),
    }
}

fn require_open(auth: &Auth) -> ApiResult<()> {
    if auth.project.catalogue.block_new_purchases {
        return Err(KnownError::new_purchases_blocked().into());
    }
    Ok(())
}

/// What a customer refuses, in the words of the contract.
fn refused(error: LedgerError, product: Option<&str>, customer: &str) -> ApiError {
    match error {
        LedgerError::Customer(CustomerError::AlreadyGranted) => {
            KnownError::product_already_granted(product, customer).into()
        }
        LedgerError::Customer(refusal) => {
            ApiError::text(StatusCode::BAD_REQUEST, refusal.to_string())
        }
        LedgerError::VerificationCode(_) => KnownError::verification_code_not_found().into(),
        other => other.into(),
    }
}

/// Stripe in the name of the project's account.
fn require_connected(app: &App, project: &LoadedProject) -> ApiResult<ConnectedStripe> {
    stripe_customers::connected(app, project).ok_or_else(no_payments)
}

/// Ends at Stripe what has to give way to a purchase (contract 06 §5.2), if anything there does. Its
/// row follows when Stripe says so.
async fn make_way(app: &App, project: &LoadedProject, wanted: &WantedPurchase) -> ApiResult<()> {
    let stream = wanted.customer.stream(&project.id);
    let purchases = customers::purchases_of(app.pool(), stream).await?;
    let refused = |refusal: CustomerError| {
        let (product, customer) = (wanted.product_id.as_deref(), wanted.customer.id_text());
        refused(refusal.into(), product, &customer)
    };
    let replaced = check(&purchases, wanted, app.now()).map_err(refused)?;
    // What has no price is not bought, so nothing gives way to it.
    let is_bought = wanted.price().map_err(refused)?.is_some();
    let mut replaced = purchases
        .iter()
        .filter(|purchase| is_bought && Some(purchase.id) == replaced);
    match replaced.next().and_then(Purchase::stripe_subscription) {
        Some(id) => Ok(checkout::cancel(&require_connected(app, project)?, id).await?),
        None => Ok(()),
    }
}

impl From<LookupError> for ApiError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Stripe(error) => error.into(),
            ambiguous @ LookupError::Ambiguous(_) => Self::internal(ambiguous),
        }
    }
}

fn no_payments() -> ApiError {
    ApiError::text(
        StatusCode::BAD_REQUEST,
        "Payments are not set up for this project.",
    )
}
