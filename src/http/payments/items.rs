//! `/payments/items`: how much of an item a customer has.

use axum::Json;
use axum::http::HeaderMap;
use muniment_domain::Millis;
use muniment_domain::customer::{CustomerError, CustomerRef, Floor, ItemChange, Quantity};
use muniment_event_store::LedgerError;
use muniment_projections::read_models::customers;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::named_customer::{Customer, NoSuchCustomer, OwnCustomer, names_customer};
use crate::app::App;
use crate::app::payments::customers::{Delivery, change_id, change_item};
use crate::app::payments::named_customer::NamedCustomer;
use crate::error::codes::{
    Errors, ItemCustomerTypeDoesNotMatch, ItemNotFound, ItemQuantityInsufficientAmount,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::Empty;
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ProjectAccess, ServerAccess};
use crate::http::request::declare::request;
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::{integer, query_boolean, text};
use crate::http::request::shape::{Shape, scalar};
use crate::http::request::values;
use crate::timestamp;

/// The header under which a change is made once, however often it is sent.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_item_quantity))
        .routes(operations!(update_item_quantity))
}

request! {
    /// Which item of a customer is wanted.
    struct GetItemQuantity {
        path {
            .. customer: Customer;
            /// The item's id in the project's settings.
            item_id: String = required(text());
        }
    }

    /// A change of how much a customer has of an item.
    struct UpdateItemQuantity {
        path {
            .. customer: Customer;
            /// The item's id in the project's settings.
            item_id: String = required(text());
        }
        query {
            /// Whether the customer may be left with less than nothing.
            floor as "allow_negative": Floor = required(floor());
        }
        body {
            /// By how much the quantity changes.
            delta: i64 = required(integer(i64::from(i32::MIN)..=i64::from(i32::MAX)));
            /// When what is left of it is lost again, in RFC 3339.
            expires_at: Option<Millis> = optional(instant());
            /// Why, for people.
            description: Option<String> = optional(text());
        }
    }
}

names_customer!(GetItemQuantity);

fn floor() -> impl Shape<Value = Floor> {
    query_boolean().map(|allow_negative| {
        if allow_negative {
            Floor::None
        } else {
            Floor::Zero
        }
    })
}

/// A time in ISO 8601.
fn instant() -> impl Shape<Value = Millis> {
    let read = |value: &Value| {
        let text = values::text(value)?;
        let is_text = value.is_string() && text.contains('-');
        let parsed = timestamp::parse(&text).ok().filter(|_| is_text);
        parsed.ok_or_else(|| "must be a time, as 2026-11-23T12:00:00Z".to_owned())
    };
    scalar(read, || json!({"type": "string", "format": "date-time"}))
}

/// How much of an item a customer has.
#[derive(Serialize, ToSchema)]
struct ItemQuantity {
    /// The item's name for people.
    display_name: String,
    /// The item's id.
    id: String,
    /// How much of it the customer has now. It may be less than nothing.
    #[schema(value_type = f64)]
    quantity: Quantity,
}

/// Why a customer has no such item.
type NoSuchItem = (ItemNotFound, ItemCustomerTypeDoesNotMatch, NoSuchCustomer);

/// Says how much of an item a customer has now.
#[utoipa::path(get, path = "/payments/items/{customer_type}/{customer_id}/{item_id}", tag = "payments",
    responses(Errors<NoSuchItem>))]
async fn get_item_quantity(
    access: ClientAccess,
    OwnCustomer(named, wanted): OwnCustomer<GetItemQuantity>,
) -> ApiResult<Json<ItemQuantity>> {
    let id = wanted.item_id;
    let customer = find(&access, &named, &id).await?;
    let stream = customer.stream(access.project_id());
    let quantity = customers::quantity(access.app.pool(), stream, &id, access.app.now()).await?;
    let configured = access.project.catalogue.items.get(&id);
    let name = configured.and_then(|item| item.display_name.clone());
    Ok(Json(ItemQuantity {
        display_name: name.unwrap_or_else(|| id.clone()),
        id,
        quantity,
    }))
}

/// Changes how much of an item a customer has.
///
/// With an `Idempotency-Key` header, the same change is made once, however often it is sent.
#[utoipa::path(post, path = "/payments/items/{customer_type}/{customer_id}/{item_id}/update-quantity", tag = "payments",
    params(("idempotency-key" = Option<String>, Header, description = "A name for the change, by which the server knows it again.")),
    responses(Errors<(NoSuchItem, ItemQuantityInsufficientAmount)>))]
async fn update_item_quantity(
    access: ServerAccess,
    headers: HeaderMap,
    wanted: UpdateItemQuantity,
) -> ApiResult<Json<Empty>> {
    let customer = find(&access, &(&wanted.customer).into(), &wanted.item_id).await?;
    let key = headers.get(IDEMPOTENCY_KEY);
    let (id, delivery) = match key.and_then(|key| key.to_str().ok()) {
        Some(key) => (
            change_id(access.project_id(), &customer, &wanted.item_id, key),
            Delivery::Repeatable,
        ),
        None => (access.app.random.uuid(), Delivery::Single),
    };
    let context = access.event_context();
    let refusal = wanted.refusal();
    let change = wanted.of(customer, id, context.now);
    match change_item(&access.app, context, change, delivery).await {
        Err(LedgerError::Customer(CustomerError::Insufficient)) => Err(refusal),
        done => Ok(done.map(|()| Json(Empty {}))?),
    }
}

impl UpdateItemQuantity {
    /// What the caller is told when the customer has too little.
    fn refusal(&self) -> ApiError {
        let (item, customer) = (&self.item_id, &self.customer.id);
        KnownError::item_quantity_insufficient_amount(item, customer, self.delta).into()
    }

    fn of(self, customer: CustomerRef, id: Uuid, now: Millis) -> ItemChange {
        ItemChange {
            id,
            customer,
            item_id: self.item_id,
            delta: self.delta,
            expires_at: self.expires_at,
            description: self.description,
            floor: self.floor,
            now,
        }
    }
}

/// Makes sure that the item is configured, and for such customers; then, that the customer exists.
async fn find(access: &ProjectAccess, named: &NamedCustomer, item: &str) -> ApiResult<CustomerRef> {
    let configured = access.project.catalogue.items.get(item);
    let configured = configured.ok_or_else(|| KnownError::item_not_found(item))?;
    let expected = configured.customer_type;
    if expected != named.kind {
        let (id, actual) = (&named.id, named.kind);
        return Err(
            KnownError::item_customer_type_does_not_match(item, id, expected, actual).into(),
        );
    }
    named.find(&access.app, access.project_id()).await
}
