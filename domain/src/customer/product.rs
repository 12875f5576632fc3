//! What is sold: products, their prices, and the items that come with them (contract 06 §1).
//!
//! The same shape stands in a project's settings and, as a snapshot, in every purchase.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::interval::DayInterval;
use super::quantity::Quantity;

/// The name of a product that has none.
const UNNAMED: &str = "Product";
/// Stands for the prices of a product that everybody once had for nothing.
const INCLUDE_BY_DEFAULT: &str = "include-by-default";

/// What kind of customer somebody is.
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
    /// Whatever the project's own servers say.
    Custom,
}

impl CustomerType {
    /// The types' names.
    pub const NAMES: [&'static str; 3] = ["user", "team", "custom"];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Custom => "custom",
        }
    }

    /// The type of that name.
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

/// A product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Product {
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Who may own it.
    pub customer_type: CustomerType,
    /// The line in which products exclude each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_line_id: Option<String>,
    /// The products of which the customer must own one.
    pub is_add_on_to: Bases,
    /// It may be owned more than once.
    pub stackable: bool,
    /// Clients neither see nor buy it.
    pub server_only: bool,
    /// Kept and shown, never applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_trial: Option<DayInterval>,
    /// What it costs.
    pub prices: Prices,
    /// What comes with it.
    pub included_items: BTreeMap<String, IncludedItem>,
    /// For the buyer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_metadata: Option<Value>,
    /// For the buyer, who cannot change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_read_only_metadata: Option<Value>,
    /// For the seller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_metadata: Option<Value>,
}

impl Product {
    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(UNNAMED)
    }

    /// Whether the line is the product's own.
    #[must_use]
    pub fn is_in_line(&self, line: &str) -> bool {
        self.product_line_id.as_deref() == Some(line)
    }

    /// Its prices that come round.
    pub fn interval_prices(&self) -> impl Iterator<Item = (&String, &Price)> {
        let prices = self.prices.listed().iter();
        prices.filter(|(_, price)| price.interval.is_some())
    }
}

/// The products that a product adds to. `false` on the wire if it stands alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bases {
    /// It can be bought by itself.
    #[default]
    StandsAlone,
    /// It needs one of these.
    AnyOf(Vec<String>),
}

impl Bases {
    /// The products it adds to.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        match self {
            Self::StandsAlone => &[],
            Self::AnyOf(ids) => ids,
        }
    }

    /// Whether it adds to that product.
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
    /// Ids that are set to anything but `true` are not meant.
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

/// What a product costs.
#[derive(Clone, Debug, PartialEq)]
pub enum Prices {
    /// Nothing; the old way of giving a product to everybody. Such a product has no prices.
    IncludeByDefault,
    /// One of these, by id.
    Listed(BTreeMap<String, Price>),
}

impl Default for Prices {
    fn default() -> Self {
        Self::Listed(BTreeMap::new())
    }
}

impl Prices {
    /// The prices to choose from.
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
    /// Every currency with its code.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Usd, "USD"),
        (Self::Eur, "EUR"),
        (Self::Gbp, "GBP"),
        (Self::Jpy, "JPY"),
        (Self::Inr, "INR"),
        (Self::Aud, "AUD"),
        (Self::Cad, "CAD"),
    ];

    /// Digits after the point.
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
    /// How much, by currency.
    #[serde(flatten)]
    pub amounts: BTreeMap<Currency, String>,
    /// How often; once, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<DayInterval>,
    /// Kept and shown, never applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_trial: Option<DayInterval>,
    /// Kept, and of no effect.
    pub server_only: bool,
}

/// An item that comes with a product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IncludedItem {
    /// How much of it, per product.
    pub quantity: Quantity,
    /// How often it is granted again.
    pub repeat: Repeat,
    /// When it is lost.
    pub expires: Expiry,
}

/// How often an item is granted again. `"never"` or a period on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// It is granted once.
    #[default]
    Never,
    /// It comes round.
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
    /// Never.
    Never,
    /// With the purchase.
    WhenPurchaseExpires,
    /// When it is granted again, and with the purchase.
    #[default]
    WhenRepeated,
}

impl Expiry {
    /// The names on the wire.
    pub const NAMES: [&'static str; 3] = ["never", "when-purchase-expires", "when-repeated"];
}
