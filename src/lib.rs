//! Muniment: an identity ledger. A drop-in backend for the Stack Auth REST API in which the event
//! log is the database.
//!
//! - [`http`]: the API; one file per family of routes.
//! - [`app`]: what the routes do, where it takes more than one aggregate or a password.
//! - [`analytics_engine`]: the analytics store of `muniment dev` and of tests.
//! - [`tokens`], [`passwords`], [`secrets`]: credentials.
//! - [`limits`]: how often something may be tried.
//! - [`stripe`]: the client for Stripe, which takes payments.
//! - [`cli`]: the command line; [`settings`]: its configuration.
//! - [`private_postgres`]: Postgres for `muniment dev` and for tests.
//!
//! The rules live in `muniment_domain`, the event log and the read models in
//! `muniment_projections`.

pub mod analytics_engine;
pub mod app;
pub mod cache_folder;
pub mod cli;
pub mod clock;
pub mod http;
pub mod limits;
pub mod mail;
pub mod passwords;
pub mod private_postgres;
pub mod registry_package;
pub mod secrets;
pub mod server;
pub mod settings;
pub mod stripe;
pub mod timestamp;
pub mod tokens;
pub mod totp;
pub mod webhooks;
