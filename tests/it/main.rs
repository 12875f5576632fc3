//! Tests through HTTP, against real servers on a real Postgres. One binary, so that it links once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod account_history;
mod callers;
mod concurrency;
mod conventions;
mod crash;
mod event_log;
mod passwords;
mod private_postgres;
mod projects;
mod sdk;
mod sessions;
mod support;
mod teams;
mod users;
