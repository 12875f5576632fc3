//! Contract 04 §4 and §5: override documents, their merge, and the rendered configuration.

use muniment_domain::ProjectId;
use muniment_projections::maintenance::history;
use serde_json::{Value, json};

use muniment::server::Follow;

use crate::crash::Binary;
use crate::support::{TestServer, database, eventually, unique_email};

const THEME: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";

fn path(level: &str) -> String {
    format!("/internal/config/override/{level}")
}

impl TestServer {
    async fn patch_config(&self, level: &str, document: Value) {
        let body = json!({"config_override_string": document.to_string()});
        let call = self.admin("PATCH", &path(level)).body(body);
        assert_eq!(call.expect(200).await, json!({"success": true}));
    }

    async fn put_config(&self, level: &str, document: Value) {
        let source = json!({"type": "pushed-from-unknown"});
        let body = json!({"config_string": document.to_string(), "source": source});
        self.admin("PUT", &path(level)).body(body).expect(200).await;
    }

    async fn stored_config(&self, level: &str) -> Value {
        let read = self.admin("GET", &path(level)).expect(200).await;
        serde_json::from_str(read["config_string"].as_str().unwrap()).unwrap()
    }

    async fn rendered_text(&self) -> String {
        let read = self.admin("GET", "/internal/config").expect(200).await;
        read["config_string"].as_str().unwrap().to_owned()
    }

    async fn rendered_config(&self) -> Value {
        serde_json::from_str(&self.rendered_text().await).unwrap()
    }
}

#[tokio::test]
async fn a_fresh_project_renders_the_defaults() {
    let server = TestServer::start().await;
    server
        .configure(
            json!({"client_team_creation_enabled": false, "client_user_deletion_enabled": false}),
        )
        .await;
    let config = server.rendered_config().await;
    assert_eq!(
        config["auth"],
        json!({
            "allowSignUp": true,
            "oauth": {"accountMergeStrategy": "link_method", "providers": {}},
            "otp": {"allowSignIn": false}, "passkey": {"allowSignIn": false},
            "password": {"allowSignIn": true},
            "signUpRules": {}, "signUpRulesDefaultAction": "allow",
        })
    );
    assert_eq!(
        config["domains"],
        json!({"allowLocalhost": true, "trustedDomains": {}})
    );
    assert_eq!(
        config["teams"],
        json!({"createPersonalTeamOnSignUp": false, "allowClientTeamCreation": false})
    );
    assert_eq!(config["users"], json!({"allowClientUserDeletion": false}));
    assert_eq!(config["sourceOfTruth"], json!({"type": "hosted"}));
    assert_eq!(
        config["project"],
        json!({"requirePublishableClientKey": false})
    );
    assert_eq!(
        config["emails"]["server"],
        json!({"isShared": true, "provider": "smtp"})
    );
    assert_eq!(config["emails"]["themes"].as_object().unwrap().len(), 3);
    assert_eq!(config["emails"]["templates"].as_object().unwrap().len(), 7);
    assert_eq!(
        config["payments"],
        json!({"blockNewPurchases": false, "testMode": true, "productLines": {}, "products": {}, "items": {}})
    );
    assert_eq!(config["apps"]["installed"]["emails"]["enabled"], true);
    assert_eq!(config["apps"]["installed"]["webhooks"]["enabled"], false);
    let text = server.rendered_text().await;
    let place = |app: &str| text.find(&format!("\"{app}\":{{\"enabled\"")).unwrap();
    assert!(place("authentication") < place("fraud-protection"));
    assert!(place("vercel") < place("analytics"));
    let document = server.page("GET", "/openapi.json").expect(200).await;
    let schema = &document["components"]["schemas"]["ProjectConfig"]["properties"];
    assert_eq!(
        schema["auth"]["properties"]["allowSignUp"],
        json!({"type": "boolean", "default": true})
    );
}

