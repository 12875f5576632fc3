//! `/payments` and `/internal/payments`: items, products, purchases, transactions.
//!
//! Customers are charged through Stripe, in the name of the project's account there.
//! Items, grants and lists work without.

mod billing;
mod described_product;
mod invoices;
mod items;
mod method_configs;
mod named_customer;
mod named_product;
mod products;
mod purchase_sessions;
mod purchases;
mod refunds;
mod schemas;
mod stripe_account;
mod switches;
mod transaction_views;
mod transactions;
mod views;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes of this folder.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(items::router())
        .merge(products::router())
        .merge(switches::router())
        .merge(purchases::router())
        .merge(purchase_sessions::router())
        .merge(transactions::router())
        .merge(refunds::router())
        .merge(billing::router())
        .merge(invoices::router())
        .merge(stripe_account::router())
        .merge(method_configs::router())
}
