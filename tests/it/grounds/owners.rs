//! What belongs to somebody who is gone: purchase links, transfer codes and API keys.

use serde_json::{Value, json};

use super::delete_user;
use crate::integrations::{HOST, provision};
use crate::payments_checkout::{CREATE, look, pay, start};
use crate::support::{TestServer, unique_email};

async fn link(server: &TestServer, customer: (&str, &str), product: &str) -> String {
    let (kind, id) = customer;
    let body = json!({"customer_type": kind, "customer_id": id, "product_id": product});
    let made = server.server("POST", CREATE).body(body).expect(200).await;
    made["url"]
        .as_str()
        .unwrap()
        .rsplit_once('/')
        .unwrap()
        .1
        .to_owned()
}

async fn events(server: &TestServer) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM events");
    count.fetch_one(server.pool()).await.unwrap()
}

#[tokio::test]
async fn a_purchase_link_goes_with_its_customer() {
    let (stripe, server) = start().await;
    let user = server.sign_up(&unique_email()).await;
    let owner = server.sign_up(&unique_email()).await;
    let team = server.create_team(&owner).await;
    let ours = json!({"customerType": "team", "prices": {"monthly": {"USD": "3", "interval": [1, "month"]}}});
    server
        .override_settings(json!({"payments.products.ours": ours}))
        .await;
    let of_user = link(&server, ("user", &user.user_id), "mine").await;
    let of_team = link(&server, ("team", &team), "ours").await;
    delete_user(&server, &user).expect(200).await;
    server
        .server("DELETE", &format!("/teams/{team}"))
        .expect(200)
        .await;
    let (before, calls) = (events(&server).await, stripe.all("subscription").len());
    for code in [&of_user, &of_team] {
        look(&server, code)
            .refused(404, "VERIFICATION_CODE_NOT_FOUND")
            .await;
        pay(&server, code, "monthly")
            .refused(404, "VERIFICATION_CODE_NOT_FOUND")
            .await;
        let path = "/internal/payments/test-mode-purchase-session";
        let body = json!({"full_code": code, "price_id": "monthly", "quantity": 1});
        let try_out = server.call("POST", path).body(body);
        try_out.refused(404, "VERIFICATION_CODE_NOT_FOUND").await;
    }
    assert_eq!(
        (events(&server).await, stripe.all("subscription").len()),
        (before, calls)
    );
    server.assert_verified().await;
}

#[tokio::test]
async fn a_transfer_code_goes_with_its_project() {
    let server = TestServer::start().await;
    let internal = server.internal();
    let user = server.sign_up_to(&internal, &unique_email()).await;
    let made = provision(&server, "custom", HOST).await;
    let path = "/integrations/custom/projects/transfer";
    let begin = server.call("POST", path).header("authorization", HOST);
    let begun = begin.body(json!({"project_id": made.id})).expect(200).await;
    let url = begun["confirmation_url"].as_str().unwrap();
    let code = url.rsplit_once('=').unwrap().1.to_owned();
    let call = |rest: &str| {
        let call = server.client_of(&internal, "POST", &format!("{path}/confirm{rest}"));
        call.user(&user).body(json!({"code": code}))
    };
    call("/check").expect(200).await;
    let delete = server.admin_of(&made, "DELETE", "/internal/projects/current");
    delete.expect(200).await;
    for rest in ["/check", "", "/check", ""] {
        call(rest).refused(404, "VERIFICATION_CODE_NOT_FOUND").await;
    }
    server.assert_verified().await;
}

#[tokio::test]
async fn api_keys_go_with_their_owner_and_not_with_a_member() {
    let server = TestServer::start().await;
    let enabled = json!({"allow_user_api_keys": true, "allow_team_api_keys": true});
    server.configure(enabled).await;
    let maker = server.sign_up(&unique_email()).await;
    let team = server.create_team(&maker).await;
    let issue = async |kind: &str, owner: &str| {
        let mut body = json!({"description": "ci", "expires_at_millis": null});
        body[format!("{kind}_id")] = json!(owner);
        let call = server
            .client("POST", &format!("/{kind}-api-keys"))
            .user(&maker);
        call.body(body).expect(200).await["value"].clone()
    };
    let of_user = issue("user", &maker.user_id).await;
    let of_team = issue("team", &team).await;
    let check = |kind: &str, key: &Value| {
        let call = server.server("POST", &format!("/{kind}-api-keys/check"));
        call.body(json!({"api_key": key}))
    };
    // Leaving takes neither: the one says who its holder is, the other is the team's.
    let membership = format!("/team-memberships/{team}/{}", maker.user_id);
    server.server("DELETE", &membership).expect(200).await;
    check("user", &of_user).expect(200).await;
    check("team", &of_team).expect(200).await;
    delete_user(&server, &maker).expect(200).await;
    check("user", &of_user)
        .refused(404, "API_KEY_NOT_FOUND")
        .await;
    check("team", &of_team).expect(200).await;
    server
        .server("DELETE", &format!("/teams/{team}"))
        .expect(200)
        .await;
    check("team", &of_team)
        .refused(404, "API_KEY_NOT_FOUND")
        .await;
    server.assert_verified().await;
}
