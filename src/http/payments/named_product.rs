//! The product that a request is about: one of the settings, or one that it describes itself.

use muniment_domain::customer::Product;
use muniment_event_store::AccessType;

use super::described_product::described_product;
use crate::error::codes::{ProductDoesNotExist, Text};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::caller::Auth;
use crate::http::request::declare::fields;
use crate::http::request::presence::or_default;
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::text;

fields! {
    /// A product: one of the two says which.
    pub(super) struct NamedProduct {
        /// The product's id in the project's settings. An empty one counts as missing.
        id as "product_id": Option<String> = or_default(text_or_none(), "");
        /// A product that is not in the settings, for servers. An empty text counts as missing.
        inline as "product_inline": Option<Box<Product>> = or_default(described_product(), "");
    }

    /// A product under the names of old.
    pub(super) struct NamedOffer {
        /// Deprecated: the old name of `product_id`, which wins.
        id as "offer_id": Option<String> = or_default(text_or_none(), "");
        /// Deprecated: the old name of `product_inline`, which wins.
        inline as "offer_inline": Option<Box<Product>> = or_default(described_product(), "");
    }
}

fn text_or_none() -> impl Shape<Value = Option<String>> {
    text().map(|text| Some(text).filter(|text| !text.is_empty()))
}

impl From<NamedOffer> for NamedProduct {
    fn from(NamedOffer { id, inline }: NamedOffer) -> Self {
        Self { id, inline }
    }
}

/// Why there is no such product.
pub(super) type NoSuchProduct = (ProductDoesNotExist, Text<400>);

impl NamedProduct {
    /// This product, or else that one.
    pub(super) fn or(self, other: impl Into<Self>) -> Self {
        if self.id.is_some() || self.inline.is_some() {
            self
        } else {
            other.into()
        }
    }

    /// Its id and the product itself.
    ///
    /// # Errors
    /// [`NoSuchProduct`].
    pub(super) fn resolve(self, auth: &Auth) -> ApiResult<(Option<String>, Product)> {
        match (self.id, self.inline) {
            (Some(_), Some(_)) => Err(ApiError::bad_request(
                "Give product_id or product_inline, not both.",
            )),
            (None, Some(_)) if auth.access_type == AccessType::Client => {
                Err(ApiError::bad_request(
                    "Products can be described with server access only. Give product_id.",
                ))
            }
            (None, None) => Err(ApiError::bad_request("Give product_id or product_inline.")),
            (None, Some(product)) => Ok((None, *product)),
            (Some(id), None) => {
                let product = configured(auth, &id)?;
                Ok((Some(id), product))
            }
        }
    }
}

/// A product of the settings, if this caller may know of it.
///
/// # Errors
/// `PRODUCT_DOES_NOT_EXIST`.
pub(super) fn configured(auth: &Auth, id: &str) -> ApiResult<Product> {
    let payments = &auth.project.catalogue;
    let missing = |context| KnownError::product_does_not_exist(id, context).into();
    match payments.product(id) {
        Some(product) if product.server_only && auth.access_type == AccessType::Client => {
            Err(missing(Some("server_only")))
        }
        Some(product) => Ok(product),
        None => Err(missing(
            payments.items.contains_key(id).then_some("item_exists"),
        )),
    }
}
