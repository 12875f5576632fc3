//! Bytes that Postgres keeps for others: uploaded images, and objects that only the server reads.

pub mod images;
pub mod private_objects;
