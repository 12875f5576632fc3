//! Versions of products: the id of a version is computed from the product itself, so that Stripe
//! can remember which one was bought.

use data_encoding::BASE64;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::product::Product;

/// The id of a version: the SHA-256 hash, base64, of the product as JSON with sorted keys.
#[must_use]
pub fn product_version_id(product_id: Option<&str>, product: &Product) -> String {
    // Objects of serde_json keep their keys sorted.
    let named = json!({"productId": product_id, "productJson": product});
    BASE64.encode(&Sha256::digest(named.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_by_what_it_says() {
        let product = Product {
            server_metadata: Some(json!({"b": 1, "a": {"d": 2, "c": 3}})),
            ..Product::default()
        };
        let id = product_version_id(Some("gold"), &product);
        assert_eq!(id.len(), 44);
        // The same product, however it was written.
        let text = serde_json::to_string(&product).unwrap();
        let again = serde_json::from_str(&text).unwrap();
        assert_eq!(product_version_id(Some("gold"), &again), id);
        assert_ne!(product_version_id(None, &product), id);
        assert_ne!(product_version_id(Some("gold"), &Product::default()), id);
    }
}
