//! The subscribers that live in this database. Those that leave it (webhooks, mail, analytics) are
//! the server's.

use std::collections::BTreeMap;

use cqrs_es::Aggregate;
use muniment_domain::Millis;
use muniment_domain::team::{Team, TeamEvent};
use muniment_domain::user::UserEvent;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::analytics::sync::erasure::{self, Ending, Erased};
use crate::maintenance::history;
use crate::objects::images;
use crate::session_replays;
use crate::telemetry::sign_up_rules;
use crate::telemetry::spool;
use muniment_event_store::LedgerEvent;
use muniment_event_store::event::RecordedEvent;
use muniment_event_store::subscription::{EventView, PassedOver, Subscriber};
use muniment_event_store::{EventLog, LedgerError, Unreadable};

/// Counts what happened, per project and UTC day, into `event_tally`. Each event counts once,
/// because the counts commit with the cursor.
pub struct Tally;

impl Subscriber for Tally {
    fn name(&self) -> &'static str {
        "tally"
    }

    fn view(&self) -> EventView {
        EventView::Bare
    }

    async fn accept(
        &self,
        connection: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        let keys = batch.iter().map(|event| {
            let project = event.project_id.as_str();
            (project, day(event.recorded_at), &*event.event_type)
        });
        count(connection, keys).await
    }

    async fn pass_over(
        &self,
        connection: &mut PgConnection,
        events: &[Unreadable],
    ) -> Result<PassedOver, LedgerError> {
        let keys = events.iter().map(|event| {
            let project = event.project_id.as_str();
            (project, day(event.recorded_at), &*event.event_type)
        });
        count(connection, keys).await?;
        Ok(PassedOver::Taken)
    }
}

/// What is counted together: the events of a project, day and type.
type Counted<'e> = (&'e str, i64, &'e str);

