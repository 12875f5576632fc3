//! The client for Stripe, against a Stripe of the tests' own.

use std::collections::BTreeMap;

use muniment::clients::stripe::{
    ConnectedStripe, MOCK_KEY, Metadata, NewPaymentIntent, PaymentBehavior, Preference,
    RecurringPrice, Stripe, StripeAccess, StripeError, SubscriptionTerms,
};
use muniment::security::secrets::Random;
use muniment_domain::customer::{DayInterval, Unit};
use serde_json::json;

use crate::stripe_server::{DECLINED_CARD, KEY, StripeServer, Trouble, signature};

fn client(server: &StripeServer) -> Stripe {
    Stripe::new(server.access(), Random::seeded(1)).unwrap()
}

async fn connected(server: &StripeServer) -> ConnectedStripe {
    let stripe = client(server);
    let account = stripe.create_account("project").await.unwrap();
    stripe.on(&account.id)
}

fn metadata(fields: &[(&str, &str)]) -> Metadata {
    let pairs = fields.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn terms<'t>(
    product: &'t str,
    metadata: &'t Metadata,
    card: Option<&'t str>,
) -> SubscriptionTerms<'t> {
    SubscriptionTerms {
        price: RecurringPrice {
            product,
            amount: 1050,
            interval: DayInterval(3, Unit::Month),
        },
        quantity: 2,
        behavior: match card {
            Some(_) => PaymentBehavior::ErrorIfIncomplete,
            None => PaymentBehavior::DefaultIncomplete,
        },
        default_payment_method: card,
        metadata,
        key: None,
    }
}

#[tokio::test]
async fn accounts_are_made_once_and_read() {
    let server = StripeServer::open().await;
    let stripe = client(&server);
    let made = stripe.create_account("project").await.unwrap();
    assert!(!made.charges_enabled);
    assert_eq!(made.metadata["tenancyId"], "project");
    assert_eq!(stripe.create_account("project").await.unwrap().id, made.id);
    assert_ne!(stripe.create_account("other").await.unwrap().id, made.id);
    server.onboard(&made.id);
    let read = stripe.retrieve_account(&made.id).await.unwrap();
    assert!(read.charges_enabled && read.details_submitted && read.payouts_enabled);
    let link = stripe
        .create_account_link(&made.id, "https://example.com/back")
        .await
        .unwrap();
    assert!(link.url.starts_with("https://connect.stripe.com/"));
    let session = stripe.create_account_session(&made.id).await.unwrap();
    assert!(!session.client_secret.is_empty());
    let asked = server.asked_for("POST", "/v1/account_sessions");
    let features = &asked[0].params["components"]["payouts"]["features"];
    assert_eq!(features["external_account_collection"], "true");
    let methods = stripe.on(&made.id);
    let off = BTreeMap::from([("card".to_owned(), Preference::Off)]);
    let configurations = methods.list_payment_method_configurations().await.unwrap();
    let id = configurations[0].id.clone();
    methods
        .update_payment_method_configuration(&id, &off)
        .await
        .unwrap();
    assert_eq!(
        server.object(&id)["card"]["display_preference"]["value"],
        "off"
    );
    assert_eq!(
        server.object(&id)["link"]["display_preference"]["value"],
        "off"
    );
}

