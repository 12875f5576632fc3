//! The team: a group of users of one project, with their memberships.

mod command;
mod event;

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::TeamCommand;
pub use event::{
    Entrance, MemberAdded, MemberProfileChange, MemberProfileChanged, TeamChange, TeamCreated,
    TeamEvent, TeamProfile, TeamUpdated,
};

use crate::lifecycle::Lifecycle;
use crate::permission::{GrantChange, RevokeCause};
use crate::{PermissionId, UserId};

/// Why a command to a team was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TeamError {
    /// The team never existed, or was deleted.
    #[error("the team does not exist")]
    NotFound,
    /// A team with this id exists already, or existed once.
    #[error("a team with this id exists already")]
    AlreadyExists,
    /// The user is a member of the team already.
    #[error("the user is a member of the team already")]
    AlreadyMember,
    /// The user is not a member of the team.
    #[error("the user is not a member of the team")]
    NotMember(UserId),
    /// The permission was not granted to the member directly.
    #[error("the permission is not granted to the member directly")]
    NotGranted(UserId, PermissionId),
}

/// The state that decisions about a team need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Team {
    #[serde(rename = "life")]
    lifecycle: Lifecycle,
    display_name: String,
    /// The members, each with the permissions granted directly.
    members: BTreeMap<UserId, BTreeSet<PermissionId>>,
    /// How often somebody left, or was removed.
    #[serde(default)]
    departures: u32,
    /// Those who did, each with the number of their latest departure.
    #[serde(default)]
    departed: BTreeMap<UserId, u32>,
}

impl Team {
    /// Whether the team exists now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.lifecycle == Lifecycle::Active
    }

    /// Whether the team existed once, and was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.lifecycle == Lifecycle::Deleted
    }

    /// The users who are in the team.
    pub fn members(&self) -> impl Iterator<Item = UserId> {
        self.members.keys().copied()
    }

    /// How often somebody has left the team, or was removed from it. An invitation remembers it, to
    /// be compared in [`Team::has_departed_since`].
    #[must_use]
    pub fn departures(&self) -> u32 {
        self.departures
    }

    /// Whether the user left the team, or was removed from it, after that many departures.
    #[must_use]
    pub fn has_departed_since(&self, user: UserId, departures: u32) -> bool {
        self.departed.get(&user).is_some_and(|at| *at > departures)
    }

    /// Whether the user is in the team.
    #[must_use]
    pub fn has_member(&self, user: UserId) -> bool {
        self.members.contains_key(&user)
    }

    fn grants_of(&self, user: UserId) -> Result<&BTreeSet<PermissionId>, TeamError> {
        self.members.get(&user).ok_or(TeamError::NotMember(user))
    }

    fn revoked(
        &self,
        user_id: UserId,
        permission_id: PermissionId,
    ) -> Result<Vec<TeamEvent>, TeamError> {
        if !self.grants_of(user_id)?.contains(&permission_id) {
            return Err(TeamError::NotGranted(user_id, permission_id));
        }
        Ok(vec![TeamEvent::TeamPermissionRevoked {
            user_id,
            permission_id,
            cause: RevokeCause::Revoked,
        }])
    }

    fn followed(&self, permission_id: &PermissionId, change: &GrantChange) -> Vec<TeamEvent> {
        let members = self.members.iter();
        let holders = members.filter(|(_, grants)| grants.contains(permission_id));
        holders
            .map(|(user_id, _)| match change {
                GrantChange::Renamed(new_permission_id) => TeamEvent::TeamPermissionRenamed {
                    user_id: *user_id,
                    permission_id: permission_id.clone(),
                    new_permission_id: new_permission_id.clone(),
                },
                GrantChange::Dropped => TeamEvent::TeamPermissionRevoked {
                    user_id: *user_id,
                    permission_id: permission_id.clone(),
                    cause: RevokeCause::DefinitionRemoved,
                },
            })
            .collect()
    }

    fn decide(&self, command: TeamCommand) -> Result<Vec<TeamEvent>, TeamError> {
        match (self.lifecycle, command) {
            (
                Lifecycle::Absent,
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
            (Lifecycle::Absent | Lifecycle::Deleted, _) => Err(TeamError::NotFound),
            (Lifecycle::Active, TeamCommand::Update(change)) => {
                Ok(vec![TeamEvent::TeamUpdated(TeamUpdated {
                    personal: change.into(),
                })])
            }
            (
                Lifecycle::Active,
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
            (Lifecycle::Active, TeamCommand::AddMember(added)) => {
                if self.members.contains_key(&added.user_id) {
                    return Err(TeamError::AlreadyMember);
                }
                Ok(vec![TeamEvent::MemberAdded(added)])
            }
            (Lifecycle::Active, TeamCommand::RemoveMember(user_id)) => {
                self.grants_of(user_id)?;
                Ok(vec![TeamEvent::MemberRemoved { user_id }])
            }
            (Lifecycle::Active, TeamCommand::GrantPermission(user_id, permission_id)) => {
                self.grants_of(user_id)?;
                Ok(vec![TeamEvent::TeamPermissionGranted {
                    user_id,
                    permission_id,
                }])
            }
            (Lifecycle::Active, TeamCommand::RevokePermission(user_id, permission_id)) => {
                self.revoked(user_id, permission_id)
            }
            (Lifecycle::Active, TeamCommand::FollowDefinition(permission_id, change)) => {
                Ok(self.followed(&permission_id, &change))
            }
            (Lifecycle::Active, TeamCommand::ChangeMemberProfile(user_id, change)) => {
                self.grants_of(user_id)?;
                Ok(vec![TeamEvent::MemberProfileChanged(
                    MemberProfileChanged {
                        user_id,
                        subject: user_id,
                        personal: change.into(),
                    },
                )])
            }
            (Lifecycle::Active, TeamCommand::Delete) => Ok(vec![TeamEvent::TeamDeleted {}]),
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
                self.lifecycle = Lifecycle::Active;
                self.display_name = created.personal.or_erased().display_name;
            }
            TeamEvent::TeamUpdated(updated) | TeamEvent::PersonalTeamNamed(updated) => {
                if let Some(name) = updated.personal.or_erased().display_name {
                    self.display_name = name;
                }
            }
            TeamEvent::MemberAdded(added) => {
                let grants = added.permission_ids.into_iter().collect();
                self.members.insert(added.user_id, grants);
            }
            TeamEvent::MemberRemoved { user_id } => {
                self.members.remove(&user_id);
                self.departures += 1;
                self.departed.insert(user_id, self.departures);
            }
            TeamEvent::TeamPermissionGranted {
                user_id,
                permission_id,
            } => {
                if let Some(grants) = self.members.get_mut(&user_id) {
                    grants.insert(permission_id);
                }
            }
            TeamEvent::TeamPermissionRevoked {
                user_id,
                permission_id,
                ..
            } => {
                if let Some(grants) = self.members.get_mut(&user_id) {
                    grants.remove(&permission_id);
                }
            }
            TeamEvent::TeamPermissionRenamed {
                user_id,
                permission_id,
                new_permission_id,
            } => {
                if let Some(grants) = self.members.get_mut(&user_id) {
                    grants.remove(&permission_id);
                    grants.insert(new_permission_id);
                }
            }
            TeamEvent::MemberProfileChanged(_) => {}
            TeamEvent::TeamDeleted {} => {
                *self = Self {
                    lifecycle: Lifecycle::Deleted,
                    ..Self::default()
                }
            }
        }
    }
}
