//! What the events of all aggregates have in common.

/// Makes an enum a [`cqrs_es::DomainEvent`]. The type of an event in the log is the name of its
/// variant, so variants are never renamed; `tests/event_names.rs` holds the list. All shapes are
/// in their first version: a changed one gets another here, and a step in the upcasting.
macro_rules! domain_event {
    ($event:ty) => {
        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                <&'static str>::from(self).to_owned()
            }

            fn event_version(&self) -> String {
                "1.0.0".to_owned()
            }
        }
    };
}
pub(crate) use domain_event;
