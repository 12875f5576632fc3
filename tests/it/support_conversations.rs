//! Contract 04 §10: conversations between agents and the users of their projects.

use muniment_domain::support_conversation::{SupportConversation, SupportConversationCommand};
use muniment_domain::{ProjectId, SupportConversationId};
use muniment_event_store::EventContext;
use muniment_projections::read_models::support_conversations::{self, Listing};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Call, TestServer, Tokens, eventually, unique_email};

const NOBODY: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";

/// A dashboard user with a project.
struct Desk {
    server: TestServer,
    agent: Tokens,
    project: String,
}

impl Desk {
    async fn open() -> Self {
        let server = TestServer::start().await;
        let agent = server.sign_up_to(&server.internal(), &unique_email()).await;
        let mut desk = Self {
            server,
            agent,
            project: String::new(),
        };
        desk.project = desk.new_project().await;
        desk
    }

    async fn new_project(&self) -> String {
        let me = self.call("GET", "/users/me").expect(200).await;
        let body = json!({"display_name": "Shop", "owner_team_id": me["selected_team_id"]});
        let made = self.call("POST", "/internal/projects").body(body);
        made.expect(201).await["id"].as_str().unwrap().to_owned()
    }

    fn call(&self, method: &str, path: &str) -> Call {
        let internal = self.server.internal();
        self.server
            .client_of(&internal, method, path)
            .user(&self.agent)
    }

    /// A call to a project of the desk, as its administrator.
    fn manage(&self, project: &str, method: &str, path: &str) -> Call {
        self.server
            .call(method, path)
            .header("x-stack-access-type", "admin")
            .header("x-stack-project-id", project)
            .header("x-stack-admin-access-token", &self.agent.access)
    }

    async fn customer_of(&self, project: &str, name: &str, email: &str) -> String {
        let body = json!({"display_name": name, "primary_email": email});
        let made = self.manage(project, "POST", "/users").body(body);
        made.expect(201).await["id"].as_str().unwrap().to_owned()
    }

    async fn customer(&self) -> String {
        self.customer_of(&self.project, "Ada", &unique_email())
            .await
    }

    async fn begin(&self, project: &str, customer: &str, subject: &str, message: &str) -> String {
        let body = json!({
            "projectId": project, "userId": customer, "subject": subject,
            "initialMessage": message, "priority": "normal",
        });
        let opened = self.call("POST", "/internal/conversations").body(body);
        let opened = opened.expect(200).await;
        assert_eq!(opened.as_object().unwrap().len(), 1);
        opened["conversationId"].as_str().unwrap().to_owned()
    }

    fn change_call(&self, id: &str, change: Value) -> Call {
        let mut body = change;
        body["projectId"] = json!(self.project);
        self.call("PATCH", &format!("/internal/conversations/{id}"))
            .body(body)
    }

    async fn change(&self, id: &str, change: Value) -> Value {
        self.server.clock.advance(1000);
        self.change_call(id, change).expect(200).await
    }

    async fn detail(&self, id: &str) -> Value {
        let path = format!("/internal/conversations/{id}?projectId={}", self.project);
        self.call("GET", &path).expect(200).await
    }

    async fn list(&self, query: &str) -> Vec<Value> {
        let path = format!("/internal/conversations?projectId={}{query}", self.project);
        let list = self.call("GET", &path).expect(200).await;
        list["conversations"].as_array().unwrap().clone()
    }

    async fn subjects(&self, query: &str) -> Vec<String> {
        let list = self.list(query).await;
        let subject = |item: &Value| item["subject"].as_str().unwrap().to_owned();
        list.iter().map(subject).collect()
    }

    fn now(&self) -> Value {
        json!(muniment::timestamp::format_with_millis(
            self.server.clock.now()
        ))
    }

