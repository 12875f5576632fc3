//! Why a command to a customer was refused.

use uuid::Uuid;

use super::CustomerType;

/// Why a command to a customer was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomerError {
    /// The user or team that is the customer was deleted.
    #[error("the customer was deleted")]
    Gone(CustomerType, Uuid),
    /// The customer has too little of the item.
    #[error("the customer does not have enough of the item")]
    Insufficient,
    /// The product has no price with that id.
    #[error("the product has no price of that id")]
    PriceUnknown,
    /// More than one of a product was to be bought that can be owned only once.
    #[error("the product is not stackable: its quantity can only be 1")]
    NotStackable,
    /// The customer has the product already, and can own it only once.
    #[error("the customer has the product already")]
    AlreadyGranted,
    /// The product is an add-on, and the customer owns none of the products it adds to.
    #[error("the product is an add-on, and the customer has none of the products it adds to")]
    BaseMissing,
    /// The customer bought another product of the same line for good.
    #[error("the customer has a product of the same product line that was bought for good")]
    LineTaken,
    /// The customer has no active subscription with that id.
    #[error("the customer has no active subscription of that id")]
    SubscriptionUnknown,
    /// The customer does not own the product.
    #[error("the customer does not have the product")]
    NotOwned,
    /// The customer owns the product, but has no active subscription for it.
    #[error("the product was bought for good or is cancelled already: there is nothing to cancel")]
    NothingToCancel,
    /// The customer has no purchase with that id.
    #[error("the customer has no purchase of that id")]
    PurchaseUnknown,
    /// The purchase was refunded before.
    #[error("the purchase was refunded already")]
    AlreadyRefunded,
}
