//! The read model of users: projector and queries.
//!
//! Searching. A term matches anywhere in a name or in any address of a user, in any case; so the
//! index is one of trigrams (`pg_trgm`, with `btree_gin` for the project in front; both come with
//! every Postgres that we know of: distributions, hosted ones, the official image and the programs
//! that `private_postgres` fetches). Names and addresses are in two tables, which no index spans,
//! and a term may be anything between one that nobody has and one that everybody has, such as the
//! company's domain. Therefore a search first asks each table for a few of its matches. If there
//! are only a few in all, the page is taken from those; if there are many, the users are walked
//! through in the order of the listing, and a page is soon full. Terms of one or two characters
//! have no trigram: rare ones among them are found by looking at everybody.

pub mod loader;
use muniment_domain::restriction::{EmailVerification, Standing};
use muniment_domain::user::{
    ContactChannelAdded, ContactChannelChanged, OauthAccount, PersonChange, RiskScores,
    UserCreated, UserEvent, UserUpdated,
};
use muniment_domain::{
    ContactChannelId, EmailAddress, Patch, ProjectId, RestrictedReason, TeamId, UserId,
};
use serde_json::{Value, json};
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::read_models::registry::{ReadModels, RowsToLoad};
use crate::read_models::table::{Owner, read_table};
use crate::read_models::teams::TeamRow;
use crate::read_models::{notifications, passkeys, permissions};
use muniment_event_store::LedgerError;

read_table! {
    /// A row of `users`.
    #[derive(sqlx::FromRow)]
    #[allow(clippy::struct_excessive_bools, reason = "as many columns are booleans")]
    pub struct UserRow in "users" {
        pub id: Uuid,
        pub project_id: String,
        pub signed_up_at: i64,
        pub is_anonymous: bool,
        pub display_name: Option<String>,
        pub profile_image_url: Option<String>,
        pub client_metadata: Option<Value>,
        pub client_read_only_metadata: Option<Value>,
        pub server_metadata: Option<Value>,
        pub primary_email: Option<String>,
        pub primary_email_verified: bool,
        pub primary_email_auth_enabled: bool,
        pub password_hash: Option<String>,
        pub otp_enabled: bool,
        pub totp_enabled: bool,
        pub oauth_accounts: Value,
        pub selected_team_id: Option<Uuid>,
        pub restricted_by_admin: bool,
        pub restricted_by_admin_reason: Option<String>,
        pub restricted_by_admin_private_details: Option<String>,
        pub country_code: Option<String>,
        pub risk_scores: Value,
        pub passkey_enabled: bool,
    }
    key (id: Uuid);
    cleared (User by id, Project by project_id);
}

impl UserRow {
    /// The user's id.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        UserId(self.id)
    }

    /// Why the user is restricted at present, if so.
    #[must_use]
    pub fn restricted_reason(&self, verification: EmailVerification) -> Option<RestrictedReason> {
        let standing = Standing {
            is_anonymous: self.is_anonymous,
            primary_email_verified: self.primary_email_verified,
            restricted_by_admin: self.restricted_by_admin,
        };
        RestrictedReason::of(standing, verification)
    }

    /// The accounts at OAuth providers.
    #[must_use]
    pub fn oauth_accounts(&self) -> Vec<OauthAccount> {
        serde_json::from_value(self.oauth_accounts.clone()).unwrap_or_default()
    }

    /// The sign-up's risk scores.
    #[must_use]
    pub fn risk_scores(&self) -> RiskScores {
        serde_json::from_value(self.risk_scores.clone()).unwrap_or_default()
    }
}

read_table! {
    /// A row of `contact_channels`.
    #[derive(sqlx::FromRow)]
    pub struct ContactChannelRow in "contact_channels" {
        pub id: Uuid,
        pub project_id: String,
        pub user_id: Uuid,
        pub r#type: String,
        pub value: String,
        pub is_primary: bool,
        pub is_verified: bool,
        pub used_for_auth: bool,
        pub created_at: i64,
    }
    key (id: Uuid);
    owner user_id;
    cleared (User by user_id, Project by project_id);
}

