//! Who came, from where, and what they looked at, by the analytics store's table `events`.
//!
//! Values are bound, never written into the text. `data.a.:T` is what `a` is if it is a `T`.

use clickhouse::query::Query;
use clickhouse::{Client, Row};
use muniment_domain::{Millis, ProjectId};
use serde::Deserialize;
use uuid::Uuid;

use super::{Anonymous, Daily, Window};

/// What questions to the store fail with.
pub type Result<T> = std::result::Result<T, clickhouse::error::Error>;

/// Somebody is there if they were seen so long ago at most.
const ONLINE_MILLIS: i64 = 5 * 60 * 1000;
/// Referrers that are told apart.
const REFERRERS: u64 = 100;
/// Recordings that clicks are counted of.
const CLICKED: u64 = 1000;
/// UUIDs of version 4.
const RANDOM_UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$";

/// A project's events in the store.
pub struct Traffic<'t> {
    store: &'t Client,
    project: &'t ProjectId,
    anonymous: Anonymous,
}

#[derive(Row, Deserialize)]
struct CountOfDay {
    day: u16,
    count: u64,
}

/// Those who were active on a day. All of them, by what they did before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActiveUsers {
    /// For the first time.
    pub new: u64,
    /// As they were the day before.
    pub retained: u64,
    /// After a pause.
    pub reactivated: u64,
}

#[derive(Row, Deserialize)]
struct ActiveOfDay {
    day: u16,
    new: u64,
    retained: u64,
    reactivated: u64,
}

/// What was looked at on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// Pages.
    pub page_views: u64,
    /// Clicks.
    pub clicks: u64,
    /// Users who looked at a page.
    pub visitors: u64,
}

#[derive(Row, Deserialize)]
struct ViewsOfDay {
    day: u16,
    page_views: u64,
    clicks: u64,
    visitors: u64,
}

/// Where users came from.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct Referrer {
    /// The address of the page, or `(direct)`.
    pub referrer: String,
    /// How many came.
    pub visitors: u64,
}

/// Where users are.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct UsersOfRegion {
    /// The country.
    pub country_code: Option<String>,
    /// The part of it.
    pub region_code: Option<String>,
    /// How many users.
    pub count: u64,
}

#[derive(Row, Deserialize)]
struct UsersOfCountry {
    country_code: String,
    count: u64,
}

impl<'t> Traffic<'t> {
    /// That of a project.
    #[must_use]
    pub fn of(store: &'t Client, project: &'t ProjectId, anonymous: Anonymous) -> Self {
        Self {
            store,
            project,
            anonymous,
        }
    }

    /// How many users were active on each day.
    pub async fn daily_active_users(&self, window: Window) -> Result<Daily<u64>> {
        let sql = format!(
            "SELECT toUInt16(toDate(event_at)) AS day, uniqExact(user_id) AS count
             FROM events WHERE {ACTIVE} AND {ANONYMOUS} AND {WITHIN} GROUP BY day"
        );
        let query = self.anonymous_bound(self.ask(&sql));
        let rows: Vec<CountOfDay> = within(query, window).fetch_all().await?;
        let counts = rows.into_iter().map(|row| (row.day.into(), row.count));
        Ok(counts.collect())
    }

    /// Who was active on each day, and what they did before.
    pub async fn daily_active_users_split(&self, window: Window) -> Result<Daily<ActiveUsers>> {
        let sql = format!(
            "SELECT day, countIf(day = first) AS new,
                    countIf(day > first AND has(days, toUInt16(day - 1))) AS retained,
                    countIf(day > first AND NOT has(days, toUInt16(day - 1))) AS reactivated
             FROM (SELECT user_id, toUInt16(toDate(min(event_at))) AS first,
                          groupUniqArrayIf(toUInt16(toDate(event_at)), {WITHIN}) AS days
                   FROM events WHERE {ACTIVE} AND {ANONYMOUS} GROUP BY user_id)
             ARRAY JOIN days AS day GROUP BY day"
        );
        let query = within(self.store.query(&sql), window);
        let query = self.anonymous_bound(query.bind(self.project.as_str()));
        let rows: Vec<ActiveOfDay> = query.fetch_all().await?;
        let splits = rows.into_iter().map(|row| {
            let active = ActiveUsers {
                new: row.new,
                retained: row.retained,
                reactivated: row.reactivated,
            };
            (row.day.into(), active)
        });
        Ok(splits.collect())
    }

