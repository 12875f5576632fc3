//! Items, products and purchases.

use axum::http::StatusCode;
use muniment_domain::PurchaseId;
use muniment_domain::customer::CustomerType;
use serde_json::json;

use super::KnownError;

impl KnownError {
    /// The project has no team of that id, which may not even be a UUID.
    #[must_use]
    pub fn no_team(id: &str) -> Self {
        Self::not_found("TEAM_NOT_FOUND", format!("The project has no team {id}."))
            .with(json!({"team_id": id}))
    }

    /// The item is not configured.
    #[must_use]
    pub fn item_not_found(item: &str) -> Self {
        Self::not_found(
            "ITEM_NOT_FOUND",
            format!("The project has no item {item}. Add it to its settings."),
        )
        .with(json!({"item_id": item}))
    }

    /// The item is for customers of another kind.
    #[must_use]
    pub fn item_customer_type_does_not_match(
        item: &str,
        customer: &str,
        expected: CustomerType,
        actual: CustomerType,
    ) -> Self {
        Self::bad_request(
            "ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH",
            format!("The item {item} is for customers of type {expected}, not {actual}."),
        )
        .with(json!({
            "item_id": item,
            "customer_id": customer,
            "item_customer_type": expected,
            "actual_customer_type": actual,
        }))
    }

    /// There would be less than nothing of the item.
    #[must_use]
    pub fn item_quantity_insufficient_amount(item: &str, customer: &str, delta: i64) -> Self {
        Self::bad_request(
            "ITEM_QUANTITY_INSUFFICIENT_AMOUNT",
            format!("Customer {customer} does not have enough of the item {item} for {delta}."),
        )
        .with(json!({"item_id": item, "customer_id": customer, "quantity": delta}))
    }

    /// The product is not sold, or not to this caller.
    #[must_use]
    pub fn product_does_not_exist(product: &str, context: Option<&str>) -> Self {
        let hint = match context {
            Some("item_exists") => " There is an item of that id; products are something else.",
            Some("server_only") => " It can be used with server access only.",
            _ => "",
        };
        Self::bad_request(
            "PRODUCT_DOES_NOT_EXIST",
            format!("There is no product {product}.{hint}"),
        )
        .with(json!({"product_id": product, "context": context}))
    }

    /// The product is for customers of another kind.
    #[must_use]
    pub fn product_customer_type_does_not_match(
        product: Option<&str>,
        customer: &str,
        expected: CustomerType,
        actual: CustomerType,
    ) -> Self {
        Self::bad_request(
            "PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH",
            format!("The product is for customers of type {expected}, not {actual}."),
        )
        .with(json!({
            "product_id": product,
            "customer_id": customer,
            "product_customer_type": expected,
            "actual_customer_type": actual,
        }))
    }

    /// The product is owned and can be owned once only.
    #[must_use]
    pub fn product_already_granted(product: Option<&str>, customer: &str) -> Self {
        Self::bad_request(
            "PRODUCT_ALREADY_GRANTED",
            format!("Customer {customer} has the product already, and it is not stackable."),
        )
        .with(json!({"product_id": product, "customer_id": customer}))
    }

    /// The project sells nothing at present.
    #[must_use]
    pub fn new_purchases_blocked() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "NEW_PURCHASES_BLOCKED",
            "New purchases are blocked in this project's settings at present.",
        )
    }

    /// The payment of a subscription is not known.
    #[must_use]
    pub fn subscription_invoice_not_found(id: &str) -> Self {
        Self::not_found(
            "SUBSCRIPTION_INVOICE_NOT_FOUND",
            format!("No invoice that could be refunded is known of subscription {id}."),
        )
        .with(json!({"subscription_invoice_id": id}))
    }

    /// There is one refund per purchase.
    #[must_use]
    pub fn subscription_already_refunded(id: PurchaseId) -> Self {
        Self::bad_request(
            "SUBSCRIPTION_ALREADY_REFUNDED",
            format!("Subscription {id} was refunded already."),
        )
        .with(json!({"subscription_id": id}))
    }

    /// There is one refund per purchase.
    #[must_use]
    pub fn one_time_purchase_already_refunded(id: PurchaseId) -> Self {
        Self::bad_request(
            "ONE_TIME_PURCHASE_ALREADY_REFUNDED",
            format!("One-time purchase {id} was refunded already."),
        )
        .with(json!({"one_time_purchase_id": id}))
    }

    /// There is no card that could be charged.
    #[must_use]
    pub fn default_payment_method_required(kind: CustomerType, customer: &str) -> Self {
        Self::bad_request(
            "DEFAULT_PAYMENT_METHOD_REQUIRED",
            format!("Customer {customer} has no card that could be charged. Save one first."),
        )
        .with(json!({"customer_type": kind, "customer_id": customer}))
    }

    /// The purchase is not known.
    #[must_use]
    pub fn one_time_purchase_not_found(id: &str) -> Self {
        Self::not_found(
            "ONE_TIME_PURCHASE_NOT_FOUND",
            format!("No paid one-time purchase {id} is known."),
        )
        .with(json!({"one_time_purchase_id": id}))
    }

    /// Nothing was paid, so nothing can be paid back.
    #[must_use]
    pub fn test_mode_purchase_non_refundable() -> Self {
        Self::bad_request(
            "TEST_MODE_PURCHASE_NON_REFUNDABLE",
            "The purchase was made in test mode: there is no payment to refund.",
        )
    }

    /// The project cannot take payments.
    #[must_use]
    pub fn stripe_account_info_not_found() -> Self {
        Self::not_found(
            "STRIPE_ACCOUNT_INFO_NOT_FOUND",
            "Payments are not set up for this project.",
        )
    }
}
