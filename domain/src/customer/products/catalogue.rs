//! The catalogue: the products and items that a project's `payments.*` settings describe, in the
//! terms of the ledger. Settings are kept even if they make no sense; an entry that cannot be read
//! here does not exist for customers.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::product::{CustomerType, Product};
use crate::project::payments::PaymentsConfig;

/// The products that a project sells and the items that it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Catalogue {
    /// Whether nobody can buy anything at present.
    pub block_new_purchases: bool,
    /// Whether purchases can be tried out without paying.
    pub test_mode: bool,
    /// Lines of products that exclude each other.
    pub product_lines: BTreeMap<String, ProductLine>,
    /// The products that are sold, by their ids.
    pub products: BTreeMap<String, Product>,
    /// The items that are counted, by their ids.
    pub items: BTreeMap<String, Item>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            block_new_purchases: false,
            test_mode: true,
            product_lines: BTreeMap::new(),
            products: BTreeMap::new(),
            items: BTreeMap::new(),
        }
    }
}

impl Catalogue {
    /// Reads the settings, entry by entry: a product that makes no sense hides no other.
    #[must_use]
    pub fn of(settings: &PaymentsConfig) -> Self {
        let Ok(Value::Object(mut settings)) = serde_json::to_value(settings) else {
            return Self::default();
        };
        Self {
            product_lines: readable(settings.remove("productLines")),
            products: readable(settings.remove("products")),
            items: readable(settings.remove("items")),
            ..serde_json::from_value(Value::Object(settings)).unwrap_or_default()
        }
    }

    /// A product as it is sold at present. Without a name of its own it is called by its id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<Product> {
        let mut product = self.products.get(id)?.clone();
        product.display_name.get_or_insert_with(|| id.to_owned());
        Some(product)
    }
}

fn readable<T: DeserializeOwned>(entries: Option<Value>) -> BTreeMap<String, T> {
    let entries = match entries {
        Some(Value::Object(entries)) => entries,
        _ => Map::new(),
    };
    let read = |(id, entry)| Some((id, serde_json::from_value(entry).ok()?));
    entries.into_iter().filter_map(read).collect()
}

/// A product line: `payments.productLines.{id}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProductLine {
    /// The line's name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The kind of customer that its products are for, if the settings say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_type: Option<CustomerType>,
}

/// An item: `payments.items.{id}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Item {
    /// The item's name for people; its id if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The kind of customer who may have it.
    pub customer_type: CustomerType,
}
