//! The rows of the synced tables, and how they are read from the read tables.
//!
//! Times are milliseconds since the Unix epoch, as `DateTime64(3)` counts. What the log tells and
//! the read tables do not keep, such as when a permission was granted, is read from the log; its
//! tables are named with their schema, because the read tables may be those of a shadow.

#![allow(
    clippy::struct_excessive_bools,
    reason = "as many columns are booleans"
)]

use std::fmt::Debug;
use std::future::Future;

use clickhouse::{Row, RowOwned, RowRead, RowWrite};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use muniment_event_store::LedgerError;

/// A synced table.
pub(super) struct Table {
    /// Its name in the store.
    pub(super) name: &'static str,
    /// What its sort key has after project and branch.
    pub(super) key: &'static [&'static str],
    /// The time by which it is partitioned. A row that marks a deletion has it too, so that it lands
    /// where the row is that it deletes, and both are merged away.
    pub(super) partitioned_by: Option<&'static str>,
    /// What is selected of the read tables: columns and `FROM`. Version, deletion mark and branch
    /// are added to it.
    pub(super) select: &'static str,
}

/// A row of a synced table, as this server writes it.
pub(super) trait SyncedRow:
    RowOwned
    + RowRead
    + RowWrite
    + Serialize
    + for<'r> FromRow<'r, PgRow>
    + PartialEq
    + Debug
    + Send
    + Sync
    + Unpin
{
    const TABLE: Table;
    /// The values of the sort key after project and branch.
    type Key: Ord + Clone + Serialize + Send + Sync;

    fn key(&self) -> Self::Key;

    /// The project and the key as text, in the order of the sort key: for comparing with what
    /// another database holds.
    fn place(&self) -> Vec<String>;

    /// Leaves out what is no part of the log, and which version the row is of.
    fn logged(self) -> Self;
}

/// Implements [`SyncedRow`]: the table, then the fields of the key with their types, and after
/// `except` what is telemetry and what takes its place.
macro_rules! synced {
    ($row:ty, $name:literal, $partitioned_by:expr, ($($key:ident: $type:ty),+)
        $(except $telemetry:ident = $other:ident)?, $select:literal) => {
        impl SyncedRow for $row {
            const TABLE: Table = Table {
                name: $name,
                key: &[$(stringify!($key)),+],
                partitioned_by: $partitioned_by,
                select: $select,
            };
            #[allow(unused_parens, reason = "keys of one column are no tuples")]
            type Key = ($($type),+);

            #[allow(unused_parens, reason = "keys of one column are no tuples")]
            fn key(&self) -> Self::Key {
                ($(self.$key.clone()),+)
            }

            fn place(&self) -> Vec<String> {
                vec![self.project_id.clone(), $(self.$key.to_string()),+]
            }

            fn logged(self) -> Self {
                Self {
                    $($telemetry: self.$other,)?
                    sync_sequence_id: 0,
                    ..self
                }
            }
        }
    };
}

mod payments;

pub(super) use payments::{ItemBalanceRow, SubscriptionRow, TransactionRow};

