//! Contract 07 §11.B: the part of Svix's API by which a project's webhooks are managed here.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{Call, Project, TestServer, eventually};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A project's application, managed with its token.
struct Application<'s> {
    server: &'s TestServer,
    id: String,
    token: String,
}

impl<'s> Application<'s> {
    async fn of(server: &'s TestServer, project: &Project) -> Self {
        let call = server.admin_of(project, "POST", "/webhooks/svix-token");
        let answer = call.body(json!({})).expect(201).await;
        assert_eq!(answer.as_object().unwrap().len(), 1);
        Self {
            server,
            id: project.id.clone(),
            token: answer["token"].as_str().unwrap().to_owned(),
        }
    }

    /// A call below `/app/{id}`.
    fn call(&self, method: &str, path: &str) -> Call {
        self.any(method, &format!("/app/{}{path}", self.id))
    }

    fn any(&self, method: &str, path: &str) -> Call {
        self.server
            .call(method, path)
            .header("authorization", &format!("Bearer {}", self.token))
    }

    async fn endpoint(&self, receiver: &Receiver, more: Value) -> String {
        let mut body = json!({"url": receiver.url()});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made = self.call("POST", "/endpoint").body(body).expect(201).await;
        made["id"].as_str().unwrap().to_owned()
    }

    async fn send(&self, kind: &str, n: usize) -> Value {
        let body = json!({"eventType": kind, "payload": {"type": kind, "n": n}});
        self.call("POST", "/msg").body(body).expect(202).await
    }

    async fn attempts(&self, endpoint: &str, query: &str) -> Value {
        let path = format!("/attempt/endpoint/{endpoint}?{query}");
        self.call("GET", &path).expect(200).await
    }

    async fn wait_for_attempts(&self, endpoint: &str, count: usize) {
        eventually("the attempts are logged", || async {
            let listed = self.attempts(endpoint, "").await;
            listed["data"].as_array().unwrap().len() >= count
        })
        .await;
    }
}

/// Demands an error in Svix's shape.
async fn refused(call: Call, status: u16, code: &str) {
    let answer = call.expect(status).await;
    assert_eq!(answer["code"], code, "{answer}");
    assert!(answer["detail"].is_string());
}

/// Demands a validation error about that place.
async fn invalid(call: Call, location: &[&str]) {
    let answer = call.expect(422).await;
    let found = answer["detail"].as_array().unwrap().iter();
    let found: Vec<&Value> = found.map(|detail| &detail["loc"]).collect();
    assert!(found.contains(&&json!(location)), "{answer}");
    assert!(answer["detail"][0]["msg"].is_string());
    assert!(answer["detail"][0]["type"].is_string());
}