    /// How many users were active within the days.
    pub async fn monthly_active_users(&self, window: Window) -> Result<u64> {
        let sql = format!(
            "SELECT uniqExactIf(id, match(id, ?)) FROM (
                 SELECT lower(trimBoth(assumeNotNull(user_id))) AS id
                 FROM events WHERE {ACTIVE} AND {ANONYMOUS} AND {WITHIN})"
        );
        let query = self.store.query(&sql).bind(RANDOM_UUID);
        let query = self.anonymous_bound(query.bind(self.project.as_str()));
        within(query, window).fetch_one().await
    }

    /// In which country each user was last, and how many are in each.
    pub async fn users_by_country(&self) -> Result<Vec<(String, u64)>> {
        let sql = format!(
            "SELECT country_code, count() AS count FROM (
                 SELECT argMax(assumeNotNull(data.ip_info.country_code.:String), event_at) AS country_code
                 FROM events
                 WHERE {ACTIVE} AND {ANONYMOUS} AND data.ip_info.country_code.:String IS NOT NULL
                 GROUP BY user_id)
             GROUP BY country_code ORDER BY country_code"
        );
        let query = self.anonymous_bound(self.ask(&sql));
        let rows: Vec<UsersOfCountry> = query.fetch_all().await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.country_code, row.count))
            .collect())
    }

    /// The region most users were in.
    pub async fn top_region(&self, window: Window) -> Result<Option<UsersOfRegion>> {
        let sql = format!(
            "SELECT data.ip_info.country_code.:String AS country_code,
                    data.ip_info.region_code.:String AS region_code, uniqExact(user_id) AS count
             FROM events
             WHERE {ACTIVE} AND {WITHIN} AND (country_code IS NOT NULL OR region_code IS NOT NULL)
             GROUP BY country_code, region_code
             ORDER BY count DESC, country_code, region_code LIMIT 1"
        );
        within(self.ask(&sql), window).fetch_optional().await
    }

    /// How many users are there at the moment.
    pub async fn online(&self, now: Millis) -> Result<u64> {
        let sql = format!(
            "SELECT uniqExact(user_id) FROM events
             WHERE {ACTIVE} AND event_at >= fromUnixTimestamp64Milli(toInt64(?))"
        );
        let since = now.0 - ONLINE_MILLIS;
        self.ask(&sql).bind(since).fetch_one().await
    }

    /// What was looked at on each day.
    pub async fn daily_views(&self, window: Window) -> Result<Daily<Views>> {
        let sql = format!(
            "SELECT toUInt16(toDate(event_at)) AS day,
                    countIf(event_type = '$page-view') AS page_views,
                    countIf(event_type = '$click') AS clicks,
                    uniqExactIf(user_id, event_type = '$page-view') AS visitors
             FROM events WHERE {VIEW_OR_CLICK} AND {ANONYMOUS_BROWSER} AND {WITHIN} GROUP BY day"
        );
        let query = self.anonymous_browser_bound(self.ask(&sql));
        let rows: Vec<ViewsOfDay> = within(query, window).fetch_all().await?;
        let views = rows.into_iter().map(|row| {
            let views = Views {
                page_views: row.page_views,
                clicks: row.clicks,
                visitors: row.visitors,
            };
            (row.day.into(), views)
        });
        Ok(views.collect())
    }

    /// How many users looked at a page within the days.
    pub async fn visitors(&self, window: Window) -> Result<u64> {
        let sql = format!(
            "SELECT uniqExactIf(user_id, event_type = '$page-view')
             FROM events WHERE {VIEW_OR_CLICK} AND {ANONYMOUS_BROWSER} AND {WITHIN}"
        );
        let query = self.anonymous_browser_bound(self.ask(&sql));
        within(query, window).fetch_one().await
    }

    /// Where the users who looked at a page came from, beginning with where most did.
    pub async fn top_referrers(&self, window: Window) -> Result<Vec<Referrer>> {
        let sql = format!(
            "SELECT if(empty(source), '(direct)', source) AS referrer, visitors FROM (
                 SELECT ifNull(data.referrer.:String, '') AS source, uniqExact(user_id) AS visitors
                 FROM events
                 WHERE {VIEW_OR_CLICK} AND {ANONYMOUS_BROWSER} AND {WITHIN} AND event_type = '$page-view'
                 GROUP BY source HAVING visitors > 0)
             ORDER BY visitors DESC, referrer LIMIT ?"
        );
        let query = self.anonymous_browser_bound(self.ask(&sql));
        within(query, window).bind(REFERRERS).fetch_all().await
    }

    /// A question whose first condition is about the project.
    fn ask(&self, sql: &str) -> Query {
        self.store.query(sql).bind(self.project.as_str())
    }

    fn anonymous_bound(&self, query: Query) -> Query {
        query.bind(self.anonymous.are_included())
    }

    fn anonymous_browser_bound(&self, query: Query) -> Query {
        self.anonymous_bound(query).bind(self.project.as_str())
    }
}

