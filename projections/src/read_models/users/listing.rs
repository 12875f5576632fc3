//! Listing and searching users.
//!
//! A term matches anywhere in a name or in any address of a user, in any case; so the
//! index is one of trigrams (`pg_trgm`, with `btree_gin` for the project in front; both come with
//! every Postgres that we know of: distributions, hosted ones, the official image and the programs
//! that `private_postgres` fetches). Names and addresses are in two tables, which no index spans,
//! and a term may be anything between one that nobody has and one that everybody has, such as the
//! company's domain. Therefore a search first asks each table for a few of its matches. If there
//! are only a few in all, the page is taken from those; if there are many, the users are walked
//! through in the order of the listing, and a page is soon full. Terms of one or two characters
//! have no trigram: rare ones among them are found by looking at everybody.

use muniment_domain::restriction::EmailVerification;
use muniment_domain::{ProjectId, TeamId, UserId};
use muniment_event_store::LedgerError;
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{SELECT_RECORD, UserRecord};
use crate::read_models::paging::{Direction, Page, paged, substring_pattern};

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
