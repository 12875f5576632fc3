//! Which events the outside world is told of, and what was the case then.
//!
//! An event shows the state right after the unit of work that it belongs to: the streams are
//! folded up to there, by the projectors of the read models. When it is read does not matter, with
//! one exception: of somebody who was erased in the meantime, the log has no personal data to show.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cqrs_es::Aggregate;
use muniment_domain::permission::{GrantCause, RevokeCause};
use muniment_domain::project::Project;
use muniment_domain::team::{Entrance, Team, TeamEvent};
use muniment_domain::user::{PasswordOccasion, User, UserEvent};
use muniment_domain::{Millis, PermissionId, ProjectId, TeamId, UserId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::read_models::projects::ProjectRow;
use crate::read_models::registry::ReadModels;
use crate::read_models::teams::TeamRow;
use crate::read_models::users::UserRecord;
use muniment_event_store::LedgerEvent;
use muniment_event_store::event::RecordedEvent;
use muniment_event_store::{EventLog, LedgerError, Unreadable};

/// The characters of message ids.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// How many of them an id has.
const ID_LENGTH: usize = 27;

/// Why a user or a team is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It came into being.
    Created,
    /// It was changed, or a change left it as it was.
    Updated,
}

/// What became of a change between two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Created,
    /// It was cut.
    Deleted,
}

/// Something that the outside world is told of.
#[derive(Clone, Debug)]
pub struct WebhookEvent {
    /// The id of the message about it: `msg_` and 27 characters made from the event's place in the
    /// log, so that it is the same however often the event is read.
    pub message_id: String,
    /// Whose it is.
    pub project_id: ProjectId,
    /// When it was recorded.
    pub at: Millis,
    /// The stream that it happened on.
    pub subject: String,
    /// What it is.
    pub what: WebhookData,
}

/// What the outside world is told, and what has to wait.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What it is told.
    pub events: Vec<WebhookEvent>,
    /// Events that it would have been told of, had another one been readable.
    pub untold: Vec<Unreadable>,
}

/// What happened, with the state it led to.
#[derive(Clone, Debug)]
pub enum WebhookData {
    /// A user was created or updated.
    User {
        /// Which of the two.
        occasion: Occasion,
        /// The user then.
        record: Box<UserRecord>,
        /// The project then, whose settings decide how users are shown. Events between which it
        /// did not change share it.
        project: Arc<ProjectRow>,
    },
    /// A user was deleted.
    UserDeleted {
        /// Who.
        user: UserId,
        /// The teams that the user was in, oldest first.
        teams: Vec<TeamId>,
    },
    /// A team was created or updated.
    Team {
        /// Which of the two.
        occasion: Occasion,
        /// The team then.
        team: Box<TeamRow>,
    },
    /// A team was deleted.
    TeamDeleted(TeamId),
    /// A user came into a team or left it.
    Membership(Change, TeamId, UserId),
    /// A member was granted a permission in a team, or it was revoked.
    TeamPermission(Change, TeamId, UserId, PermissionId),
    /// A user was granted a permission in the project, or it was revoked.
    ProjectPermission(Change, UserId, PermissionId),
}

/// What an event is told as, before the state is looked up.
#[derive(Clone, Debug, PartialEq)]
enum WebhookEventKind {
    User(Occasion),
    UserDeleted,
    Team(Occasion),
    TeamDeleted,
    Membership(Change, UserId),
    TeamPermission(Change, UserId, PermissionId),
    ProjectPermission(Change, PermissionId),
}

/// The table: what each event is told as. Everything else is kept to ourselves.
fn kinds(event: &LedgerEvent) -> Vec<WebhookEventKind> {
    match event {
        LedgerEvent::User(event) => kinds_of_user(event).into_iter().collect(),
        LedgerEvent::Team(event) => kinds_of_team(event),
        _ => Vec::new(),
    }
}

