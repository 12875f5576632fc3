//! The outside, as this server calls it: Stripe, Svix, mail servers, receivers of webhooks.

pub mod address_policy;
pub mod delivery_client;
pub mod mail;
pub mod stripe;
pub mod svix;
