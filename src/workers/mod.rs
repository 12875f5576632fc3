//! Everything that runs beside requests, under one [`supervisor`]. Each worker is a struct of the
//! parts that it needs, and a loop.

mod backoff;
pub mod housekeeping;
pub mod mail;
pub mod stripe_cancellations;
pub mod supervisor;
pub mod webhooks;