fn kinds_of_user(event: &UserEvent) -> Option<WebhookEventKind> {
    Some(match event {
        UserEvent::UserCreated(_) => WebhookEventKind::User(Occasion::Created),
        UserEvent::UserUpdated(_)
        | UserEvent::PasswordChosen {
            occasion: PasswordOccasion::Reset,
            ..
        } => WebhookEventKind::User(Occasion::Updated),
        UserEvent::ProjectPermissionGranted {
            permission_id,
            cause: GrantCause::Granted,
        } => WebhookEventKind::ProjectPermission(Change::Created, permission_id.clone()),
        UserEvent::ProjectPermissionRevoked {
            permission_id,
            cause: RevokeCause::Revoked,
        } => WebhookEventKind::ProjectPermission(Change::Deleted, permission_id.clone()),
        UserEvent::UserDeleted {} => WebhookEventKind::UserDeleted,
        _ => return None,
    })
}

/// The creator's membership is part of the team's creation, and renames by the system are no
/// updates.
fn kinds_of_team(event: &TeamEvent) -> Vec<WebhookEventKind> {
    let one = match event {
        TeamEvent::TeamCreated(_) => WebhookEventKind::Team(Occasion::Created),
        TeamEvent::TeamUpdated(_) => WebhookEventKind::Team(Occasion::Updated),
        TeamEvent::TeamDeleted {} => WebhookEventKind::TeamDeleted,
        TeamEvent::MemberAdded(added) if added.entrance == Entrance::Added => {
            let granted = added.permission_ids.iter();
            let granted = granted.map(|id| {
                WebhookEventKind::TeamPermission(Change::Created, added.user_id, id.clone())
            });
            return std::iter::once(WebhookEventKind::Membership(Change::Created, added.user_id))
                .chain(granted)
                .collect();
        }
        TeamEvent::MemberRemoved { user_id } => {
            WebhookEventKind::Membership(Change::Deleted, *user_id)
        }
        TeamEvent::TeamPermissionGranted {
            user_id,
            permission_id,
        } => WebhookEventKind::TeamPermission(Change::Created, *user_id, permission_id.clone()),
        TeamEvent::TeamPermissionRevoked {
            user_id,
            permission_id,
            cause: RevokeCause::Revoked,
        } => WebhookEventKind::TeamPermission(Change::Deleted, *user_id, permission_id.clone()),
        _ => return Vec::new(),
    };
    vec![one]
}

/// What the outside world is told of these events, which are in the log's order. If what was the case
/// then depends on an event that cannot be read, it is not known, and nothing is told: that is
/// `untold`.
pub async fn webhook_events(log: &EventLog, events: &[RecordedEvent]) -> Result<Told, LedgerError> {
    let told: Vec<(&RecordedEvent, Vec<WebhookEventKind>)> = events
        .iter()
        .map(|event| (event, kinds(&event.event)))
        .filter(|(_, told)| !told.is_empty())
        .collect();
    let mut past = Past::read(log, &told).await?;
    let mut webhook_events = Vec::new();
    let mut untold = Vec::new();
    for (event, told) in told {
        if let Some(hole) = past.hole_before(event) {
            untold.push(hole.hides(event));
            continue;
        }
        for (ordinal, told) in told.into_iter().enumerate() {
            let Some(what) = past.look_up(event, told) else {
                continue;
            };
            webhook_events.push(WebhookEvent {
                message_id: message_id(event, ordinal),
                project_id: event.project_id.clone(),
                at: event.recorded_at,
                subject: event.aggregate_id.clone(),
                what,
            });
        }
    }
    Ok(Told {
        events: webhook_events,
        untold,
    })
}

/// Made from the event's place, not from the time or from chance.
fn message_id(event: &RecordedEvent, ordinal: usize) -> String {
    let (id, position) = (&event.aggregate_id, event.cursor.position);
    let place = format!(
        "muniment webhook {id} {} {position} {ordinal}",
        event.sequence
    );
    let digest = Sha256::digest(place.as_bytes());
    let characters = digest.iter().take(ID_LENGTH);
    let characters = characters.map(|byte| char::from(BASE62[usize::from(byte % 62)]));
    format!("msg_{}", characters.collect::<String>())
}