/// The session replays of a project with at least so many clicks: of more than a thousand, any
/// thousand.
pub async fn replays_with_clicks(
    store: &Client,
    project: &ProjectId,
    least: u64,
) -> Result<Vec<Uuid>> {
    let sql = "SELECT assumeNotNull(session_replay_id) AS id FROM events
               WHERE project_id = ? AND branch_id = 'main' AND event_type = '$click'
                 AND session_replay_id IS NOT NULL
               GROUP BY session_replay_id HAVING count() >= ? LIMIT ?";
    let query = store.query(sql).bind(project.as_str()).bind(least);
    let ids: Vec<String> = query.bind(CLICKED).fetch_all().await?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Binds [`WITHIN`].
fn within(query: Query, window: Window) -> Query {
    query.bind(window.start().0).bind(window.end().0)
}

/// A token was issued to somebody. Binds the project.
const ACTIVE: &str = "project_id = ? AND branch_id = 'main' AND event_type = '$token-refresh'
    AND user_id IS NOT NULL";
/// Somebody looked at a page or clicked. Binds the project.
const VIEW_OR_CLICK: &str = "project_id = ? AND branch_id = 'main'
    AND event_type IN ('$page-view', '$click')";
/// Whether anonymous users count; else this is none. Binds a boolean.
const ANONYMOUS: &str = "(? OR NOT ifNull(data.is_anonymous.:Bool, false))";
/// Likewise for what browsers send, who do not know: then the user's latest token tells. Binds a
/// boolean and the project.
const ANONYMOUS_BROWSER: &str = "(? OR NOT coalesce(data.is_anonymous.:Bool, user_id IN (
        SELECT user_id FROM events
        WHERE project_id = ? AND branch_id = 'main' AND event_type = '$token-refresh'
          AND user_id IS NOT NULL AND data.is_anonymous.:Bool IS NOT NULL
        GROUP BY user_id HAVING argMax(assumeNotNull(data.is_anonymous.:Bool), event_at)), false))";
/// It was within the days. Binds their start and end.
const WITHIN: &str = "event_at >= fromUnixTimestamp64Milli(toInt64(?))
    AND event_at < fromUnixTimestamp64Milli(toInt64(?))";
