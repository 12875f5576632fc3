//! The team: a group of users of one project, with their memberships.

mod command;
mod event;

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::TeamCommand;
pub use event::{
    Entrance, MemberAdded, TeamChange, TeamCreated, TeamEvent, TeamProfile, TeamUpdated,
};

use crate::UserId;

/// Why a command to a team was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TeamError {
    /// The team does not exist, or no longer.
    #[error("the team does not exist")]
    NotFound,
    /// The id is taken.
    #[error("a team with this id exists already")]
    AlreadyExists,
    /// The user is in the team already.
    #[error("the user is a member of the team already")]
    AlreadyMember,
    /// The user is not in the team.
    #[error("the user is not a member of the team")]
    NotMember(UserId),
}

/// Where a team is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Life {
    #[default]
    Unborn,
    Alive,
    Deleted,
}

/// The state that decisions about a team need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Team {
    life: Life,
    display_name: String,
    members: BTreeSet<UserId>,
}

impl Team {
    /// Whether the team exists now.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.life == Life::Alive
    }

    /// Who is in the team.
    pub fn members(&self) -> impl Iterator<Item = UserId> {
        self.members.iter().copied()
    }

    fn decide(&self, command: TeamCommand) -> Result<Vec<TeamEvent>, TeamError> {
        match (self.life, command) {
            (
                Life::Unborn,
                TeamCommand::Create {
                    project_id,
                    now,
                    profile,
                },
            ) => {
                let created = TeamCreated {
                    project_id,
                    created_at: now,
                    personal: profile.into(),
                };
                Ok(vec![TeamEvent::TeamCreated(created)])
            }
            (_, TeamCommand::Create { .. }) => Err(TeamError::AlreadyExists),
            (Life::Unborn | Life::Deleted, _) => Err(TeamError::NotFound),
            (Life::Alive, TeamCommand::Update(change)) => {
                Ok(vec![TeamEvent::TeamUpdated(TeamUpdated {
                    personal: change.into(),
                })])
            }
            (
                Life::Alive,
                TeamCommand::NamePersonalTeam {
                    placeholder,
                    display_name,
                },
            ) => {
                if self.display_name != placeholder || display_name == placeholder {
                    return Ok(Vec::new());
                }
                let change = TeamChange {
                    display_name: Some(display_name),
                    ..TeamChange::default()
                };
                Ok(vec![TeamEvent::PersonalTeamNamed(TeamUpdated {
                    personal: change.into(),
                })])
            }
            (Life::Alive, TeamCommand::AddMember(added)) => {
                if self.members.contains(&added.user_id) {
                    return Err(TeamError::AlreadyMember);
                }
                Ok(vec![TeamEvent::MemberAdded(added)])
            }
            (Life::Alive, TeamCommand::RemoveMember(user_id)) => {
                if !self.members.contains(&user_id) {
                    return Err(TeamError::NotMember(user_id));
                }
                Ok(vec![TeamEvent::MemberRemoved { user_id }])
            }
            (Life::Alive, TeamCommand::Delete) => Ok(vec![TeamEvent::TeamDeleted {}]),
        }
    }
}

impl Aggregate for Team {
    const TYPE: &'static str = "team";
    type Command = TeamCommand;
    type Event = TeamEvent;
    type Error = TeamError;
    type Services = ();

    async fn handle(
        &mut self,
        command: TeamCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), TeamError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: TeamEvent) {
        match event {
            TeamEvent::TeamCreated(created) => {
                self.life = Life::Alive;
                self.display_name = created.personal.or_erased().display_name;
            }
            TeamEvent::TeamUpdated(updated) | TeamEvent::PersonalTeamNamed(updated) => {
                if let Some(name) = updated.personal.or_erased().display_name {
                    self.display_name = name;
                }
            }
            TeamEvent::MemberAdded(added) => {
                self.members.insert(added.user_id);
            }
            TeamEvent::MemberRemoved { user_id } => {
                self.members.remove(&user_id);
            }
            TeamEvent::TeamDeleted {} => {
                *self = Self {
                    life: Life::Deleted,
                    ..Self::default()
                }
            }
        }
    }
}
