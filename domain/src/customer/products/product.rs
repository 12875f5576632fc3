//! Products, their prices, and the items that come with them.
//!
//! The same shape is found in a project's settings and, as a snapshot, in every purchase.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::customer::items::interval::DayInterval;
use crate::customer::items::quantity::Quantity;

/// The name of a product that has none.
const UNNAMED: &str = "Product";
/// The text that replaces the prices of a product that every customer once had for nothing.
const INCLUDE_BY_DEFAULT: &str = "include-by-default";

/// The kind of a customer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CustomerType {
    /// A user of the project.
    #[default]
    User,
    /// A team of the project.
    Team,
    /// Somebody or something that only the project's own servers know.
    Custom,
}

impl CustomerType {
    /// The names of the kinds on the wire.
    pub const NAMES: [&'static str; 3] = ["user", "team", "custom"];

    /// The kind's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Custom => "custom",
        }
    }

    /// The kind with that name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::User, Self::Team, Self::Custom]
            .into_iter()
            .find(|known| known.as_str() == name)
    }
}

impl fmt::Display for CustomerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A product, as it is sold at present or was when it was bought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Product {
    /// The product's name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The kind of customer who may own it.
    pub customer_type: CustomerType,
    /// The line of products that exclude each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_line_id: Option<String>,
    /// The products of which the customer must own one.
    pub is_add_on_to: Bases,
    /// Whether a customer may own it more than once.
    pub stackable: bool,
    /// Whether clients neither see nor buy it.
    pub server_only: bool,
    /// A free trial. It is kept and shown, but never applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_trial: Option<DayInterval>,
    /// The prices to choose from.
    pub prices: Prices,
    /// The items that come with the product, by their ids.
    pub included_items: BTreeMap<String, IncludedItem>,
    /// Metadata for the buyer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_metadata: Option<Value>,
    /// Metadata for the buyer, who cannot change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_read_only_metadata: Option<Value>,
    /// Metadata for the seller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_metadata: Option<Value>,
}

impl Product {
    /// The product's name for people, even if it has none of its own.
    #[must_use]
    pub fn name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(UNNAMED)
    }

    /// Whether the product belongs to that line.
    #[must_use]
    pub fn is_in_line(&self, line: &str) -> bool {
        self.product_line_id.as_deref() == Some(line)
    }

    /// The prices that are paid again after every interval.
    pub fn interval_prices(&self) -> impl Iterator<Item = (&String, &Price)> {
        let prices = self.prices.listed().iter();
        prices.filter(|(_, price)| price.interval.is_some())
    }
}

/// The products that an add-on adds to. `false` on the wire if the product stands alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bases {
    /// The product can be bought by itself.
    #[default]
    StandsAlone,
    /// The product can be bought by owners of one of these products.
    AnyOf(Vec<String>),
}

impl Bases {
    /// The ids of the products that it adds to.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        match self {
            Self::StandsAlone => &[],
            Self::AnyOf(ids) => ids,
        }
    }

    /// Whether the product adds to that one.
    #[must_use]
    pub fn include(&self, product: Option<&str>) -> bool {
        product.is_some_and(|product| self.ids().iter().any(|id| id == product))
    }
}

impl Serialize for Bases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::StandsAlone => serializer.serialize_bool(false),
            Self::AnyOf(ids) => serializer.collect_map(ids.iter().map(|id| (id, true))),
        }
    }
}

impl<'de> Deserialize<'de> for Bases {
    /// Reads a map of ids. Those that are set to anything but `true` do not count.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Object(ids) => Self::AnyOf(
                ids.into_iter()
                    .filter(|(_, set)| *set == Value::Bool(true))
                    .map(|(id, _)| id)
                    .collect(),
            ),
            _ => Self::StandsAlone,
        })
    }
}

/// The prices of a product.
#[derive(Clone, Debug, PartialEq)]
pub enum Prices {
    /// The product is free for every customer, the old way of giving it to everybody. It has no
    /// prices.
    IncludeByDefault,
    /// The prices to choose from, by id.
    Listed(BTreeMap<String, Price>),
}

impl Default for Prices {
    fn default() -> Self {
        Self::Listed(BTreeMap::new())
    }
}

impl Prices {
    /// The prices to choose from; none if the product is free.
    #[must_use]
    pub fn listed(&self) -> &BTreeMap<String, Price> {
        static NONE: BTreeMap<String, Price> = BTreeMap::new();
        match self {
            Self::IncludeByDefault => &NONE,
            Self::Listed(prices) => prices,
        }
    }
}

impl Serialize for Prices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::IncludeByDefault => serializer.serialize_str(INCLUDE_BY_DEFAULT),
            Self::Listed(prices) => prices.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Prices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == INCLUDE_BY_DEFAULT => Ok(Self::IncludeByDefault),
            Value::String(text) => Err(de::Error::invalid_value(
                Unexpected::Str(&text),
                &INCLUDE_BY_DEFAULT,
            )),
            prices => serde_json::from_value(prices)
                .map(Self::Listed)
                .map_err(de::Error::custom),
        }
    }
}

/// A currency in which prices can be named. Only US dollars are ever charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "ISO 4217 codes")]
pub enum Currency {
    Usd,
    Eur,
    Gbp,
    Jpy,
    Inr,
    Aud,
    Cad,
}

impl Currency {
    /// Every currency with its ISO 4217 code.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Usd, "USD"),
        (Self::Eur, "EUR"),
        (Self::Gbp, "GBP"),
        (Self::Jpy, "JPY"),
        (Self::Inr, "INR"),
        (Self::Aud, "AUD"),
        (Self::Cad, "CAD"),
    ];

    /// The number of digits after the point that amounts may have.
    #[must_use]
    pub fn decimals(self) -> usize {
        match self {
            Self::Jpy => 0,
            _ => 2,
        }
    }
}

/// One way to pay for a product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Price {
    /// The amounts, by currency.
    #[serde(flatten)]
    pub amounts: BTreeMap<Currency, String>,
    /// How often the price is paid; once, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<DayInterval>,
    /// A free trial. It is kept and shown, but never applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_trial: Option<DayInterval>,
    /// A setting without effect. It is kept and shown.
    pub server_only: bool,
}

/// An item that comes with a product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IncludedItem {
    /// The quantity of the item for each product.
    pub quantity: Quantity,
    /// How often the quantity is granted again.
    pub repeat: Repeat,
    /// When the quantity is lost.
    pub expires: Expiry,
}

/// How often an item is granted again: `"never"` or a period on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// The item is granted once.
    #[default]
    Never,
    /// The item is granted again after every period.
    Every(DayInterval),
}

impl Serialize for Repeat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_str("never"),
            Self::Every(interval) => interval.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Repeat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == "never" => Ok(Self::Never),
            interval => serde_json::from_value(interval)
                .map(Self::Every)
                .map_err(de::Error::custom),
        }
    }
}

/// When an included item is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// The item is never lost.
    Never,
    /// The item is lost when the purchase ends.
    WhenPurchaseExpires,
    /// The item is lost when it is granted again, or when the purchase ends.
    #[default]
    WhenRepeated,
}

impl Expiry {
    /// The names on the wire.
    pub const NAMES: [&'static str; 3] = ["never", "when-purchase-expires", "when-repeated"];
}
