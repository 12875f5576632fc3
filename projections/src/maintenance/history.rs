//! The history of one account: its timeline, and its state at a point in time.

use cqrs_es::Aggregate;
use muniment_domain::project::Project;
use muniment_domain::{Millis, ProjectId, UserId};
use serde_json::{Map, Value, json};

use crate::read_models::customers;
use crate::read_models::registry::ReadModels;
use muniment_event_store::event::{RecordedEvent, StoredEvent};
use muniment_event_store::{EventLog, LedgerError, LedgerEvent, Page};

/// Everything the log tells about a user, oldest first: the user's own stream, sessions, API keys,
/// conversations, memberships, and the end of teams the user was in.
pub async fn timeline(log: &EventLog, user: UserId) -> Result<Page<RecordedEvent>, LedgerError> {
    let stored = sqlx::query_as!(
        StoredEvent,
        r#"WITH about AS (
               SELECT aggregate_type, aggregate_id FROM events WHERE payload ->> 'user_id' = $1
           )
           SELECT position, epoch, transaction::text::bigint AS "transaction!", project_id,
                  aggregate_type, aggregate_id, sequence, event_type, event_version,
                  payload, metadata,
                  (extract(epoch FROM recorded_at) * 1000)::bigint AS "recorded_at!"
           FROM events
           WHERE (aggregate_type = 'user' AND aggregate_id = $1)
              OR payload ->> 'user_id' = $1
              OR (aggregate_type IN ('session', 'api_key', 'customer', 'ai_conversation',
                                     'support_conversation')
                  AND aggregate_id IN
                     (SELECT aggregate_id FROM about
                      WHERE aggregate_type IN ('session', 'api_key', 'customer', 'ai_conversation',
                                               'support_conversation')))
              OR (aggregate_type = 'team' AND event_type = 'TeamDeleted' AND aggregate_id IN
                     (SELECT aggregate_id FROM about WHERE aggregate_type = 'team'))
           ORDER BY epoch, transaction, position"#,
        user.to_string(),
    )
    .fetch_all(log.pool())
    .await?;
    log.open(stored).await
}

/// Everything that happened to a project itself, oldest first: its own fields, settings and keys.
pub async fn project_timeline(
    log: &EventLog,
    project: &ProjectId,
) -> Result<Page<RecordedEvent>, LedgerError> {
    log.stream(Project::TYPE, project.as_str()).await
}

/// What the read tables said about a project itself at that time. `None` if it did not exist.
/// Secrets among the settings are left out.
#[must_use]
pub fn project_state_at(
    timeline: &[RecordedEvent],
    project: &ProjectId,
    at: Millis,
) -> Option<Value> {
    let mut models = ReadModels::default();
    for event in timeline.iter().filter(|event| event.recorded_at <= at) {
        models.fold(event.envelope());
    }
    let mut state = json!(models.projects.get(&project.to_string())?);
    hide_settings(&mut state);
    Some(state)
}

/// The users of any project whose present or past address is `email`, if they still exist.
pub async fn users_with_email(
    log: &EventLog,
    email: &str,
) -> Result<Vec<(ProjectId, UserId)>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT DISTINCT project_id, user_id FROM contact_channels WHERE value = lower(trim($1))",
        email
    )
    .fetch_all(log.pool())
    .await?;
    let found = rows
        .into_iter()
        .map(|row| (ProjectId::from_caller(&row.project_id), UserId(row.user_id)));
    Ok(found.collect())
}

/// What the read tables said about a user at that time: the same fold, over the timeline up to
/// then. `None` if the user did not exist. Password hashes are left out.
#[must_use]
pub fn state_at(timeline: &[RecordedEvent], user: UserId, at: Millis) -> Option<Value> {
    let mut models = ReadModels::default();
    for event in timeline.iter().filter(|event| event.recorded_at <= at) {
        models.fold(event.envelope());
    }
    let row = models.users.get(&user.0)?;
    let mut account = json!(row);
    redact(&mut account);
    Some(json!({
        "user": account,
        "contact_channels": models.channels.iter().collect::<Vec<_>>(),
        "team_memberships": models.memberships.iter().collect::<Vec<_>>(),
        "project_permissions": models.permissions.iter().collect::<Vec<_>>(),
        "notification_preferences": models.notification_preferences.iter().collect::<Vec<_>>(),
        "api_keys": models.api_keys.iter().map(|key| json!({
            "id": key.id,
            "description": key.description,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
        })).collect::<Vec<_>>(),
        "items": models.item_balances.iter().map(|balance| json!({
            "item_id": balance.item_id,
            "quantity": balance.quantity(at),
        })).collect::<Vec<_>>(),
        "products": customers::owned_products(&models, at),
        "sessions": models.sessions.iter().map(|session| json!({
            "id": session.id,
            "created_at": session.created_at,
            "expires_at": session.expires_at,
            "is_impersonation": session.is_impersonation,
        })).collect::<Vec<_>>(),
    }))
}

fn redact(account: &mut Value) {
    if let Some(fields) = account.as_object_mut() {
        let hash = fields.remove("password_hash");
        fields.insert(
            "has_password".to_owned(),
            json!(hash.is_some_and(|hash| !hash.is_null())),
        );
    }
}

/// An event as one JSON object, for a line of a listing. Secrets are left out.
///
/// # Errors
/// When the event cannot be written as JSON, which would be a bug.
pub fn as_json(event: &RecordedEvent) -> Result<Value, LedgerError> {
    let mut payload = event.event.payload()?;
    // A letter's variables hold the code that it carries.
    for secret in [
        "password_hash",
        "totp_secret",
        "credential",
        "refresh_token",
        "variables",
        "encrypted",
    ] {
        if let Some(personal) = payload.get_mut("personal").and_then(Value::as_object_mut) {
            hide(personal, secret);
        }
    }
    if let LedgerEvent::Project(_) = &event.event {
        hide_settings(&mut payload);
    }
    Ok(json!({
        "position": event.cursor.position,
        "recorded_at_millis": event.recorded_at,
        "project_id": event.project_id,
        "stream": event.aggregate_id,
        "sequence": event.sequence,
        "event": event.event_type,
        "metadata": event.metadata,
        "payload": payload,
    }))
}

/// Hides the secrets among settings, however deep and under however dotted a key.
fn hide_settings(value: &mut Value) {
    const SECRET: [&str; 4] = [
        "password",
        "clientSecret",
        "connectionString",
        "connectionStrings",
    ];
    let Some(object) = value.as_object_mut() else {
        return;
    };
    for (key, value) in object {
        // `auth.password` is a way to sign in, not a password.
        let is_secret = SECRET.contains(&key.rsplit('.').next().unwrap_or(key))
            || key.contains("connectionStrings.");
        if is_secret && (value.is_string() || key.ends_with("connectionStrings")) {
            *value = json!("(hidden)");
        } else {
            hide_settings(value);
        }
    }
}

fn hide(personal: &mut Map<String, Value>, name: &str) {
    if let Some(value) = personal.get_mut(name).filter(|value| !value.is_null()) {
        *value = json!("(hidden)");
    }
}