    /// What the customer writes arrives by channels outside these endpoints.
    async fn customer_writes(&self, id: &str, text: &str) {
        self.server.clock.advance(1000);
        let app = self.server.app();
        let context =
            EventContext::system(ProjectId::from_caller(&self.project), "test", app.now());
        let receive = SupportConversationCommand::Receive {
            message_id: Uuid::new_v4(),
            body: text.to_owned(),
            at: app.now(),
        };
        let id: SupportConversationId = id.parse().unwrap();
        app.execute::<SupportConversation>(&context, &id, &receive)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_conversation_is_opened_listed_and_read() {
    let desk = Desk::open().await;
    let email = unique_email();
    let customer = desk.customer_of(&desk.project, "Ada", &email).await;
    let opened_at = desk.now();
    let id = desk
        .begin(&desk.project, &customer, "  Refund ", " Hello, Ada. ")
        .await;
    let summary = json!({
        "conversationId": id, "userId": customer, "teamId": null, "userDisplayName": "Ada",
        "userPrimaryEmail": email, "userProfileImageUrl": null, "subject": "Refund",
        "status": "open", "priority": "normal", "source": "manual", "lastMessageType": "message",
        "preview": "Hello, Ada.", "lastActivityAt": opened_at,
        "metadata": {
            "assignedToUserId": null, "assignedToDisplayName": null, "tags": [],
            "firstResponseDueAt": null, "firstResponseAt": null, "nextResponseDueAt": null,
            "lastCustomerReplyAt": null, "lastAgentReplyAt": opened_at,
        },
        "createdAt": opened_at, "updatedAt": opened_at, "lastMessageAt": opened_at,
        "lastInboundAt": null, "lastOutboundAt": opened_at, "closedAt": null,
        "recordMetadata": null,
    });
    assert_eq!(desk.list("").await, std::slice::from_ref(&summary));
    let me = desk.call("GET", "/users/me").expect(200).await;
    let detail = desk.detail(&id).await;
    let (message, entry_point) = (&detail["messages"][0], &detail["entryPoints"][0]);
    assert_eq!(
        detail,
        json!({
            "conversation": summary,
            "messages": [{
                "id": message["id"], "conversationId": id, "userId": customer, "teamId": null,
                "subject": "Refund", "status": "open", "priority": "normal", "source": "manual",
                "messageType": "message", "body": "Hello, Ada.", "attachments": [],
                "metadata": null, "createdAt": opened_at,
                "sender": {"type": "agent", "id": desk.agent.user_id,
                           "displayName": me["display_name"], "primaryEmail": me["primary_email"]},
            }],
            "entryPoints": [{
                "id": entry_point["id"], "channelType": "manual",
                "adapterKey": "support-dashboard", "externalChannelId": null,
                "isEntryPoint": true, "metadata": null, "createdAt": opened_at,
                "updatedAt": opened_at,
            }],
        })
    );
    desk.server.assert_verified().await;
}

#[tokio::test]
async fn replies_notes_and_statuses_follow_the_rules() {
    let desk = Desk::open().await;
    let customer = desk.customer().await;
    let id = desk
        .begin(&desk.project, &customer, "Refund", "Hello")
        .await;
    let reply = json!({"type": "reply", "body": " Done. "});
    let detail = desk.change(&id, reply.clone()).await;
    assert_eq!(detail["conversation"]["status"], "pending");
    assert_eq!(detail["conversation"]["preview"], "Done.");
    let answered_at = desk.now();
    assert_eq!(detail["conversation"]["lastOutboundAt"], answered_at);
    // The customer has written nothing that this could be the first answer to.
    assert_eq!(
        detail["conversation"]["metadata"]["firstResponseAt"],
        Value::Null
    );
    let entry_points = detail["entryPoints"].as_array().unwrap();
    assert_eq!(entry_points.len(), 2);
    assert_eq!(entry_points[1]["channelType"], "chat");
    assert_eq!(entry_points[1]["adapterKey"], "support-chat");
    assert_eq!(entry_points[1]["isEntryPoint"], false);

    let note = json!({"type": "internal-note", "body": "VIP"});
    let detail = desk.change(&id, note).await;
    let conversation = &detail["conversation"];
    assert_eq!(conversation["status"], "pending");
    assert_eq!(conversation["lastMessageType"], "internal-note");
    assert_eq!(conversation["lastOutboundAt"], answered_at);
    assert_eq!(conversation["lastMessageAt"], desk.now());
    assert_eq!(conversation["updatedAt"], desk.now());
    assert_eq!(desk.list("").await[0]["preview"], "VIP");

    let close = json!({"type": "status", "status": "closed"});
    let detail = desk.change(&id, close.clone()).await;
    let closed_at = desk.now();
    assert_eq!(detail["conversation"]["closedAt"], closed_at);
    assert_eq!(detail["conversation"]["lastMessageType"], "status-change");
    assert!(detail["conversation"]["preview"].is_string());
    let news = detail["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(news["messageType"], "status-change");
    assert_eq!(news["body"], Value::Null);
    assert_eq!(news["metadata"], json!({"status": "closed"}));
    desk.change_call(&id, close).refused_in_words(400).await;

    let detail = desk.change(&id, reply).await;
    assert_eq!(detail["conversation"]["status"], "closed");
    assert_eq!(detail["conversation"]["closedAt"], closed_at);
    assert_eq!(detail["entryPoints"].as_array().unwrap().len(), 2);
    let reopen = json!({"type": "status", "status": "open"});
    let detail = desk.change(&id, reopen).await;
    assert_eq!(detail["conversation"]["closedAt"], Value::Null);
    let kinds = detail["messages"].as_array().unwrap().iter();
    let kinds: Vec<&str> = kinds.map(|m| m["messageType"].as_str().unwrap()).collect();
    let expected = [
        "message",
        "message",
        "internal-note",
        "status-change",
        "message",
        "status-change",
    ];
    assert_eq!(kinds, expected);
    desk.server.assert_verified().await;
}

#[tokio::test]
async fn details_change_one_by_one_and_leave_no_message() {
    let desk = Desk::open().await;
    let customer = desk.customer().await;
    let id = desk
        .begin(&desk.project, &customer, "Refund", "Hello")
        .await;
    let assign =
        json!({"type": "metadata", "assignedToUserId": "u1", "assignedToDisplayName": "Grace"});
    desk.change(&id, assign).await;
    let label = json!({"type": "attributes", "priority": "urgent", "tags": ["a", "b"]});
    let detail = desk.change(&id, label).await;
    let conversation = &detail["conversation"];
    assert_eq!(conversation["priority"], "urgent");
    assert_eq!(conversation["metadata"]["tags"], json!(["a", "b"]));
    assert_eq!(conversation["metadata"]["assignedToUserId"], "u1");
    assert_eq!(conversation["metadata"]["assignedToDisplayName"], "Grace");
    assert_eq!(conversation["updatedAt"], desk.now());
    assert_ne!(conversation["lastMessageAt"], desk.now());
    assert_eq!(detail["messages"].as_array().unwrap().len(), 1);
    let release = json!({"type": "metadata", "assignedToUserId": null});
    let detail = desk.change(&id, release).await;
    let metadata = &detail["conversation"]["metadata"];
    assert_eq!(metadata["assignedToUserId"], Value::Null);
    assert_eq!(metadata["assignedToDisplayName"], "Grace");
    desk.server.assert_verified().await;
}

#[tokio::test]
async fn the_first_answer_to_a_customer_is_noted_once() {
    let desk = Desk::open().await;
    let customer = desk.customer().await;
    let body = json!({
        "projectId": desk.project, "userId": customer, "subject": "Hi", "source": "chat",
        "initialMessage": "How can we help?", "priority": "low",
    });
    let opened = desk.call("POST", "/internal/conversations").body(body);
    let id = opened.expect(200).await["conversationId"].clone();
    let id = id.as_str().unwrap();
    let reply = json!({"type": "reply", "body": "Still there?"});
    let detail = desk.change(id, reply.clone()).await;
    assert_eq!(detail["conversation"]["status"], "pending");
    // A chat can be answered by the way it came in.
    assert_eq!(detail["entryPoints"].as_array().unwrap().len(), 1);
    assert_eq!(detail["entryPoints"][0]["adapterKey"], "support-chat");
    desk.customer_writes(id, "Yes!").await;
    let received_at = desk.now();
    let detail = desk.detail(id).await;
    let conversation = &detail["conversation"];
    assert_eq!(conversation["status"], "open");
    assert_eq!(conversation["preview"], "Yes!");
    assert_eq!(conversation["lastInboundAt"], received_at);
    assert_eq!(conversation["metadata"]["lastCustomerReplyAt"], received_at);
    let sender = &detail["messages"].as_array().unwrap().last().unwrap()["sender"];
    assert_eq!(sender["type"], "user");
    assert_eq!(sender["id"], customer.as_str());
    assert_eq!(sender["displayName"], "Ada");
    let detail = desk.change(id, reply.clone()).await;
    let first_response_at = desk.now();
    assert_eq!(
        detail["conversation"]["metadata"]["firstResponseAt"],
        first_response_at
    );
    desk.customer_writes(id, "Thanks").await;
    let detail = desk.change(id, reply).await;
    assert_eq!(
        detail["conversation"]["metadata"]["firstResponseAt"],
        first_response_at
    );
    assert_eq!(
        detail["conversation"]["metadata"]["lastAgentReplyAt"],
        desk.now()
    );
    desk.server.assert_verified().await;
}

#[tokio::test]
async fn conversations_are_found_and_paged() {
    let desk = Desk::open().await;
    let ada = desk
        .customer_of(&desk.project, "Ada Lovelace", "ada@engines.example.com")
        .await;
    let bob = desk.customer().await;
    let refund = desk.begin(&desk.project, &ada, "Refund 100%", "one").await;
    desk.server.clock.advance(1);
    desk.begin(&desk.project, &bob, "Invoice", "two").await;
    desk.server.clock.advance(1);
    desk.begin(&desk.project, &bob, "Crash", "three").await;
    assert_eq!(desk.subjects("").await, ["Crash", "Invoice", "Refund 100%"]);
    for (query, expected) in [
        ("&query=INVO", vec!["Invoice"]),
        ("&query=lovelace", vec!["Refund 100%"]),
        ("&query=ENGINES.example", vec!["Refund 100%"]),
        ("&query=hre", vec!["Crash"]),
        ("&query=0%25", vec!["Refund 100%"]),
        ("&query=%25", vec!["Refund 100%"]),
        ("&query=absent", vec![]),
        ("&query=%20%20", vec!["Crash", "Invoice", "Refund 100%"]),
        ("&status=closed", vec![]),
        ("&status=open&limit=1", vec!["Crash"]),
        ("&limit=1&offset=1", vec!["Invoice"]),
        ("&offset=3", vec![]),
    ] {
        assert_eq!(desk.subjects(query).await, expected, "{query}");
    }
    let of_ada = desk.subjects(&format!("&userId={ada}")).await;
    assert_eq!(of_ada, ["Refund 100%"]);
    // A new message moves a conversation to the front, and is what is searched from now on.
    desk.change(&refund, json!({"type": "internal-note", "body": "checked"}))
        .await;
    assert_eq!(desk.subjects("&limit=1").await, ["Refund 100%"]);
    assert_eq!(desk.subjects("&query=check").await, ["Refund 100%"]);
    assert!(desk.subjects("&query=one").await.is_empty());
    let other = desk.new_project().await;
    let stranger = desk.customer_of(&other, "Eve", &unique_email()).await;
    desk.begin(&other, &stranger, "Invoice elsewhere", "x")
        .await;
    assert_eq!(desk.subjects("&query=invoice").await, ["Invoice"]);
    assert!(
        desk.subjects(&format!("&userId={stranger}"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_search_does_not_meet_other_projects() {
    let desk = Desk::open().await;
    let pool = desk.server.pool();
    sqlx::query(
        "INSERT INTO support_conversations
         SELECT gen_random_uuid(), 'project-' || n % 100, NULL, 'topic ' || n, 'open', 'low', 'manual',
                NULL, NULL, '{}', '[]', n, n, NULL, NULL, NULL, NULL, n, 'message', 'body ' || n
         FROM generate_series(1, 20000) n",
    )
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("ANALYZE support_conversations")
        .execute(pool)
        .await
        .unwrap();
    for query in [None, Some("topic 7".to_owned())] {
        let listing = Listing {
            query,
            status: None,
            customer: None,
            limit: 200,
            offset: 0,
        };
        let project = ProjectId::from_caller("project-1");
        let plan = support_conversations::explain(pool, &project, &listing)
            .await
            .unwrap();
        assert!(plan.contains("support_conversations_recent"), "{plan}");
        assert!(
            !plan.contains("Seq Scan on support_conversations"),
            "{plan}"
        );
    }
}

#[tokio::test]
async fn only_the_owners_of_a_project_talk_to_its_users() {
    let desk = Desk::open().await;
    let customer = desk.customer().await;
    let id = desk
        .begin(&desk.project, &customer, "Refund", "Hello")
        .await;
    let internal = desk.server.internal();
    let stranger = desk.server.sign_up_to(&internal, &unique_email()).await;
    let other = desk.new_project().await;
    let one = format!("/internal/conversations/{id}");
    let call = |method: &str, path: &str| {
        desk.server
            .client_of(&internal, method, path)
            .user(&stranger)
    };
    let reply = |project: &str| json!({"type": "reply", "body": "x", "projectId": project});
    let opening = |project: &str, user: &str| {
        json!({"projectId": project, "userId": user, "subject": "s", "initialMessage": "m",
               "priority": "low"})
    };
    for project in [desk.project.as_str(), NOBODY, "internal"] {
        let expected = json!({"project_id": project});
        let query = format!("?projectId={project}");
        for refused in [
            call("GET", &format!("/internal/conversations{query}")),
            call("GET", &format!("{one}{query}")),
            call("PATCH", &one).body(reply(project)),
            call("POST", "/internal/conversations").body(opening(project, &customer)),
        ] {
            let details = refused.refused(404, "PROJECT_NOT_FOUND").await;
            assert_eq!(details, expected);
        }
    }
    // One's own project does not open another one's conversations, nor reach its users.
    let query = format!("?projectId={other}");
    desk.call("GET", &format!("{one}{query}"))
        .refused_in_words(404)
        .await;
    desk.call("PATCH", &one)
        .body(reply(&other))
        .refused_in_words(404)
        .await;
    for user in [customer.as_str(), NOBODY] {
        let details = desk
            .call("POST", "/internal/conversations")
            .body(opening(&other, user))
            .refused(400, "USER_ID_DOES_NOT_EXIST")
            .await;
        assert_eq!(details, json!({"user_id": user}));
    }
    let missing = format!(
        "/internal/conversations/{NOBODY}?projectId={}",
        desk.project
    );
    desk.call("GET", &missing).refused_in_words(404).await;
    assert_eq!(
        desk.detail(&id).await["messages"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let desk = Desk::open().await;
    let customer = desk.customer().await;
    let id = desk
        .begin(&desk.project, &customer, "Refund", "Hello")
        .await;
    let good = json!({"projectId": desk.project, "userId": customer, "subject": "s",
                      "initialMessage": "m", "priority": "low"});
    for (name, value) in [
        ("projectId", json!("shop")),
        ("userId", json!("nobody")),
        ("subject", json!("  ")),
        ("initialMessage", json!("")),
        ("priority", json!("highest")),
        ("priority", Value::Null),
        ("source", json!("fax")),
        ("extra", json!(1)),
    ] {
        let mut body = good.clone();
        body[name] = value;
        desk.call("POST", "/internal/conversations")
            .body(body)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    for change in [
        json!({}),
        json!({"type": "shout", "body": "x"}),
        json!({"type": "reply"}),
        json!({"type": "reply", "body": " "}),
        json!({"type": "internal-note", "status": "open"}),
        json!({"type": "status", "status": "done"}),
        json!({"type": "metadata", "priority": null}),
        json!({"type": "metadata", "tags": "a"}),
        json!({"type": "metadata", "body": "x"}),
    ] {
        desk.change_call(&id, change)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let project = &desk.project;
    for path in [
        "/internal/conversations".to_owned(),
        format!("/internal/conversations?projectId={project}&status=done"),
        format!("/internal/conversations?projectId={project}&userId=x"),
        format!("/internal/conversations?projectId={project}&limit=0"),
        format!("/internal/conversations?projectId={project}&limit=201"),
        format!("/internal/conversations?projectId={project}&offset=-1"),
        format!("/internal/conversations?projectId={project}&more=1"),
        format!("/internal/conversations/{id}"),
        format!("/internal/conversations/x?projectId={project}"),
    ] {
        desk.call("GET", &path).refused(400, "SCHEMA_ERROR").await;
    }
    let path = format!("/internal/conversations?projectId={project}");
    let internal = desk.server.internal();
    desk.server
        .client_of(&internal, "GET", &path)
        .refused(400, "SCHEMA_ERROR")
        .await;
    desk.manage(project, "GET", &path)
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn conversations_stay_without_the_customer_and_what_was_said() {
    let desk = Desk::open().await;
    let customer = desk.customer().await;
    let id = desk
        .begin(
            &desk.project,
            &customer,
            "a whispered subject",
            "a whispered message",
        )
        .await;
    desk.customer_writes(&id, "a whispered answer").await;
    let label = json!({"type": "metadata", "assignedToUserId": "u1",
                       "assignedToDisplayName": "whispered name", "tags": ["whispered"]});
    desk.change(&id, label).await;
    let clear = "SELECT count(*) FROM events WHERE payload::text LIKE '%whispered%'";
    let clear: i64 = sqlx::query_scalar(clear)
        .fetch_one(desk.server.pool())
        .await
        .unwrap();
    assert_eq!(clear, 0);
    desk.manage(&desk.project, "DELETE", &format!("/users/{customer}"))
        .expect(200)
        .await;
    let assert_blank = |detail: &Value| {
        assert!(!detail.to_string().contains("whispered"), "{detail}");
        assert_eq!(detail["conversation"]["userId"], Value::Null);
        assert_eq!(detail["conversation"]["subject"], "");
        assert_eq!(detail["conversation"]["metadata"]["assignedToUserId"], "u1");
        assert_eq!(detail["messages"][0]["body"], Value::Null);
    };
    assert_blank(&desk.detail(&id).await);
    desk.server.assert_verified().await;
    eventually("the customer's key is destroyed", || async {
        let keys =
            sqlx::query_scalar("SELECT count(wrapped_key) FROM subject_keys WHERE subject = $1");
        let keys: i64 = keys
            .bind(&customer)
            .fetch_one(desk.server.pool())
            .await
            .unwrap();
        keys == 0
    })
    .await;
    // What agents write afterwards is nobody's but the conversation's.
    let detail = desk
        .change(
            &id,
            json!({"type": "internal-note", "body": "account deleted"}),
        )
        .await;
    assert_blank(&detail);
    assert_eq!(detail["conversation"]["preview"], "account deleted");
    muniment_projections::maintenance::replay::replay(desk.server.log(), &[], |_| ())
        .await
        .unwrap();
    assert_eq!(desk.detail(&id).await, detail);
    desk.server.assert_verified().await;
}

#[tokio::test]
async fn conversations_go_with_their_project() {
    let desk = Desk::open().await;
    let customer = desk.customer().await;
    desk.begin(&desk.project, &customer, "Refund", "Hello")
        .await;
    desk.manage(&desk.project, "DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    let path = format!("/internal/conversations?projectId={}", desk.project);
    desk.call("GET", &path)
        .refused(404, "PROJECT_NOT_FOUND")
        .await;
    for table in ["support_conversations", "support_messages"] {
        let rows: i64 = sqlx::query_scalar(&format!("SELECT count(*) FROM {table}"))
            .fetch_one(desk.server.pool())
            .await
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    desk.server.assert_verified().await;
}
