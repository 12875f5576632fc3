//! Who did it, and in which request: the metadata of every event.

use std::collections::HashMap;
use std::fmt;

use muniment_domain::{Millis, ProjectId, UserId};

use crate::precondition::Preconditions;
use crate::sealing::sealed_event::PersonalMetadata;

/// The version of the metadata's shape.
const SCHEMA_VERSION: &str = "1";

/// Who caused an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in user.
    User(UserId),
    /// An application on behalf of nobody in particular, such as a stranger signing up.
    Client,
    /// A holder of a secret server key.
    ServerKey,
    /// A holder of an admin key.
    Admin,
    /// An owner of the project: this user of the `internal` project.
    Owner(UserId),
    /// Muniment itself: seeding, subscribers.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Client => f.write_str("client"),
            Self::ServerKey => f.write_str("server"),
            Self::Admin => f.write_str("admin"),
            Self::Owner(id) => write!(f, "admin:{id}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// The access type of a request, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessType {
    /// Browsers and apps: the signed-in user's own data.
    Client,
    /// Trusted backends: all user data of the project.
    Server,
    /// Dashboards and automation: the project's configuration, too.
    Admin,
}

impl AccessType {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Admin => "admin",
        }
    }
}

/// The circumstances under which events are appended.
#[derive(Clone, Debug)]
pub struct EventContext {
    /// The project the events belong to.
    pub project_id: ProjectId,
    /// Who caused them.
    pub actor: Actor,
    /// With which access; none for the system itself.
    pub access: Option<AccessType>,
    /// The request's id; events of one request share it as their correlation id.
    pub request_id: String,
    /// The event that led to these, as `type/id/sequence`.
    pub causation_id: Option<String>,
    /// Where the request came from. Sealed in the log.
    pub ip: Option<String>,
    /// What sent it. Sealed in the log.
    pub user_agent: Option<String>,
    /// When.
    pub now: Millis,
    /// What must be so for any of it to happen.
    pub preconditions: Preconditions,
}

impl EventContext {
    /// Muniment itself at work on a project.
    #[must_use]
    pub fn system(project_id: ProjectId, request_id: impl Into<String>, now: Millis) -> Self {
        Self {
            project_id,
            actor: Actor::System,
            access: None,
            request_id: request_id.into(),
            causation_id: None,
            ip: None,
            user_agent: None,
            now,
            preconditions: Preconditions::default(),
        }
    }

    /// The open part of the metadata, in the form cqrs-es wants.
    pub(crate) fn open_metadata(&self) -> HashMap<String, String> {
        let mut metadata = HashMap::from([
            ("schema".to_owned(), SCHEMA_VERSION.to_owned()),
            ("actor".to_owned(), self.actor.to_string()),
            ("request_id".to_owned(), self.request_id.clone()),
            ("correlation_id".to_owned(), self.request_id.clone()),
        ]);
        if let Some(access) = self.access {
            metadata.insert("access".to_owned(), access.as_str().to_owned());
        }
        if let Some(causation_id) = &self.causation_id {
            metadata.insert("causation_id".to_owned(), causation_id.clone());
        }
        metadata
    }

    /// The personal part, and whose it is: the actor's, or failing that the subject's.
    pub(crate) fn personal_metadata(&self) -> Option<PersonalMetadata> {
        let (ip, user_agent) = (self.ip.clone(), self.user_agent.clone());
        let owner = match self.actor {
            Actor::User(id) | Actor::Owner(id) => Some(id),
            Actor::Client | Actor::ServerKey | Actor::Admin | Actor::System => None,
        };
        (ip.is_some() || user_agent.is_some()).then_some(PersonalMetadata {
            owner,
            ip,
            user_agent,
        })
    }
}
