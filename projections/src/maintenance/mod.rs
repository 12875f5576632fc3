//! What an operator does with a log: rebuild read models from it, compare them with it, read an
//! account's history.

pub mod history;
pub mod replay;
pub(crate) mod shadow_schema;
pub mod verify;
