//! The catalogue: what a project sells and counts, as its `payments.*` settings say (contract 06
//! §1), in the terms of the ledger. Settings are kept even if they make no sense; what cannot be
//! read here does not exist for customers.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::product::{CustomerType, Product};
use crate::project::payments::PaymentsConfig;

/// What a project sells and counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Catalogue {
    /// Nobody can buy anything at present.
    pub block_new_purchases: bool,
    /// Purchases can be tried out without paying.
    pub test_mode: bool,
    /// Lines of products that exclude each other.
    pub product_lines: BTreeMap<String, ProductLine>,
    /// What is sold.
    pub products: BTreeMap<String, Product>,
    /// What is counted.
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

    /// A product as it is sold at present; without a name of its own it is called by its id.
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

/// `payments.productLines.{id}`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProductLine {
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Who its products are for, if that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_type: Option<CustomerType>,
}

/// `payments.items.{id}`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Item {
    /// Its name for people; the id, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Who may have it.
    pub customer_type: CustomerType,
}