/// The only type of contact channel that exists.
const EMAIL: &str = "email";

/// A user as the API shows one.
#[derive(Clone, Debug, FromRow)]
pub struct UserRecord {
    /// The user's own row.
    #[sqlx(flatten)]
    pub user: UserRow,
    /// When the user was last seen; never, for a user who has not been since creation.
    pub last_active_at: Option<i64>,
    /// The selected team, if the user is still in it.
    #[sqlx(json(nullable))]
    pub selected_team: Option<TeamRow>,
}

const SELECT_RECORD: &str = "SELECT u.*, a.last_active_at, to_jsonb(t) AS selected_team
    FROM users u
    LEFT JOIN user_activity a ON a.user_id = u.id
    LEFT JOIN team_memberships m ON m.user_id = u.id AND m.team_id = u.selected_team_id
    LEFT JOIN teams t ON t.id = m.team_id ";

/// The user of that id, if the project has one.
pub async fn by_id(
    pool: &PgPool,
    project: &ProjectId,
    id: UserId,
) -> Result<Option<UserRecord>, LedgerError> {
    let mut sql = QueryBuilder::new(SELECT_RECORD);
    sql.push("WHERE u.id = ").push_bind(id.0);
    sql.push(" AND u.project_id = ").push_bind(project.as_str());
    Ok(sql.build_query_as().fetch_optional(pool).await?)
}

/// The users of those ids whom the project has, in any order.
pub async fn of_project(
    pool: &PgPool,
    project: &ProjectId,
    ids: &[UserId],
) -> Result<Vec<UserRecord>, LedgerError> {
    let mut users = by_ids(pool, ids).await?;
    users.retain(|record| record.user.project_id == project.as_str());
    Ok(users)
}

/// The users of those ids, of whatever project, in any order.
pub(crate) async fn by_ids(pool: &PgPool, ids: &[UserId]) -> Result<Vec<UserRecord>, LedgerError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut sql = QueryBuilder::new(SELECT_RECORD);
    sql.push("WHERE u.id = ANY(").push_bind(ids).push(")");
    Ok(sql.build_query_as().fetch_all(pool).await?)
}

