//! The settings of products and items: `payments.*`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::schema::{RecordKey, Setting, Shape, no_entries, settings};

settings! {
    /// Products and items: `payments.*`.
    PaymentsConfig {
        /// Whether new purchases are refused.
        Branch "blockNewPurchases" block_new_purchases: bool = false;
        /// Whether purchases are made without moving money.
        Environment "testMode" test_mode: bool = true;
        /// The product lines, of which a customer has one product each.
        Branch "productLines" product_lines: BTreeMap<String, ProductLine> = BTreeMap::new();
        /// The products, by their ids.
        Branch "products" products: BTreeMap<String, Product> = BTreeMap::new();
        /// The items, by their ids.
        Branch "items" items: BTreeMap<String, Item> = BTreeMap::new();
    } + optional {
        /// The automatic payment of what is due.
        Branch "autoPay" auto_pay: AutoPay;
    }

    /// Automatic payment: `payments.autoPay`.
    AutoPay {} + optional {
        /// How often it pays.
        Branch "interval" interval: DayInterval;
    }

    /// A product line: `payments.productLines.{id}`.
    ProductLine {} + optional {
        /// The line's name.
        Branch "displayName" display_name: String;
        /// The kind of customer who buys its products.
        Branch "customerType" customer_type: CustomerType;
    }

    /// A product: `payments.products.{id}`.
    Product {
        /// The kind of customer who buys the product.
        Branch "customerType" customer_type: CustomerType = CustomerType::User;
        /// Whether only servers can sell the product.
        Branch "serverOnly" server_only: bool = false;
        /// The products that a customer must have to buy this one.
        Branch "isAddOnTo" is_add_on_to: AddOn = AddOn::Alone(false);
        /// The prices to choose from.
        Branch "prices" prices: Prices = Prices::Listed(BTreeMap::new());
        /// The items that come with the product.
        Branch "includedItems" included_items: BTreeMap<String, IncludedItem> = BTreeMap::new();
    } + optional {
        /// The product's name; its id if absent.
        Branch "displayName" display_name: String;
        /// The product line that the product belongs to.
        Branch "productLineId" product_line_id: String;
        /// How long the product is free.
        Branch "freeTrial" free_trial: DayInterval;
        /// Whether a customer can have the product several times.
        Branch "stackable" stackable: bool;
    }

    /// A price: `payments.products.{id}.prices.{id}`.
    Price {
        /// Whether only servers can sell at this price.
        Branch "serverOnly" server_only: bool = false;
    } + optional {
        /// The amount in US dollars.
        Branch "USD" usd: String;
        /// The amount in euros.
        Branch "EUR" eur: String;
        /// The amount in pounds sterling.
        Branch "GBP" gbp: String;
        /// The amount in yen.
        Branch "JPY" jpy: String;
        /// The amount in Indian rupees.
        Branch "INR" inr: String;
        /// The amount in Australian dollars.
        Branch "AUD" aud: String;
        /// The amount in Canadian dollars.
        Branch "CAD" cad: String;
        /// How often the price is paid; once if absent.
        Branch "interval" interval: DayInterval;
        /// How long the product is free at this price.
        Branch "freeTrial" free_trial: DayInterval;
    }

    /// An item of a product: `payments.products.{id}.includedItems.{id}`.
    IncludedItem {
        /// The quantity that is granted.
        Branch "quantity" quantity: Number = Number::from(0);
        /// How often the item is granted again.
        Branch "repeat" repeat: Repeat = Repeat::Never(Never::Never);
        /// When the granted quantity is lost.
        Branch "expires" expires: String = "when-repeated".to_owned(),
            Shape::OneOf(&["never", "when-purchase-expires", "when-repeated"]);
    }

    /// An item: `payments.items.{id}`.
    Item {
        /// The kind of customer who has the item.
        Branch "customerType" customer_type: CustomerType = CustomerType::User;
    } + optional {
        /// The item's name; its id if absent.
        Branch "displayName" display_name: String;
    }
}

/// The kind of customer who buys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerType {
    /// A user buys.
    #[default]
    User,
    /// A team buys.
    Team,
    /// A customer buys whom only the application knows.
    Custom,
}

impl Setting for CustomerType {
    const SHAPE: Shape = Shape::OneOf(&["user", "team", "custom"]);
}

/// An interval of days, weeks, months or years.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DayInterval(pub Number, pub IntervalUnit);

/// The unit that an interval is counted in.
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

/// The products that a customer must have to buy a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AddOn {
    /// No product is needed; the value is always `false`.
    Alone(bool),
    /// One of these products is needed.
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

/// The prices of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prices {
    /// The product has no price: every customer has it.
    Default(IncludeByDefault),
    /// The product can be bought at one of these prices.
    Listed(BTreeMap<String, Price>),
}

/// The value `"include-by-default"`.
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

/// How often an item is granted again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Repeat {
    /// The item is granted once.
    Never(Never),
    /// The item is granted again after every interval.
    Every(DayInterval),
}

/// The value `"never"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Never {
    /// The item is not granted again.
    Never,
}

impl Setting for Repeat {
    const SHAPE: Shape = Shape::Either(&[Shape::OneOf(&["never"]), Shape::Interval]);
}

impl PaymentsConfig {
    /// Gives products and items without a name their ids as names. An empty list of needed products
    /// becomes `false`.
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