#[tokio::test]
async fn an_endpoint_is_made_changed_and_deleted() {
    let server = TestServer::start().await;
    let app = Application::of(&server, &server.project).await;
    let body = json!({
        "url": "https://example.com/hook", "uid": "mine", "description": "d",
        "filterTypes": ["user.created"], "channels": ["a"], "metadata": {"k": "v"},
        "rateLimit": 5, "headers": {"x-a": "1"}, "newer": true,
    });
    let made = app.call("POST", "/endpoint").body(body).expect(201).await;
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("ep_") && id.len() == 30);
    assert_eq!(
        made,
        json!({
            "id": id, "uid": "mine", "url": "https://example.com/hook", "description": "d",
            "disabled": false, "filterTypes": ["user.created"], "eventTypes": ["user.created"],
            "channels": ["a"], "rateLimit": 5, "throttleRate": 5, "version": 1,
            "metadata": {"k": "v"}, "createdAt": made["createdAt"], "updatedAt": made["createdAt"],
        })
    );
    let created = made["createdAt"].as_str().unwrap();
    assert_eq!(muniment::timestamp::parse(created), Ok(server.clock.now()));
    for name in [id, "mine"] {
        let path = format!("/endpoint/{name}");
        assert_eq!(app.call("GET", &path).expect(200).await, made);
    }
    // A part, under the newer names.
    let change = json!({"eventTypes": null, "throttleRate": null, "disabled": true});
    let patched = app.call("PATCH", "/endpoint/mine").body(change);
    let patched = patched.expect(200).await;
    assert_eq!(patched["filterTypes"], Value::Null);
    assert_eq!(patched["rateLimit"], Value::Null);
    assert_eq!(patched["disabled"], true);
    assert_eq!(patched["description"], "d");
    assert_eq!(patched["uid"], "mine");
    // Everything but the headers.
    let put = app
        .call("PUT", "/endpoint/mine")
        .body(json!({"url": "http://b.example.com"}));
    let put = put.expect(200).await;
    assert_eq!(put["url"], "http://b.example.com");
    assert_eq!(put["disabled"], false);
    assert_eq!(put["metadata"], json!({}));
    for (name, empty) in [
        ("uid", Value::Null),
        ("channels", Value::Null),
        ("description", json!("")),
    ] {
        assert_eq!(put[name], empty, "{name}");
    }
    let path = format!("/endpoint/{id}");
    let headers = format!("{path}/headers");
    let shown = app.call("GET", &headers).expect(200).await;
    assert_eq!(shown, json!({"headers": {"x-a": "1"}, "sensitive": []}));
    let change = json!({"headers": {"x-a": null, "x-b": "2", "x-c": "3"}, "deleteHeaders": []});
    let patched = app.call("PATCH", &headers).body(change).send().await;
    assert_eq!(patched.status.as_u16(), 204);
    let shown = app.call("GET", &headers).expect(200).await;
    assert_eq!(shown["headers"], json!({"x-b": "2", "x-c": "3"}));
    let put = app
        .call("PUT", &headers)
        .body(json!({"headers": {"x-d": "4"}}));
    assert_eq!(put.send().await.status.as_u16(), 204);
    let shown = app.call("GET", &headers).expect(200).await;
    assert_eq!(shown["headers"], json!({"x-d": "4"}));
    let deleted = app.call("DELETE", &path).send().await;
    assert_eq!(deleted.status.as_u16(), 204);
    refused(app.call("GET", &path), 404, "not_found").await;
    refused(app.call("DELETE", &path), 404, "not_found").await;
}

