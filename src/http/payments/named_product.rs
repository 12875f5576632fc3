//! Reading which product a request is about: one of the settings, or one that it describes itself.

use axum::http::StatusCode;
use muniment_domain::customer::Product;
use muniment_event_store::AccessType;

use super::inline_product;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::caller::Auth;
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::values::text;

/// A product as a request names or describes it.
#[derive(Clone, Debug)]
pub(super) enum NamedProduct {
    Configured(String),
    Inline(Box<Product>),
}

impl NamedProduct {
    /// Reads `{name}_id` and `{name}_inline`.
    pub(super) fn read(
        body: &mut Fields<'_>,
        name: &str,
    ) -> Checked<(Option<String>, Option<Box<Product>>)> {
        let id = body.optional(&format!("{name}_id"), text);
        let inline = body.optional(&format!("{name}_inline"), inline_product::read);
        let id = id?.filter(|id| !id.is_empty());
        Some((id, inline?.flatten().map(Box::new)))
    }

    pub(super) fn choose(
        auth: &Auth,
        (id, inline): (Option<String>, Option<Box<Product>>),
    ) -> ApiResult<Self> {
        let refuse = |text: &str| Err(ApiError::text(StatusCode::BAD_REQUEST, text));
        match (id, inline) {
            (Some(_), Some(_)) => refuse("Give product_id or product_inline, not both."),
            (None, Some(_)) if auth.access_type == AccessType::Client => {
                refuse("Products can be described with server access only. Give product_id.")
            }
            (None, None) => refuse("Give product_id or product_inline."),
            (None, Some(inline)) => Ok(Self::Inline(inline)),
            (Some(id), None) => Ok(Self::Configured(id)),
        }
    }

    /// Its id and the product itself.
    pub(super) fn resolve(self, auth: &Auth) -> ApiResult<(Option<String>, Product)> {
        match self {
            Self::Inline(product) => Ok((None, *product)),
            Self::Configured(id) => {
                let product = configured(auth, &id)?;
                Ok((Some(id), product))
            }
        }
    }
}

/// A product of the settings, if this caller may know of it.
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
