//! Use cases of payments: customers and their items, products, links that sell, checkout, refunds,
//! plans, and what Stripe reports.

pub mod cards;
pub mod checkout;
pub mod customers;
pub mod named_customer;
pub mod plans;
pub mod products;
pub mod purchase_links;
pub mod purchase_sessions;
pub mod purchases;
pub mod refunds;
pub mod stripe_customers;
pub mod stripe_events;
pub mod switches;