async fn count(
    connection: &mut PgConnection,
    keys: impl Iterator<Item = Counted<'_>>,
) -> Result<(), LedgerError> {
    let mut counts: BTreeMap<Counted<'_>, i64> = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    let projects: Vec<String> = counts.keys().map(|key| key.0.to_owned()).collect();
    let days: Vec<i64> = counts.keys().map(|key| key.1).collect();
    let types: Vec<String> = counts.keys().map(|key| key.2.to_owned()).collect();
    let counts: Vec<i64> = counts.values().copied().collect();
    sqlx::query!(
        "INSERT INTO event_tally (project_id, day, event_type, count)
             SELECT project_id, date '1970-01-01' + day::integer, event_type, count
             FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[])
                  AS batch (project_id, day, event_type, count)
             ON CONFLICT (project_id, day, event_type)
             DO UPDATE SET count = event_tally.count + EXCLUDED.count",
        &projects,
        &days,
        &types,
        &counts,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whole days since the Unix epoch, UTC.
fn day(at: Millis) -> i64 {
    at.0.div_euclid(86_400_000)
}

/// The events that end what has a key.
const USER_DELETED: &str = "UserDeleted";
const TEAM_DELETED: &str = "TeamDeleted";
const PROJECT_DELETED: &str = "ProjectDeleted";
const SESSION_ENDED: &str = "SessionEnded";
const CODE_DISCARDED: &str = "CodeDiscarded";
const CLI_LOGIN_FETCHED: &str = "CliLoginFetched";
const API_KEY_DELETED: &str = "ApiKeyDeleted";

/// Makes deletions final: destroys the keys of deleted users, teams and projects, and of sessions,
/// codes and logins that are over, so that their sealed data can never be read again, removes what
/// telemetry knows of them, and notes whom the analytics store is to forget.
pub struct Erasure {
    log: EventLog,
}

impl Erasure {
    /// Erases from the log's database.
    #[must_use]
    pub fn new(log: &EventLog) -> Self {
        Self { log: log.clone() }
    }

    /// Deletes the images that a user ever had, in teams as well, what was recorded of them, and what
    /// was kept under their addresses, as long as the log can still say which.
    async fn forget_user(
        &self,
        connection: &mut PgConnection,
        ending: Ending<'_>,
    ) -> Result<(), LedgerError> {
        let Ok(user) = ending.id.parse() else {
            return Ok(());
        };
        let timeline = history::timeline(&self.log, user).await?.events;
        delete_images(&mut *connection, &timeline).await?;
        let emails: Vec<String> = timeline.iter().filter_map(email).collect();
        let project = ending.project;
        sign_up_rules::forget_emails(&mut *connection, project, &emails).await?;
        session_replays::delete_of_user(&mut *connection, user).await?;
        spool::delete_of_user(&mut *connection, project, user, &emails).await?;
        erasure::note(connection, Erased::User, ending, &emails).await
    }

    /// Likewise those that a team and its members ever had.
    async fn delete_images_of_team(
        &self,
        connection: &mut PgConnection,
        id: &str,
    ) -> Result<(), LedgerError> {
        let stream = self.log.stream(Team::TYPE, id).await?;
        delete_images(connection, &stream.events).await
    }

    /// Erases those whose end is among the events.
    async fn finish(
        &self,
        connection: &mut PgConnection,
        events: impl Iterator<Item = Ending<'_>>,
    ) -> Result<(), LedgerError> {
        let mut subjects = Vec::new();
        for ending in events {
            let id = ending.id.to_owned();
            match ending.event_type {
                USER_DELETED => {
                    self.forget_user(connection, ending).await?;
                    subjects.extend(sessions_of(connection, &id).await?);
                    subjects.push(id);
                }
                TEAM_DELETED => {
                    self.delete_images_of_team(connection, &id).await?;
                    erasure::note(connection, Erased::Team, ending, &[]).await?;
                    subjects.push(id);
                }
                SESSION_ENDED | CODE_DISCARDED | CLI_LOGIN_FETCHED | API_KEY_DELETED => {
                    subjects.push(id);
                }
                PROJECT_DELETED => {
                    sign_up_rules::delete_of_project(connection, &id).await?;
                    erasure::note(connection, Erased::Project, ending, &[]).await?;
                    session_replays::delete_of_project(connection, &id).await?;
                    spool::delete_of_project(connection, &id).await?;
                    subjects.extend(streams_of(connection, &id).await?);
                }
                _ => {}
            }
        }
        self.erase(connection, &subjects).await
    }

    async fn erase(
        &self,
        connection: &mut PgConnection,
        subjects: &[String],
    ) -> Result<(), LedgerError> {
        if subjects.is_empty() {
            return Ok(());
        }
        self.log
            .sealer()
            .destroy(&mut *connection, subjects)
            .await?;
        sqlx::query!(
            "DELETE FROM snapshots WHERE aggregate_id = ANY($1)",
            subjects
        )
        .execute(&mut *connection)
        .await?;
        let ids: Vec<Uuid> = subjects
            .iter()
            .filter_map(|id| Uuid::parse_str(id).ok())
            .collect();
        sqlx::query!("DELETE FROM user_activity WHERE user_id = ANY($1)", &ids)
            .execute(&mut *connection)
            .await?;
        sqlx::query!(
            "DELETE FROM session_activity WHERE session_id = ANY($1)",
            &ids
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Subscriber for Erasure {
    fn name(&self) -> &'static str {
        "erasure"
    }

    fn view(&self) -> EventView {
        EventView::Bare
    }

    async fn accept(
        &self,
        connection: &mut PgConnection,
        batch: &[RecordedEvent],
    ) -> Result<(), LedgerError> {
        self.finish(connection, batch.iter().map(Ending::of)).await
    }

    /// An erasure is not held up: type and ids say whose it is. What they mean to a newer version is
    /// for that to see.
    async fn pass_over(
        &self,
        connection: &mut PgConnection,
        events: &[Unreadable],
    ) -> Result<PassedOver, LedgerError> {
        let endings = events.iter().map(Ending::of_unreadable);
        self.finish(connection, endings).await?;
        Ok(PassedOver::SetAside)
    }
}

async fn delete_images(
    connection: &mut PgConnection,
    events: &[RecordedEvent],
) -> Result<(), LedgerError> {
    let urls: Vec<String> = events.iter().filter_map(image_url).collect();
    images::delete_by_url(connection, &urls).await
}

/// The image that an event gave its subject.
fn image_url(event: &RecordedEvent) -> Option<String> {
    match &event.event {
        LedgerEvent::User(UserEvent::UserCreated(created)) => {
            created.personal.known()?.profile_image_url.clone()
        }
        LedgerEvent::User(UserEvent::UserUpdated(updated)) => updated
            .personal
            .known()?
            .profile_image_url
            .clone()
            .into_value(),
        LedgerEvent::Team(TeamEvent::TeamCreated(created)) => {
            created.personal.known()?.profile_image_url.clone()
        }
        LedgerEvent::Team(TeamEvent::MemberProfileChanged(changed)) => changed
            .personal
            .known()?
            .profile_image_url
            .clone()
            .into_value(),
        LedgerEvent::Team(TeamEvent::TeamUpdated(updated)) => updated
            .personal
            .known()?
            .profile_image_url
            .clone()
            .into_value(),
        _ => None,
    }
}

/// The address that an event gave its subject.
fn email(event: &RecordedEvent) -> Option<String> {
    match &event.event {
        LedgerEvent::User(UserEvent::UserCreated(created)) => {
            created.personal.known()?.primary_email.clone()
        }
        LedgerEvent::User(UserEvent::ContactChannelAdded(added)) => {
            Some(added.personal.known()?.value.clone())
        }
        LedgerEvent::User(UserEvent::ContactChannelChanged(changed)) => {
            Some(changed.personal.as_ref()?.value.clone())
        }
        _ => None,
    }
}

async fn sessions_of(
    connection: &mut PgConnection,
    user: &str,
) -> Result<Vec<String>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT aggregate_id FROM events
         WHERE payload ->> 'user_id' = $1 AND aggregate_type = 'session'",
        user
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

async fn streams_of(
    connection: &mut PgConnection,
    project: &str,
) -> Result<Vec<String>, LedgerError> {
    let ids = sqlx::query_scalar!(
        "SELECT DISTINCT aggregate_id FROM events WHERE project_id = $1",
        project
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use cqrs_es::DomainEvent;
    use muniment_domain::cli_login::CliLoginEvent;
    use muniment_domain::project::ProjectEvent;
    use muniment_domain::verification_code::VerificationCodeEvent;

    use super::*;

    #[test]
    fn endings_have_the_names_that_the_log_gives_them() {
        assert_eq!(UserEvent::UserDeleted {}.event_type(), USER_DELETED);
        assert_eq!(TeamEvent::TeamDeleted {}.event_type(), TEAM_DELETED);
        assert_eq!(
            ProjectEvent::ProjectDeleted {}.event_type(),
            PROJECT_DELETED
        );
        let discarded = VerificationCodeEvent::CodeDiscarded {};
        assert_eq!(discarded.event_type(), CODE_DISCARDED);
        let fetched = CliLoginEvent::CliLoginFetched {};
        assert_eq!(fetched.event_type(), CLI_LOGIN_FETCHED);
    }
}