/// The streams that the state is folded from. Events are looked up in the log's order, so each
/// stream is folded once, however many of its events are told of.
struct Past {
    streams: HashMap<(&'static str, String), Stream>,
    /// What could not be read of them.
    holes: Vec<Unreadable>,
}

/// A stream, and its state after the first of its events.
#[derive(Default)]
struct Stream {
    events: Vec<RecordedEvent>,
    folded: usize,
    models: ReadModels,
    /// When the user whose stream it is last did something that is on it.
    last_seen: Option<i64>,
    /// The project whose stream it is, once it has been shown in this state.
    project: Option<Arc<ProjectRow>>,
}

impl Stream {
    /// Folds on up to the end of the unit of work that `event` belongs to.
    fn advance(&mut self, event: &RecordedEvent) {
        while let Some(next) = self.events.get(self.folded) {
            if next.cursor > event.cursor && !same_unit(next, event) {
                return;
            }
            let id = &next.aggregate_id;
            if next.metadata.get("actor") == Some(&format!("user:{id}")) {
                self.last_seen = self.last_seen.max(Some(next.recorded_at.0));
            }
            self.models.fold(next.envelope());
            self.folded += 1;
            self.project = None;
        }
    }
}

impl Past {
    async fn read(
        log: &EventLog,
        told: &[(&RecordedEvent, Vec<WebhookEventKind>)],
    ) -> Result<Self, LedgerError> {
        let mut users = HashSet::new();
        let mut teams = HashSet::new();
        let mut projects = HashSet::new();
        for (event, told) in told {
            let id = event.aggregate_id.clone();
            match told.first() {
                Some(WebhookEventKind::User(_)) => {
                    users.insert(id);
                    projects.insert(event.project_id.to_string());
                }
                Some(WebhookEventKind::UserDeleted) => {
                    // To know which teams were left, and how old they were.
                    users.insert(id.clone());
                    teams.extend(teams_left(log, &id).await?);
                }
                Some(WebhookEventKind::Team(_)) => {
                    teams.insert(id);
                }
                _ => {}
            }
        }
        let mut past = Self {
            streams: HashMap::new(),
            holes: Vec::new(),
        };
        past.add(log, User::TYPE, users).await?;
        teams.extend(past.selected_teams());
        past.add(log, Team::TYPE, teams).await?;
        past.add(log, Project::TYPE, projects).await?;
        Ok(past)
    }

    async fn add(
        &mut self,
        log: &EventLog,
        aggregate_type: &'static str,
        ids: HashSet<String>,
    ) -> Result<(), LedgerError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = ids.into_iter().collect();
        let page = log.streams(aggregate_type, &ids).await?;
        self.holes.extend(page.unreadable);
        for event in page.events {
            let key = (aggregate_type, event.aggregate_id.clone());
            self.streams.entry(key).or_default().events.push(event);
        }
        Ok(())
    }

    /// An event that cannot be read, and that the state after `event` depends on: on the same stream,
    /// or on one that others are shown by, of its project.
    fn hole_before(&self, event: &RecordedEvent) -> Option<&Unreadable> {
        let matters = |hole: &&Unreadable| {
            let is_shared = hole.aggregate_type != User::TYPE;
            hole.cursor <= event.cursor
                && (hole.aggregate_id == event.aggregate_id
                    || is_shared && hole.project_id == event.project_id)
        };
        self.holes.iter().find(matters)
    }

    /// Every team that one of the users ever had selected.
    fn selected_teams(&self) -> Vec<String> {
        let events = self.streams.values().flat_map(|stream| &stream.events);
        let selected = events.filter_map(|event| match &event.event {
            LedgerEvent::User(UserEvent::SelectedTeamChanged { selected_team_id }) => {
                *selected_team_id
            }
            LedgerEvent::User(UserEvent::UserUpdated(updated)) => {
                updated.selected_team_id.clone().into_value()
            }
            _ => None,
        });
        selected.map(|team| team.to_string()).collect()
    }