#[tokio::test]
async fn customers_are_searched_listed_and_changed() {
    let server = StripeServer::open().await;
    let stripe = connected(&server).await;
    let awkward = r"it's a \ name";
    let ada = stripe
        .create_customer(&metadata(&[("customerId", awkward)]), Some("ada"))
        .await
        .unwrap();
    let again = stripe
        .create_customer(&metadata(&[("customerId", awkward)]), Some("ada"))
        .await
        .unwrap();
    assert_eq!(ada.id, again.id);
    assert_eq!(
        stripe.search_customers(awkward).await.unwrap()[0].id,
        ada.id
    );
    assert!(stripe.search_customers("nobody").await.unwrap().is_empty());
    server.let_search_lag();
    let bob = stripe
        .create_customer(&metadata(&[("customerId", "bob")]), None)
        .await
        .unwrap();
    assert!(stripe.search_customers("bob").await.unwrap().is_empty());
    let listed = stripe.list_customers(None).await.unwrap();
    assert_eq!(listed.data[0].id, bob.id);
    let rest = stripe.list_customers(Some(&bob.id)).await.unwrap();
    assert_eq!(rest.data[0].id, ada.id);
    server.index();
    assert_eq!(stripe.search_customers("bob").await.unwrap()[0].id, bob.id);

    assert!(stripe.first_card(&bob.id).await.unwrap().is_none());
    let setup = stripe.create_setup_intent(&bob.id).await.unwrap();
    let card = server.save_card(&setup.client_secret.unwrap());
    let setup = stripe.retrieve_setup_intent(&setup.id).await.unwrap();
    assert_eq!(setup.status, "succeeded");
    assert_eq!(setup.customer.unwrap().id(), bob.id);
    assert_eq!(setup.payment_method.unwrap().id(), card);
    stripe
        .update_customer_metadata(&bob.id, &metadata(&[("hasPaymentMethod", "true")]))
        .await
        .unwrap();
    stripe
        .set_default_payment_method(&bob.id, &card)
        .await
        .unwrap();
    let read = stripe.retrieve_customer(&bob.id).await.unwrap();
    assert_eq!(
        read.metadata,
        metadata(&[("customerId", "bob"), ("hasPaymentMethod", "true")])
    );
    let shown = stripe
        .first_card(&bob.id)
        .await
        .unwrap()
        .unwrap()
        .card
        .unwrap();
    assert_eq!(shown.last4.as_deref(), Some("4242"));
}

