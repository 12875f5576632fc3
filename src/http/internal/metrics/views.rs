//! How the figures are shown.

use std::collections::BTreeMap;

use muniment_projections::metrics::emails::{Outcomes, RecentEmail};
use muniment_projections::metrics::traffic::{Referrer, UsersOfRegion};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use uuid::Uuid;

use super::figures::percent;
use crate::http::internal::shapes::text_among;
use crate::views::ServerUser;

/// A project at a glance. Series have a figure for each of the last 31 days in UTC, oldest first, the
/// current day included. Figures that come from the analytics store are 0, or left out of series, on
/// servers that have none.
#[derive(Serialize, ToSchema)]
pub(super) struct ProjectMetrics {
    pub(super) analytics_overview: TrafficMetrics,
    pub(super) auth_overview: UserMetrics,
    /// How many users were active on each day.
    pub(super) daily_active_users: Vec<ActivityOfDay>,
    /// How many users signed up on each day.
    pub(super) daily_users: Vec<ActivityOfDay>,
    pub(super) email_overview: EmailMetrics,
    /// The ways in which users can sign in, and how many users can.
    pub(super) login_methods: Vec<LoginMethodCount>,
    pub(super) payments_overview: PaymentMetrics,
    /// The users who were seen last, latest first. At most 5.
    pub(super) recently_active: Vec<ServerUser>,
    /// The users who signed up last, latest first. At most 100.
    pub(super) recently_registered: Vec<ServerUser>,
    /// How many users there are.
    pub(super) total_users: i64,
    /// How many users were last seen in each country (ISO 3166-1 alpha-2).
    pub(super) users_by_country: BTreeMap<String, u64>,
}

/// How much was going on, on a day.
#[derive(Serialize, ToSchema)]
pub(super) struct ActivityOfDay {
    pub(super) activity: u64,
    #[schema(format = Date)]
    pub(super) date: String,
}

/// How many users can sign in in a way.
#[derive(Serialize, ToSchema)]
pub(super) struct LoginMethodCount {
    pub(super) count: i64,
    /// `password`, `otp`, `passkey`, or the id of an OAuth provider.
    pub(super) method: String,
}

/// Users and teams.
#[derive(Serialize, ToSchema)]
pub(super) struct UserMetrics {
    /// How many users have not signed up.
    pub(super) anonymous_users: i64,
    /// Always 0: it is not recorded which teams were active.
    pub(super) daily_active_teams_split: ActivitySplit,
    pub(super) daily_active_users_split: ActivitySplit,
    /// How many users were active within the days shown.
    pub(super) mau: u64,
    pub(super) total_teams: i64,
    /// How many users there are.
    pub(super) total_users_filtered: i64,
    /// How many users have signed up, but not verified an email address.
    pub(super) unverified_users: i64,
    /// How many users have signed up and verified an email address.
    pub(super) verified_users: i64,
}

/// How many were active on each day, by what they did before.
#[derive(Serialize, ToSchema)]
pub(super) struct ActivitySplit {
    /// Those who were active for the first time.
    pub(super) new: Vec<ActivityOfDay>,
    /// Those who were active after a pause.
    pub(super) reactivated: Vec<ActivityOfDay>,
    /// Those who were active as they were the day before.
    pub(super) retained: Vec<ActivityOfDay>,
    pub(super) total: Vec<ActivityOfDay>,
}

/// Money.
#[derive(Serialize, ToSchema)]
pub(super) struct PaymentMetrics {
    pub(super) active_subscription_count: i64,
    /// How many of all orders were paid, in percent with two decimals.
    pub(super) checkout_conversion_rate: f64,
    /// How many subscriptions began on each day.
    pub(super) daily_subscriptions: Vec<ActivityOfDay>,
    /// What was paid of invoices made within the days shown, in cents.
    pub(super) mrr_cents: i64,
    /// What was ever paid of invoices, in cents.
    pub(super) revenue_cents: i64,
    /// How many subscriptions there are in each status.
    pub(super) subscriptions_by_status: BTreeMap<String, i64>,
    pub(super) total_one_time_purchases: i64,
    /// Invoices and one-time purchases.
    pub(super) total_orders: i64,
}

/// Mail.
#[derive(Serialize, ToSchema)]
pub(super) struct EmailMetrics {
    /// Always 0: it is not known what bounced.
    bounce_rate: u8,
    /// Always 0: it is not recorded who clicked.
    click_rate: u8,
    /// How many emails were asked for on each day.
    daily_emails: Vec<ActivityOfDay>,
    daily_emails_by_status: Vec<EmailsOfDay>,
    /// How many emails of those that are done with were sent, in percent with two decimals.
    deliverability_rate: f64,
    deliverability_status: EmailDeliverability,
    emails_by_status: EmailsByStatus,
    /// How many emails are done with: sent or given up.
    emails_sent: i64,
    /// Those that were asked for last, latest first. At most 100.
    recent_emails: Vec<RecentEmailView>,
    total_emails: i64,
}

/// What became of the emails that were asked for on a day.
#[derive(Serialize, ToSchema)]
pub(super) struct EmailsOfDay {
    #[schema(format = Date)]
    date: String,
    /// Given up.
    error: i64,
    /// Waiting.
    in_progress: i64,
    /// Sent.
    ok: i64,
}

