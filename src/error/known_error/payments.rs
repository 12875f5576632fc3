//! Items, products and purchases.

use muniment_domain::PurchaseId;
use muniment_domain::customer::CustomerType;
use uuid::Uuid;

use super::code::{Code, KnownError, codes};
use super::teams::TeamNotFound;

codes! {
    /// What was asked for does not exist in this project: an item, a finished query of analytics, or
    /// a session replay.
    ItemNotFound: NOT_FOUND "ITEM_NOT_FOUND" {
        /// The id.
        pub(super) item_id: String,
    };

    /// The item is for customers of another kind.
    ItemCustomerTypeDoesNotMatch: BAD_REQUEST "ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH" {
        /// The item.
        item_id: String,
        /// The customer.
        customer_id: String,
        /// For whom the item is: a `user`, a `team` or a `custom` customer.
        item_customer_type: &'static str,
        /// What the customer is.
        actual_customer_type: &'static str,
    };

    /// There would be less than nothing of the item.
    ItemQuantityInsufficientAmount: BAD_REQUEST "ITEM_QUANTITY_INSUFFICIENT_AMOUNT" {
        /// The item.
        item_id: String,
        /// The customer.
        customer_id: String,
        /// By how much the quantity was to change.
        quantity: i64,
    };

    /// The product is not sold, or not to this caller.
    ProductDoesNotExist: BAD_REQUEST "PRODUCT_DOES_NOT_EXIST" {
        /// The id.
        product_id: String,
        /// Why, if more is known: `item_exists`, or `server_only`.
        #[schema(required)]
        context: Option<String>,
    };

    /// The product is for customers of another kind.
    ProductCustomerTypeDoesNotMatch: BAD_REQUEST "PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH" {
        /// The product, unless it was given inline.
        #[schema(required)]
        product_id: Option<String>,
        /// The customer.
        customer_id: String,
        /// For whom the product is: a `user`, a `team` or a `custom` customer.
        product_customer_type: &'static str,
        /// What the customer is.
        actual_customer_type: &'static str,
    };

    /// The product is owned and can be owned once only.
    ProductAlreadyGranted: BAD_REQUEST "PRODUCT_ALREADY_GRANTED" {
        /// The product, unless it was given inline.
        #[schema(required)]
        product_id: Option<String>,
        /// The customer.
        customer_id: String,
    };

    /// The project sells nothing at present.
    NewPurchasesBlocked: FORBIDDEN "NEW_PURCHASES_BLOCKED";

    /// The payment of a subscription is not known.
    SubscriptionInvoiceNotFound: NOT_FOUND "SUBSCRIPTION_INVOICE_NOT_FOUND" {
        /// The id.
        subscription_invoice_id: String,
    };

    /// The subscription was refunded already: there is one refund per purchase.
    SubscriptionAlreadyRefunded: BAD_REQUEST "SUBSCRIPTION_ALREADY_REFUNDED" {
        /// The subscription.
        subscription_id: Uuid,
    };

    /// The purchase was refunded already: there is one refund per purchase.
    OneTimePurchaseAlreadyRefunded: BAD_REQUEST "ONE_TIME_PURCHASE_ALREADY_REFUNDED" {
        /// The purchase.
        one_time_purchase_id: Uuid,
    };

    /// There is no card that could be charged.
    DefaultPaymentMethodRequired: BAD_REQUEST "DEFAULT_PAYMENT_METHOD_REQUIRED" {
        /// What the customer is: a `user`, a `team` or a `custom` customer.
        customer_type: &'static str,
        /// The customer.
        customer_id: String,
    };

    /// The purchase is not known.
    OneTimePurchaseNotFound: NOT_FOUND "ONE_TIME_PURCHASE_NOT_FOUND" {
        /// The id.
        one_time_purchase_id: String,
    };

    /// Nothing was paid, so nothing can be paid back.
    TestModePurchaseNonRefundable: BAD_REQUEST "TEST_MODE_PURCHASE_NON_REFUNDABLE";

    /// The project cannot take payments.
    StripeAccountInfoNotFound: NOT_FOUND "STRIPE_ACCOUNT_INFO_NOT_FOUND";
}

impl KnownError {
    /// The project has no team of that id, which may not even be a UUID.
    #[must_use]
    pub fn no_team(id: &str) -> Self {
        TeamNotFound {
            team_id: id.to_owned(),
        }
        .says(format!("The project has no team {id}."))
    }

    /// The project has no such user, or no such team.
    #[must_use]
    pub fn no_customer(kind: CustomerType, id: Uuid) -> Self {
        match kind {
            CustomerType::Team => Self::no_team(&id.to_string()),
            CustomerType::User | CustomerType::Custom => Self::user_not_found(),
        }
    }

