//! `payments.*` of a project's settings: items, products and product lines (contract 06 §1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::customer::{CustomerType, DayInterval, Product};

/// `payments.*`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PaymentsConfig {
    /// Nobody can buy anything at present.
    pub block_new_purchases: bool,
    /// Purchases can be tried out without paying.
    pub test_mode: bool,
    /// Kept, and of no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_pay: Option<AutoPay>,
    /// Lines of products that exclude each other.
    pub product_lines: BTreeMap<String, ProductLine>,
    /// What is sold.
    pub products: BTreeMap<String, Product>,
    /// What is counted.
    pub items: BTreeMap<String, Item>,
}

impl Default for PaymentsConfig {
    fn default() -> Self {
        Self {
            block_new_purchases: false,
            test_mode: true,
            auto_pay: None,
            product_lines: BTreeMap::new(),
            products: BTreeMap::new(),
            items: BTreeMap::new(),
        }
    }
}

impl PaymentsConfig {
    /// A product as it is sold at present; without a name of its own it is called by its id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<Product> {
        let mut product = self.products.get(id)?.clone();
        product.display_name.get_or_insert_with(|| id.to_owned());
        Some(product)
    }
}

/// `payments.autoPay`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoPay {
    /// How often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<DayInterval>,
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
