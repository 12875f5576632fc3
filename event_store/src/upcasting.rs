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

/// The highest version of any event's shape that this build knows.
const KNOWN: (u64, u64, u64) = (1, 0, 0);

/// Whether a stored version is above every one that is known. What is no version at all is taken for
/// one: whoever wrote it knew more.
pub(crate) fn is_newer(version: &str) -> bool {
    let mut numbers = version.splitn(3, '.').map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok);
    let version = next().zip(next()).zip(next());
    version.is_none_or(|((major, minor), patch)| (major, minor, patch) > KNOWN)
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

#[cfg(test)]
mod tests {
    use cqrs_es::DomainEvent;
    use muniment_domain::user::UserEvent;

    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(!is_newer("1.0.0") && !is_newer("0.10.0"));
        assert!(is_newer("1.0.1") && is_newer("9.0.0") && is_newer("10.0.0"));
        assert!(is_newer("") && is_newer("1.0") && is_newer("soon"));
    }

    #[test]
    fn what_is_written_is_known() {
        assert!(!is_newer(&UserEvent::UserDeleted {}.event_version()));
    }
}
