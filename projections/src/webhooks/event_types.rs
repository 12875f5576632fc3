//! The catalogue of what webhooks tell of.

/// The message that tests an endpoint.
pub const TEST: &str = "stack.test";

/// Every event type and what it means.
pub const CATALOGUE: [(&str, &str); 13] = [
    ("user.created", "A user was created"),
    ("user.updated", "A user was updated"),
    ("user.deleted", "A user was deleted"),
    ("team.created", "A team was created"),
    ("team.updated", "A team was updated"),
    ("team.deleted", "A team was deleted"),
    ("team_membership.created", "A user joined a team"),
    ("team_membership.deleted", "A user left a team"),
    (
        "team_permission.created",
        "A member was granted a permission",
    ),
    (
        "team_permission.deleted",
        "A member's permission was revoked",
    ),
    (
        "project_permission.created",
        "A user was granted a permission",
    ),
    (
        "project_permission.deleted",
        "A user's permission was revoked",
    ),
    (TEST, "Somebody tests an endpoint"),
];

/// Whether there is such an event type.
#[must_use]
pub fn exists(event_type: &str) -> bool {
    CATALOGUE.iter().any(|(name, _)| *name == event_type)
}
