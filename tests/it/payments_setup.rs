//! The project's account at Stripe, and the ways to pay it offers.

use futures_util::future::join_all;
use muniment::app::projects;
use muniment::clients::stripe::{MOCK_KEY, StripeAccess};
use muniment_domain::ProjectId;
use muniment_domain::project::ProjectCommand;
use muniment_event_store::EventContext;
use serde_json::{Value, json};

use crate::stripe_server::{StripeServer, Trouble};
use crate::support::{Call, DASHBOARD_URL, TestServer};

const SETUP: &str = "/internal/payments/setup";
const INFO: &str = "/internal/payments/stripe/account-info";
const SESSION: &str = "/internal/payments/stripe-widgets/account-session";
const METHODS: &str = "/internal/payments/method-configs";

async fn start() -> (StripeServer, TestServer) {
    let stripe = StripeServer::open().await;
    let server = TestServer::start_charging(stripe.access()).await;
    (stripe, server)
}

fn set_up(server: &TestServer) -> Call {
    server.admin("POST", SETUP).body(json!({}))
}

#[tokio::test]
async fn setting_up_makes_one_account_and_leads_to_its_owners_page() {
    let (stripe, server) = start().await;
    let answer = set_up(&server).expect(200).await;
    let accounts = stripe.all("account");
    assert_eq!(accounts.len(), 1);
    let account = &accounts[0];
    let id = account["id"].as_str().unwrap();
    assert_eq!(
        answer,
        json!({"url": format!("https://connect.stripe.com/setup/c/{id}")})
    );
    assert_eq!(account["metadata"]["tenancyId"], server.project.id);
    assert_eq!(account["country"], "US");
    assert_eq!(account["controller"]["stripe_dashboard"]["type"], "none");
    set_up(&server).expect(200).await;
    assert_eq!(stripe.all("account").len(), 1);
    let links = stripe.asked_for("POST", "/v1/account_links");
    let page = format!("{DASHBOARD_URL}/projects/{}/payments", server.project.id);
    for link in &links {
        assert_eq!(link.account, None);
        assert_eq!(link.params["account"], id);
        assert_eq!(link.params["refresh_url"], page.as_str());
        assert_eq!(link.params["return_url"], page.as_str());
    }
    let status = json!({"onboarding_status": "payments_setup"});
    let call = server.admin("PATCH", "/internal/projects/current");
    call.body(status).expect(200).await;
    set_up(&server).expect(200).await;
    let link = stripe.asked_for("POST", "/v1/account_links").pop().unwrap();
    let page = format!(
        "{DASHBOARD_URL}/new-project?project_id={}",
        server.project.id
    );
    assert_eq!(link.params["return_url"], page.as_str());
    server.assert_verified().await;
}

#[tokio::test]
async fn requests_at_the_same_time_make_one_account() {
    let (stripe, server) = start().await;
    join_all((0..8).map(|_| set_up(&server).expect(200))).await;
    assert_eq!(stripe.all("account").len(), 1);
    let info = server.admin("GET", INFO).expect(200).await;
    assert_eq!(info["account_id"], stripe.all("account")[0]["id"]);
    server.assert_verified().await;
}

#[tokio::test]
async fn a_project_keeps_its_first_account() {
    let (stripe, server) = start().await;
    server.set_up_payments().await;
    let first = stripe.all("account")[0]["id"].clone();
    let project = ProjectId::from_caller(&server.project.id);
    let context = EventContext::system(project.clone(), "test", server.clock.now());
    let other = ProjectCommand::ConnectStripe {
        account_id: "acct_other".to_owned(),
    };
    projects::change(server.app(), &context, &project, vec![other])
        .await
        .unwrap();
    let info = server.admin("GET", INFO).expect(200).await;
    assert_eq!(info["account_id"], first);
    server.assert_verified().await;
}

