//! Who pays, and with which card.

use futures_util::future::join_all;
use muniment::clients::stripe::{MOCK_KEY, StripeAccess};
use serde_json::{Value, json};

use crate::stripe_server::{StripeServer, Trouble};
use crate::support::{Call, TestServer, Tokens, unique_email};

const NOBODY: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";

async fn start() -> (StripeServer, TestServer, Tokens) {
    let stripe = StripeServer::open().await;
    let server = TestServer::start_charging(stripe.access()).await;
    let ada = server.sign_up(&unique_email()).await;
    (stripe, server, ada)
}

fn billing(server: &TestServer, kind: &str, id: &str) -> Call {
    server.server("GET", &format!("/payments/billing/{kind}/{id}"))
}

fn setup_intent(server: &TestServer, kind: &str, id: &str) -> Call {
    let path = format!("/payments/payment-method/{kind}/{id}/setup-intent");
    server.server("POST", &path).body(json!({}))
}

fn set_default(server: &TestServer, kind: &str, id: &str, intent: &Value) -> Call {
    let path = format!("/payments/payment-method/{kind}/{id}/set-default");
    server
        .server("POST", &path)
        .body(json!({"setup_intent_id": intent}))
}

/// The id of the intent with that client secret.
fn intent_of(stripe: &StripeServer, answer: &Value) -> Value {
    stripe.by_secret(answer["client_secret"].as_str().unwrap())["id"].clone()
}