/// What became of all emails.
#[derive(Serialize, ToSchema)]
struct EmailDeliverability {
    /// Always 0: it is not known what bounced.
    bounced: u8,
    delivered: i64,
    /// Given up.
    error: i64,
    /// Waiting.
    in_progress: i64,
}

/// How many emails stand how. A status that none has is absent.
#[derive(Serialize, ToSchema)]
struct EmailsByStatus {
    /// Given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<i64>,
    /// Waiting.
    #[serde(rename = "in-progress", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    in_progress: Option<i64>,
    /// Sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ok: Option<i64>,
}

/// An email.
#[derive(Serialize, ToSchema)]
struct RecentEmailView {
    /// When it was asked for, in milliseconds since the Unix epoch.
    created_at_millis: i64,
    id: Uuid,
    #[schema(schema_with = email_status)]
    status: &'static str,
    /// Always `(no subject)`: what an email is about is sealed.
    subject: &'static str,
}

fn email_status() -> Object {
    const NAMES: [&str; 4] = ["SENT", "SERVER_ERROR", "SCHEDULED", "QUEUED"];
    text_among("How it stands.", &NAMES)
}

/// What browsers observed.
#[derive(Serialize, ToSchema)]
pub(super) struct TrafficMetrics {
    /// How long the session replays are on average that began within the days shown, in seconds with one
    /// decimal.
    pub(super) avg_session_seconds: f64,
    pub(super) daily_clicks: Vec<ActivityOfDay>,
    pub(super) daily_page_views: Vec<ActivityOfDay>,
    /// What was paid of the invoices of each day.
    pub(super) daily_revenue: Vec<RevenueOfDay>,
    /// How many users looked at a page on each day.
    pub(super) daily_visitors: Vec<ActivityOfDay>,
    /// How many users are there at the moment.
    pub(super) online_live: u64,
    /// How many session replays began within the days shown.
    pub(super) recent_replays: i64,
    /// What was ever paid of invoices, in major units with two decimals, for each visitor.
    pub(super) revenue_per_visitor: f64,
    /// Where visitors came from, beginning with where most did.
    pub(super) top_referrers: Vec<ReferrerView>,
    /// Where most users were. Null if that is not known of any.
    #[schema(required)]
    pub(super) top_region: Option<RegionView>,
    pub(super) total_replays: i64,
    /// What was ever paid of invoices, in cents.
    pub(super) total_revenue_cents: i64,
    /// How many users looked at a page within the days shown.
    pub(super) visitors: u64,
}

/// What was paid on a day.
#[derive(Serialize, ToSchema)]
pub(super) struct RevenueOfDay {
    #[schema(format = Date)]
    date: String,
    new_cents: i64,
    /// Always 0: refunds are not taken into account.
    refund_cents: u8,
}

/// Where visitors came from.
#[derive(Serialize, ToSchema)]
pub(super) struct ReferrerView {
    /// The address of the page, or `(direct)`.
    referrer: String,
    visitors: u64,
}

/// Where users were.
#[derive(Serialize, ToSchema)]
pub(super) struct RegionView {
    /// How many users.
    count: u64,
    /// ISO 3166-1 alpha-2.
    #[schema(required)]
    country_code: Option<String>,
    /// The part of the country.
    #[schema(required)]
    region_code: Option<String>,
}

impl EmailMetrics {
    /// Shows how many of all emails stand how, with series, and the latest emails.
    pub(super) fn of(
        all: Outcomes,
        daily_emails: Vec<ActivityOfDay>,
        daily_emails_by_status: Vec<EmailsOfDay>,
        recent: Vec<RecentEmail>,
    ) -> Self {
        let unless_none = |count: i64| Some(count).filter(|count| *count > 0);
        Self {
            bounce_rate: 0,
            click_rate: 0,
            daily_emails,
            daily_emails_by_status,
            deliverability_rate: percent(all.ok, all.finished()),
            deliverability_status: EmailDeliverability {
                bounced: 0,
                delivered: all.ok,
                error: all.error,
                in_progress: all.in_progress,
            },
            emails_by_status: EmailsByStatus {
                error: unless_none(all.error),
                in_progress: unless_none(all.in_progress),
                ok: unless_none(all.ok),
            },
            emails_sent: all.finished(),
            recent_emails: recent.into_iter().map(RecentEmailView::from).collect(),
            total_emails: all.total(),
        }
    }
}

impl EmailsOfDay {
    pub(super) fn of(date: String, outcomes: Outcomes) -> Self {
        Self {
            date,
            error: outcomes.error,
            in_progress: outcomes.in_progress,
            ok: outcomes.ok,
        }
    }
}

impl From<RecentEmail> for RecentEmailView {
    fn from(email: RecentEmail) -> Self {
        Self {
            created_at_millis: email.created_at,
            id: email.id,
            status: email.status,
            subject: "(no subject)",
        }
    }
}

impl RevenueOfDay {
    pub(super) fn of(date: String, new_cents: i64) -> Self {
        Self {
            date,
            new_cents,
            refund_cents: 0,
        }
    }
}

impl From<Referrer> for ReferrerView {
    fn from(referrer: Referrer) -> Self {
        Self {
            referrer: referrer.referrer,
            visitors: referrer.visitors,
        }
    }
}

impl From<UsersOfRegion> for RegionView {
    fn from(region: UsersOfRegion) -> Self {
        Self {
            count: region.count,
            country_code: region.country_code,
            region_code: region.region_code,
        }
    }
}
