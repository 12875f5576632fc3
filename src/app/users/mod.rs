//! Use cases of user accounts: creating, changing and deleting them, and their addresses.

pub mod accounts;
pub mod contact_channels;
