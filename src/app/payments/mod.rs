//! Use cases of payments: customers and their items, checkout, plans, and what Stripe reports.

pub mod checkout;
pub mod customers;
pub mod plans;
pub mod stripe_customers;
pub mod stripe_events;