/// The user who signs in with the address.
pub async fn by_auth_email(
    pool: &PgPool,
    project: &ProjectId,
    address: &EmailAddress,
) -> Result<Option<UserRow>, LedgerError> {
    let row = sqlx::query_as!(
        UserRow,
        "SELECT u.* FROM contact_channels c JOIN users u ON u.id = c.user_id
         WHERE c.project_id = $1 AND c.type = 'email' AND c.value = $2 AND c.used_for_auth",
        project.as_str(),
        address.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The email addresses of a user, or of all users of the project, oldest first.
pub async fn channels_of(
    pool: &PgPool,
    project: &ProjectId,
    user: Option<UserId>,
) -> Result<Vec<ContactChannelRow>, LedgerError> {
    let rows = sqlx::query_as!(
        ContactChannelRow,
        "SELECT * FROM contact_channels
         WHERE project_id = $1 AND ($2::uuid IS NULL OR user_id = $2)
         ORDER BY created_at, id",
        project.as_str(),
        user.map(|user| user.0),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The channel of that id, if that user of the project has one.
pub async fn channel(
    pool: &PgPool,
    project: &ProjectId,
    user: UserId,
    id: ContactChannelId,
) -> Result<Option<ContactChannelRow>, LedgerError> {
    let row = sqlx::query_as!(
        ContactChannelRow,
        "SELECT * FROM contact_channels WHERE id = $1 AND project_id = $2 AND user_id = $3",
        id.0,
        project.as_str(),
        user.0,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The channel with which somebody signs in with the address.
pub async fn channel_by_auth_email(
    pool: &PgPool,
    project: &ProjectId,
    address: &EmailAddress,
) -> Result<Option<ContactChannelRow>, LedgerError> {
    let row = sqlx::query_as!(
        ContactChannelRow,
        "SELECT * FROM contact_channels
         WHERE project_id = $1 AND type = 'email' AND value = $2 AND used_for_auth",
        project.as_str(),
        address.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// The primary addresses of those of these users who have one, each with its user.
pub async fn primary_emails(
    pool: &PgPool,
    project: &ProjectId,
    users: &[UserId],
) -> Result<Vec<(String, UserId)>, LedgerError> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.0).collect();
    let rows = sqlx::query!(
        r#"SELECT id, primary_email AS "primary_email!" FROM users
           WHERE project_id = $1 AND id = ANY($2) AND primary_email IS NOT NULL ORDER BY id"#,
        project.as_str(),
        &ids,
    )
    .fetch_all(pool)
    .await?;
    let pairs = rows
        .into_iter()
        .map(|row| (row.primary_email, UserId(row.id)));
    Ok(pairs.collect())
}

/// Which users a listing shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Those who may use the project.
    #[default]
    Unrestricted,
    /// Also the restricted ones.
    SignedUp,
    /// All, anonymous ones included.
    Everybody,
    /// Anonymous ones only.
    Anonymous,
}

/// The direction of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

impl Direction {
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
        }
    }

    pub(crate) fn cursor_comparison(self) -> &'static str {
        match self {
            Self::Ascending => " >= ",
            Self::Descending => " <= ",
        }
    }
}

/// A listing of users.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only members of this team.
    pub team: Option<TeamId>,
    /// Which users.
    pub visibility: Visibility,
    /// Only users with this in their name, an email address, or as their id.
    pub query: Option<String>,
    /// The first user of the page.
    pub cursor: Option<UserId>,
    /// How many users at most; all, if absent.
    pub limit: Option<i64>,
    /// In which order.
    pub direction: Direction,
}

/// A page and the id that the next one starts with.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The first item of the next page.
    pub next_cursor: Option<Uuid>,
}

/// Lists users of a project by the time of their sign-up.
pub async fn list(
    pool: &PgPool,
    project: &ProjectId,
    listing: &Listing,
    verification: EmailVerification,
) -> Result<Page<UserRecord>, LedgerError> {
    let found = search(pool, project, listing).await?;
    let mut sql = listing_query(SELECT_RECORD, project, listing, &found, verification);
    // Planned for these very values: a plan for any search term is right for none.
    let query = sql.build_query_as().persistent(false);
    let items: Vec<UserRecord> = query.fetch_all(pool).await?;
    Ok(paged(items, listing.limit, |record| record.user.id))
}

/// How Postgres goes about a listing: the plans of all its queries, in text.
pub async fn explain(
    pool: &PgPool,
    project: &ProjectId,
    listing: &Listing,
    verification: EmailVerification,
) -> Result<String, LedgerError> {
    let mut plan = Vec::new();
    if let Some(term) = term(listing) {
        for place in PLACES {
            let mut sql = place_query("EXPLAIN ", place, project, term);
            plan.append(&mut lines(&mut sql, pool).await?);
        }
    }
    let found = search(pool, project, listing).await?;
    let select = format!("EXPLAIN {SELECT_RECORD}");
    let mut sql = listing_query(&select, project, listing, &found, verification);
    plan.append(&mut lines(&mut sql, pool).await?);
    Ok(plan.join("\n"))
}

async fn lines(
    sql: &mut QueryBuilder<'_, Postgres>,
    pool: &PgPool,
) -> Result<Vec<String>, LedgerError> {
    let query = sql.build_query_scalar().persistent(false);
    Ok(query.fetch_all(pool).await?)
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing was searched for.
    Everybody,
    /// These match, and nobody else.
    Few(Vec<Uuid>),
    /// So many match that the listing meets them by itself.
    Many,
}

/// Matches up to which a page is taken from the matches.
const FEW: usize = 2_000;

