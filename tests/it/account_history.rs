//! The history of an account, and its erasure.

use muniment_domain::UserId;
use muniment_projections::maintenance::history::{as_json, state_at, timeline};
use muniment_projections::maintenance::replay::replay;
use serde_json::json;

use crate::support::{PASSWORD, TestServer, eventually, unique_email};

#[tokio::test]
async fn an_account_can_be_seen_as_it_was() {
    let server = TestServer::start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    let id: UserId = user.user_id.parse().unwrap();
    let team = server.create_team(&user).await;
    let patch = |body| server.client("PATCH", "/users/me").user(&user).body(body);
    patch(json!({"display_name": "Before"})).expect(200).await;
    let then = timeline(server.log(), id)
        .await
        .unwrap()
        .events
        .last()
        .unwrap()
        .recorded_at;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    patch(json!({"display_name": "After"})).expect(200).await;
    server
        .client("DELETE", "/auth/sessions/current")
        .user(&user)
        .expect(200)
        .await;
    server
        .server("DELETE", &format!("/teams/{team}"))
        .expect(200)
        .await;
    let events = timeline(server.log(), id).await.unwrap().events;
    let types: Vec<&str> = events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    assert_eq!(
        types,
        [
            "UserCreated",
            "SessionStarted",
            "MemberAdded",
            "UserUpdated",
            "UserUpdated",
            "SessionEnded",
            "TeamDeleted",
        ]
    );
    let state = state_at(&events, id, then).unwrap();
    assert_eq!(state["user"]["display_name"], "Before");
    assert_eq!(state["user"]["primary_email"], email);
    assert_eq!(state["user"]["has_password"], true);
    assert_eq!(state["team_memberships"].as_array().unwrap().len(), 1);
    assert_eq!(state["sessions"].as_array().unwrap().len(), 1);
    let now = state_at(&events, id, events.last().unwrap().recorded_at).unwrap();
    assert_eq!(now["user"]["display_name"], "After");
    assert_eq!(
        (&now["team_memberships"], &now["sessions"]),
        (&json!([]), &json!([]))
    );
    let before = muniment_domain::Millis(events[0].recorded_at.0 - 1);
    assert_eq!(state_at(&events, id, before), None);
    let listed: String = events
        .iter()
        .map(|event| as_json(event).unwrap().to_string())
        .collect();
    assert!(!listed.contains("$argon2"), "no hash is shown");
}

#[tokio::test]
async fn a_deleted_user_is_erased_from_the_log() {
    let server = TestServer::start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    server.create_team(&user).await;
    let patch = server.client("PATCH", "/users/me").user(&user);
    patch
        .body(json!({"display_name": "Ada Lovelace", "client_metadata": {"iban": "NL00"}}))
        .expect(200)
        .await;
    server
        .server("DELETE", &format!("/users/{}", user.user_id))
        .expect(200)
        .await;
    eventually("the key is destroyed", || async {
        let keys: i64 =
            sqlx::query_scalar("SELECT count(wrapped_key) FROM subject_keys WHERE subject = $1")
                .bind(&user.user_id)
                .fetch_one(server.pool())
                .await
                .unwrap();
        keys == 0
    })
    .await;
    for trace in [email.as_str(), "Ada Lovelace", "NL00"] {
        let found: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM events WHERE events::text ILIKE '%' || $1 || '%'",
        )
        .bind(trace)
        .fetch_one(server.pool())
        .await
        .unwrap();
        assert_eq!(found, 0, "{trace}");
    }
    let id: UserId = user.user_id.parse().unwrap();
    let told: String = timeline(server.log(), id)
        .await
        .unwrap()
        .events
        .iter()
        .map(|event| as_json(event).unwrap().to_string())
        .collect();
    assert!(told.contains("UserDeleted"), "what happened is still known");
    assert!(
        !told.contains(&email) && !told.contains("Ada"),
        "but not to whom: {told}"
    );
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
    // The address is free again.
    let body = json!({"email": email, "password": PASSWORD});
    server
        .client("POST", "/auth/password/sign-up")
        .body(body)
        .expect(200)
        .await;
}