#[tokio::test]
async fn a_card_is_saved_and_made_the_default() {
    let (stripe, server, ada) = start().await;
    let id = ada.user_id.as_str();
    let nobody = json!({"has_customer": false, "default_payment_method": null});
    assert_eq!(billing(&server, "user", id).expect(200).await, nobody);
    setup_intent(&server, "user", id)
        .refused_in_words(400)
        .await;
    set_default(&server, "user", id, &json!("seti_1"))
        .refused_in_words(400)
        .await;
    server.set_up_payments().await;
    let account = stripe.all("account")[0]["id"].clone();
    // Looking makes no customer.
    assert_eq!(billing(&server, "user", id).expect(200).await, nobody);
    assert!(stripe.all("customer").is_empty());

    let begun = setup_intent(&server, "user", id).expect(200).await;
    assert_eq!(begun["stripe_account_id"], account);
    let asked = stripe.asked_for("POST", "/v1/setup_intents").pop().unwrap();
    assert_eq!(asked.account.as_deref(), account.as_str());
    assert_eq!(asked.params["usage"], "off_session");
    assert_eq!(asked.params["payment_method_types"], json!({"0": "card"}));
    let customers = stripe.all("customer");
    assert_eq!(customers.len(), 1);
    assert_eq!(
        customers[0]["metadata"],
        json!({"customerId": id, "customerType": "USER"})
    );
    let has_none = json!({"has_customer": true, "default_payment_method": null});
    assert_eq!(billing(&server, "user", id).expect(200).await, has_none);

    let intent = intent_of(&stripe, &begun);
    set_default(&server, "user", id, &intent)
        .refused_in_words(400)
        .await;
    let card = stripe.save_card(begun["client_secret"].as_str().unwrap());
    let shown =
        json!({"id": card, "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2040});
    let done = set_default(&server, "user", id, &intent).expect(200).await;
    assert_eq!(
        done,
        json!({"success": true, "default_payment_method": shown})
    );
    let customer = &stripe.all("customer")[0];
    let metadata = json!({
        "customerId": id,
        "customerType": "USER",
        "defaultPaymentMethodId": card,
        "default_payment_method_id": card,
        "hasPaymentMethod": "true",
    });
    assert_eq!(customer["metadata"], metadata);
    assert_eq!(customer["invoice_settings"]["default_payment_method"], card);
    let has_one = json!({"has_customer": true, "default_payment_method": shown});
    assert_eq!(billing(&server, "user", id).expect(200).await, has_one);

    // The second intent finds the customer again.
    setup_intent(&server, "user", id).expect(200).await;
    assert_eq!(stripe.all("customer").len(), 1);
}

#[tokio::test]
async fn clients_reach_their_own_cards_and_those_of_teams_they_administrate() {
    let (_stripe, server, ada) = start().await;
    server.set_up_payments().await;
    let eve = server.sign_up(&unique_email()).await;
    let team = server.create_team(&ada).await;
    server.add_member(&team, &eve).await;
    let own = format!("/payments/payment-method/user/{}/setup-intent", ada.user_id);
    let of_team = format!("/payments/payment-method/team/{team}/setup-intent");
    for path in [&own, &of_team] {
        server.client("POST", path).user(&ada).expect(200).await;
        server
            .client("POST", path)
            .refused(401, "USER_AUTHENTICATION_REQUIRED")
            .await;
    }
    let billing = format!("/payments/billing/team/{team}");
    let answer = server.client("GET", &billing).user(&ada).expect(200).await;
    assert_eq!(answer["has_customer"], true);
    server
        .client("POST", &own)
        .user(&eve)
        .refused_in_words(403)
        .await;
    server
        .client("POST", &of_team)
        .user(&eve)
        .refused(401, "TEAM_PERMISSION_REQUIRED")
        .await;
    let path = format!("/payments/payment-method/user/{}/set-default", ada.user_id);
    let call = server.client("POST", &path).user(&eve);
    call.body(json!({"setup_intent_id": "seti_1"}))
        .refused_in_words(403)
        .await;
    let stranger = server.sign_up(&unique_email()).await;
    server
        .client("GET", &billing)
        .user(&stranger)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
}

#[tokio::test]
async fn only_users_and_teams_that_exist_have_cards() {
    let (stripe, server, ada) = start().await;
    server.set_up_payments().await;
    billing(&server, "custom", "acme")
        .refused(400, "SCHEMA_ERROR")
        .await;
    setup_intent(&server, "custom", "acme")
        .refused(400, "SCHEMA_ERROR")
        .await;
    set_default(&server, "custom", "acme", &json!("x"))
        .refused(400, "SCHEMA_ERROR")
        .await;
    set_default(&server, "user", &ada.user_id, &json!({}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    for id in [NOBODY, "no-uuid"] {
        billing(&server, "user", id)
            .refused(404, "USER_NOT_FOUND")
            .await;
        setup_intent(&server, "user", id)
            .refused(404, "USER_NOT_FOUND")
            .await;
        let details = billing(&server, "team", id)
            .refused(404, "TEAM_NOT_FOUND")
            .await;
        assert_eq!(details, json!({"team_id": id}));
    }
    for id in ["seti_nowhere", "../customers", ""] {
        set_default(&server, "user", &ada.user_id, &json!(id))
            .refused_in_words(400)
            .await;
    }
    assert!(stripe.all("customer").is_empty());
}

#[tokio::test]
async fn an_intent_of_somebody_else_saves_no_card() {
    let (stripe, server, ada) = start().await;
    server.set_up_payments().await;
    let eve = server.sign_up(&unique_email()).await;
    let begun = setup_intent(&server, "user", &ada.user_id)
        .expect(200)
        .await;
    stripe.save_card(begun["client_secret"].as_str().unwrap());
    let intent = intent_of(&stripe, &begun);
    set_default(&server, "user", &eve.user_id, &intent)
        .refused_in_words(403)
        .await;
    stripe.change(intent.as_str().unwrap(), json!({"customer": null}));
    set_default(&server, "user", &ada.user_id, &intent)
        .refused_in_words(403)
        .await;
    // Succeeded, and yet there is no card: that cannot be.
    let own = setup_intent(&server, "user", &ada.user_id)
        .expect(200)
        .await;
    let intent = intent_of(&stripe, &own);
    stripe.change(intent.as_str().unwrap(), json!({"status": "succeeded"}));
    set_default(&server, "user", &ada.user_id, &intent)
        .refused_in_words(500)
        .await;
    let asked = stripe.asked_for("POST", "/v1/customers/");
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn a_customer_is_found_before_the_search_knows_it() {
    let (stripe, server, ada) = start().await;
    server.set_up_payments().await;
    stripe.let_search_lag();
    join_all((0..6).map(|_| setup_intent(&server, "user", &ada.user_id).expect(200))).await;
    assert_eq!(stripe.all("customer").len(), 1);
    let account = stripe.all("account")[0]["id"].as_str().unwrap().to_owned();
    // Many others, so that it is far down the list; an hour later, so that no key remembers it.
    for nth in 0..250 {
        stripe.put(
            &account,
            json!({"id": format!("cus_other_{nth}"), "object": "customer", "metadata": {}}),
        );
    }
    server.clock.advance(60 * 60 * 1000);
    setup_intent(&server, "user", &ada.user_id)
        .expect(200)
        .await;
    assert_eq!(stripe.all("customer").len(), 251);
    assert!(stripe.asked_for("GET", "/v1/customers").len() > 3);
}

#[tokio::test]
async fn a_user_and_a_team_of_the_same_id_are_not_mixed_up() {
    let (stripe, server, ada) = start().await;
    server.set_up_payments().await;
    let account = stripe.all("account")[0]["id"].as_str().unwrap().to_owned();
    let put = |id: &str, kind: Value| {
        let metadata = json!({"customerId": ada.user_id, "customerType": kind});
        stripe.put(
            &account,
            json!({"id": id, "object": "customer", "metadata": metadata}),
        );
    };
    put("cus_team", json!("TEAM"));
    let look = || billing(&server, "user", &ada.user_id);
    assert_eq!(look().expect(200).await["has_customer"], false);
    put("cus_user", json!("USER"));
    assert_eq!(look().expect(200).await["has_customer"], true);
    stripe.change("cus_team", json!({"metadata": {"customerId": ada.user_id}}));
    // Now both may be meant, and no card may be charged by guessing.
    look().refused_in_words(500).await;
    setup_intent(&server, "user", &ada.user_id)
        .refused_in_words(500)
        .await;
    stripe.change("cus_team", json!({"deleted": true}));
    assert_eq!(look().expect(200).await["has_customer"], true);
}

#[tokio::test]
async fn trouble_at_stripe_is_told() {
    let (mut stripe, server, ada) = start().await;
    server.set_up_payments().await;
    let id = ada.user_id.as_str();
    stripe.trouble("/v1/setup_intents", &vec![Trouble::Status(500); 4]);
    setup_intent(&server, "user", id)
        .refused_in_words(503)
        .await;
    // A secret that is missing cannot be made up.
    let bare = json!({"id": "seti_1", "status": "requires_payment_method"});
    stripe.trouble("/v1/setup_intents", &[Trouble::Answer(bare)]);
    setup_intent(&server, "user", id)
        .refused_in_words(500)
        .await;
    let begun = setup_intent(&server, "user", id).expect(200).await;
    assert_eq!(stripe.all("customer").len(), 1);
    stripe.save_card(begun["client_secret"].as_str().unwrap());
    let intent = intent_of(&stripe, &begun);
    stripe.break_down().await;
    billing(&server, "user", id).refused_in_words(503).await;
    set_default(&server, "user", id, &intent)
        .refused_in_words(503)
        .await;
    stripe.recover().await;
    set_default(&server, "user", id, &intent).expect(200).await;
    // An account that is no longer the platform's.
    let account = stripe.all("account")[0]["id"].as_str().unwrap().to_owned();
    stripe.change(&account, json!({"object": "former account"}));
    billing(&server, "user", id).refused_in_words(502).await;
}

#[tokio::test]
async fn in_mock_mode_everybody_has_a_card() {
    let server = TestServer::start_charging(StripeAccess::with_key(MOCK_KEY)).await;
    let ada = server.sign_up(&unique_email()).await;
    server.set_up_payments().await;
    let id = ada.user_id.as_str();
    let begun = setup_intent(&server, "user", id).expect(200).await;
    let (intent, _) = begun["client_secret"]
        .as_str()
        .unwrap()
        .split_once("_secret")
        .unwrap();
    let done = set_default(&server, "user", id, &json!(intent))
        .expect(200)
        .await;
    assert_eq!(done["default_payment_method"]["last4"], "4242");
    assert_eq!(
        billing(&server, "user", id).expect(200).await["has_customer"],
        true
    );
}