#[tokio::test]
async fn levels_are_written_on_their_own_and_later_ones_win() {
    let server = TestServer::start().await;
    for level in ["project", "branch"] {
        assert_eq!(server.stored_config(level).await, json!({}));
    }
    server
        .put_config(
            "branch",
            json!({"auth.allowSignUp": false, "teams": {"allowClientTeamCreation": false}}),
        )
        .await;
    assert_eq!(server.rendered_config().await["auth"]["allowSignUp"], false);
    // What the dashboard wrote masks what was pushed.
    assert_eq!(
        server.rendered_config().await["teams"]["allowClientTeamCreation"],
        true
    );
    server
        .put_config("branch", json!({"users.allowClientUserDeletion": true}))
        .await;
    assert_eq!(
        server.stored_config("branch").await,
        json!({"users.allowClientUserDeletion": true})
    );
    assert_eq!(server.rendered_config().await["auth"]["allowSignUp"], true);
    server
        .patch_config(
            "project",
            json!({"project.requirePublishableClientKey": true}),
        )
        .await;
    server
        .call("GET", "/projects/current")
        .header("x-stack-access-type", "client")
        .header("x-stack-project-id", &server.project.id)
        .refused(401, "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn merging_is_flat_and_null_is_kept() {
    let server = TestServer::start().await;
    let branch = async || server.stored_config("branch").await;
    server
        .patch_config(
            "branch",
            json!({"auth": {"allowSignUp": false}, "auth.otp.allowSignIn": true}),
        )
        .await;
    server
        .patch_config("branch", json!({"auth.passkey.allowSignIn": true}))
        .await;
    assert_eq!(branch().await.as_object().unwrap().len(), 3);
    server
        .patch_config(
            "branch",
            json!({"auth": {"signUpRulesDefaultAction": "reject"}}),
        )
        .await;
    assert_eq!(
        branch().await,
        json!({"auth": {"signUpRulesDefaultAction": "reject"}})
    );
    server.patch_config("branch", json!({"auth": null})).await;
    assert_eq!(branch().await, json!({"auth": null}));
    assert_eq!(server.rendered_config().await["auth"]["allowSignUp"], true);
    let domains = json!({
        "domains.trustedDomains.1": {"baseUrl": "https://one.example.com"},
        "domains.trustedDomains.2.baseUrl": "https://two.example.com",
    });
    server.patch_config("environment", domains).await;
    assert_eq!(
        server.rendered_config().await["domains"]["trustedDomains"],
        json!({"1": {"baseUrl": "https://one.example.com", "handlerPath": "/handler"}})
    );
    server
        .patch_config("environment", json!({"domains.trustedDomains.1": null}))
        .await;
    assert_eq!(
        server.rendered_config().await["domains"]["trustedDomains"],
        json!({})
    );
    server.assert_verified().await;
}

#[tokio::test]
async fn keys_are_reset() {
    let server = TestServer::start().await;
    let document = json!({
        "auth": {"otp": {"allowSignIn": true}, "allowSignUp": false},
        "auth.passkey.allowSignIn": true, "users.allowClientUserDeletion": true,
    });
    server.put_config("branch", document).await;
    let reset = |keys: Value| {
        let path = format!("{}/reset-keys", path("branch"));
        server.admin("POST", &path).body(json!({"keys": keys}))
    };
    reset(json!([
        "auth.otp.allowSignIn",
        "nothing",
        "users",
        "..",
        ""
    ]))
    .expect(200)
    .await;
    assert_eq!(
        server.stored_config("branch").await,
        json!({"auth": {"allowSignUp": false}, "auth.passkey.allowSignIn": true})
    );
    reset(json!([])).expect(200).await;
    reset(json!(["auth"])).expect(200).await;
    assert_eq!(server.stored_config("branch").await, json!({}));
    reset(json!("auth")).refused(400, "SCHEMA_ERROR").await;
    let project = format!("{}/reset-keys", path("project"));
    server
        .admin("POST", &project)
        .body(json!({"keys": []}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn the_source_is_kept_until_it_is_replaced_or_unlinked() {
    let server = TestServer::start().await;
    let source = async || {
        let call = server.admin("GET", "/internal/config/source");
        call.expect(200).await["source"].clone()
    };
    assert_eq!(source().await, json!({"type": "unlinked"}));
    let github = json!({"type": "pushed-from-github", "owner": "o", "repo": "", "branch": "main",
                        "commit_hash": "c", "config_file_path": "f"});
    let body = json!({"config_string": "{}", "source": github});
    server
        .server("PUT", &path("branch"))
        .body(body)
        .expect(200)
        .await;
    server
        .patch_config("branch", json!({"auth.allowSignUp": false}))
        .await;
    assert_eq!(source().await, github);
    let elsewhere = json!({"config_string": "{}", "source": {"type": "unlinked"}});
    server
        .admin("PUT", &path("environment"))
        .body(elsewhere)
        .expect(200)
        .await;
    assert_eq!(source().await, github);
    for _ in 0..2 {
        server
            .admin("DELETE", "/internal/config/source")
            .expect(200)
            .await;
        assert_eq!(source().await, json!({"type": "unlinked"}));
    }
    assert_eq!(
        server.stored_config("branch").await,
        json!({"auth.allowSignUp": false})
    );
    let put = |body: Value| server.admin("PUT", &path("branch")).body(body);
    put(json!({"config_string": "{}"}))
        .refused_in_words(400)
        .await;
    for source in [
        json!({"type": "pushed"}),
        json!({"type": "pushed-from-github"}),
        json!({"type": "unlinked", "owner": "o"}),
        json!("unlinked"),
    ] {
        put(json!({"config_string": "{}", "source": source}))
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    server.assert_verified().await;
}

#[tokio::test]
async fn bad_documents_are_refused_by_the_name_of_the_setting() {
    let server = TestServer::start().await;
    for (level, document, named) in [
        ("branch", "{", "config_override_string"),
        ("branch", "[]", "config_override_string"),
        ("branch", "null", "config_override_string"),
        (
            "branch",
            r#"{"auth": {"otp.allowSignIn": true}}"#,
            "auth.otp.allowSignIn",
        ),
        ("branch", r#"{"auth.nothing.x": true}"#, "auth.nothing.x"),
        (
            "branch",
            r#"{"domains.allowLocalhost": true}"#,
            "domains.allowLocalhost",
        ),
        (
            "branch",
            r#"{"auth": {"oauth": {"providers": {"x": {"clientId": "a"}}}}}"#,
            "auth.oauth.providers.x.clientId",
        ),
        (
            "branch",
            r#"{"project.requirePublishableClientKey": true}"#,
            "project.requirePublishableClientKey",
        ),
        (
            "branch",
            r#"{"sourceOfTruth.type": "hosted"}"#,
            "sourceOfTruth.type",
        ),
        (
            "environment",
            r#"{"auth.allowSignUp": "true"}"#,
            "auth.allowSignUp",
        ),
        (
            "environment",
            r#"{"emails.themes.x": {}}"#,
            "emails.themes.x",
        ),
        ("environment", r#"{"a\u0000": 1}"#, "NUL"),
        (
            "project",
            r#"{"auth.allowSignUp": true}"#,
            "auth.allowSignUp",
        ),
    ] {
        let body = json!({"config_override_string": document});
        let answer = server.admin("PATCH", &path(level)).body(body).send().await;
        assert_eq!(answer.status, 400, "{document}");
        assert_eq!(answer.known_error(), None);
        assert!(answer.text.contains(named), "{document}: {}", answer.text);
    }
    let ok = json!({"config_override_string": r#"{"sourceOfTruth": {"type": "hosted"}}"#});
    server
        .server("PATCH", &path("branch"))
        .body(ok.clone())
        .expect(200)
        .await;
    assert_eq!(server.stored_config("branch").await, json!({}));
    for level in ["project", "environment"] {
        for method in ["GET", "PATCH"] {
            let call = server.server(method, &path(level));
            let call = if method == "GET" {
                call
            } else {
                call.body(ok.clone())
            };
            call.refused_in_words(403).await;
        }
    }
    server
        .admin("GET", &path("organization"))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .admin("PATCH", &path("branch"))
        .body(json!({"config_override_string": "{}", "source": {"type": "unlinked"}}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .admin("PUT", &path("branch"))
        .body(json!({"source": {"type": "unlinked"}}))
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn rendering_completes_what_was_written() {
    let server = TestServer::start().await;
    let document = json!({
        "payments": {"products": {"p": {"prices": {"m": {"USD": "9.50", "interval": [1, "month"]}}, "isAddOnTo": {}}},
                     "items": {"credits": {}}},
        "emails": {"templates": {THEME: {"displayName": "Mine"}}, "themes": {THEME: {}}},
        "emails.selectedThemeId": THEME,
        "dataVault.stores.s": {},
        "auth.signUpRules": {"b": {"priority": 1}, "a": {}, "c": {"priority": 1}},
        "auth.oauth.providers": {"github": {"allowSignIn": true}},
    });
    server.patch_config("branch", document).await;
    let config = server.rendered_config().await;
    let product = &config["payments"]["products"]["p"];
    assert_eq!(product["displayName"], "p");
    assert_eq!(product["isAddOnTo"], false);
    assert_eq!(product["prices"]["m"]["serverOnly"], false);
    assert_eq!(
        config["payments"]["items"]["credits"],
        json!({"customerType": "user", "displayName": "credits"})
    );
    assert_eq!(
        config["dataVault"]["stores"]["s"]["displayName"],
        "Unnamed Vault"
    );
    assert_eq!(config["auth"]["oauth"]["providers"], json!({}));
    assert_eq!(config["emails"]["selectedThemeId"], THEME);
    assert_eq!(
        config["emails"]["themes"][THEME]["displayName"],
        "Unnamed Theme"
    );
    assert_eq!(config["emails"]["templates"].get(THEME), None);
    let text = server.rendered_text().await;
    let place = |rule: &str| {
        text.find(&format!("\"{rule}\":{{\"enabled\":false,"))
            .unwrap()
    };
    assert!(place("b") < place("c") && place("c") < place("a"));
    let own = json!({"emails.server": {"isShared": false, "port": -1.5}, "emails.selectedThemeId": "gone"});
    server.patch_config("environment", own).await;
    let config = server.rendered_config().await;
    assert_eq!(config["emails"]["templates"][THEME]["displayName"], "Mine");
    assert_ne!(config["emails"]["selectedThemeId"], "gone");
    assert_eq!(config["emails"]["server"]["port"], -1.5);
    let own = json!({"config": {"email_theme": THEME}});
    server
        .admin("PATCH", "/internal/projects/current")
        .body(own)
        .expect(200)
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn the_history_says_who_changed_which_setting() {
    let server = TestServer::start().await;
    let owner = server.sign_up_to(&server.internal(), &unique_email()).await;
    let me = server
        .client_of(&server.internal(), "GET", "/users/me")
        .user(&owner)
        .expect(200)
        .await;
    let made = server
        .client_of(&server.internal(), "POST", "/internal/projects")
        .user(&owner)
        .body(json!({"display_name": "x", "owner_team_id": me["selected_team_id"]}))
        .expect(201)
        .await;
    let id = made["id"].as_str().unwrap();
    let document = json!({"auth.allowSignUp": false, "emails.server": {"password": "hush"}});
    for _ in 0..2 {
        server
            .call("PATCH", &path("environment"))
            .header("x-stack-access-type", "admin")
            .header("x-stack-project-id", id)
            .header("x-stack-admin-access-token", &owner.access)
            .body(json!({"config_override_string": document.to_string()}))
            .expect(200)
            .await;
    }
    let events = history::project_timeline(server.log(), &ProjectId::from_caller(id))
        .await
        .unwrap()
        .events;
    let changed: Vec<_> = events
        .iter()
        .filter(|event| event.event_type == "ConfigOverridden")
        .collect();
    // The founding, and one change: the second said nothing new.
    assert_eq!(changed.len(), 2);
    let listed = history::as_json(changed[1]).unwrap();
    assert_eq!(
        listed["payload"]["keys"],
        json!(["auth.allowSignUp", "emails.server"])
    );
    assert_eq!(
        listed["metadata"]["actor"],
        format!("admin:{}", owner.user_id)
    );
    assert!(!listed.to_string().contains("hush"));
}

#[tokio::test]
async fn a_change_is_in_force_at_once_here_and_within_a_second_elsewhere() {
    let url = database().await;
    let here = TestServer::start_on(&url, Follow::Everything).await;
    let there = TestServer::start_on(&url, Follow::Nothing).await;
    let allowed = async |server: &TestServer| {
        let call = server.client_of(&here.project, "GET", "/projects/current");
        call.expect(200).await["config"]["sign_up_enabled"].clone()
    };
    for flag in [false, true, false, true, false] {
        let former = allowed(&there).await;
        assert_eq!(former, !flag);
        let body = json!({"config_override_string": json!({"auth.allowSignUp": flag}).to_string()});
        let call = here.admin("PATCH", &path("environment")).body(body);
        call.expect(200).await;
        let done = std::time::Instant::now();
        assert_eq!(allowed(&here).await, flag);
        while allowed(&there).await != flag {
            assert!(done.elapsed() < std::time::Duration::from_secs(1));
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    let deleted = here.new_project(json!({})).await;
    let read = || there.client_of(&deleted, "GET", "/projects/current");
    read().expect(200).await;
    here.admin_of(&deleted, "DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    eventually("the project is gone there", async || {
        read().send().await.status == 400
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_database_keep_up_with_each_other() {
    let url = database().await;
    let maker = TestServer::start_on(&url, Follow::Nothing).await;
    let project = maker.project.clone();
    maker.stop().await;
    let nodes = [Binary::serve(&url).await, Binary::serve(&url).await];
    let http = reqwest::Client::new();
    let call = |node: &Binary, method: reqwest::Method, path: &str| {
        http.request(method, format!("{}/api/v1{path}", node.base))
            .header("x-stack-access-type", "admin")
            .header("x-stack-project-id", &project.id)
            .header("x-stack-super-secret-admin-key", &project.admin)
    };
    let name = async |node: &Binary| {
        let sent = call(node, reqwest::Method::GET, "/projects/current").send();
        let shown: Value = sent.await.unwrap().json().await.unwrap();
        shown["display_name"].as_str().unwrap().to_owned()
    };
    for round in 0..6 {
        let (here, there) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
        let wanted = format!("Round {round}");
        // Both have the project at hand.
        assert_ne!(name(here).await, wanted);
        assert_ne!(name(there).await, wanted);
        let change = call(here, reqwest::Method::PATCH, "/internal/projects/current");
        let change = change.json(&json!({"display_name": wanted})).send().await;
        assert_eq!(change.unwrap().status(), 200);
        let done = std::time::Instant::now();
        assert_eq!(name(here).await, wanted);
        while name(there).await != wanted {
            assert!(done.elapsed() < std::time::Duration::from_secs(1));
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}