/// Where a term is searched for: a table's name for the user's id, and what is to match.
const PLACES: [&str; 2] = [
    "SELECT id FROM users WHERE display_name ILIKE ",
    "SELECT user_id FROM contact_channels WHERE value ILIKE ",
];

fn term(listing: &Listing) -> Option<&str> {
    listing.query.as_deref().filter(|query| !query.is_empty())
}

async fn search(
    pool: &PgPool,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Found, LedgerError> {
    let Some(term) = term(listing) else {
        return Ok(Found::Everybody);
    };
    let mut ids: Vec<Uuid> = id_in(term).into_iter().collect();
    for place in PLACES {
        let mut sql = place_query("", place, project, term);
        let query = sql.build_query_scalar().persistent(false);
        let matches: Vec<Uuid> = query.fetch_all(pool).await?;
        if matches.len() > FEW {
            return Ok(Found::Many);
        }
        ids.extend(matches);
    }
    Ok(Found::Few(ids))
}

fn place_query<'q>(
    prefix: &str,
    place: &str,
    project: &ProjectId,
    term: &str,
) -> QueryBuilder<'q, Postgres> {
    let mut sql = QueryBuilder::new(prefix);
    sql.push(place).push_bind(substring_pattern(term));
    sql.push(" AND project_id = ")
        .push_bind(project.to_string());
    let enough = i64::try_from(FEW).unwrap_or(i64::MAX).saturating_add(1);
    sql.push(" LIMIT ").push_bind(enough);
    sql
}

fn listing_query<'q>(
    select: &str,
    project: &ProjectId,
    listing: &Listing,
    found: &Found,
    verification: EmailVerification,
) -> QueryBuilder<'q, Postgres> {
    let mut sql = QueryBuilder::new(select);
    sql.push("WHERE u.project_id = ")
        .push_bind(project.to_string());
    push_visibility(&mut sql, listing.visibility, verification);
    if let Some(team) = listing.team {
        sql.push(
            " AND EXISTS (SELECT FROM team_memberships x WHERE x.user_id = u.id AND x.team_id = ",
        );
        sql.push_bind(team.0).push(")");
    }
    match (found, term(listing)) {
        (Found::Few(ids), _) => {
            sql.push(" AND u.id = ANY(")
                .push_bind(ids.clone())
                .push(")");
        }
        (Found::Many, Some(term)) => push_search(&mut sql, term),
        (Found::Everybody, _) | (Found::Many, None) => {}
    }
    if let Some(cursor) = listing.cursor {
        sql.push(" AND (u.signed_up_at, u.id)")
            .push(listing.direction.cursor_comparison());
        sql.push("(SELECT c.signed_up_at, c.id FROM users c WHERE c.project_id = ");
        sql.push_bind(project.to_string())
            .push(" AND c.id = ")
            .push_bind(cursor.0)
            .push(")");
    }
    let direction = listing.direction.sql();
    sql.push(" ORDER BY u.signed_up_at ")
        .push(direction)
        .push(", u.id ")
        .push(direction);
    if let Some(limit) = listing.limit {
        sql.push(" LIMIT ").push_bind(limit.saturating_add(1));
    }
    sql
}

/// Splits off the row that was fetched beyond the limit.
pub(crate) fn paged<T>(mut items: Vec<T>, limit: Option<i64>, id: impl Fn(&T) -> Uuid) -> Page<T> {
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let next_cursor = items.get(limit).map(id);
    items.truncate(limit);
    Page { items, next_cursor }
}

fn push_visibility(
    sql: &mut QueryBuilder<Postgres>,
    visibility: Visibility,
    verification: EmailVerification,
) {
    match visibility {
        Visibility::Everybody => {}
        Visibility::Anonymous => push(sql, " AND u.is_anonymous"),
        Visibility::SignedUp => push(sql, " AND NOT u.is_anonymous"),
        Visibility::Unrestricted => {
            push(sql, " AND NOT u.is_anonymous AND NOT u.restricted_by_admin");
            if verification == EmailVerification::Required {
                push(sql, " AND u.primary_email_verified");
            }
        }
    }
}

