//! What the outside world is told of what happened, and the queue it is sent from.
//!
//! - [`happenings`]: which events are told of, in one table, and what was the case then;
//! - [`endpoints`]: where messages go; [`queue`]: messages, what is due, and how it went;
//!   [`submissions`]: messages on their way to a Svix server.
//!
//! Sending is the server's.

pub mod endpoints;
pub mod event_types;
pub mod happenings;
pub mod queue;
pub mod submissions;

pub use happenings::{Happened, Happening, Occasion, Tie};
