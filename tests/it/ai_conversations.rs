//! Contract 04 §9: conversations of dashboard users with the assistant.

use muniment_domain::Personal;
use muniment_domain::ai_conversation::AiConversationEvent;
use muniment_event_store::{LedgerEvent, MasterKey};
use serde_json::{Value, json};

use crate::support::{Call, TestServer, Tokens, eventually, secret, unique_email};

const NOBODY: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";

/// A call of a dashboard user, below `/internal/ai-conversations`.
fn call(server: &TestServer, user: &Tokens, method: &str, path: &str) -> Call {
    let path = format!("/internal/ai-conversations{path}");
    server
        .client_of(&server.internal(), method, &path)
        .user(user)
}

async fn dashboard_user(server: &TestServer) -> Tokens {
    server.sign_up_to(&server.internal(), &unique_email()).await
}

async fn start(server: &TestServer, user: &Tokens, title: &str) -> String {
    let body = json!({
        "title": title, "projectId": server.project.id,
        "messages": [{"role": "user", "content": "a whispered question"}],
    });
    let started = call(server, user, "POST", "").body(body).expect(200).await;
    assert_eq!(started["title"], title);
    started["id"].as_str().unwrap().to_owned()
}

async fn titles(server: &TestServer, user: &Tokens, project: &str) -> Vec<String> {
    let path = format!("?projectId={project}");
    let list = call(server, user, "GET", &path).expect(200).await;
    let list = list["conversations"].as_array().unwrap().clone();
    let title = |item: &Value| item["title"].as_str().unwrap().to_owned();
    list.iter().map(title).collect()
}

#[tokio::test]
async fn a_conversation_is_kept_until_it_is_deleted() {
    let server = TestServer::start().await;
    let user = dashboard_user(&server).await;
    let id = start(&server, &user, "First").await;
    let path = format!("/{id}");
    let shown = call(&server, &user, "GET", &path).expect(200).await;
    let message = &shown["messages"][0];
    assert_eq!(
        shown,
        json!({"id": id, "title": "First", "projectId": server.project.id, "messages": [
            {"id": message["id"], "role": "user", "content": "a whispered question"}]})
    );
    let first_id = message["id"].clone();
    let messages = json!([
        {"role": "user", "content": {"parts": [1, "two", null]}},
        {"role": "assistant", "content": ["it", "depends"]},
        {"role": "user", "content": false},
    ]);
    let replaced =
        call(&server, &user, "PUT", &format!("/{id}/messages")).body(json!({"messages": messages}));
    assert_eq!(replaced.expect(200).await, json!({}));
    let renamed = call(&server, &user, "PATCH", &path).body(json!({"title": "Renamed"}));
    assert_eq!(renamed.expect(200).await, json!({}));
    let shown = call(&server, &user, "GET", &path).expect(200).await;
    assert_eq!(shown["title"], "Renamed");
    let kept = shown["messages"].as_array().unwrap();
    assert_eq!(kept.len(), 3);
    for (message, sent) in kept.iter().zip(messages.as_array().unwrap()) {
        assert_eq!(message["role"], sent["role"]);
        assert_eq!(message["content"], sent["content"]);
        assert_ne!(message["id"], first_id);
    }
    server.assert_verified().await;
    let deleted = call(&server, &user, "DELETE", &path).expect(200).await;
    assert_eq!(deleted, json!({}));
    call(&server, &user, "GET", &path)
        .refused_in_words(404)
        .await;
    assert!(titles(&server, &user, &server.project.id).await.is_empty());
    server.assert_verified().await;
}

#[tokio::test]
async fn the_list_shows_the_latest_fifty() {
    let server = TestServer::start().await;
    let user = dashboard_user(&server).await;
    let first = start(&server, &user, "0").await;
    for n in 1..51 {
        server.clock.advance(1);
        start(&server, &user, &n.to_string()).await;
    }
    let list = titles(&server, &user, &server.project.id).await;
    let expected: Vec<String> = (1..51).rev().map(|n| n.to_string()).collect();
    assert_eq!(list, expected);
    // Every change brings a conversation to the front, also one that changes nothing.
    server.clock.advance(1);
    let renamed = call(&server, &user, "PATCH", &format!("/{first}")).body(json!({"title": "0"}));
    renamed.expect(200).await;
    let path = format!("?projectId={}", server.project.id);
    let list = call(&server, &user, "GET", &path).expect(200).await;
    let front = &list["conversations"][0];
    let updated_at = front["updatedAt"].as_str().unwrap();
    assert_eq!(
        *front,
        json!({"id": first, "title": "0", "projectId": server.project.id, "updatedAt": updated_at})
    );
    assert_eq!(
        muniment::timestamp::parse(updated_at),
        Ok(server.clock.now())
    );
    assert_eq!(updated_at.len(), "2026-11-23T12:00:00.000Z".len());
    assert!(titles(&server, &user, NOBODY).await.is_empty());
}