fn push(sql: &mut QueryBuilder<Postgres>, text: &'static str) {
    sql.push(text);
}

fn push_search(sql: &mut QueryBuilder<Postgres>, term: &str) {
    let pattern = substring_pattern(term);
    sql.push(" AND (u.display_name ILIKE ")
        .push_bind(pattern.clone());
    sql.push(
        " OR EXISTS (SELECT FROM contact_channels c WHERE c.user_id = u.id AND c.value ILIKE ",
    );
    sql.push_bind(pattern).push(")");
    if let Some(id) = id_in(term) {
        sql.push(" OR u.id = ").push_bind(id);
    }
    sql.push(")");
}

/// The id that a search term is, if it is one, leaving out what cannot be part of one.
fn id_in(term: &str) -> Option<Uuid> {
    let id: String = term
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .collect();
    Uuid::try_parse(&id).ok()
}

/// A LIKE pattern that matches `text` anywhere, literally.
pub(crate) fn substring_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// A user without a verified primary address.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct UnverifiedUser {
    pub id: Uuid,
    pub display_name: Option<String>,
    pub primary_email: Option<String>,
}

/// The newest users without a verified primary address who are not anonymous, and how many there
/// are.
pub async fn unverified(
    pool: &PgPool,
    project: &ProjectId,
    limit: i64,
) -> Result<(Vec<UnverifiedUser>, i64), LedgerError> {
    let users = sqlx::query_as!(
        UnverifiedUser,
        "SELECT id, display_name, primary_email FROM users
         WHERE project_id = $1 AND NOT is_anonymous AND NOT primary_email_verified
         ORDER BY signed_up_at DESC, id DESC LIMIT $2",
        project.as_str(),
        limit,
    )
    .fetch_all(pool)
    .await?;
    let total = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM users
           WHERE project_id = $1 AND NOT is_anonymous AND NOT primary_email_verified"#,
        project.as_str(),
    )
    .fetch_one(pool)
    .await?;
    Ok((users, total))
}

