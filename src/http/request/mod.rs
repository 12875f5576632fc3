//! What all routes share of a request: its id, body, caller, input, and where it comes from.

pub(crate) mod access;
pub(crate) mod authentication;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod declare;
pub(crate) mod end_user;
pub(crate) mod envelope;
pub(crate) mod fields;
pub(crate) mod found;
pub(crate) mod ingestion;
pub(crate) mod input;
pub(crate) mod presence;
pub(crate) mod shape;
pub(crate) mod values;