#[tokio::test]
async fn payments_subscriptions_and_refunds() {
    let server = StripeServer::open().await;
    let stripe = connected(&server).await;
    let nothing = Metadata::new();
    let customer = stripe.create_customer(&nothing, None).await.unwrap().id;
    let wanted = NewPaymentIntent {
        amount: 1050,
        customer: &customer,
        metadata: &metadata(&[("purchaseKind", "ONE_TIME")]),
        key: None,
    };
    let intent = stripe.create_payment_intent(wanted).await.unwrap();
    let events = server.pay(&intent.client_secret.unwrap());
    assert_eq!(events[0]["type"], "payment_intent.succeeded");
    assert_eq!(events[0]["account"], stripe.account());
    assert_eq!(events[0]["data"]["object"]["amount_received"], 1050);
    stripe
        .create_refund(&intent.id, 50, &nothing, None)
        .await
        .unwrap();
    let too_much = stripe
        .create_refund(&intent.id, 1001, &nothing, None)
        .await
        .unwrap_err();
    assert_eq!(too_much.refusal().unwrap().status, 400);

    let product = stripe.create_product("Gold", None).await.unwrap().id;
    let named = metadata(&[("priceId", "monthly")]);
    let made = stripe
        .create_subscription(&customer, terms(&product, &named, None))
        .await
        .unwrap();
    assert_eq!(made.status, "incomplete");
    let events = server.pay(made.client_secret().unwrap());
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"invoice.paid"), "{kinds:?}");
    let read = stripe.retrieve_subscription(&made.id).await.unwrap();
    assert_eq!((read.status.as_str(), read.metadata), ("active", named));
    let item = &read.items.data[0];
    assert_eq!(item.quantity, Some(2));
    assert!(item.current_period_end > item.current_period_start);
    let price = &server.object(&made.id)["items"]["data"][0]["price"];
    assert_eq!(price["unit_amount"], 1050);
    assert_eq!(
        price["recurring"],
        json!({"interval": "month", "interval_count": 3})
    );

    let invoice = read.latest_invoice.unwrap().id().to_owned();
    let invoice = stripe.retrieve_invoice(&invoice).await.unwrap();
    let paid_by = invoice.paid_by().unwrap();
    assert_eq!(server.object(paid_by)["amount"], 2100);
    server.renew(&made.id);
    server.fail_renewal(&made.id, "open");
    assert_eq!(server.object(&made.id)["status"], "past_due");

    let other = metadata(&[("priceId", "yearly")]);
    let changed = stripe
        .update_subscription(&made.id, &item.id, terms(&product, &other, None))
        .await
        .unwrap();
    assert!(changed.client_secret().is_some());
    assert_eq!(changed.metadata, other);
    let none = stripe
        .update_subscription_quantity(&made.id, &item.id, 0, None)
        .await
        .unwrap();
    assert!(none.cancel_at_period_end);
    assert_eq!(
        stripe.cancel_subscription(&made.id).await.unwrap().status,
        "canceled"
    );
    assert!(
        stripe
            .cancel_subscription(&made.id)
            .await
            .unwrap_err()
            .is_missing()
    );
    assert_eq!(stripe.list_subscriptions(&customer).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_declined_card_stops_a_switch() {
    let server = StripeServer::open().await;
    let stripe = connected(&server).await;
    let customer = stripe
        .create_customer(&Metadata::new(), None)
        .await
        .unwrap()
        .id;
    let product = stripe.create_product("Gold", None).await.unwrap().id;
    let card = stripe.attach_test_card(&customer).await.unwrap().id;
    let named = metadata(&[("priceId", "monthly")]);
    let made = stripe
        .create_subscription(&customer, terms(&product, &named, Some(&card)))
        .await
        .unwrap();
    assert_eq!(server.object(&made.id)["status"], "active");
    server.change(&card, json!({"token": DECLINED_CARD}));
    let item = made.items.data[0].id.clone();
    let other = metadata(&[("priceId", "yearly")]);
    let refused = stripe
        .update_subscription(&made.id, &item, terms(&product, &other, Some(&card)))
        .await
        .unwrap_err();
    assert!(refused.is_card_error());
    assert_eq!(server.object(&made.id)["metadata"]["priceId"], "monthly");
}

#[tokio::test]
async fn all_subscriptions_are_read_however_many_pages_there_are() {
    let server = StripeServer::open().await;
    let stripe = connected(&server).await;
    for nth in 0..205 {
        let subscription = json!({
            "id": format!("sub_many_{nth}"),
            "object": "subscription",
            "customer": "cus_many",
            "status": "canceled",
            "items": {"data": []},
        });
        server.put(stripe.account(), subscription);
    }
    let all = stripe.list_subscriptions("cus_many").await.unwrap();
    assert_eq!(all.len(), 205);
}

#[tokio::test]
async fn calls_are_repeated_until_they_work_and_done_once() {
    let server = StripeServer::open().await;
    let stripe = connected(&server).await;
    let trouble = [
        Trouble::Status(429),
        Trouble::Status(409),
        Trouble::LostAnswer,
    ];
    server.trouble("/v1/customers", &trouble);
    let nobody = Metadata::new();
    let made = stripe.create_customer(&nobody, None).await.unwrap();
    assert_eq!(server.all("customer").len(), 1);
    assert_eq!(server.all("customer")[0]["id"], made.id);
    let asked = server.asked_for("POST", "/v1/customers");
    assert_eq!(asked.len(), 4);
    assert!(
        asked
            .iter()
            .all(|it| it.key.is_some() && it.key == asked[0].key)
    );
    // The next one is another.
    stripe.create_customer(&nobody, None).await.unwrap();
    assert_eq!(server.all("customer").len(), 2);
}

#[tokio::test]
async fn trouble_that_stays_is_told_without_the_key() {
    let mut server = StripeServer::open().await;
    let stripe = connected(&server).await;
    server.trouble("/v1/customers", &vec![Trouble::Status(500); 4]);
    let error = stripe.retrieve_customer("cus_1").await.unwrap_err();
    assert!(error.is_outage(), "{error}");
    assert_eq!(server.asked_for("GET", "/v1/customers").len(), 4);
    server.trouble("/v1/customers", &[Trouble::Garbage]);
    let error = stripe.retrieve_customer("cus_1").await.unwrap_err();
    assert!(matches!(error, StripeError::Unreadable { .. }), "{error}");
    assert!(
        stripe
            .retrieve_customer("cus_1")
            .await
            .unwrap_err()
            .is_missing()
    );
    server.break_down().await;
    let error = stripe.retrieve_customer("cus_1").await.unwrap_err();
    assert!(matches!(error, StripeError::Unreachable { .. }), "{error}");
    assert!(error.is_outage());
    server.recover().await;
    let access = StripeAccess {
        secret_key: "sk_test_wrong_key".to_owned(),
        ..server.access()
    };
    assert!(!format!("{access:?}").contains("wrong_key"));
    let wrong = Stripe::new(access, Random::seeded(1)).unwrap();
    let error = wrong.retrieve_account("acct_1").await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, 401);
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("wrong_key") && !text.contains(KEY), "{text}");
    }
}