/// Something that is done with every synced table in the same way.
pub(super) trait TableVisitor {
    /// Does it with the table of those rows.
    fn visit<R: SyncedRow>(&mut self) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

/// Does it with every synced table, one after the other.
pub(super) async fn each_table(visitor: &mut impl TableVisitor) -> Result<(), LedgerError> {
    visitor.visit::<UserRow>().await?;
    visitor.visit::<ContactChannelRow>().await?;
    visitor.visit::<TeamRow>().await?;
    visitor.visit::<MemberProfileRow>().await?;
    visitor.visit::<TeamPermissionRow>().await?;
    visitor.visit::<ProjectPermissionRow>().await?;
    visitor.visit::<InvitationRow>().await?;
    visitor.visit::<EmailRow>().await?;
    visitor.visit::<PreferenceRow>().await?;
    visitor.visit::<RefreshTokenRow>().await?;
    visitor.visit::<ConnectedAccountRow>().await?;
    visitor.visit::<ItemBalanceRow>().await?;
    visitor.visit::<SubscriptionRow>().await?;
    visitor.visit::<TransactionRow>().await
}

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct UserRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    display_name: Option<String>,
    profile_image_url: Option<String>,
    primary_email: Option<String>,
    primary_email_verified: bool,
    signed_up_at: i64,
    client_metadata: String,
    client_read_only_metadata: String,
    server_metadata: String,
    is_anonymous: bool,
    restricted_by_admin: bool,
    restricted_by_admin_reason: Option<String>,
    restricted_by_admin_private_details: Option<String>,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    UserRow,
    "users",
    Some("signed_up_at"),
    (id: Uuid),
    "u.project_id, u.id, u.display_name, u.profile_image_url, u.primary_email,
     u.primary_email_verified, u.signed_up_at,
     coalesce(u.client_metadata::text, '{}') AS client_metadata,
     coalesce(u.client_read_only_metadata::text, '{}') AS client_read_only_metadata,
     coalesce(u.server_metadata::text, '{}') AS server_metadata,
     u.is_anonymous, u.restricted_by_admin, u.restricted_by_admin_reason,
     u.restricted_by_admin_private_details
     FROM users u"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct ContactChannelRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    user_id: Uuid,
    #[serde(rename = "type")]
    #[sqlx(rename = "type")]
    kind: String,
    value: String,
    is_primary: bool,
    is_verified: bool,
    used_for_auth: bool,
    created_at: i64,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    ContactChannelRow,
    "contact_channels",
    Some("created_at"),
    (id: Uuid),
    "c.project_id, c.id, c.user_id, upper(c.type) AS type, c.value, c.is_primary, c.is_verified,
     c.used_for_auth, c.created_at
     FROM contact_channels c"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct TeamRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    display_name: String,
    profile_image_url: Option<String>,
    created_at: i64,
    client_metadata: String,
    client_read_only_metadata: String,
    server_metadata: String,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    TeamRow,
    "teams",
    Some("created_at"),
    (id: Uuid),
    "t.project_id, t.id, t.display_name, t.profile_image_url, t.created_at,
     coalesce(t.client_metadata::text, '{}') AS client_metadata,
     coalesce(t.client_read_only_metadata::text, '{}') AS client_read_only_metadata,
     coalesce(t.server_metadata::text, '{}') AS server_metadata
     FROM teams t"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct MemberProfileRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    team_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    user_id: Uuid,
    display_name: Option<String>,
    profile_image_url: Option<String>,
    created_at: i64,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    MemberProfileRow,
    "team_member_profiles",
    Some("created_at"),
    (team_id: Uuid, user_id: Uuid),
    "m.project_id, m.team_id, m.user_id, m.display_name, m.profile_image_url,
     m.joined_at AS created_at
     FROM team_memberships m"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct TeamPermissionRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    team_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    user_id: Uuid,
    id: String,
    created_at: i64,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

// A grant begins with the first event that made it after it was last taken away.
synced!(
    TeamPermissionRow,
    "team_permissions",
    Some("created_at"),
    (team_id: Uuid, user_id: Uuid, id: String),
    "m.project_id, m.team_id, m.user_id, permission.id,
     coalesce(granted.at, m.joined_at) AS created_at
     FROM team_memberships m
     CROSS JOIN LATERAL unnest(m.permission_ids) AS permission (id)
     CROSS JOIN LATERAL (
         SELECT max(sequence) AS sequence FROM public.events
         WHERE aggregate_type = 'team' AND aggregate_id = m.team_id::text
           AND payload ->> 'user_id' = m.user_id::text
           AND (event_type = 'MemberRemoved'
                OR event_type IN ('TeamPermissionRevoked', 'TeamPermissionRenamed')
                   AND payload ->> 'permission_id' = permission.id)
     ) AS revoked
     CROSS JOIN LATERAL (
         SELECT min(CASE event_type WHEN 'MemberAdded' THEN (payload ->> 'joined_at')::bigint
                    ELSE (extract(epoch FROM recorded_at) * 1000)::bigint END) AS at
         FROM public.events
         WHERE aggregate_type = 'team' AND aggregate_id = m.team_id::text
           AND payload ->> 'user_id' = m.user_id::text
           AND sequence > coalesce(revoked.sequence, 0)
           AND (event_type = 'MemberAdded' AND payload -> 'permission_ids' ? permission.id
                OR event_type = 'TeamPermissionGranted'
                   AND payload ->> 'permission_id' = permission.id
                OR event_type = 'TeamPermissionRenamed'
                   AND payload ->> 'new_permission_id' = permission.id)
     ) AS granted"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct ProjectPermissionRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    user_id: Uuid,
    id: String,
    created_at: i64,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    ProjectPermissionRow,
    "project_permissions",
    Some("created_at"),
    (user_id: Uuid, id: String),
    "p.project_id, p.user_id, p.permission_id AS id, coalesce(granted.at, 0) AS created_at
     FROM project_permissions p
     CROSS JOIN LATERAL (
         SELECT max(sequence) AS sequence FROM public.events
         WHERE aggregate_type = 'user' AND aggregate_id = p.user_id::text
           AND event_type IN ('ProjectPermissionRevoked', 'ProjectPermissionRenamed')
           AND payload ->> 'permission_id' = p.permission_id
     ) AS revoked
     CROSS JOIN LATERAL (
         SELECT (extract(epoch FROM min(recorded_at)) * 1000)::bigint AS at
         FROM public.events
         WHERE aggregate_type = 'user' AND aggregate_id = p.user_id::text
           AND sequence > coalesce(revoked.sequence, 0)
           AND (event_type = 'ProjectPermissionGranted'
                AND payload ->> 'permission_id' = p.permission_id
                OR event_type = 'ProjectPermissionRenamed'
                AND payload ->> 'new_permission_id' = p.permission_id)
     ) AS granted"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct InvitationRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    team_id: Uuid,
    team_display_name: String,
    recipient_email: String,
    expires_at_millis: i64,
    created_at: i64,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

// Those that have expired stay until their codes are discarded: time alone is no event.
synced!(
    InvitationRow,
    "team_invitations",
    Some("created_at"),
    (id: Uuid),
    "v.project_id, v.id, t.id AS team_id, t.display_name AS team_display_name,
     v.email AS recipient_email, v.expires_at AS expires_at_millis, v.issued_at AS created_at
     FROM verification_codes v JOIN teams t ON t.id = (v.data ->> 'team_id')::uuid
          AND v.purpose = 'team_invitation' AND v.redeemed_at IS NULL AND v.email IS NOT NULL"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct EmailRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    status: String,
    simple_status: String,
    created_with: String,
    email_draft_id: Option<String>,
    email_programmatic_call_template_id: Option<String>,
    theme_id: Option<String>,
    is_high_priority: bool,
    is_transactional: Option<bool>,
    subject: Option<String>,
    notification_category_id: Option<String>,
    started_rendering_at: Option<i64>,
    rendered_at: Option<i64>,
    render_error: Option<String>,
    scheduled_at: i64,
    created_at: i64,
    updated_at: i64,
    started_sending_at: Option<i64>,
    server_error: Option<String>,
    delivered_at: Option<i64>,
    opened_at: Option<i64>,
    clicked_at: Option<i64>,
    unsubscribed_at: Option<i64>,
    marked_as_spam_at: Option<i64>,
    bounced_at: Option<i64>,
    delivery_delayed_at: Option<i64>,
    can_have_delivery_info: Option<bool>,
    skipped_reason: Option<String>,
    skipped_details: Option<String>,
    send_retries: i32,
    is_paused: bool,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

// Emails are rendered when they are sent. Their subject lines are not kept, and there are neither
// drafts, themes nor pauses yet; SMTP tells nothing after an email was taken. All of them are of the
// transactional notification category.
synced!(
    EmailRow,
    "email_outboxes",
    Some("created_at"),
    (id: Uuid),
    "e.project_id, e.id,
     CASE WHEN e.status = 'sent' THEN 'sent' WHEN e.status = 'failed' THEN 'server-error'
          WHEN e.failures > 0 THEN 'scheduled' ELSE 'preparing' END AS status,
     CASE e.status WHEN 'sent' THEN 'ok' WHEN 'failed' THEN 'error' ELSE 'in-progress' END
         AS simple_status,
     'programmatic-call' AS created_with, NULL::text AS email_draft_id,
     NULL::text AS email_programmatic_call_template_id, NULL::text AS theme_id,
     false AS is_high_priority,
     CASE WHEN e.finished_at IS NOT NULL THEN true END AS is_transactional,
     NULL::text AS subject,
     CASE WHEN e.finished_at IS NOT NULL THEN '7bb82d33-2f54-4a3d-9d23-82739e0d66ef' END
         AS notification_category_id,
     e.finished_at AS started_rendering_at, e.finished_at AS rendered_at,
     NULL::text AS render_error,
     CASE WHEN e.failures > 0 THEN coalesce(e.next_attempt_at, e.requested_at)
          ELSE e.requested_at END AS scheduled_at,
     e.requested_at AS created_at, coalesce(e.finished_at, e.requested_at) AS updated_at,
     e.finished_at AS started_sending_at,
     CASE WHEN e.status = 'failed' THEN e.last_failure END AS server_error,
     NULL::bigint AS delivered_at, NULL::bigint AS opened_at, NULL::bigint AS clicked_at,
     NULL::bigint AS unsubscribed_at, NULL::bigint AS marked_as_spam_at,
     NULL::bigint AS bounced_at, NULL::bigint AS delivery_delayed_at,
     CASE WHEN e.finished_at IS NOT NULL THEN false END AS can_have_delivery_info,
     NULL::text AS skipped_reason, NULL::text AS skipped_details,
     CASE WHEN e.status = 'failed' THEN e.failures - 1 ELSE e.failures END AS send_retries,
     false AS is_paused
     FROM outgoing_emails e"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct PreferenceRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    user_id: Uuid,
    notification_category_id: String,
    enabled: bool,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    PreferenceRow,
    "notification_preferences",
    None,
    (user_id: Uuid, notification_category_id: String),
    "n.project_id, n.user_id, n.category_id::text AS notification_category_id,
     n.is_enabled AS enabled
     FROM notification_preferences n"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct RefreshTokenRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    user_id: Uuid,
    created_at: i64,
    last_used_at: i64,
    is_impersonation: bool,
    expires_at: Option<i64>,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    RefreshTokenRow,
    "refresh_tokens",
    Some("created_at"),
    (id: Uuid) except last_used_at = created_at,
    "s.project_id, s.id, s.user_id, s.created_at,
     coalesce(a.last_active_at, s.created_at) AS last_used_at, s.is_impersonation, s.expires_at
     FROM sessions s LEFT JOIN public.session_activity a ON a.session_id = s.id"
);

#[derive(Debug, PartialEq, Row, Serialize, Deserialize, FromRow)]
pub(super) struct ConnectedAccountRow {
    pub(super) project_id: String,
    branch_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    user_id: Uuid,
    provider: String,
    provider_account_id: String,
    created_at: i64,
    sync_sequence_id: i64,
    sync_is_deleted: bool,
}

synced!(
    ConnectedAccountRow,
    "connected_accounts",
    Some("created_at"),
    (user_id: Uuid, provider: String, provider_account_id: String),
    "u.project_id, u.id AS user_id, account ->> 'provider_config_id' AS provider,
     account ->> 'account_id' AS provider_account_id, u.signed_up_at AS created_at
     FROM users u CROSS JOIN LATERAL jsonb_array_elements(u.oauth_accounts) AS account"
);