    /// A stream as it was at the end of the unit of work that `event` belongs to.
    fn as_of(
        &mut self,
        aggregate_type: &'static str,
        id: &str,
        event: &RecordedEvent,
    ) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(&(aggregate_type, id.to_owned()))?;
        stream.advance(event);
        Some(stream)
    }

    fn look_up(&mut self, event: &RecordedEvent, told: WebhookEventKind) -> Option<WebhookData> {
        let id = event.aggregate_id.parse::<Uuid>().ok()?;
        Some(match told {
            WebhookEventKind::User(occasion) => {
                let (record, project) = (self.user(event, id, occasion)?, self.project(event)?);
                WebhookData::User {
                    occasion,
                    record: Box::new(record),
                    project,
                }
            }
            WebhookEventKind::UserDeleted => WebhookData::UserDeleted {
                user: UserId(id),
                teams: self.teams_left_with(event, UserId(id)),
            },
            WebhookEventKind::Team(occasion) => WebhookData::Team {
                occasion,
                team: Box::new(self.team(event, id)?),
            },
            WebhookEventKind::TeamDeleted => WebhookData::TeamDeleted(TeamId(id)),
            WebhookEventKind::Membership(change, user) => {
                WebhookData::Membership(change, TeamId(id), user)
            }
            WebhookEventKind::TeamPermission(change, user, permission) => {
                WebhookData::TeamPermission(change, TeamId(id), user, permission)
            }
            WebhookEventKind::ProjectPermission(change, permission) => {
                WebhookData::ProjectPermission(change, UserId(id), permission)
            }
        })
    }

    fn user(&mut self, event: &RecordedEvent, id: Uuid, occasion: Occasion) -> Option<UserRecord> {
        let stream = self.as_of(User::TYPE, &event.aggregate_id, event)?;
        let mut user = stream.models.users.get(&id)?.clone();
        let last_active_at = stream.last_seen;
        if occasion == Occasion::Created {
            // As the user was before the personal team.
            user.selected_team_id = None;
        }
        let selected_team = user
            .selected_team_id
            .and_then(|team| self.team_of_member(event, team, id));
        Some(UserRecord {
            user,
            last_active_at,
            selected_team,
        })
    }

    fn team_of_member(&mut self, event: &RecordedEvent, team: Uuid, user: Uuid) -> Option<TeamRow> {
        let models = &self.as_of(Team::TYPE, &team.to_string(), event)?.models;
        models.memberships.get(&(team, user))?;
        models.teams.get(&team).cloned()
    }

    fn team(&mut self, event: &RecordedEvent, id: Uuid) -> Option<TeamRow> {
        let stream = self.as_of(Team::TYPE, &id.to_string(), event)?;
        stream.models.teams.get(&id).cloned()
    }

    fn project(&mut self, event: &RecordedEvent) -> Option<Arc<ProjectRow>> {
        let id = event.project_id.to_string();
        let stream = self.as_of(Project::TYPE, &id, event)?;
        if stream.project.is_none() {
            stream.project = stream.models.projects.get(&id).cloned().map(Arc::new);
        }
        stream.project.clone()
    }

    /// The teams that the user left by being deleted.
    fn teams_left_with(&self, deletion: &RecordedEvent, user: UserId) -> Vec<TeamId> {
        let mut left = Vec::new();
        for ((aggregate_type, id), stream) in &self.streams {
            let leaves = |event: &RecordedEvent| {
                let LedgerEvent::Team(TeamEvent::MemberRemoved { user_id }) = &event.event else {
                    return false;
                };
                *user_id == user && same_unit(event, deletion)
            };
            if *aggregate_type == Team::TYPE && stream.events.iter().any(leaves) {
                let created = stream.events.first().map(|event| match &event.event {
                    LedgerEvent::Team(TeamEvent::TeamCreated(created)) => created.created_at,
                    _ => event.recorded_at,
                });
                left.extend(id.parse().ok().map(|id| (created, TeamId(id))));
            }
        }
        left.sort();
        left.into_iter().map(|(_, team)| team).collect()
    }
}

/// Committed together, for one request.
fn same_unit(one: &RecordedEvent, other: &RecordedEvent) -> bool {
    let place = |event: &RecordedEvent| (event.cursor.epoch, event.cursor.transaction);
    place(one) == place(other)
        && one.metadata.get("correlation_id") == other.metadata.get("correlation_id")
}

/// The teams that the user ever left.
async fn teams_left(log: &EventLog, user: &str) -> Result<Vec<String>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT DISTINCT aggregate_id FROM events
         WHERE payload ->> 'user_id' = $1 AND aggregate_type = 'team'
           AND event_type = 'MemberRemoved'",
        user
    )
    .fetch_all(log.pool())
    .await?;
    Ok(ids)
}