#[tokio::test]
async fn endpoints_are_listed_by_pages() {
    let server = TestServer::start().await;
    let app = Application::of(&server, &server.project).await;
    for n in 0..3 {
        server.clock.advance(1);
        let body = json!({"url": format!("https://example.com/{n}")});
        app.call("POST", "/endpoint").body(body).expect(201).await;
    }
    let list = async |query: String| {
        let list = app
            .call("GET", &format!("/endpoint?{query}"))
            .expect(200)
            .await;
        let urls = list["data"].as_array().unwrap().iter();
        let urls: Vec<String> = urls
            .map(|item| {
                item["url"]
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        (urls.concat(), list)
    };
    let (first, page) = list("limit=2".to_owned()).await;
    assert_eq!((first.as_str(), &page["done"]), ("01", &json!(false)));
    let (second, page) = list(format!(
        "limit=2&iterator={}",
        page["iterator"].as_str().unwrap()
    ))
    .await;
    assert_eq!((second.as_str(), &page["done"]), ("2", &json!(true)));
    let (back, _) = list(format!(
        "limit=2&iterator={}",
        page["prevIterator"].as_str().unwrap()
    ))
    .await;
    assert_eq!(back, "01");
    let (descending, _) = list("order=descending".to_owned()).await;
    assert_eq!(descending, "210");
    let (none, page) = list("iterator=ep_unknown".to_owned()).await;
    assert_eq!((none.as_str(), &page["iterator"]), ("", &Value::Null));
    invalid(app.call("GET", "/endpoint?limit=251"), &["query", "limit"]).await;
    invalid(app.call("GET", "/endpoint?order=x"), &["query", "order"]).await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_svixs_words() {
    let server = TestServer::start().await;
    let app = Application::of(&server, &server.project).await;
    for (body, place) in [
        (json!({}), "url"),
        (json!({"url": "ftp://example.com"}), "url"),
        (
            json!({"url": "https://a", "filterTypes": ["nonsense"]}),
            "filterTypes",
        ),
        (
            json!({"url": "https://a", "eventTypes": "user.created"}),
            "eventTypes",
        ),
        (json!({"url": "https://a", "uid": "a b"}), "uid"),
        (json!({"url": "https://a", "rateLimit": 0}), "rateLimit"),
        (
            json!({"url": "https://a", "metadata": {"a": 1}}),
            "metadata",
        ),
        (json!({"url": "https://a", "secret": "short"}), "secret"),
        (
            json!({"url": "https://a", "headers": {"svix-id": "x"}}),
            "headers",
        ),
    ] {
        invalid(app.call("POST", "/endpoint").body(body), &["body", place]).await;
    }
    for (body, place) in [
        (json!({"eventType": "a b", "payload": {}}), "eventType"),
        (json!({"eventType": "a"}), "payload"),
        (json!({"eventType": "a", "payload": 1}), "payload"),
    ] {
        invalid(app.call("POST", "/msg").body(body), &["body", place]).await;
    }
    let body = json!({"url": "https://a", "uid": "one"});
    let made = app
        .call("POST", "/endpoint")
        .body(body.clone())
        .expect(201)
        .await;
    refused(app.call("POST", "/endpoint").body(body), 409, "conflict").await;
    let other = app
        .call("POST", "/endpoint")
        .body(json!({"url": "https://b"}));
    let other = other.expect(201).await["id"].as_str().unwrap().to_owned();
    let taken = app
        .call("PATCH", &format!("/endpoint/{other}"))
        .body(json!({"uid": "one"}));
    refused(taken, 409, "conflict").await;
    let id = made["id"].as_str().unwrap();
    for (method, path, body, place) in [
        (
            "POST",
            format!("/endpoint/{id}/recover"),
            json!({}),
            "since",
        ),
        (
            "POST",
            format!("/endpoint/{id}/replay-missing"),
            json!({"since": "x"}),
            "since",
        ),
        (
            "POST",
            format!("/endpoint/{id}/secret/rotate"),
            json!({"key": "x"}),
            "key",
        ),
        (
            "PUT",
            format!("/endpoint/{id}/headers"),
            json!({"headers": {"host": "x"}}),
            "headers",
        ),
        (
            "PATCH",
            format!("/endpoint/{id}/headers"),
            json!({"headers": {"host": "x"}}),
            "headers",
        ),
    ] {
        invalid(app.call(method, &path).body(body), &["body", place]).await;
    }
    let attempts = format!("/attempt/endpoint/{id}?status=4");
    invalid(app.call("GET", &attempts), &["query", "status"]).await;
}

#[tokio::test]
async fn messages_are_sent_signed_and_looked_up() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let app = Application::of(&server, &server.project).await;
    let id = app
        .endpoint(&receiver, json!({"filterTypes": ["stack.test"]}))
        .await;
    let secret = app
        .call("GET", &format!("/endpoint/{id}/secret"))
        .expect(200)
        .await;
    let secret = secret["key"].as_str().unwrap().to_owned();
    let body = json!({
        "eventType": "stack.test", "eventId": "order-1", "channels": ["a"],
        "payload": {"type": "stack.test", "ü": [1, 2.5]},
    });
    let sent = app
        .call("POST", "/msg?with_content=false")
        .body(body.clone())
        .expect(202)
        .await;
    assert_eq!(sent["payload"], json!({}));
    refused(app.call("POST", "/msg").body(body.clone()), 409, "conflict").await;
    app.send("other.kind", 0).await;
    let arrived = receiver.first("stack.test").await;
    assert_eq!(arrived.id(), sent["id"].as_str().unwrap());
    assert_eq!(arrived.body(), body["payload"]);
    assert!(arrived.is_signed_with(&secret));
    for name in [sent["id"].as_str().unwrap(), "order-1"] {
        let path = format!("/msg/{name}?with_content=true");
        let shown = app.call("GET", &path).expect(200).await;
        assert_eq!(shown["payload"], body["payload"]);
        assert_eq!(shown["eventId"], "order-1");
        assert_eq!(shown["eventType"], "stack.test");
        assert_eq!(shown["channels"], json!(["a"]));
        assert_eq!(shown["timestamp"], sent["timestamp"]);
    }
    refused(app.call("GET", "/msg/msg_x"), 404, "not_found").await;

    // Rotated to a key of one's own: both sign.
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let rotate = app.call("POST", &format!("/endpoint/{id}/secret/rotate"));
    assert_eq!(
        rotate
            .body(json!({"key": own}))
            .send()
            .await
            .status
            .as_u16(),
        204
    );
    let resend = format!("/msg/order-1/endpoint/{id}/resend");
    assert_eq!(app.call("POST", &resend).expect(202).await, json!({}));
    let again = receiver.nth("stack.test", 2).await;
    assert_eq!(again.id(), arrived.id());
    assert!(again.is_signed_with(own) && again.is_signed_with(&secret));
    app.wait_for_attempts(&id, 2).await;
    let by_message = app.call("GET", "/attempt/msg/order-1").expect(200).await;
    let triggers = by_message["data"].as_array().unwrap().iter();
    let triggers: Vec<&Value> = triggers.map(|attempt| &attempt["triggerType"]).collect();
    assert!(triggers.contains(&&json!(0)) && triggers.contains(&&json!(1)));
    assert_eq!(receiver.received().len(), 2);
    app.call("PATCH", &format!("/endpoint/{id}"))
        .body(json!({"disabled": true}))
        .expect(200)
        .await;
    refused(app.call("POST", &resend), 400, "bad_request").await;
}

#[tokio::test]
async fn attempts_are_listed_filtered_and_made_again() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let app = Application::of(&server, &server.project).await;
    let id = app.endpoint(&receiver, json!({})).await;
    for n in 0..3 {
        app.send("some.kind", n).await;
        app.wait_for_attempts(&id, n + 1).await;
        server.clock.advance(1);
    }
    let split = server.clock.now();
    receiver.answer(500);
    server.clock.advance(1);
    let failing = app.send("other.kind", 3).await;
    app.wait_for_attempts(&id, 4).await;

    let list = app
        .attempts(&id, "with_msg=true&with_content=true&limit=1")
        .await;
    let newest = &list["data"][0];
    assert_eq!(
        *newest,
        json!({
            "id": newest["id"], "msgId": failing["id"], "endpointId": id, "url": receiver.url(),
            "status": 2, "statusText": "fail", "responseStatusCode": 500, "response": "noted",
            "responseDurationMs": newest["responseDurationMs"], "triggerType": 0,
            "timestamp": newest["timestamp"],
            "msg": {"id": failing["id"], "eventId": null, "eventType": "other.kind",
                    "payload": {"type": "other.kind", "n": 3}, "channels": null,
                    "timestamp": failing["timestamp"], "tags": null},
        })
    );
    assert_eq!(list["done"], false);
    let bare = app.attempts(&id, "with_content=false&limit=1").await;
    assert_eq!(bare["data"][0]["response"], "");
    assert!(bare["data"][0].get("msg").is_none());

    // On to older ones, and back.
    let page = |iterator: &Value| {
        format!(
            "limit=2&with_msg=true&iterator={}",
            iterator.as_str().unwrap()
        )
    };
    let numbers = |list: &Value| -> Vec<i64> {
        let data = list["data"].as_array().unwrap().iter();
        data.map(|attempt| attempt["msg"]["payload"]["n"].as_i64().unwrap())
            .collect()
    };
    let first = app.attempts(&id, "limit=2&with_msg=true").await;
    assert_eq!(numbers(&first), [3, 2]);
    let second = app.attempts(&id, &page(&first["iterator"])).await;
    assert_eq!(
        (numbers(&second), &second["done"]),
        (vec![1, 0], &json!(true))
    );
    let back = app.attempts(&id, &page(&second["prevIterator"])).await;
    assert_eq!((numbers(&back), &back["done"]), (vec![3, 2], &json!(true)));

    let count = async |query: &str| {
        app.attempts(&id, query).await["data"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("status=0").await, 3);
    assert_eq!(count("status=2").await, 1);
    assert_eq!(count("status=1").await, 0);
    assert_eq!(count("event_types=other.kind").await, 1);
    assert_eq!(count("event_types=other.kind,some.kind").await, 4);
    let split = muniment::timestamp::format_with_millis(split);
    assert_eq!(count(&format!("after={split}")).await, 1);
    assert_eq!(count(&format!("before={split}")).await, 3);

    let stats = format!("/endpoint/{id}/stats");
    let stats = app.call("GET", &stats).expect(200).await;
    assert_eq!(
        stats,
        json!({"success": 3, "pending": 1, "sending": 0, "fail": 0, "canceled": 0})
    );
    receiver.answer(200);
    let recover = app.call("POST", &format!("/endpoint/{id}/recover"));
    let task = recover.body(json!({"since": split})).expect(202).await;
    assert_eq!(
        (&task["status"], &task["task"]),
        (&json!("finished"), &json!("endpoint.recover"))
    );
    receiver.nth("other.kind", 2).await;

    // Whoever comes later gets what was missed.
    let late = Receiver::open().await;
    let second = app
        .endpoint(&late, json!({"filterTypes": ["stack.test"]}))
        .await;
    app.call("PATCH", &format!("/endpoint/{second}"))
        .body(json!({"filterTypes": null}))
        .expect(200)
        .await;
    let replay = app.call("POST", &format!("/endpoint/{second}/replay-missing"));
    let task = replay
        .body(json!({"since": split, "until": null}))
        .expect(202)
        .await;
    assert_eq!(task["task"], "endpoint.replay");
    assert!(task["id"].as_str().unwrap().starts_with("qtask_"));
    late.first("other.kind").await;
    assert_eq!(late.received().len(), 1);
    let filter = format!(
        "/attempt/msg/{}?endpoint_id={second}",
        failing["id"].as_str().unwrap()
    );
    eventually("one attempt there", || async {
        let list = app.call("GET", &filter).expect(200).await;
        list["data"].as_array().unwrap().len() == 1
    })
    .await;
}

#[tokio::test]
async fn what_happens_in_the_project_is_listed_as_well() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let app = Application::of(&server, &server.project).await;
    let id = app.endpoint(&receiver, json!({})).await;
    let user = server
        .server("POST", "/users")
        .body(json!({}))
        .expect(201)
        .await;
    receiver.first("user.created").await;
    app.wait_for_attempts(&id, 1).await;
    let list = app.attempts(&id, "with_msg=true").await;
    assert_eq!(list["data"][0]["msg"]["payload"]["data"]["id"], user["id"]);
    // The two faces show the same.
    let path = format!("/internal/webhooks/endpoints/{id}");
    let shown = server.admin("GET", &path).expect(200).await;
    assert_eq!(shown["url"], receiver.url());
}

#[tokio::test]
async fn a_rate_limit_keeps_messages_apart() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let app = Application::of(&server, &server.project).await;
    app.endpoint(&receiver, json!({"rateLimit": 1})).await;
    let begun = Instant::now();
    for n in 0..3 {
        app.send("some.kind", n).await;
    }
    receiver.nth("some.kind", 3).await;
    assert!(
        begun.elapsed() >= Duration::from_millis(1_900),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn the_application_is_the_projects() {
    let server = TestServer::start().await;
    let app = Application::of(&server, &server.project).await;
    let body = json!({"name": "x", "uid": app.id});
    for path in ["/app?get_if_exists=true", "/app/?get_if_exists=true"] {
        let found = app.any("POST", path).body(body.clone()).expect(200).await;
        assert_eq!(found["uid"], app.id.as_str());
        assert_eq!(found["id"], app.id.as_str());
        assert_eq!(found["name"], "Test");
    }
    refused(app.any("POST", "/app").body(body), 409, "conflict").await;
    let other = json!({"name": "x", "uid": "another"});
    let call = app.any("POST", "/app?get_if_exists=true").body(other);
    refused(call, 403, "insufficient_permissions").await;
    invalid(
        app.any("POST", "/app").body(json!({"uid": app.id})),
        &["body", "name"],
    )
    .await;
    let path = format!("/auth/app-portal-access/{}", app.id);
    let access = app
        .any("POST", &path)
        .body(json!({"featureFlags": []}))
        .expect(200)
        .await;
    assert!(access["url"].as_str().unwrap().starts_with("http"));
    let renewed = Application {
        token: access["token"].as_str().unwrap().to_owned(),
        ..app
    };
    renewed.call("GET", "/endpoint").expect(200).await;
    // It does not outlive the one that it was asked for with.
    server.clock.advance(DAY);
    refused(
        renewed.call("GET", "/endpoint"),
        401,
        "authentication_failed",
    )
    .await;
}

/// Every route that names an application.
fn routes(endpoint: &str, message: &str) -> Vec<(&'static str, String)> {
    let one = format!("/endpoint/{endpoint}");
    vec![
        ("GET", "/endpoint".to_owned()),
        ("POST", "/endpoint".to_owned()),
        ("GET", one.clone()),
        ("PUT", one.clone()),
        ("PATCH", one.clone()),
        ("DELETE", one.clone()),
        ("GET", format!("{one}/secret")),
        ("POST", format!("{one}/secret/rotate")),
        ("GET", format!("{one}/headers")),
        ("PUT", format!("{one}/headers")),
        ("PATCH", format!("{one}/headers")),
        ("GET", format!("{one}/stats")),
        ("POST", format!("{one}/recover")),
        ("POST", format!("{one}/replay-missing")),
        ("POST", "/msg".to_owned()),
        ("GET", format!("/msg/{message}")),
        ("GET", format!("/attempt/endpoint/{endpoint}")),
        ("GET", format!("/attempt/msg/{message}")),
        ("POST", format!("/msg/{message}/endpoint/{endpoint}/resend")),
    ]
}

/// A body that every route takes.
fn any_body() -> Value {
    json!({"url": "https://stolen.example.com", "headers": {"x-a": "1"}, "key": null,
           "since": "2020-01-01T00:00:00Z", "eventType": "a", "payload": {"type": "a"}})
}

#[tokio::test]
async fn a_token_never_reaches_another_application() {
    let (server, receiver) = (TestServer::start().await, Receiver::open().await);
    let victim = Application::of(&server, &server.project).await;
    let thief = Application::of(&server, &server.new_project(json!({})).await).await;
    let endpoint = victim.endpoint(&receiver, json!({"uid": "theirs"})).await;
    let message = victim.send("some.kind", 1).await;
    let message = message["id"].as_str().unwrap();
    victim.wait_for_attempts(&endpoint, 1).await;
    let before = victim.call("GET", "/endpoint").expect(200).await;
    for (method, path) in routes(&endpoint, message) {
        let foreign = format!("/app/{}{path}", victim.id);
        refused(
            thief.any(method, &foreign).body(any_body()),
            404,
            "not_found",
        )
        .await;
        let none = server.call(method, &foreign).body(any_body());
        refused(none, 401, "authentication_failed").await;
        let garbage = server.call(method, &foreign).body(any_body());
        let garbage = garbage.header("authorization", "Bearer nonsense");
        refused(garbage, 401, "authentication_failed").await;
        // Their things are not found in one's own application either.
        if path.contains(&endpoint) || path.contains(message) {
            let own = thief.call(method, &path).body(any_body());
            refused(own, 404, "not_found").await;
        }
    }
    refused(thief.call("GET", "/endpoint/theirs"), 404, "not_found").await;
    let path = format!("/auth/app-portal-access/{}", victim.id);
    refused(thief.any("POST", &path).body(json!({})), 404, "not_found").await;
    assert_eq!(victim.call("GET", "/endpoint").expect(200).await, before);
    assert_eq!(receiver.received().len(), 1);
    // Access tokens are no tokens of this kind.
    let user = server.sign_up("a@example.com").await;
    let call = server.call("GET", &format!("/app/{}/endpoint", victim.id));
    let call = call.header("authorization", &format!("Bearer {}", user.access));
    refused(call, 401, "authentication_failed").await;
}

#[tokio::test]
async fn a_token_ends_with_its_day_and_its_project() {
    let server = TestServer::start().await;
    let app = Application::of(&server, &server.project).await;
    server.clock.advance(DAY - 1_000);
    app.call("GET", "/endpoint").expect(200).await;
    server.clock.advance(1_000);
    refused(app.call("GET", "/endpoint"), 401, "authentication_failed").await;
    let app = Application::of(&server, &server.project).await;
    server
        .admin("DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    refused(app.call("GET", "/endpoint"), 401, "authentication_failed").await;
}

#[tokio::test]
async fn of_two_changes_of_an_endpoints_headers_both_are_kept() {
    let server = TestServer::start().await;
    let project = server.new_project(json!({})).await;
    let application = Application::of(&server, &project).await;
    let receiver = Receiver::open().await;
    let endpoint = application.endpoint(&receiver, json!({})).await;
    let headers = format!("/endpoint/{endpoint}/headers");
    let mut holding = server.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM webhook_endpoints FOR UPDATE")
        .execute(&mut *holding)
        .await
        .unwrap();
    let change = |name: &str| {
        tokio::spawn(
            application
                .call("PATCH", &headers)
                .body(json!({"headers": {name: "1"}}))
                .send(),
        )
    };
    let changes = [change("x-one"), change("x-two")];
    eventually("both wait for the row", || async {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(server.pool())
        .await
        .unwrap();
        waiting == 2
    })
    .await;
    holding.rollback().await.unwrap();
    for change in changes {
        assert_eq!(change.await.unwrap().status, 204);
    }
    let shown = application.call("GET", &headers).expect(200).await;
    assert_eq!(shown["headers"], json!({"x-one": "1", "x-two": "1"}));
}