#[tokio::test]
async fn only_the_owner_gets_at_a_conversation() {
    let server = TestServer::start().await;
    let owner = dashboard_user(&server).await;
    let other = dashboard_user(&server).await;
    let id = start(&server, &owner, "Mine").await;
    for id in [&id, NOBODY, "nonsense"] {
        for (method, path, body) in [
            ("GET", format!("/{id}"), None),
            ("DELETE", format!("/{id}"), None),
            ("PATCH", format!("/{id}"), Some(json!({"title": "x"}))),
            (
                "PUT",
                format!("/{id}/messages"),
                Some(json!({"messages": []})),
            ),
        ] {
            let call = call(&server, &other, method, &path);
            let call = match body {
                Some(body) => call.body(body),
                None => call,
            };
            call.refused_in_words(404).await;
        }
    }
    assert!(titles(&server, &other, &server.project.id).await.is_empty());
    assert_eq!(titles(&server, &owner, &server.project.id).await, ["Mine"]);
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let server = TestServer::start().await;
    let user = dashboard_user(&server).await;
    let good = json!({"title": "t", "projectId": server.project.id, "messages": []});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let mut incomplete = good.clone();
    incomplete.as_object_mut().unwrap().remove("messages");
    for body in [
        incomplete,
        with("title", Value::Null),
        with("extra", json!(1)),
        with("messages", json!([{"role": "system", "content": "x"}])),
        with("messages", json!([{"role": "user", "content": null}])),
        with("messages", json!([{"role": "user"}])),
        with(
            "messages",
            json!([{"role": "user", "content": 1, "id": "x"}]),
        ),
        with("messages", json!({"role": "user", "content": 1})),
    ] {
        call(&server, &user, "POST", "")
            .body(body)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let details = call(&server, &user, "POST", "")
        .body(with("projectId", json!(NOBODY)))
        .refused(404, "PROJECT_NOT_FOUND")
        .await;
    assert_eq!(details, json!({"project_id": NOBODY}));
    call(&server, &user, "GET", "")
        .refused(400, "SCHEMA_ERROR")
        .await;
    // Nobody signed in; a user of another project; both say so in the schema's terms.
    let internal = server.internal();
    let path = format!("/internal/ai-conversations?projectId={}", server.project.id);
    server
        .client_of(&internal, "GET", &path)
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .admin_of(&internal, "GET", &path)
        .refused(400, "SCHEMA_ERROR")
        .await;
    let customer = server.sign_up(&unique_email()).await;
    server
        .client("GET", &path)
        .user(&customer)
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .call("GET", &path)
        .refused(400, "ACCESS_TYPE_REQUIRED")
        .await;
    for secret in [
        server.server_of(&internal, "GET", &path),
        server.admin_of(&internal, "GET", &path),
    ] {
        secret.user(&user).expect(200).await;
    }
}

#[tokio::test]
async fn conversations_go_with_their_project() {
    let server = TestServer::start().await;
    let user = dashboard_user(&server).await;
    let id = start(&server, &user, "About to go").await;
    server
        .admin("DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    assert!(titles(&server, &user, &server.project.id).await.is_empty());
    let path = format!("/{id}");
    call(&server, &user, "GET", &path)
        .refused_in_words(404)
        .await;
    call(&server, &user, "PATCH", &path)
        .body(json!({"title": "x"}))
        .refused_in_words(404)
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn what_was_said_goes_with_its_owner_for_good() {
    let server = TestServer::start().await;
    let user = dashboard_user(&server).await;
    let id = start(&server, &user, "a whispered title").await;
    let put = call(&server, &user, "PUT", &format!("/{id}/messages"));
    let messages = json!([{"role": "assistant", "content": "a whispered answer"}]);
    put.body(json!({"messages": messages})).expect(200).await;
    let in_the_clear = "SELECT count(*) FROM events WHERE payload::text LIKE '%whispered%'";
    let in_the_clear: i64 = sqlx::query_scalar(in_the_clear)
        .fetch_one(server.pool())
        .await
        .unwrap();
    assert_eq!(in_the_clear, 0);
    let path = format!("/users/{}", user.user_id);
    server
        .server_of(&server.internal(), "DELETE", &path)
        .expect(200)
        .await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM ai_conversations")
        .fetch_one(server.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0);
    eventually("the owner's key is destroyed", || async {
        let keys =
            sqlx::query_scalar("SELECT count(wrapped_key) FROM subject_keys WHERE subject = $1");
        let keys: i64 = keys
            .bind(&user.user_id)
            .fetch_one(server.pool())
            .await
            .unwrap();
        keys == 0
    })
    .await;
    // Another process, which has not read the key before.
    let master = MasterKey::derive(secret().as_bytes());
    let log = muniment_projections::open_log(server.pool().clone(), master);
    let stream = log.stream("ai_conversation", &id).await.unwrap().events;
    assert_eq!(stream.len(), 3);
    for event in stream {
        match event.event {
            LedgerEvent::AiConversation(AiConversationEvent::AiConversationStarted(started)) => {
                assert_eq!(started.personal, Personal::Erased);
            }
            LedgerEvent::AiConversation(AiConversationEvent::AiMessagesReplaced(replaced)) => {
                assert_eq!(replaced.personal, Personal::Erased);
            }
            LedgerEvent::AiConversation(AiConversationEvent::AiConversationDeleted {}) => {}
            other => panic!("{other:?}"),
        }
    }
    server.assert_verified().await;
}
