//! Muniment: an identity ledger. A drop-in backend for the Stack Auth REST API in which the event
//! log is the database.
//!
//! - [`http`]: the API; a folder per URL. [`views`]: the objects that it shows.
//! - [`app`]: use cases, where a route takes more than one aggregate or a service.
//! - [`workers`]: what runs beside requests.
//! - [`clients`]: the outside: Stripe, mail servers, receivers of webhooks.
//! - [`security`]: credentials, and how often something may be tried.
//! - [`error`]: what a request fails with.
//! - [`config`]: settings, from flags and environment; [`cli`]: the command line.
//! - [`embedded`]: Postgres and the analytics engine for `muniment dev` and for tests.
//! - [`server`]: a running server, put together from all of these.
//!
//! Arrows point one way: `http → app → {projections, clients, security}`. The rules live in
//! `muniment_domain`, the event log and the read models in `muniment_projections`.

pub mod app;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod embedded;
pub mod error;
pub mod http;
pub mod security;
pub mod server;
pub mod timestamp;
pub mod views;
pub mod workers;
