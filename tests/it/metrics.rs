//! Contract 07 §7: a project at a glance.

use muniment::timestamp;
use muniment_domain::{Millis, ProjectId, UserId};
use muniment_projections::telemetry::TelemetryEvent;
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::support::{TestServer, Tokens, analytics, eventually, unique_email};
use crate::telemetry::{BATCH, SEGMENT, away, events, observing, refresh, select};

const DAY: i64 = 24 * 60 * 60 * 1000;

async fn metrics(server: &TestServer, query: &str) -> Value {
    let path = format!("/internal/metrics{query}");
    server.admin("GET", &path).expect(200).await
}

fn date(at: i64) -> String {
    timestamp::format(Millis(at))[..10].to_owned()
}

/// The figure of the day so many days ago, and that there are 31 of them, in order.
fn figure(server: &TestServer, series: &Value, days_ago: i64, name: &str) -> Value {
    let series = series.as_array().unwrap();
    assert_eq!(series.len(), 31);
    let now = server.clock.now().0;
    for (at, point) in (0..).zip(series) {
        assert_eq!(point["date"], date(now - (30 - at) * DAY));
    }
    let at = usize::try_from(30 - days_ago).unwrap();
    series[at][name].clone()
}

fn activity(server: &TestServer, series: &Value, days_ago: i64) -> i64 {
    figure(server, series, days_ago, "activity")
        .as_i64()
        .unwrap()
}

type Event = (&'static str, i64, &'static str, Value);

/// Puts events of the past into the store.
async fn insert(server: &TestServer, past: &[Event]) {
    let past: Vec<TelemetryEvent> = past
        .iter()
        .map(|(event_type, at, user, data)| TelemetryEvent {
            event_type: (*event_type).to_owned(),
            at: Millis(*at),
            data: data.to_string(),
            project_id: ProjectId::from_caller(&server.project.id),
            user: Some(UserId(user.parse().unwrap())),
            session: None,
            replay: None,
            segment: None,
            created_at: server.clock.now(),
        })
        .collect();
    server.app().recorder.keep(&past).await.unwrap();
    let sql = format!(
        "SELECT toUInt32(count()) AS rows FROM events WHERE project_id = '{}'",
        server.project.id
    );
    let store = analytics().await;
    eventually("the past arrives", || async {
        select(&store, &sql).await[0]["rows"] == past.len()
    })
    .await;
}

fn token(at: i64, user: &'static str, is_anonymous: bool, place: &Value) -> Event {
    let data = json!({"is_anonymous": is_anonymous, "refresh_token_id": "x", "ip_info": place});
    ("$token-refresh", at, user, data)
}

const ANNA: &str = "aaaaaaaa-4f2f-4b1c-8d27-1d4a61d1f0de";
const BEN: &str = "bbbbbbbb-4f2f-4b1c-8d27-1d4a61d1f0de";
/// Anonymous.
const CARL: &str = "cccccccc-4f2f-4b1c-8d27-1d4a61d1f0de";
/// No UUID of version 4.
const ODD: &str = "dddddddd-4f2f-1b1c-8d27-1d4a61d1f0de";

