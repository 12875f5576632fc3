//! Telling receivers of webhooks what happened: messages made of events, delivered by this server or
//! submitted to Svix.

pub(crate) mod message_producer;
pub(crate) mod dispatcher;
pub(crate) mod health;
pub(crate) mod payloads;
pub mod svix_forwarder;