/// Names the rows that must be loaded before the event is folded. A stream that begins in the batch
/// has no rows yet, so creation requires nothing.
pub(crate) fn require(rows: &mut RowsToLoad, id: Uuid, event: &UserEvent) {
    match event {
        UserEvent::ContactChannelAdded(_)
        | UserEvent::ContactChannelChanged(_)
        | UserEvent::ContactChannelRemoved { .. } => {
            rows.users.insert(id);
            rows.channels.insert(id);
        }
        UserEvent::UserUpdated(_)
        | UserEvent::SelectedTeamChanged { .. }
        | UserEvent::PasswordRehashed { .. }
        | UserEvent::PasswordChosen { .. }
        | UserEvent::OtpEnabled {}
        | UserEvent::TotpStepUsed { .. }
        | UserEvent::PasskeyRegistered { .. }
        | UserEvent::PasskeyUsed { .. }
        | UserEvent::PasskeyRemoved {}
        | UserEvent::ProjectPermissionGranted { .. }
        | UserEvent::ProjectPermissionRevoked { .. }
        | UserEvent::ProjectPermissionRenamed { .. }
        | UserEvent::NotificationPreferenceChanged { .. }
        | UserEvent::UserDeleted {} => {
            rows.users.insert(id);
        }
        UserEvent::UserCreated(_) => {}
    }
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: UserEvent) {
    match event {
        UserEvent::UserCreated(created) => fold_created(models, id, *created),
        UserEvent::UserUpdated(updated) => {
            if let Some(row) = models.users.change(&id) {
                fold_updated(row, *updated);
            }
        }
        UserEvent::SelectedTeamChanged { selected_team_id } => {
            if let Some(row) = models.users.change(&id) {
                row.selected_team_id = selected_team_id.map(|team| team.0);
            }
        }
        UserEvent::PasswordRehashed { personal } | UserEvent::PasswordChosen { personal, .. } => {
            if let Some(row) = models.users.change(&id) {
                row.password_hash = personal.or_erased().password_hash;
            }
        }
        UserEvent::OtpEnabled {} => {
            if let Some(row) = models.users.change(&id) {
                row.otp_enabled = true;
            }
        }
        UserEvent::TotpStepUsed { .. } => {}
        UserEvent::PasskeyRegistered { personal } => {
            if let Some(row) = models.users.change(&id) {
                row.passkey_enabled = true;
            }
            passkeys::put(models, id, personal.or_erased());
        }
        UserEvent::PasskeyUsed { personal } => passkeys::put(models, id, personal.or_erased()),
        UserEvent::PasskeyRemoved {} => {
            if let Some(row) = models.users.change(&id) {
                row.passkey_enabled = false;
            }
            models.passkeys.remove(id);
        }
        UserEvent::ContactChannelRemoved { channel_id } => {
            models.channels.remove(channel_id.0);
            mirror_primary(models, id);
        }
        UserEvent::ContactChannelAdded(added) => fold_channel_added(models, id, added),
        UserEvent::ContactChannelChanged(changed) => fold_channel_changed(models, id, changed),
        UserEvent::ProjectPermissionGranted { permission_id, .. } => {
            permissions::fold_granted(models, id, &permission_id);
        }
        UserEvent::ProjectPermissionRevoked { permission_id, .. } => {
            models.permissions.remove((id, permission_id.to_string()));
        }
        UserEvent::ProjectPermissionRenamed {
            permission_id,
            new_permission_id,
        } => {
            models.permissions.remove((id, permission_id.to_string()));
            permissions::fold_granted(models, id, &new_permission_id);
        }
        UserEvent::NotificationPreferenceChanged {
            category,
            preference,
        } => notifications::fold(models, id, category, preference),
        UserEvent::UserDeleted {} => models.clear(Owner::User(id)),
    }
}

fn fold_created(models: &mut ReadModels, id: Uuid, created: UserCreated) {
    let project_id = created.project_id.to_string();
    let person = created.personal.or_erased();
    models.users.put(UserRow {
        id,
        project_id: project_id.clone(),
        signed_up_at: created.signed_up_at.0,
        is_anonymous: created.is_anonymous,
        display_name: person.display_name,
        profile_image_url: person.profile_image_url,
        client_metadata: stored(person.client_metadata),
        client_read_only_metadata: stored(person.client_read_only_metadata),
        server_metadata: stored(person.server_metadata),
        primary_email: None,
        primary_email_verified: false,
        primary_email_auth_enabled: false,
        password_hash: person.password_hash,
        otp_enabled: created.otp_enabled,
        totp_enabled: false,
        oauth_accounts: json!(person.oauth_accounts),
        selected_team_id: None,
        restricted_by_admin: created.restricted_by_admin,
        restricted_by_admin_reason: person.restricted_by_admin_reason,
        restricted_by_admin_private_details: person.restricted_by_admin_private_details,
        country_code: person.country_code,
        risk_scores: json!(created.risk_scores),
        passkey_enabled: false,
    });
    if let Some(channel) = created.primary_channel {
        models.channels.put(ContactChannelRow {
            id: channel.channel_id.0,
            project_id,
            user_id: id,
            r#type: EMAIL.to_owned(),
            value: person.primary_email.unwrap_or_default(),
            is_primary: true,
            is_verified: channel.is_verified,
            used_for_auth: channel.used_for_auth,
            created_at: created.signed_up_at.0,
        });
        mirror_primary(models, id);
    }
}

/// SQL knows one kind of nothing.
pub(crate) fn stored(metadata: Value) -> Option<Value> {
    Some(metadata).filter(|value| !value.is_null())
}

