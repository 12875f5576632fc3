//! Telling receivers of webhooks what happened: messages made of events, delivered by this server or
//! submitted to Svix.

pub mod dispatcher;
mod health;
pub mod message_producer;
mod payloads;
pub mod svix_forwarder;

/// The name of the lock that the sending process holds: the dispatcher and the forwarder must not
/// both run, on whichever nodes.
const LOCK: &str = "muniment webhooks";
