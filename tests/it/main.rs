//! Tests through HTTP, against real servers on a real Postgres. One binary, so that it links once.

#![allow(
    clippy::disallowed_methods,
    reason = "tests run beside real processes, in real time"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "tests may fail loudly"
)]
#![allow(
    clippy::similar_names,
    reason = "user and used are both the right word"
)]
#![allow(
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::unused_self,
    reason = "a scenario reads from top to bottom, and takes `json!` literals as they come"
)]

mod abuse;
mod account_history;
mod ai_conversations;
mod analytics_contract;
mod analytics_crash;
mod analytics_isolation;
mod analytics_payments;
mod analytics_query;
mod analytics_repair;
mod analytics_store;
mod analytics_sync;
mod appenders;
mod architecture;
mod at_the_commit;
mod authenticator;
mod callers;
mod cli_login;
mod commit_gate;
mod concurrency;
mod config;
mod contact_channels;
mod conventions;
mod crash;
mod data_vault;
mod epochs;
mod event_log;
mod grounds;
mod hot_items;
mod integrations;
mod leaders;
mod limits;
mod mail;
mod member_profiles;
mod metrics;
mod mfa;
mod mortal_postgres;
mod notifications;
mod otp;
mod passkeys;
mod password_changes;
mod passwords;
mod payments_access;
mod payments_billing;
mod payments_checkout;
mod payments_crashes;
mod payments_items;
mod payments_links;
mod payments_products;
mod payments_refunds;
mod payments_setup;
mod payments_switches;
mod payments_test_mode;
mod payments_transactions;
mod permissions;
mod plans;
mod prefixes;
mod private_postgres;
mod processes;
mod projects;
mod read_tables;
mod receiver;
mod receiver_process;
mod reference;
mod schemathesis;
mod sdk;
mod session_replays;
mod sessions;
mod shop;
mod sign_up_rules;
mod smtp;
mod snapshots;
mod stripe_client;
mod stripe_server;
mod stripe_webhooks;
mod support;
mod support_conversations;
mod svix_api;
mod team_invitations;
mod teams;
mod telemetry;
mod unreadable;
mod upgrade;
mod upgrade_payments;
mod user_api_keys;
mod user_search;
mod users;
mod webhooks;
mod webhooks_svix;
