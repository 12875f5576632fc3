//! Contract 03 §7: which mails users want.

use serde_json::{Value, json};

use crate::support::{TestServer, unique_email};

const GHOST: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
const TRANSACTIONAL: &str = "7bb82d33-2f54-4a3d-9d23-82739e0d66ef";
const MARKETING: &str = "4f6f8873-3d04-46bd-8bef-18338b1a1b4c";

fn items(transactional: bool, marketing: bool) -> Value {
    json!([
        {"notification_category_id": TRANSACTIONAL, "notification_category_name": "Transactional",
         "enabled": transactional, "can_disable": false},
        {"notification_category_id": MARKETING, "notification_category_name": "Marketing",
         "enabled": marketing, "can_disable": true},
    ])
}

#[tokio::test]
async fn users_say_which_mails_they_want() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let mine = "/emails/notification-preference/me";
    let list = || server.client("GET", mine).user(&user);
    let listed = list().expect(200).await;
    assert_eq!(
        listed,
        json!({"items": items(true, true), "is_paginated": false})
    );
    let set = |category: &str, enabled: bool| {
        let path = format!("{mine}/{category}");
        let call = server.client("PATCH", &path).user(&user);
        call.body(json!({"enabled": enabled}))
    };
    for _ in 0..2 {
        let changed = set(MARKETING, false).expect(200).await;
        assert_eq!(changed, items(true, false)[1]);
    }
    assert_eq!(list().expect(200).await["items"], items(true, false));
    // What cannot be disabled is still stored as sent.
    assert_eq!(
        set(TRANSACTIONAL, false).expect(200).await,
        items(false, false)[0]
    );
    set(MARKETING, true).expect(200).await;
    let path = format!("/emails/notification-preference/{}", user.user_id);
    let seen = server.server("GET", &path).expect(200).await;
    assert_eq!(seen["items"], items(false, true));
    server.assert_verified().await;
    muniment_projections::maintenance::replay::replay(server.log(), &[], |_| ())
        .await
        .unwrap();
    server.assert_verified().await;
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    server.assert_verified().await;
}

#[tokio::test]
async fn preferences_are_refused_where_the_contract_says_so() {
    let server = TestServer::start().await;
    let (user, other) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let path = |user: &str| format!("/emails/notification-preference/{user}");
    let one = |user: &str, category: &str| format!("{}/{category}", path(user));
    let body = json!({"enabled": true});
    for (method, mine, theirs, ghosts) in [
        ("GET", path("me"), path(&user.user_id), path(GHOST)),
        (
            "PATCH",
            one("me", MARKETING),
            one(&user.user_id, MARKETING),
            one(GHOST, MARKETING),
        ),
    ] {
        let client = |path: &str| server.client(method, path).body(body.clone());
        let server_call = |path: &str| server.server(method, path).body(body.clone());
        client(&mine)
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await;
        server_call(&mine)
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await;
        client(&theirs)
            .refused(401, "USER_AUTHENTICATION_REQUIRED")
            .await;
        client(&theirs).user(&other).refused_in_words(403).await;
        client(&theirs).user(&user).expect(200).await;
        server_call(&theirs).expect(200).await;
        server_call(&ghosts).refused(404, "USER_NOT_FOUND").await;
    }
    // The category is looked at first.
    let call = server.client("PATCH", &one(&user.user_id, GHOST));
    call.body(body.clone()).refused_in_words(404).await;
    for bad in [
        json!({}),
        json!({"enabled": null}),
        json!({"enabled": "x"}),
        json!({"enabled": true, "x": 1}),
    ] {
        let call = server.server("PATCH", &one(&user.user_id, MARKETING));
        call.body(bad).refused(400, "SCHEMA_ERROR").await;
    }
    let call = server.server("PATCH", &one(&user.user_id, "nonsense"));
    call.body(body.clone()).refused(400, "SCHEMA_ERROR").await;
    let other = server.new_project(json!({})).await;
    let call = server.server_of(&other, "PATCH", &one(&user.user_id, MARKETING));
    call.body(body).refused(404, "USER_NOT_FOUND").await;
    let call = server.server_of(&other, "GET", &path(&user.user_id));
    call.refused(404, "USER_NOT_FOUND").await;
}
