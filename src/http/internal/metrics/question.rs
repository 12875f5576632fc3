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
use muniment_projections::metrics::recordings::recordings;
use muniment_projections::metrics::traffic::{
    self, ActiveUsers, Referrer, Traffic, UsersOfRegion, Views,
};
use muniment_projections::metrics::{Anonymous, Daily, Window};
use muniment_projections::read_models::paging::Direction;
use muniment_projections::read_models::users::{self, Listing, UserRecord, Visibility};

use super::figures::{date, per_visitor, percent, rounded};
use super::views::{
    ActivityOfDay, ActivitySplit, EmailMetrics, EmailsOfDay, LoginMethodCount, PaymentMetrics,
    ProjectMetrics, RevenueOfDay, TrafficMetrics, UserMetrics,
};
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
    pub(super) async fn answer(&self) -> Result<ProjectMetrics, ApiError> {
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
        Ok(ProjectMetrics {
            analytics_overview: analytics,
            auth_overview: self.auth_overview(counts, &activity),
            daily_active_users: self.activities(&activity.daily),
            daily_users: sign_ups,
            email_overview: emails,
            login_methods,
            payments_overview: payments,
            recently_active,
            recently_registered: newcomers,
            total_users: counts.total(self.anonymous),
            users_by_country: activity.countries,
        })
    }

    fn project(&self) -> &ProjectId {
        self.auth.project_id()
    }

    fn activities(&self, daily: &Daily<u64>) -> Vec<ActivityOfDay> {
        self.days(daily, |date, activity| ActivityOfDay { activity, date })
    }

    fn days<T: Clone + Default, D>(
        &self,
        daily: &Daily<T>,
        show: impl Fn(String, T) -> D,
    ) -> Vec<D> {
        let days = self.window.series(daily).into_iter();
        days.map(|(day, figure)| show(date(day), figure)).collect()
    }

    async fn sign_ups(&self) -> Result<Vec<ActivityOfDay>, ApiError> {
        let (window, anonymous) = (self.window, self.anonymous);
        let pool = self.app.pool();
        let daily = accounts::daily_sign_ups(pool, self.project(), window, anonymous).await?;
        Ok(self.activities(&counts(&daily)))
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

    async fn login_methods(&self) -> Result<Vec<LoginMethodCount>, ApiError> {
        let methods = accounts::login_methods(self.app.pool(), self.project()).await?;
        let shown = |(method, count)| LoginMethodCount { count, method };
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

    fn auth_overview(&self, counts: Counts, activity: &TokenActivity) -> UserMetrics {
        UserMetrics {
            anonymous_users: counts.anonymous,
            // No event of a token names a team.
            daily_active_teams_split: self.split(&Daily::default()),
            daily_active_users_split: self.split(&activity.split),
            mau: activity.monthly,
            total_teams: counts.teams,
            total_users_filtered: counts.total(self.anonymous),
            unverified_users: counts.unverified(),
            verified_users: counts.verified,
        }
    }

    fn split(&self, daily: &Daily<ActiveUsers>) -> ActivitySplit {
        let series = |part: fn(&ActiveUsers) -> u64| self.activities(&daily.map(part));
        ActivitySplit {
            new: series(|active| active.new),
            reactivated: series(|active| active.reactivated),
            retained: series(|active| active.retained),
            total: series(|active| active.new + active.retained + active.reactivated),
        }
    }

    async fn payments(&self, invoices: &Invoices) -> Result<PaymentMetrics, ApiError> {
        let (pool, project) = (self.app.pool(), self.project());
        let (purchases, daily) = try_join!(
            payments::purchases(pool, project),
            payments::daily_subscriptions(pool, project, self.window),
        )?;
        let orders = purchases.one_time + invoices.count;
        Ok(PaymentMetrics {
            active_subscription_count: purchases.active_subscriptions(),
            checkout_conversion_rate: percent(invoices.paid + purchases.one_time, orders),
            daily_subscriptions: self.activities(&counts(&daily)),
            mrr_cents: invoices.recent_revenue_cents,
            revenue_cents: invoices.revenue_cents,
            subscriptions_by_status: purchases.subscriptions,
            total_one_time_purchases: purchases.one_time,
            total_orders: orders,
        })
    }

    async fn emails(&self) -> Result<EmailMetrics, ApiError> {
        let (pool, project) = (self.app.pool(), self.project());
        let (all, daily, recent) = try_join!(
            emails::outcomes(pool, project),
            emails::daily_outcomes(pool, project, self.window),
            emails::recent(pool, project, self.now, RECENT_EMAILS),
        )?;
        Ok(EmailMetrics::of(
            all,
            self.activities(&counts(&daily.map(Outcomes::total))),
            self.days(&daily, EmailsOfDay::of),
            recent,
        ))
    }

    async fn analytics(
        &self,
        store: Option<&Client>,
        invoices: &Invoices,
    ) -> Result<TrafficMetrics, ApiError> {
        let recorded = recordings(self.app.pool(), self.project(), self.window).await?;
        let browsing = match store {
            None => None,
            Some(store) => self
                .browsing(store)
                .await
                .map_err(|error| note(&error))
                .ok(),
        };
        // Without figures there are no series.
        let series = |part: fn(&Views) -> u64| {
            let views = browsing.as_ref().map(|browsing| browsing.views.map(part));
            views.map_or_else(Vec::new, |views| self.activities(&views))
        };
        let daily_clicks = series(|views| views.clicks);
        let daily_page_views = series(|views| views.page_views);
        let daily_visitors = series(|views| views.visitors);
        let browsing = browsing.unwrap_or_default();
        Ok(TrafficMetrics {
            avg_session_seconds: rounded(recorded.average_millis / 1000.0, 10.0),
            daily_clicks,
            daily_page_views,
            daily_revenue: self.days(&invoices.daily_revenue_cents, RevenueOfDay::of),
            daily_visitors,
            online_live: browsing.online,
            recent_replays: recorded.recent,
            revenue_per_visitor: per_visitor(invoices.revenue_cents, browsing.visitors),
            top_referrers: browsing.referrers.into_iter().map(Into::into).collect(),
            top_region: browsing.region.map(Into::into),
            total_replays: recorded.total,
            total_revenue_cents: invoices.revenue_cents,
            visitors: browsing.visitors,
        })
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
#[derive(Default)]
struct Browsing {
    views: Daily<Views>,
    visitors: u64,
    referrers: Vec<Referrer>,
    region: Option<UsersOfRegion>,
    online: u64,
}

/// What the database counts, which is never less than nothing.
fn counts(daily: &Daily<i64>) -> Daily<u64> {
    daily.map(|count| count.unsigned_abs())
}

/// Figures that clients expect even then are left out of the answer.
fn note(error: &clickhouse::error::Error) {
    tracing::warn!(%error, "the analytics store did not answer; some metrics are left out");
}