#[tokio::test]
async fn ids_lead_nowhere_else() {
    let server = StripeServer::open().await;
    let stripe = connected(&server).await;
    let before = server.asked().len();
    for id in ["", "..", "../customers", "a/b", "a?b", "%2e%2e", "a b"] {
        let refused = stripe.retrieve_setup_intent(id).await.unwrap_err();
        assert!(refused.is_missing(), "{id}");
    }
    assert_eq!(server.asked().len(), before);
}

#[tokio::test]
async fn the_mock_answers_every_call() {
    let stripe = Stripe::new(StripeAccess::with_key(MOCK_KEY), Random::seeded(1)).unwrap();
    assert!(stripe.is_mock());
    let account = stripe.create_account("project").await.unwrap();
    let read = stripe.retrieve_account(&account.id).await.unwrap();
    assert!(read.charges_enabled);
    assert_eq!(read.metadata["tenancyId"], "project");
    let link = stripe
        .create_account_link(&account.id, "https://example.com/back")
        .await
        .unwrap();
    assert_eq!(link.url, "https://example.com/back");
    stripe.create_account_session(&account.id).await.unwrap();
    let connected = stripe.on(&account.id);
    assert!(
        !connected
            .list_payment_method_configurations()
            .await
            .unwrap()
            .is_empty()
    );
    connected
        .update_payment_method_configuration("pmc_mock", &BTreeMap::new())
        .await
        .unwrap();
    let customer = connected
        .search_customers("anybody")
        .await
        .unwrap()
        .remove(0);
    let nothing = Metadata::new();
    assert_eq!(
        connected.list_customers(None).await.unwrap().data[0].id,
        customer.id
    );
    connected.create_customer(&nothing, None).await.unwrap();
    connected
        .update_customer_metadata(&customer.id, &nothing)
        .await
        .unwrap();
    connected
        .set_default_payment_method(&customer.id, "pm_1")
        .await
        .unwrap();
    assert!(
        !connected
            .retrieve_customer(&customer.id)
            .await
            .unwrap()
            .deleted
    );
    assert!(connected.first_card(&customer.id).await.unwrap().is_some());
    connected.attach_test_card(&customer.id).await.unwrap();
    let setup = connected.create_setup_intent(&customer.id).await.unwrap();
    assert!(setup.client_secret.is_some());
    let setup = connected.retrieve_setup_intent(&setup.id).await.unwrap();
    assert_eq!(setup.status, "succeeded");
    let intent = NewPaymentIntent {
        amount: 1,
        customer: &customer.id,
        metadata: &nothing,
        key: None,
    };
    assert!(
        connected
            .create_payment_intent(intent)
            .await
            .unwrap()
            .client_secret
            .is_some()
    );
    let product = connected.create_product("Gold", None).await.unwrap().id;
    let made = connected
        .create_subscription(&customer.id, terms(&product, &nothing, None))
        .await
        .unwrap();
    assert!(made.client_secret().is_some());
    let read = connected.retrieve_subscription(&made.id).await.unwrap();
    let item = &read.items.data[0].id;
    connected
        .update_subscription(&made.id, item, terms(&product, &nothing, None))
        .await
        .unwrap();
    connected
        .update_subscription_quantity(&made.id, item, 1, None)
        .await
        .unwrap();
    assert_eq!(
        connected
            .cancel_subscription(&made.id)
            .await
            .unwrap()
            .status,
        "canceled"
    );
    assert!(
        connected
            .list_subscriptions(&customer.id)
            .await
            .unwrap()
            .is_empty()
    );
    let invoice = connected.retrieve_invoice("in_1").await.unwrap();
    let paid_by = invoice.paid_by().unwrap();
    connected
        .create_refund(paid_by, 1, &nothing, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn mock_data_goes_over_the_answers_of_the_mock_only() {
    let stripe = Stripe::new(StripeAccess::with_key(MOCK_KEY), Random::seeded(1)).unwrap();
    let data = json!({"customers.retrieve": {"metadata": {"customerType": "USER"}}});
    let data = data.as_object().unwrap().clone();
    let overlaid = stripe.with_mock_data(data.clone()).unwrap();
    let customer = overlaid
        .on("acct_1")
        .retrieve_customer("cus_1")
        .await
        .unwrap();
    assert_eq!(customer.id, "cus_1");
    assert_eq!(customer.metadata["customerType"], "USER");
    let plain = stripe
        .on("acct_1")
        .retrieve_customer("cus_1")
        .await
        .unwrap();
    assert!(plain.metadata.is_empty());
    let server = StripeServer::open().await;
    assert!(client(&server).with_mock_data(data).is_none());
}

#[tokio::test]
async fn signatures_are_hex_of_the_hmac() {
    // Computed with: printf '1.{}' | openssl dgst -sha256 -hmac secret
    let expected = "t=1,v1=1122767b193110cfec322b6f199b599edbf608ed087f2d27afb0b97d99523908";
    assert_eq!(signature("secret", "{}", 1), expected);
}

#[tokio::test]
async fn the_fake_tells_what_happens_in_events() {
    let server = StripeServer::open().await;
    let stripe = connected(&server).await;
    server.set_now(1_900_000_000);
    let nothing = Metadata::new();
    let customer = stripe.create_customer(&nothing, None).await.unwrap().id;
    let wanted = NewPaymentIntent {
        amount: 1050,
        customer: &customer,
        metadata: &nothing,
        key: None,
    };
    let intent = stripe.create_payment_intent(wanted).await.unwrap();
    let failed = server.decline(&intent.client_secret.unwrap()).remove(0);
    assert_eq!(failed["type"], "payment_intent.payment_failed");
    assert_eq!(failed["created"], 1_900_000_000);
    let object = &failed["data"]["object"];
    assert_eq!(
        object["last_payment_error"]["message"],
        "Your card was declined."
    );
    let product = stripe.create_product("Gold", None).await.unwrap().id;
    let made = stripe
        .create_subscription(&customer, terms(&product, &nothing, None))
        .await
        .unwrap();
    let deleted = server.cancel(&made.id).remove(0);
    assert_eq!(deleted["type"], "customer.subscription.deleted");
    assert_eq!(deleted["data"]["object"]["ended_at"], 1_900_000_000);
    let updated = server.event("customer.updated", &customer);
    assert_eq!(updated["data"]["object"]["id"], customer);
    assert_ne!(updated["id"], deleted["id"]);
}
