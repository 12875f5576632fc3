//! What the dashboard asks about a project, and the sources that answer.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use clickhouse::Client;
use futures_util::{TryFutureExt, try_join};
use muniment_domain::{Millis, ProjectId, UserId};
use muniment_projections::analytics::AnalyticsStore;
use muniment_projections::metrics::accounts::{self, Counts};
use muniment_projections::metrics::emails::{self, Outcomes};
use muniment_projections::metrics::payments::{self, Invoices};
use muniment_projections::metrics::recordings::{Recordings, recordings};
use muniment_projections::metrics::traffic::{
    self, ActiveUsers, Referrer, Traffic, UsersOfRegion, Views,
};
use muniment_projections::metrics::{Anonymous, Daily, Window};
use muniment_projections::read_models::paging::Direction;
use muniment_projections::read_models::users::{self, Listing, UserRecord, Visibility};
use serde::Serialize;
use serde_json::{Value, json};

use super::figures::{date, per_visitor, percent, rounded};
use crate::app::App;
use crate::error::ApiError;
use crate::http::request::caller::Auth;
use crate::views::ServerUser;

/// Users that signed up last.
const NEWCOMERS: i64 = 100;

/// Users that were seen last.
const RECENTLY_ACTIVE: usize = 5;

/// Users of all projects whom this process saw last, and the tables may not have yet.
const JUST_SEEN: usize = 200;

/// Emails that were asked for last.
const RECENT_EMAILS: i64 = 100;

/// What is asked, and when.
pub(super) struct Question<'q> {
    pub(super) app: &'q App,
    pub(super) auth: &'q Auth,
    pub(super) now: Millis,
    pub(super) window: Window,
    pub(super) anonymous: Anonymous,
}