#[tokio::test]
async fn a_project_in_which_nothing_happened_has_zeros() {
    let server = TestServer::start().await;
    let all = metrics(&server, "").await;
    let keys: Vec<&String> = all.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "analytics_overview",
            "auth_overview",
            "daily_active_users",
            "daily_users",
            "email_overview",
            "login_methods",
            "payments_overview",
            "recently_active",
            "recently_registered",
            "total_users",
            "users_by_country",
        ]
    );
    assert_eq!(all["total_users"], 0);
    for series in ["daily_users", "daily_active_users"] {
        assert_eq!(activity(&server, &all[series], 0), 0);
    }
    assert_eq!(all["users_by_country"], json!({}));
    assert_eq!(all["recently_registered"], json!([]));
    assert_eq!(all["login_methods"], json!([]));
    let mut users = all["auth_overview"].clone();
    for split in ["daily_active_users_split", "daily_active_teams_split"] {
        let split = users.as_object_mut().unwrap().remove(split).unwrap();
        for part in ["total", "new", "retained", "reactivated"] {
            assert_eq!(activity(&server, &split[part], 0), 0);
        }
    }
    assert_eq!(
        users,
        json!({
            "verified_users": 0, "unverified_users": 0, "anonymous_users": 0, "total_teams": 0,
            "mau": 0, "total_users_filtered": 0,
        })
    );
    let mut payments = all["payments_overview"].clone();
    let daily = payments
        .as_object_mut()
        .unwrap()
        .remove("daily_subscriptions")
        .unwrap();
    assert_eq!(activity(&server, &daily, 0), 0);
    assert_eq!(
        payments,
        json!({
            "subscriptions_by_status": {}, "active_subscription_count": 0,
            "total_one_time_purchases": 0, "revenue_cents": 0, "mrr_cents": 0, "total_orders": 0,
            "checkout_conversion_rate": 0.0,
        })
    );
    let mail = &all["email_overview"];
    assert_eq!(mail["emails_by_status"], json!({}));
    assert_eq!(mail["deliverability_rate"], json!(0.0));
    assert_eq!(
        figure(&server, &mail["daily_emails_by_status"], 0, "in_progress"),
        0
    );
    let seen = &all["analytics_overview"];
    for series in ["daily_page_views", "daily_clicks", "daily_visitors"] {
        assert_eq!(activity(&server, &seen[series], 30), 0);
    }
    assert_eq!(figure(&server, &seen["daily_revenue"], 0, "new_cents"), 0);
    assert_eq!(
        figure(&server, &seen["daily_revenue"], 0, "refund_cents"),
        0
    );
    assert_eq!(seen["top_referrers"], json!([]));
    assert_eq!(seen["top_region"], Value::Null);
    for name in [
        "visitors",
        "online_live",
        "total_replays",
        "recent_replays",
        "total_revenue_cents",
    ] {
        assert_eq!(seen[name], 0, "{name}");
    }
    assert_eq!(seen["avg_session_seconds"], json!(0.0));
    assert_eq!(seen["revenue_per_visitor"], json!(0.0));
}