fn fold_updated(row: &mut UserRow, updated: UserUpdated) {
    if let Some(at) = updated.upgraded_at {
        row.is_anonymous = false;
        row.signed_up_at = at.0;
    }
    row.restricted_by_admin = updated
        .restricted_by_admin
        .unwrap_or(row.restricted_by_admin);
    row.otp_enabled = updated.otp_enabled.unwrap_or(row.otp_enabled);
    row.totp_enabled = updated.totp_enabled.unwrap_or(row.totp_enabled);
    if let Some(scores) = updated.risk_scores {
        row.risk_scores = json!(scores);
    }
    match updated.selected_team_id {
        Patch::Keep => {}
        Patch::Clear => row.selected_team_id = None,
        Patch::Set(team) => row.selected_team_id = Some(team.0),
    }
    let PersonChange {
        display_name,
        profile_image_url,
        client_metadata,
        client_read_only_metadata,
        server_metadata,
        password_hash,
        totp_secret: _,
        country_code,
        restricted_by_admin_reason,
        restricted_by_admin_private_details,
    } = updated.personal.or_erased();
    display_name.apply_to(&mut row.display_name);
    profile_image_url.apply_to(&mut row.profile_image_url);
    client_metadata.apply_to(&mut row.client_metadata);
    client_read_only_metadata.apply_to(&mut row.client_read_only_metadata);
    server_metadata.apply_to(&mut row.server_metadata);
    password_hash.apply_to(&mut row.password_hash);
    country_code.apply_to(&mut row.country_code);
    restricted_by_admin_reason.apply_to(&mut row.restricted_by_admin_reason);
    restricted_by_admin_private_details.apply_to(&mut row.restricted_by_admin_private_details);
}

fn fold_channel_added(models: &mut ReadModels, id: Uuid, added: ContactChannelAdded) {
    let Some(user) = models.users.get(&id) else {
        return;
    };
    let project_id = user.project_id.clone();
    if added.is_primary {
        demote_channels(models, id);
    }
    models.channels.put(ContactChannelRow {
        id: added.channel_id.0,
        project_id,
        user_id: id,
        r#type: EMAIL.to_owned(),
        value: added.personal.or_erased().value,
        is_primary: added.is_primary,
        is_verified: added.is_verified,
        used_for_auth: added.used_for_auth,
        created_at: added.created_at.0,
    });
    mirror_primary(models, id);
}

fn fold_channel_changed(models: &mut ReadModels, id: Uuid, changed: ContactChannelChanged) {
    if changed.is_primary == Some(true) {
        demote_channels(models, id);
    }
    let Some(channel) = models.channels.change(&changed.channel_id.0) else {
        return;
    };
    channel.is_primary = changed.is_primary.unwrap_or(channel.is_primary);
    channel.is_verified = changed.is_verified.unwrap_or(channel.is_verified);
    channel.used_for_auth = changed.used_for_auth.unwrap_or(channel.used_for_auth);
    if let Some(address) = changed.personal {
        channel.value = address.value;
    }
    mirror_primary(models, id);
}

fn demote_channels(models: &mut ReadModels, user: Uuid) {
    let channels = models.channels.of_owner(user);
    let primary: Vec<Uuid> = channels
        .filter(|row| row.is_primary)
        .map(|row| row.id)
        .collect();
    for key in primary {
        if let Some(channel) = models.channels.change(&key) {
            channel.is_primary = false;
        }
    }
}

/// Keeps the user row's copy of the primary channel.
fn mirror_primary(models: &mut ReadModels, id: Uuid) {
    let channels = &models.channels;
    let primary = channels.of_owner(id).find(|row| row.is_primary).cloned();
    let Some(row) = models.users.change(&id) else {
        return;
    };
    row.primary_email_verified = primary.as_ref().is_some_and(|channel| channel.is_verified);
    row.primary_email_auth_enabled = primary
        .as_ref()
        .is_some_and(|channel| channel.used_for_auth);
    row.primary_email = primary.map(|channel| channel.value);
}
