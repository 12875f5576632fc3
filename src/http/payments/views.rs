//! Products as they are shown.

use std::borrow::Cow;
use std::collections::BTreeMap;

use muniment_domain::customer::{
    Currency, CustomerType, DayInterval, Expiry, IncludedItem, Price, Product, Quantity, Repeat,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::schemas;
use crate::http::answer::schema_of;

/// A product.
#[derive(Serialize, ToSchema)]
pub(super) struct ProductView {
    /// Any JSON, for the buyer.
    #[schema(required)]
    client_metadata: Option<Value>,
    /// Any JSON, for the buyer, who cannot change it.
    #[schema(required)]
    client_read_only_metadata: Option<Value>,
    /// Whom it is for.
    #[schema(schema_with = customer_type)]
    customer_type: CustomerType,
    /// The name for people.
    display_name: String,
    /// The items that come with it, by id.
    included_items: BTreeMap<String, IncludedItemView>,
    /// The prices to choose from, by id.
    prices: BTreeMap<String, PriceView>,
    /// Any JSON, for the seller.
    #[schema(required)]
    server_metadata: Option<Value>,
    /// Whether clients neither see nor buy it.
    server_only: bool,
    /// Whether a customer may own it more than once.
    stackable: bool,
}

impl ProductView {
    /// Shows a product.
    pub(super) fn of(product: &Product) -> Self {
        Self::with_prices(product, product.prices.listed().iter())
    }

    /// Shows a product with some of its prices.
    pub(super) fn with_prices<'p>(
        product: &'p Product,
        prices: impl Iterator<Item = (&'p String, &'p Price)>,
    ) -> Self {
        let items = product.included_items.iter();
        Self {
            client_metadata: product.client_metadata.clone(),
            client_read_only_metadata: product.client_read_only_metadata.clone(),
            customer_type: product.customer_type,
            display_name: product.name().to_owned(),
            included_items: items.map(|(id, it)| (id.clone(), it.into())).collect(),
            prices: prices.map(|(id, it)| (id.clone(), it.into())).collect(),
            server_metadata: product.server_metadata.clone(),
            server_only: product.server_only,
            stackable: product.stackable,
        }
    }
}

/// Whom something is for, or who somebody is.
pub(super) fn customer_type() -> RefOr<Schema> {
    schema_of(&schemas::customer_type())
}

/// An item that comes with a product.
#[derive(Serialize, ToSchema)]
pub(super) struct IncludedItemView {
    /// When it is lost.
    #[schema(schema_with = expiry)]
    expires: Expiry,
    /// How many for each product.
    #[schema(value_type = f64)]
    quantity: Quantity,
    /// How often it is granted again.
    #[schema(schema_with = repeat)]
    repeat: Repeat,
}

impl From<&IncludedItem> for IncludedItemView {
    fn from(item: &IncludedItem) -> Self {
        Self {
            expires: item.expires,
            quantity: item.quantity,
            repeat: item.repeat,
        }
    }
}

fn expiry() -> RefOr<Schema> {
    schema_of(&schemas::expiry())
}

fn repeat() -> RefOr<Schema> {
    schema_of(&schemas::repeat())
}

/// A price of a product: amounts by currency, and how often it is paid.
#[derive(Serialize)]
pub(super) struct PriceView {
    #[serde(flatten)]
    amounts: BTreeMap<Currency, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_trial: Option<DayInterval>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<DayInterval>,
}

impl From<&Price> for PriceView {
    fn from(price: &Price) -> Self {
        Self {
            amounts: price.amounts.clone(),
            free_trial: price.free_trial,
            interval: price.interval,
        }
    }
}

impl PartialSchema for PriceView {
    fn schema() -> RefOr<Schema> {
        // What settings say need not be an amount.
        let amounts = schemas::amounts().into_iter();
        let mut properties: Map<String, Value> = amounts
            .map(|(code, _)| (code, json!({"type": "string"})))
            .collect();
        properties.insert("free_trial".to_owned(), schemas::interval());
        properties.insert("interval".to_owned(), schemas::interval());
        schema_of(&json!({
            "type": "object",
            "description": "Amounts by currency. It is paid again after every `interval`; without one, once.",
            "properties": properties,
        }))
    }
}

impl ToSchema for PriceView {
    fn name() -> Cow<'static, str> {
        "PriceView".into()
    }
}