    /// The item is not configured.
    #[must_use]
    pub fn item_not_found(item: &str) -> Self {
        ItemNotFound {
            item_id: item.to_owned(),
        }
        .says(format!(
            "The project has no item {item}. Add it to its settings."
        ))
    }

    /// The item is for customers of another kind.
    #[must_use]
    pub fn item_customer_type_does_not_match(
        item: &str,
        customer: &str,
        expected: CustomerType,
        actual: CustomerType,
    ) -> Self {
        ItemCustomerTypeDoesNotMatch {
            item_id: item.to_owned(),
            customer_id: customer.to_owned(),
            item_customer_type: expected.as_str(),
            actual_customer_type: actual.as_str(),
        }
        .says(format!(
            "The item {item} is for customers of type {expected}, not {actual}."
        ))
    }

    /// There would be less than nothing of the item.
    #[must_use]
    pub fn item_quantity_insufficient_amount(item: &str, customer: &str, delta: i64) -> Self {
        ItemQuantityInsufficientAmount {
            item_id: item.to_owned(),
            customer_id: customer.to_owned(),
            quantity: delta,
        }
        .says(format!(
            "Customer {customer} does not have enough of the item {item} for {delta}."
        ))
    }

    /// The product is not sold, or not to this caller.
    #[must_use]
    pub fn product_does_not_exist(product: &str, context: Option<&str>) -> Self {
        let hint = match context {
            Some("item_exists") => " There is an item of that id; products are something else.",
            Some("server_only") => " It can be used with server access only.",
            _ => "",
        };
        ProductDoesNotExist {
            product_id: product.to_owned(),
            context: context.map(str::to_owned),
        }
        .says(format!("There is no product {product}.{hint}"))
    }

    /// The product is for customers of another kind.
    #[must_use]
    pub fn product_customer_type_does_not_match(
        product: Option<&str>,
        customer: &str,
        expected: CustomerType,
        actual: CustomerType,
    ) -> Self {
        ProductCustomerTypeDoesNotMatch {
            product_id: product.map(str::to_owned),
            customer_id: customer.to_owned(),
            product_customer_type: expected.as_str(),
            actual_customer_type: actual.as_str(),
        }
        .says(format!(
            "The product is for customers of type {expected}, not {actual}."
        ))
    }

    /// The product is owned and can be owned once only.
    #[must_use]
    pub fn product_already_granted(product: Option<&str>, customer: &str) -> Self {
        ProductAlreadyGranted {
            product_id: product.map(str::to_owned),
            customer_id: customer.to_owned(),
        }
        .says(format!(
            "Customer {customer} has the product already, and it is not stackable."
        ))
    }

    /// The project sells nothing at present.
    #[must_use]
    pub fn new_purchases_blocked() -> Self {
        NewPurchasesBlocked.says("New purchases are blocked in this project's settings at present.")
    }

    /// The payment of a subscription is not known.
    #[must_use]
    pub fn subscription_invoice_not_found(id: &str) -> Self {
        SubscriptionInvoiceNotFound {
            subscription_invoice_id: id.to_owned(),
        }
        .says(format!(
            "No invoice that could be refunded is known of subscription {id}."
        ))
    }

    /// There is one refund per purchase.
    #[must_use]
    pub fn subscription_already_refunded(id: PurchaseId) -> Self {
        SubscriptionAlreadyRefunded {
            subscription_id: id.0,
        }
        .says(format!("Subscription {id} was refunded already."))
    }

    /// There is one refund per purchase.
    #[must_use]
    pub fn one_time_purchase_already_refunded(id: PurchaseId) -> Self {
        OneTimePurchaseAlreadyRefunded {
            one_time_purchase_id: id.0,
        }
        .says(format!("One-time purchase {id} was refunded already."))
    }

    /// There is no card that could be charged.
    #[must_use]
    pub fn default_payment_method_required(kind: CustomerType, customer: &str) -> Self {
        DefaultPaymentMethodRequired {
            customer_type: kind.as_str(),
            customer_id: customer.to_owned(),
        }
        .says(format!(
            "Customer {customer} has no card that could be charged. Save one first."
        ))
    }

    /// The purchase is not known.
    #[must_use]
    pub fn one_time_purchase_not_found(id: &str) -> Self {
        OneTimePurchaseNotFound {
            one_time_purchase_id: id.to_owned(),
        }
        .says(format!("No paid one-time purchase {id} is known."))
    }

    /// Nothing was paid, so nothing can be paid back.
    #[must_use]
    pub fn test_mode_purchase_non_refundable() -> Self {
        TestModePurchaseNonRefundable
            .says("The purchase was made in test mode: there is no payment to refund.")
    }

    /// The project cannot take payments.
    #[must_use]
    pub fn stripe_account_info_not_found() -> Self {
        StripeAccountInfoNotFound.says("Payments are not set up for this project.")
    }
}
