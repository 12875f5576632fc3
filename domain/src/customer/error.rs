//! Why a command to a customer was refused.

/// Why a command to a customer was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomerError {
    /// There is not enough of the item.
    #[error("the customer does not have enough of the item")]
    Insufficient,
    /// The product has no such price.
    #[error("the product has no price of that id")]
    PriceUnknown,
    /// The product can be owned once only.
    #[error("the product is not stackable: its quantity can only be 1")]
    NotStackable,
    /// The product can be owned once only, and is.
    #[error("the customer has the product already")]
    AlreadyGranted,
    /// The product adds to others, none of which is owned.
    #[error("the product is an add-on, and the customer has none of the products it adds to")]
    BaseMissing,
    /// A product of the same line was bought for good.
    #[error("the customer has a product of the same product line that was bought for good")]
    LineTaken,
    /// No running subscription has that id.
    #[error("the customer has no active subscription of that id")]
    SubscriptionUnknown,
    /// The product is not owned.
    #[error("the customer does not have the product")]
    NotOwned,
    /// The product is owned, but no running subscription is behind it.
    #[error("the product was bought for good or is cancelled already: there is nothing to cancel")]
    NothingToCancel,
    /// There is no such purchase.
    #[error("the customer has no purchase of that id")]
    PurchaseUnknown,
    /// It was refunded before.
    #[error("the purchase was refunded already")]
    AlreadyRefunded,
}