#[tokio::test]
async fn users_are_counted_by_kind() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let verified = unique_email();
    server
        .server("POST", "/users")
        .body(json!({
            "primary_email": verified, "primary_email_verified": true, "primary_email_auth_enabled": true,
            "otp_auth_enabled": true,
            "oauth_providers": [],
        }))
        .expect(201)
        .await;
    let user = server.sign_up(&unique_email()).await;
    server.clock.advance(1_000);
    let anonymous = server.anonymous().await;
    server.create_team(&user).await;
    let some = metrics(&server, "").await;
    let all = metrics(&server, "?include_anonymous=true").await;
    assert_eq!(
        (&some["total_users"], &all["total_users"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(activity(&server, &some["daily_users"], 0), 2);
    assert_eq!(activity(&server, &all["daily_users"], 0), 3);
    for metrics in [&some, &all] {
        let users = &metrics["auth_overview"];
        assert_eq!(users["verified_users"], 1);
        assert_eq!(users["unverified_users"], 1);
        assert_eq!(users["anonymous_users"], 1);
        assert_eq!(users["total_users_filtered"], metrics["total_users"]);
        let methods = json!([{"method": "otp", "count": 1}, {"method": "password", "count": 1}]);
        assert_eq!(metrics["login_methods"], methods);
    }
    assert_eq!(
        some["auth_overview"]["total_teams"],
        all["auth_overview"]["total_teams"]
    );
    let ids = |users: &Value| -> Vec<String> {
        let users = users.as_array().unwrap().iter();
        users
            .map(|user| user["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&some["recently_registered"]).len(), 2);
    assert_eq!(ids(&all["recently_registered"])[0], anonymous.user_id);
    assert_eq!(ids(&some["recently_active"]).len(), 2);
    assert_eq!(ids(&all["recently_active"])[0], anonymous.user_id);
    let shown = server
        .server("GET", &format!("/users/{}", user.user_id))
        .expect(200)
        .await;
    assert!(some["recently_active"].as_array().unwrap().contains(&shown));
    // Who comes back is the last, before anything was written.
    server.clock.advance(1_000);
    refresh(&server, &user).await;
    let later = metrics(&server, "?include_anonymous=true").await;
    assert_eq!(ids(&later["recently_active"])[0], user.user_id);
    let call = server.admin("GET", "/internal/metrics?include_anonymous=yes");
    call.refused(400, "SCHEMA_ERROR").await;
    let call = server.admin("GET", "/internal/metrics?limit=1");
    call.refused(400, "SCHEMA_ERROR").await;
}

#[tokio::test]
async fn active_users_are_told_apart_by_what_they_did_before() {
    let server = TestServer::start().await;
    let now = server.clock.now().0;
    let nowhere = Value::Null;
    let at = |days_ago: i64| now - days_ago * DAY;
    insert(
        &server,
        &[
            // New three days ago, retained, away for a day, back again.
            token(at(3), ANNA, false, &json!({"country_code": "NL"})),
            token(
                at(2),
                ANNA,
                false,
                &json!({"country_code": "DE", "region_code": "BE"}),
            ),
            token(at(2), ANNA, false, &nowhere),
            token(at(0), ANNA, false, &nowhere),
            // Seen before the days that are shown: not new, and not known of the day before them.
            token(at(40), BEN, false, &json!({"country_code": "US"})),
            token(at(31), BEN, false, &nowhere),
            token(at(30), BEN, false, &nowhere),
            token(
                at(0),
                CARL,
                true,
                &json!({"country_code": "FR", "region_code": "IDF"}),
            ),
            token(
                at(0),
                ODD,
                false,
                &json!({"country_code": "DE", "region_code": "BE"}),
            ),
        ],
    )
    .await;
    let some = metrics(&server, "").await;
    let all = metrics(&server, "?include_anonymous=true").await;
    for (days_ago, without, with) in [(0, 2, 3), (1, 0, 0), (2, 1, 1), (3, 1, 1), (30, 1, 1)] {
        assert_eq!(
            activity(&server, &some["daily_active_users"], days_ago),
            without
        );
        assert_eq!(
            activity(&server, &all["daily_active_users"], days_ago),
            with
        );
    }
    let split = &some["auth_overview"]["daily_active_users_split"];
    for (days_ago, new, retained, reactivated) in [
        (0, 1, 0, 1),
        (1, 0, 0, 0),
        (2, 0, 1, 0),
        (3, 1, 0, 0),
        (30, 0, 0, 1),
    ] {
        let of = |part: &str| activity(&server, &split[part], days_ago);
        assert_eq!(
            (of("new"), of("retained"), of("reactivated")),
            (new, retained, reactivated),
            "{days_ago}"
        );
        assert_eq!(of("total"), new + retained + reactivated);
    }
    assert_eq!(some["auth_overview"]["mau"], 2);
    assert_eq!(all["auth_overview"]["mau"], 3);
    assert_eq!(some["users_by_country"], json!({"DE": 2, "US": 1}));
    assert_eq!(all["users_by_country"], json!({"DE": 2, "US": 1, "FR": 1}));
    let region = json!({"country_code": "DE", "region_code": "BE", "count": 2});
    assert_eq!(some["analytics_overview"]["top_region"], region);
    assert_eq!(some["analytics_overview"]["online_live"], 3);
    server.clock.advance(5 * 60 * 1000 + 1);
    if date(server.clock.now().0) == date(now) {
        assert_eq!(
            metrics(&server, "").await["analytics_overview"]["online_live"],
            0
        );
    }
}

#[tokio::test]
async fn page_views_and_clicks_are_counted_by_whoever_made_them() {
    let server = TestServer::start().await;
    let now = server.clock.now().0;
    let view = |days_ago: i64, user, referrer: &str| {
        (
            "$page-view",
            now - days_ago * DAY,
            user,
            json!({"referrer": referrer}),
        )
    };
    let click = |user, data: Value| ("$click", now, user, data);
    insert(
        &server,
        &[
            token(now - 2 * DAY, CARL, false, &Value::Null),
            token(now - DAY, CARL, true, &Value::Null),
            token(now, ANNA, false, &Value::Null),
            view(0, ANNA, "https://search.example/"),
            view(0, ANNA, ""),
            view(0, BEN, "https://search.example/"),
            view(5, BEN, ""),
            view(31, BEN, "https://old.example/"),
            view(0, CARL, "https://carl.example/"),
            click(ANNA, json!({})),
            click(ANNA, json!({"is_anonymous": true})),
            click(CARL, json!({"is_anonymous": false})),
            click(CARL, json!({})),
        ],
    )
    .await;
    let some = metrics(&server, "").await;
    let seen = &some["analytics_overview"];
    assert_eq!(activity(&server, &seen["daily_page_views"], 0), 3);
    assert_eq!(activity(&server, &seen["daily_page_views"], 5), 1);
    assert_eq!(activity(&server, &seen["daily_clicks"], 0), 2);
    assert_eq!(activity(&server, &seen["daily_visitors"], 0), 2);
    assert_eq!(seen["visitors"], 2);
    let referrers = json!([
        {"referrer": "(direct)", "visitors": 2},
        {"referrer": "https://search.example/", "visitors": 2},
    ]);
    assert_eq!(seen["top_referrers"], referrers);
    let all = metrics(&server, "?include_anonymous=true").await;
    let seen = &all["analytics_overview"];
    assert_eq!(activity(&server, &seen["daily_page_views"], 0), 4);
    assert_eq!(activity(&server, &seen["daily_clicks"], 0), 4);
    assert_eq!(seen["visitors"], 3);
    assert_eq!(
        seen["top_referrers"][2]["referrer"],
        "https://carl.example/"
    );
}

#[tokio::test]
async fn mail_is_counted_by_what_became_of_it() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let email = unique_email();
    server.sign_in_code(&email).await;
    let sent = || async {
        metrics(&server, "").await["email_overview"]["emails_by_status"] == json!({"ok": 1})
    };
    eventually("the letter is sent", sent).await;
    let mail = metrics(&server, "").await["email_overview"].clone();
    assert_eq!(mail["total_emails"], 1);
    assert_eq!(mail["emails_sent"], 1);
    assert_eq!(activity(&server, &mail["daily_emails"], 0), 1);
    assert_eq!(figure(&server, &mail["daily_emails_by_status"], 0, "ok"), 1);
    assert_eq!(
        figure(&server, &mail["daily_emails_by_status"], 0, "error"),
        0
    );
    assert_eq!(
        mail["deliverability_status"],
        json!({"delivered": 1, "bounced": 0, "error": 0, "in_progress": 0})
    );
    assert_eq!(mail["deliverability_rate"], json!(100.0));
    let recent = &mail["recent_emails"][0];
    assert_eq!(recent["status"], "SENT");
    assert_eq!(recent["subject"], "(no subject)");
    assert_eq!(recent["created_at_millis"], server.clock.now().0);
    assert!(recent["id"].is_string());
}

#[tokio::test]
async fn purchases_are_counted() {
    let server = TestServer::start().await;
    let price = |interval: Value| {
        let mut price = json!({"USD": "5.00"});
        if !interval.is_null() {
            price["interval"] = interval;
        }
        json!({"only": price})
    };
    let product = |name: &str, prices: Value| {
        json!({
            "displayName": name, "customerType": "user", "serverOnly": false, "stackable": true,
            "prices": prices, "includedItems": {},
        })
    };
    server
        .override_settings(json!({
            "payments.testMode": true,
            "payments.products.monthly": product("Monthly", price(json!([1, "month"]))),
            "payments.products.once": product("Once", price(Value::Null)),
        }))
        .await;
    let user = server.sign_up(&unique_email()).await;
    for product in ["monthly", "once", "once"] {
        let path = format!("/payments/products/user/{}", user.user_id);
        server
            .server("POST", &path)
            .body(json!({"product_id": product}))
            .expect(200)
            .await;
    }
    let sold = metrics(&server, "").await["payments_overview"].clone();
    assert_eq!(sold["subscriptions_by_status"], json!({"active": 1}));
    assert_eq!(sold["active_subscription_count"], 1);
    assert_eq!(sold["total_one_time_purchases"], 2);
    assert_eq!(activity(&server, &sold["daily_subscriptions"], 0), 1);
    assert_eq!(sold["total_orders"], 2);
    assert_eq!(sold["checkout_conversion_rate"], json!(100.0));
}

/// Of a plan that Stripe charges for, three times within the days that are shown.
#[tokio::test]
async fn revenue_is_what_was_paid_of_invoices() {
    let shop = Shop::open().await;
    let ada = ["user", shop.ada.user_id.as_str()];
    shop.buy(ada, "silver", "monthly", 1).await;
    let subscription = shop.subscription();
    for _ in 0..3 {
        shop.advance(10 * DAY);
        let renewed = shop.stripe.renew(&subscription);
        shop.hear(&renewed).await;
    }
    shop.advance(DAY);
    let server = &shop.server;
    let all = metrics(server, "").await;
    let sold = &all["payments_overview"];
    assert_eq!(sold["revenue_cents"], 4 * 999);
    assert_eq!(sold["mrr_cents"], 3 * 999);
    assert_eq!(sold["total_orders"], 4);
    assert_eq!(sold["checkout_conversion_rate"], json!(100.0));
    let seen = &all["analytics_overview"];
    assert_eq!(seen["total_revenue_cents"], 4 * 999);
    assert_eq!(figure(server, &seen["daily_revenue"], 1, "new_cents"), 999);
    assert_eq!(figure(server, &seen["daily_revenue"], 1, "refund_cents"), 0);
    assert_eq!(figure(server, &seen["daily_revenue"], 2, "new_cents"), 0);
    assert_eq!(seen["revenue_per_visitor"], json!(0.0));
}

#[tokio::test]
async fn recordings_are_counted() {
    let server = observing().await;
    let user = server.sign_up(&unique_email()).await;
    let now = server.clock.now().0;
    record(&server, &user, now - 1_250, now).await;
    let seen = metrics(&server, "").await["analytics_overview"].clone();
    assert_eq!(
        (&seen["total_replays"], &seen["recent_replays"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(seen["avg_session_seconds"], json!(1.3));
    // Older than the days that are shown.
    let other = server.sign_up(&unique_email()).await;
    record(&server, &other, now - 32 * DAY, now).await;
    let seen = metrics(&server, "").await["analytics_overview"].clone();
    assert_eq!(
        (&seen["total_replays"], &seen["recent_replays"]),
        (&json!(2), &json!(1))
    );
}

async fn record(server: &TestServer, user: &Tokens, from: i64, to: i64) {
    server
        .client("POST", "/session-replays/batch")
        .user(user)
        .body(json!({
            "browser_session_id": SEGMENT, "session_replay_segment_id": SEGMENT, "batch_id": BATCH,
            "started_at_ms": from, "sent_at_ms": to,
            "events": [{"timestamp": from}, {"timestamp": to}],
        }))
        .expect(200)
        .await;
}

/// What this server itself recorded, and not only what a test wrote.
#[tokio::test]
async fn who_signs_in_is_active() {
    let server = TestServer::start().await;
    server.sign_up(&unique_email()).await;
    server.anonymous().await;
    events(&server, "$token-refresh", 2).await;
    let some = metrics(&server, "").await;
    assert_eq!(activity(&server, &some["daily_active_users"], 0), 1);
    assert_eq!(some["auth_overview"]["mau"], 1);
    assert_eq!(some["analytics_overview"]["online_live"], 2);
}

#[tokio::test]
async fn without_a_store_what_it_would_know_is_left_out() {
    let server = TestServer::start_analysing(None).await;
    server.sign_up(&unique_email()).await;
    let all = metrics(&server, "").await;
    assert_eq!(all["total_users"], 1);
    assert_eq!(activity(&server, &all["daily_active_users"], 0), 0);
    let seen = &all["analytics_overview"];
    for name in [
        "daily_page_views",
        "daily_clicks",
        "daily_visitors",
        "top_referrers",
    ] {
        assert_eq!(seen[name], json!([]), "{name}");
    }
    assert_eq!(seen["top_region"], Value::Null);
    for name in ["visitors", "online_live"] {
        assert_eq!(seen[name], 0);
    }
}

/// Active users have no fallback in the contract.
#[tokio::test]
async fn while_the_store_is_away_there_are_no_metrics() {
    let server = TestServer::start_analysing(Some(away())).await;
    server
        .admin("GET", "/internal/metrics")
        .refused_in_words(500)
        .await;
}
