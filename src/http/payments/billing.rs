//! `/payments/billing` and `/payments/payment-method`: a customer's cards.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::named_customer::{NoSuchCustomer, OwnCustomer, Payer, StripeRefusals, names_customer};
use crate::app::App;
use crate::app::payments::cards;
use crate::app::payments::stripe_customers::{self, connected, require_connected};
use crate::clients::stripe::PaymentMethod;
use crate::error::ApiResult;
use crate::error::codes::Errors;
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::text;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_customer_billing))
        .routes(operations!(create_card_setup_intent))
        .routes(operations!(set_default_card))
}

request! {
    /// Whose billing is wanted.
    struct GetCustomerBilling {
        path {
            .. customer: Payer;
        }
    }

    /// That a card shall be saved.
    struct CreateCardSetupIntent {
        path {
            .. customer: Payer;
        }
        body(optional) {}
    }

    /// A card that was saved.
    struct SetDefaultCard {
        path {
            .. customer: Payer;
        }
        body {
            /// The setup intent at Stripe, `seti_…`, with which the card was saved.
            setup_intent_id: String = required(text());
        }
    }
}

names_customer!(GetCustomerBilling, CreateCardSetupIntent, SetDefaultCard);

/// What is wrong with the customer, or with paying.
type Refusals = (NoSuchCustomer, StripeRefusals);

/// Whether a customer can pay, and with which card.
#[derive(Serialize, ToSchema)]
struct Billing {
    /// The card that is charged, if there is one.
    #[schema(required)]
    default_payment_method: Option<SavedCard>,
    /// Whether Stripe knows the customer.
    has_customer: bool,
}

/// What is shown of a card.
#[derive(Serialize, ToSchema)]
struct SavedCard {
    /// Its brand: `visa`, …
    #[schema(required)]
    brand: Option<String>,
    /// The month in which it expires, from 1 to 12.
    #[schema(required)]
    exp_month: Option<i64>,
    /// The year in which it expires.
    #[schema(required)]
    exp_year: Option<i64>,
    /// Its id at Stripe: `pm_…`.
    id: String,
    /// The last four digits of its number.
    #[schema(required)]
    last4: Option<String>,
}

impl From<PaymentMethod> for SavedCard {
    fn from(method: PaymentMethod) -> Self {
        let card = method.card.unwrap_or_default();
        Self {
            brand: card.brand,
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            id: method.id,
            last4: card.last4,
        }
    }
}

/// Says whether a customer can pay, and with which card.
#[utoipa::path(get, path = "/payments/billing/{customer_type}/{customer_id}", tag = "payments",
    responses(Errors<Refusals>))]
async fn get_customer_billing(
    access: ClientAccess,
    OwnCustomer(named, _): OwnCustomer<GetCustomerBilling>,
) -> ApiResult<Json<Billing>> {
    let nobody = Json(Billing {
        default_payment_method: None,
        has_customer: false,
    });
    let Some(stripe) = connected(&access.app, &access.project) else {
        return Ok(nobody);
    };
    let customer = named.find(&access.app, access.project_id()).await?;
    let Some(found) = stripe_customers::find(&stripe, &customer).await? else {
        return Ok(nobody);
    };
    let card = stripe.first_card(&found.id).await?;
    Ok(Json(Billing {
        default_payment_method: card.map(SavedCard::from),
        has_customer: true,
    }))
}

/// What a page needs to save a card.
#[derive(Serialize, ToSchema)]
struct CardSetupIntent {
    /// The secret with which the page goes on, at Stripe.
    client_secret: String,
    /// The project's account at Stripe: `acct_…`.
    stripe_account_id: String,
}

/// Begins to save a card.
#[utoipa::path(post, path = "/payments/payment-method/{customer_type}/{customer_id}/setup-intent", tag = "payments",
    responses(Errors<Refusals>))]
async fn create_card_setup_intent(
    access: ClientAccess,
    OwnCustomer(named, _): OwnCustomer<CreateCardSetupIntent>,
) -> ApiResult<Json<CardSetupIntent>> {
    let stripe = require_connected(&access.app, &access.project)?;
    let customer = named.find(&access.app, access.project_id()).await?;
    Ok(Json(CardSetupIntent {
        client_secret: cards::begin_saving(&access.app, &stripe, &customer).await?,
        stripe_account_id: stripe.account().to_owned(),
    }))
}

/// The card that is charged from now on.
#[derive(Serialize, ToSchema)]
struct DefaultCard {
    /// The card.
    #[schema(required)]
    default_payment_method: Option<SavedCard>,
    /// Always true.
    success: bool,
}

/// Makes a saved card the one that is charged.
#[utoipa::path(post, path = "/payments/payment-method/{customer_type}/{customer_id}/set-default", tag = "payments",
    responses(Errors<Refusals>))]
async fn set_default_card(
    access: ClientAccess,
    OwnCustomer(named, saved): OwnCustomer<SetDefaultCard>,
) -> ApiResult<Json<DefaultCard>> {
    let stripe = require_connected(&access.app, &access.project)?;
    let intent = stripe.retrieve_setup_intent(&saved.setup_intent_id).await?;
    let customer = named.find(&access.app, access.project_id()).await?;
    let card = cards::set_default(&access.app, &stripe, &customer, intent).await?;
    Ok(Json(DefaultCard {
        default_payment_method: card.map(SavedCard::from),
        success: true,
    }))
}
