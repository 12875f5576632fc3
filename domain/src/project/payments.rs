//! `payments.*`: products and items, as the configuration names them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::schema::{RecordKey, Setting, Shape, no_entries, settings};

settings! {
    /// `payments.*`
    PaymentsConfig {
        /// Nothing new can be bought.
        Branch "blockNewPurchases" block_new_purchases: bool = false;
        /// No money moves.
        Environment "testMode" test_mode: bool = true;
        /// The lines of products, of which a customer has one each.
        Branch "productLines" product_lines: BTreeMap<String, ProductLine> = BTreeMap::new();
        /// The products.
        Branch "products" products: BTreeMap<String, Product> = BTreeMap::new();
        /// The items.
        Branch "items" items: BTreeMap<String, Item> = BTreeMap::new();
    } + optional {
        /// Paying by itself.
        Branch "autoPay" auto_pay: AutoPay;
    }

    /// `payments.autoPay`
    AutoPay {} + optional {
        /// How often.
        Branch "interval" interval: DayInterval;
    }

    /// `payments.productLines.{id}`
    ProductLine {} + optional {
        /// Its name.
        Branch "displayName" display_name: String;
        /// Who buys of it.
        Branch "customerType" customer_type: CustomerType;
    }

    /// `payments.products.{id}`
    Product {
        /// Who buys it.
        Branch "customerType" customer_type: CustomerType = CustomerType::User;
        /// Only servers can sell it.
        Branch "serverOnly" server_only: bool = false;
        /// The products that it needs.
        Branch "isAddOnTo" is_add_on_to: AddOn = AddOn::Alone(false);
        /// What it costs.
        Branch "prices" prices: Prices = Prices::Listed(BTreeMap::new());
        /// What is in it.
        Branch "includedItems" included_items: BTreeMap<String, IncludedItem> = BTreeMap::new();
    } + optional {
        /// Its name; its id if nothing is said.
        Branch "displayName" display_name: String;
        /// The line it belongs to.
        Branch "productLineId" product_line_id: String;
        /// How long it is free.
        Branch "freeTrial" free_trial: DayInterval;
        /// It can be bought several times.
        Branch "stackable" stackable: bool;
    }

    /// `payments.products.{id}.prices.{id}`
    Price {
        /// Only servers can sell at it.
        Branch "serverOnly" server_only: bool = false;
    } + optional {
        /// US dollars.
        Branch "USD" usd: String;
        /// Euro.
        Branch "EUR" eur: String;
        /// Pounds sterling.
        Branch "GBP" gbp: String;
        /// Yen.
        Branch "JPY" jpy: String;
        /// Indian rupees.
        Branch "INR" inr: String;
        /// Australian dollars.
        Branch "AUD" aud: String;
        /// Canadian dollars.
        Branch "CAD" cad: String;
        /// How often it is paid; once if nothing is said.
        Branch "interval" interval: DayInterval;
        /// How long it is free.
        Branch "freeTrial" free_trial: DayInterval;
    }

    /// `payments.products.{id}.includedItems.{id}`
    IncludedItem {
        /// How many.
        Branch "quantity" quantity: Number = Number::from(0);
        /// How often they are given.
        Branch "repeat" repeat: Repeat = Repeat::Never(Never::Never);
        /// When they go.
        Branch "expires" expires: String = "when-repeated".to_owned(),
            Shape::OneOf(&["never", "when-purchase-expires", "when-repeated"]);
    }

    /// `payments.items.{id}`
    Item {
        /// Who has it.
        Branch "customerType" customer_type: CustomerType = CustomerType::User;
    } + optional {
        /// Its name; its id if nothing is said.
        Branch "displayName" display_name: String;
    }
}

/// Who buys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerType {
    /// A user.
    #[default]
    User,
    /// A team.
    Team,
    /// Somebody only the application knows.
    Custom,
}

impl Setting for CustomerType {
    const SHAPE: Shape = Shape::OneOf(&["user", "team", "custom"]);
}

/// A time of days, weeks, months or years.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DayInterval(pub Number, pub IntervalUnit);

/// What an interval is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum IntervalUnit {
    Day,
    Week,
    Month,
    Year,
}

impl Setting for DayInterval {
    const SHAPE: Shape = Shape::Interval;
}

/// The products that a product needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AddOn {
    /// None: always `false`.
    Alone(bool),
    /// These.
    To(BTreeMap<String, bool>),
}

impl Setting for AddOn {
    const SHAPE: Shape = Shape::Either(&[
        Shape::Only(false),
        Shape::Record {
            key: RecordKey::Name,
            entry: &Shape::Only(true),
            default: no_entries,
        },
    ]);
}

/// What a product costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prices {
    /// Nothing: every customer has it.
    Default(IncludeByDefault),
    /// One of these.
    Listed(BTreeMap<String, Price>),
}

/// `"include-by-default"`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncludeByDefault {
    /// Every customer has the product.
    #[serde(rename = "include-by-default")]
    IncludeByDefault,
}

impl Setting for Prices {
    const SHAPE: Shape = Shape::Either(&[
        Shape::OneOf(&["include-by-default"]),
        Shape::Record {
            key: RecordKey::Name,
            entry: &Price::SHAPE,
            default: no_entries,
        },
    ]);
}

/// How often items are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Repeat {
    /// Once.
    Never(Never),
    /// Again and again.
    Every(DayInterval),
}

/// `"never"`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Never {
    /// Not again.
    Never,
}

impl Setting for Repeat {
    const SHAPE: Shape = Shape::Either(&[Shape::OneOf(&["never"]), Shape::Interval]);
}

impl PaymentsConfig {
    /// Names what has no name, and needs nothing by one name only: `false`.
    pub(super) fn sanitize(&mut self) {
        for (id, product) in &mut self.products {
            product.display_name.get_or_insert_with(|| id.clone());
            if matches!(&product.is_add_on_to, AddOn::To(others) if others.is_empty()) {
                product.is_add_on_to = AddOn::Alone(false);
            }
        }
        for (id, item) in &mut self.items {
            item.display_name.get_or_insert_with(|| id.clone());
        }
    }
}