#[tokio::test]
async fn setting_up_wants_an_admin_and_an_empty_body() {
    let (stripe, server) = start().await;
    for call in [server.client("POST", SETUP), server.server("POST", SETUP)] {
        let call = call.body(json!({}));
        let details = call.refused(401, "INSUFFICIENT_ACCESS_TYPE").await;
        assert_eq!(details["allowed_access_types"], json!(["admin"]));
    }
    let call = server.admin("POST", SETUP).body(json!({"country": "DE"}));
    call.refused(400, "SCHEMA_ERROR").await;
    assert!(stripe.asked().is_empty());
}

#[tokio::test]
async fn an_account_that_could_not_be_made_is_not_remembered() {
    let (stripe, server) = start().await;
    stripe.trouble("/v1/accounts", &vec![Trouble::Status(500); 4]);
    set_up(&server).refused_in_words(503).await;
    server
        .admin("GET", INFO)
        .refused(404, "STRIPE_ACCOUNT_INFO_NOT_FOUND")
        .await;
    // Made, but nobody heard of it: the next time, it is the same one.
    stripe.trouble("/v1/accounts", &vec![Trouble::LostAnswer; 4]);
    set_up(&server).refused_in_words(503).await;
    set_up(&server).expect(200).await;
    assert_eq!(stripe.all("account").len(), 1);
}

#[tokio::test]
async fn a_server_without_stripe_says_so() {
    let server = TestServer::start().await;
    set_up(&server).refused_in_words(400).await;
    server
        .admin("GET", INFO)
        .refused(404, "STRIPE_ACCOUNT_INFO_NOT_FOUND")
        .await;
    server
        .admin("POST", SESSION)
        .body(json!({}))
        .refused_in_words(400)
        .await;
}

#[tokio::test]
async fn an_account_tells_what_it_may_do() {
    let (stripe, server) = start().await;
    server
        .admin("GET", INFO)
        .refused(404, "STRIPE_ACCOUNT_INFO_NOT_FOUND")
        .await;
    server
        .admin("POST", SESSION)
        .body(json!({}))
        .refused_in_words(400)
        .await;
    server.set_up_payments().await;
    let id = stripe.all("account")[0]["id"].as_str().unwrap().to_owned();
    let info = server.admin("GET", INFO).expect(200).await;
    let fresh = json!({
        "account_id": id,
        "charges_enabled": false,
        "details_submitted": false,
        "payouts_enabled": false,
    });
    assert_eq!(info, fresh);
    stripe.onboard(&id);
    let info = server.admin("GET", INFO).expect(200).await;
    assert_eq!(info["charges_enabled"], true);
    assert_eq!(info["details_submitted"], true);
    assert_eq!(info["payouts_enabled"], true);
    let session = server
        .admin("POST", SESSION)
        .body(json!({}))
        .expect(200)
        .await;
    assert!(
        session["client_secret"]
            .as_str()
            .unwrap()
            .starts_with("accs_secret")
    );
    let asked = stripe
        .asked_for("POST", "/v1/account_sessions")
        .pop()
        .unwrap();
    assert_eq!(
        (asked.account, &asked.params["account"]),
        (None, &json!(id))
    );
    let components = json!({
        "payments": {"enabled": "true", "features": {
            "refund_management": "true", "dispute_management": "true", "capture_payments": "true",
        }},
        "notification_banner": {"enabled": "true"},
        "payouts": {"enabled": "true", "features": {
            "instant_payouts": "true", "standard_payouts": "true",
            "edit_payout_schedule": "true", "external_account_collection": "true",
        }},
    });
    assert_eq!(asked.params["components"], components);
}