impl Question<'_> {
    pub(super) async fn answer(&self) -> Result<Value, ApiError> {
        let store = self.app.analytics.as_ref().map(AnalyticsStore::owner);
        let (pool, project) = (self.app.pool(), self.project());
        let (counts, activity, invoices) = try_join!(
            accounts::counts(pool, project).err_into(),
            self.activity(store.as_ref()),
            payments::invoices(pool, project, self.window).err_into(),
        )?;
        let (sign_ups, newcomers, recently_active, login_methods) = try_join!(
            self.sign_ups(),
            self.newcomers(),
            self.recently_active(),
            self.login_methods(),
        )?;
        let (payments, emails, analytics) = try_join!(
            self.payments(&invoices),
            self.emails(),
            self.analytics(store.as_ref(), &invoices),
        )?;
        Ok(json!({
            "total_users": counts.total(self.anonymous),
            "daily_users": sign_ups,
            "daily_active_users": self.activities(&activity.daily),
            "users_by_country": activity.countries,
            "recently_registered": newcomers,
            "recently_active": recently_active,
            "login_methods": login_methods,
            "auth_overview": self.auth_overview(counts, &activity),
            "payments_overview": payments,
            "email_overview": emails,
            "analytics_overview": analytics,
        }))
    }

    fn project(&self) -> &ProjectId {
        self.auth.project_id()
    }

    /// A figure for each day under its name.
    fn series<T: Clone + Default + Serialize>(&self, daily: &Daily<T>, name: &str) -> Vec<Value> {
        self.days(daily, |date, figure| json!({"date": date, name: figure}))
    }

    fn activities<T: Clone + Default + Serialize>(&self, daily: &Daily<T>) -> Vec<Value> {
        self.series(daily, "activity")
    }

    fn days<T: Clone + Default>(
        &self,
        daily: &Daily<T>,
        show: impl Fn(String, T) -> Value,
    ) -> Vec<Value> {
        let days = self.window.series(daily).into_iter();
        days.map(|(day, figure)| show(date(day), figure)).collect()
    }

    async fn sign_ups(&self) -> Result<Vec<Value>, ApiError> {
        let (window, anonymous) = (self.window, self.anonymous);
        let pool = self.app.pool();
        let daily = accounts::daily_sign_ups(pool, self.project(), window, anonymous).await?;
        Ok(self.activities(&daily))
    }

    async fn newcomers(&self) -> Result<Vec<ServerUser>, ApiError> {
        let listing = Listing {
            visibility: match self.anonymous {
                Anonymous::Included => Visibility::Everybody,
                Anonymous::Excluded => Visibility::Unrestricted,
            },
            limit: Some(NEWCOMERS),
            direction: Direction::Descending,
            ..Listing::default()
        };
        let verification = self.auth.project.config.email_verification();
        let page = users::list(self.app.pool(), self.project(), &listing, verification).await?;
        Ok(page.items.iter().map(|record| self.shown(record)).collect())
    }

    fn shown(&self, record: &UserRecord) -> ServerUser {
        ServerUser::of(self.app, record, &self.auth.project)
    }

    /// Who was seen last, whether the tables know it yet or this process only.
    async fn recently_active(&self) -> Result<Vec<ServerUser>, ApiError> {
        let limit = i64::try_from(RECENTLY_ACTIVE).unwrap_or(i64::MAX);
        let pool = self.app.pool();
        let stored = accounts::recently_active(pool, self.project(), self.anonymous, limit).await?;
        let mut candidates: Vec<UserId> = self.app.activity.latest(JUST_SEEN);
        candidates.extend(stored);
        candidates.sort_unstable();
        candidates.dedup();
        let records = users::of_project(pool, self.project(), &candidates).await?;
        let mut records: Vec<(i64, UserRecord)> = records
            .into_iter()
            .filter(|record| self.anonymous == Anonymous::Included || !record.user.is_anonymous)
            .map(|record| (self.last_active_at(&record), record))
            .collect();
        records.sort_by_key(|(at, record)| Reverse((*at, record.user.id)));
        records.truncate(RECENTLY_ACTIVE);
        Ok(records
            .iter()
            .map(|(_, record)| self.shown(record))
            .collect())
    }

    fn last_active_at(&self, record: &UserRecord) -> i64 {
        let seen = self
            .app
            .activity
            .of_user(record.user.user_id(), record.last_active_at);
        seen.unwrap_or(record.user.signed_up_at)
    }

    async fn login_methods(&self) -> Result<Vec<Value>, ApiError> {
        let methods = accounts::login_methods(self.app.pool(), self.project()).await?;
        let shown = |(method, count)| json!({"method": method, "count": count});
        Ok(methods.into_iter().map(shown).collect())
    }

    /// Who was active, by the tokens that were issued. Without a store, nobody's were recorded.
    async fn activity(&self, store: Option<&Client>) -> Result<TokenActivity, ApiError> {
        let Some(store) = store else {
            return Ok(TokenActivity::default());
        };
        let traffic = Traffic::of(store, self.project(), self.anonymous);
        let (daily, split, countries) = try_join!(
            traffic.daily_active_users(self.window),
            traffic.daily_active_users_split(self.window),
            traffic.users_by_country(),
        )
        .map_err(ApiError::internal)?;
        let monthly = traffic.monthly_active_users(self.window).await;
        Ok(TokenActivity {
            daily,
            split,
            countries: countries.into_iter().collect(),
            monthly: monthly.unwrap_or_else(|error| {
                note(&error);
                0
            }),
        })
    }

    fn auth_overview(&self, counts: Counts, activity: &TokenActivity) -> Value {
        json!({
            "verified_users": counts.verified,
            "unverified_users": counts.unverified(),
            "anonymous_users": counts.anonymous,
            "total_teams": counts.teams,
            "mau": activity.monthly,
            "total_users_filtered": counts.total(self.anonymous),
            "daily_active_users_split": self.split(&activity.split),
            // No event of a token names a team.
            "daily_active_teams_split": self.split(&Daily::default()),
        })
    }

    fn split(&self, daily: &Daily<ActiveUsers>) -> Value {
        let series = |part: fn(&ActiveUsers) -> u64| self.activities(&daily.map(part));
        json!({
            "total": series(|active| active.new + active.retained + active.reactivated),
            "new": series(|active| active.new),
            "retained": series(|active| active.retained),
            "reactivated": series(|active| active.reactivated),
        })
    }

    async fn payments(&self, invoices: &Invoices) -> Result<Value, ApiError> {
        let (pool, project) = (self.app.pool(), self.project());
        let (purchases, daily) = try_join!(
            payments::purchases(pool, project),
            payments::daily_subscriptions(pool, project, self.window),
        )?;
        let orders = purchases.one_time + invoices.count;
        Ok(json!({
            "subscriptions_by_status": purchases.subscriptions,
            "active_subscription_count": purchases.active_subscriptions(),
            "total_one_time_purchases": purchases.one_time,
            "daily_subscriptions": self.activities(&daily),
            "revenue_cents": invoices.revenue_cents,
            "mrr_cents": invoices.recent_revenue_cents,
            "total_orders": orders,
            "checkout_conversion_rate": percent(invoices.paid + purchases.one_time, orders),
        }))
    }

    async fn emails(&self) -> Result<Value, ApiError> {
        let (pool, project) = (self.app.pool(), self.project());
        let (all, daily, recent) = try_join!(
            emails::outcomes(pool, project),
            emails::daily_outcomes(pool, project, self.window),
            emails::recent(pool, project, self.now, RECENT_EMAILS),
        )?;
        let by_status = [
            ("ok", all.ok),
            ("error", all.error),
            ("in-progress", all.in_progress),
        ];
        let by_status: BTreeMap<&str, i64> = by_status
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        let recent: Vec<Value> = recent
            .iter()
            .map(|email| {
                json!({
                    "id": email.id,
                    "status": email.status,
                    // What an email is about is sealed.
                    "subject": "(no subject)",
                    "created_at_millis": email.created_at,
                })
            })
            .collect();
        let daily_by_status = self.days(&daily, |date, outcomes| {
            json!({
                "date": date,
                "ok": outcomes.ok,
                "error": outcomes.error,
                "in_progress": outcomes.in_progress,
            })
        });
        Ok(json!({
            "emails_by_status": by_status,
            "total_emails": all.total(),
            "daily_emails": self.activities(&daily.map(Outcomes::total)),
            "daily_emails_by_status": daily_by_status,
            "emails_sent": all.finished(),
            "recent_emails": recent,
            "deliverability_status": {
                "delivered": all.ok,
                "bounced": 0,
                "error": all.error,
                "in_progress": all.in_progress,
            },
            "deliverability_rate": percent(all.ok, all.finished()),
            "bounce_rate": 0,
            "click_rate": 0,
        }))
    }

    async fn analytics(
        &self,
        store: Option<&Client>,
        invoices: &Invoices,
    ) -> Result<Value, ApiError> {
        let Recordings {
            total,
            recent,
            average_millis,
        } = recordings(self.app.pool(), self.project(), self.window).await?;
        let browsing = match store {
            None => None,
            Some(store) => self
                .browsing(store)
                .await
                .map_err(|error| note(&error))
                .ok(),
        };
        let series = |part: fn(&Views) -> u64| {
            let views = browsing.as_ref().map(|browsing| browsing.views.map(part));
            views.map_or_else(Vec::new, |views| self.activities(&views))
        };
        let visitors = browsing.as_ref().map_or(0, |browsing| browsing.visitors);
        let revenue = self.days(
            &invoices.daily_revenue_cents,
            |date, cents| json!({"date": date, "new_cents": cents, "refund_cents": 0}),
        );
        Ok(json!({
            "daily_page_views": series(|views| views.page_views),
            "daily_clicks": series(|views| views.clicks),
            "daily_visitors": series(|views| views.visitors),
            "visitors": visitors,
            "top_referrers": browsing.as_ref().map_or_else(Vec::new, Browsing::referrers),
            "top_region": browsing.as_ref().and_then(Browsing::region),
            "online_live": browsing.as_ref().map_or(0, |browsing| browsing.online),
            "total_replays": total,
            "recent_replays": recent,
            "avg_session_seconds": rounded(average_millis / 1000.0, 10.0),
            "total_revenue_cents": invoices.revenue_cents,
            "revenue_per_visitor": per_visitor(invoices.revenue_cents, visitors),
            "daily_revenue": revenue,
        }))
    }

    async fn browsing(&self, store: &Client) -> traffic::Result<Browsing> {
        let traffic = Traffic::of(store, self.project(), self.anonymous);
        let (views, visitors, referrers, region, online) = try_join!(
            traffic.daily_views(self.window),
            traffic.visitors(self.window),
            traffic.top_referrers(self.window),
            traffic.top_region(self.window),
            traffic.online(self.now),
        )?;
        Ok(Browsing {
            views,
            visitors,
            referrers,
            region,
            online,
        })
    }
}

/// Who was active.
#[derive(Default)]
struct TokenActivity {
    daily: Daily<u64>,
    split: Daily<ActiveUsers>,
    countries: BTreeMap<String, u64>,
    monthly: u64,
}

/// What was looked at, where its viewers came from, and where they are.
struct Browsing {
    views: Daily<Views>,
    visitors: u64,
    referrers: Vec<Referrer>,
    region: Option<UsersOfRegion>,
    online: u64,
}

impl Browsing {
    fn referrers(&self) -> Vec<Value> {
        let shown = |it: &Referrer| json!({"referrer": it.referrer, "visitors": it.visitors});
        self.referrers.iter().map(shown).collect()
    }

    fn region(&self) -> Option<Value> {
        let region = self.region.as_ref()?;
        Some(json!({
            "country_code": region.country_code,
            "region_code": region.region_code,
            "count": region.count,
        }))
    }
}

/// Figures that clients expect even then are left out of the answer.
fn note(error: &clickhouse::error::Error) {
    tracing::warn!(%error, "the analytics store did not answer; some metrics are left out");
}
