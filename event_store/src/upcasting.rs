//! How events of older shapes are read.
//!
//! An event is never rewritten. When a field of an event changes its meaning or form, its version
//! (`DomainEvent::event_version`) goes up and a step is added here that turns the stored payload
//! into the next version's, for example:
//!
//! ```text
//! SemanticVersionEventUpcaster::new("UserUpdated", "1.1.0", Box::new(|mut payload| { …; payload }))
//! ```
//!
//! Steps run oldest first, on loading an aggregate as well as on replay and in subscribers. A new
//! field needs no step: `#[serde(default)]` on the field is enough.

use cqrs_es::persist::{EventUpcaster, SerializedEvent};

/// The steps, oldest first.
pub(crate) fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    Vec::new()
}

/// Brings one event to the current shape.
pub(crate) fn upcast(event: SerializedEvent, steps: &[Box<dyn EventUpcaster>]) -> SerializedEvent {
    steps.iter().fold(event, |event, step| {
        if step.can_upcast(&event.event_type, &event.event_version) {
            step.upcast(event)
        } else {
            event
        }
    })
}