#[tokio::test]
async fn ways_to_pay_are_listed_and_switched() {
    let (stripe, server) = start().await;
    let switch = |config: &str, updates: Value| {
        let body = json!({"config_id": config, "updates": updates});
        server.admin("PATCH", METHODS).body(body)
    };
    server
        .admin("GET", METHODS)
        .refused(404, "STRIPE_ACCOUNT_INFO_NOT_FOUND")
        .await;
    switch("pmc", json!({})).expect(200).await;
    switch("pmc", json!({"cash": "on"}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    switch("pmc", json!({"card": "maybe"}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    switch("pmc", json!(["card"]))
        .refused(400, "SCHEMA_ERROR")
        .await;
    switch("pmc", json!({"card": "on"}))
        .refused(404, "STRIPE_ACCOUNT_INFO_NOT_FOUND")
        .await;
    server.set_up_payments().await;
    let account = stripe.all("account")[0]["id"].as_str().unwrap().to_owned();
    let listed = server.admin("GET", METHODS).expect(200).await;
    let own = format!("pmc_default_{account}");
    let method = |id: &str, name: &str, enabled: bool, available: bool| json!({"id": id, "name": name, "enabled": enabled, "available": available, "overridable": false});
    let expected = json!({"config_id": own, "methods": [
        method("card", "Credit/Debit Card", true, true),
        method("link", "Link", false, true),
        method("klarna", "Klarna", true, false),
    ]});
    assert_eq!(listed, expected);
    let answer = switch(&own, json!({"card": "off", "link": "on"}))
        .expect(200)
        .await;
    assert_eq!(answer, json!({"success": true}));
    let listed = server.admin("GET", METHODS).expect(200).await;
    assert_eq!(listed["methods"][0]["enabled"], false);
    assert_eq!(listed["methods"][1]["enabled"], true);
    switch("pmc_nowhere", json!({"card": "on"}))
        .refused_in_words(400)
        .await;
    // What the platform manages goes before what the account has of itself.
    stripe.put(
        &account,
        json!({
            "id": "pmc_platforms",
            "object": "payment_method_configuration",
            "application": "ca_1",
            "is_default": false,
            "alipay": {"display_preference": {"overridable": true, "value": "off"}},
            "card": "not an object",
            "eps": {"available": true},
        }),
    );
    let listed = server.admin("GET", METHODS).expect(200).await;
    let alipay = json!({"id": "alipay", "name": "Alipay", "enabled": false, "available": false, "overridable": true});
    assert_eq!(
        listed,
        json!({"config_id": "pmc_platforms", "methods": [alipay]})
    );
    // Nothing to choose from.
    for id in ["pmc_platforms", own.as_str()] {
        stripe.change(id, json!({"application": null, "is_default": false}));
    }
    server.admin("GET", METHODS).refused_in_words(500).await;
    for method in ["GET", "PATCH"] {
        let call = server.server(method, METHODS);
        call.refused(401, "INSUFFICIENT_ACCESS_TYPE").await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_stripe_is_told_and_the_key_is_not() {
    let (mut stripe, server) = start().await;
    server.set_up_payments().await;
    for (trouble, status) in [
        (vec![Trouble::Status(500); 4], 503),
        (vec![Trouble::Status(429); 4], 503),
        (vec![Trouble::Status(401)], 502),
        (vec![Trouble::Status(403)], 502),
        (vec![Trouble::Garbage], 502),
    ] {
        stripe.trouble("/v1/accounts", &trouble);
        let answer = server.admin("GET", INFO).send().await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert!(!answer.text.contains("sk_test"), "{}", answer.text);
        assert!(!answer.text.contains("Trouble"), "{}", answer.text);
    }
    stripe.break_down().await;
    let answer = server.admin("GET", INFO).send().await;
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.text);
    assert!(!answer.text.contains("127.0.0.1"), "{}", answer.text);
    stripe.recover().await;
    server.admin("GET", INFO).expect(200).await;
}

#[tokio::test]
async fn in_mock_mode_nothing_leaves_the_server() {
    let server = TestServer::start_charging(StripeAccess::with_key(MOCK_KEY)).await;
    let answer = set_up(&server).expect(200).await;
    let page = format!("{DASHBOARD_URL}/projects/{}/payments", server.project.id);
    assert_eq!(answer["url"], page);
    let info = server.admin("GET", INFO).expect(200).await;
    assert_eq!(info["charges_enabled"], true);
    let methods = server.admin("GET", METHODS).expect(200).await;
    assert_eq!(methods["methods"][0]["id"], "apple_pay");
    server
        .admin("POST", SESSION)
        .body(json!({}))
        .expect(200)
        .await;
}
