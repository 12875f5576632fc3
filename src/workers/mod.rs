//! What runs beside requests: sending mail, delivering webhooks, housekeeping.

pub mod housekeeping;
pub mod mail;
pub mod webhooks;
