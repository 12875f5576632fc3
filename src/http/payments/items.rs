//! `/payments/items`: how much of an item a customer has.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use muniment_domain::Millis;
use muniment_domain::customer::{CustomerError, CustomerRef, CustomerType, Floor, ItemChange};
use muniment_event_store::LedgerError;
use muniment_projections::read_models::customers;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::app::payments::customers::{Delivery, change_id, change_item};
use crate::app::payments::named_customer::NamedCustomer;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::{ClientAccess, ProjectAccess, ServerAccess};
use crate::http::request::fields::Fields;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{integer, query_boolean, text};
use crate::timestamp;

/// The header under which a change is made once, however often it is sent.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(read))
        .routes(routes!(update_quantity))
}

/// How much of an item a customer has now.
#[utoipa::path(get, path = "/payments/items/{customer_type}/{customer_id}/{item_id}", tag = "payments",
    params(("customer_type" = String, Path), ("customer_id" = String, Path), ("item_id" = String, Path)),
    responses((status = 200, description = "`{id, display_name, quantity}`"), (status = 400, description = "SCHEMA_ERROR, ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH"),
        (status = 403, description = "Somebody else's"), (status = 404, description = "ITEM_NOT_FOUND, USER_NOT_FOUND, TEAM_NOT_FOUND")))]
async fn read(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let wanted = read_path(&mut form.params());
    let (named, item) = form.finish(wanted)?;
    named.check_client(&access).await?;
    let customer = find(&access, &named, &item).await?;
    let stream = customer.stream(access.project_id());
    let quantity = customers::quantity(access.app.pool(), stream, &item, access.app.now()).await?;
    let configured = &access.project.catalogue.items;
    let name = configured
        .get(&item)
        .and_then(|item| item.display_name.as_ref());
    let name = name.unwrap_or(&item);
    Ok(Json(json!({"id": item, "display_name": name, "quantity": quantity})).into_response())
}

/// Changes how much of an item a customer has. With an `Idempotency-Key` header, the same change is
/// made once, however often it is sent.
#[utoipa::path(post, path = "/payments/items/{customer_type}/{customer_id}/{item_id}/update-quantity", tag = "payments", request_body = Value,
    params(("customer_type" = String, Path), ("customer_id" = String, Path), ("item_id" = String, Path),
        ("allow_negative" = bool, Query), ("idempotency-key" = Option<String>, Header)),
    responses((status = 200, description = "Changed"), (status = 400, description = "SCHEMA_ERROR, ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH, ITEM_QUANTITY_INSUFFICIENT_AMOUNT"),
        (status = 404, description = "ITEM_NOT_FOUND, USER_NOT_FOUND, TEAM_NOT_FOUND")))]
async fn update_quantity(access: ServerAccess, headers: HeaderMap, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let wanted = WantedChange::read(&mut form);
    let wanted = form.finish(wanted)?;
    let customer = find(&access, &wanted.named, &wanted.item).await?;
    let key = headers
        .get(IDEMPOTENCY_KEY)
        .and_then(|key| key.to_str().ok());
    let (id, delivery) = match key {
        Some(key) => (
            change_id(access.project_id(), &customer, &wanted.item, key),
            Delivery::Repeatable,
        ),
        None => (access.app.random.uuid(), Delivery::Single),
    };
    let context = access.event_context();
    let refusal = wanted.refusal();
    let change = wanted.of(customer, id, context.now);
    match change_item(&access.app, context, change, delivery).await {
        Err(LedgerError::Customer(CustomerError::Insufficient)) => Err(refusal),
        done => {
            done?;
            Ok(Json(json!({})).into_response())
        }
    }
}

/// A change of how much a customer has, as a request asks for it.
struct WantedChange {
    named: NamedCustomer,
    item: String,
    floor: Floor,
    delta: i64,
    expires_at: Option<Millis>,
    description: Option<String>,
}

impl WantedChange {
    fn read(form: &mut Form<'_>) -> Option<Self> {
        let path = read_path(&mut form.params());
        let mut query = form.query();
        let allow_negative = query.required("allow_negative", query_boolean);
        query.close();
        let mut body = form.body();
        let delta = body.required("delta", integer(i64::from(i32::MIN)..=i64::from(i32::MAX)));
        let expires_at = body.optional("expires_at", instant);
        let description = body.optional("description", text);
        body.close();
        let (named, item) = path?;
        let floor = if allow_negative? {
            Floor::None
        } else {
            Floor::Zero
        };
        Some(Self {
            named,
            item,
            floor,
            delta: delta?,
            expires_at: expires_at?,
            description: description?,
        })
    }

    /// What the caller is told when the customer has too little.
    fn refusal(&self) -> ApiError {
        let (item, customer) = (&self.item, &self.named.id);
        KnownError::item_quantity_insufficient_amount(item, customer, self.delta).into()
    }

    fn of(self, customer: CustomerRef, id: Uuid, now: Millis) -> ItemChange {
        ItemChange {
            id,
            customer,
            item_id: self.item,
            delta: self.delta,
            expires_at: self.expires_at,
            description: self.description,
            floor: self.floor,
            now,
        }
    }
}

fn read_path(params: &mut Fields<'_>) -> Option<(NamedCustomer, String)> {
    let named = NamedCustomer::read(params, &CustomerType::NAMES);
    let item = params.required("item_id", text);
    Some((named?, item?))
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

/// A time in ISO 8601.
fn instant(value: &Value) -> Result<Millis, String> {
    let text = text(value)?;
    let is_text = value.is_string() && text.contains('-');
    let parsed = timestamp::parse(&text).ok().filter(|_| is_text);
    parsed.ok_or_else(|| "must be a time, as 2026-11-23T12:00:00Z".to_owned())
}
