//! Contract 04 §12: what hosting platforms do.

mod domains;
mod login;
mod neon;
mod provisioning;
mod transfer;

use serde_json::{Value, json};

use crate::support::{Project, TestServer};

/// Credentials of the platforms `host` (whose secret has a colon in it) and `rival`.
pub(crate) const HOST: &str = "Basic aG9zdDpob3N0LXNlY3JldDox";
pub(crate) const RIVAL: &str = "Basic cml2YWw6cml2YWwtc2VjcmV0";

/// A project that a platform made. It has an admin key alone.
pub(crate) async fn provision(server: &TestServer, integration: &str, client: &str) -> Project {
    let path = format!("/integrations/{integration}/projects/provision");
    let call = server.call("POST", &path).header("authorization", client);
    let made = call.body(json!({"display_name": "Shop"})).expect(200).await;
    Project {
        id: made["project_id"].as_str().unwrap().to_owned(),
        client: String::new(),
        server: String::new(),
        admin: made["super_secret_admin_key"].as_str().unwrap().to_owned(),
    }
}

#[tokio::test]
async fn who_is_no_platform_gets_nowhere() {
    let server = TestServer::start().await;
    let made = provision(&server, "neon", HOST).await;
    let (query, project) = (
        format!("?project_id={}", made.id),
        json!({"project_id": made.id}),
    );
    let exchange = json!({"grant_type": "authorization_code", "code": "c", "code_verifier": "v",
                          "redirect_uri": "https://host.example.com/callback"});
    let mut endpoints: Vec<(&str, String, Value)> = vec![
        (
            "POST",
            format!("/integrations/neon/projects/connection{query}"),
            json!({"connection_strings": []}),
        ),
        (
            "POST",
            "/integrations/neon/webhooks".to_owned(),
            json!({"url": "https://neon.example.com"}),
        ),
    ];
    for integration in ["custom", "neon"] {
        let path = |rest: &str| format!("/integrations/{integration}/{rest}");
        let transfer = path("projects/transfer");
        endpoints.extend([
            (
                "POST",
                path("projects/provision"),
                json!({"display_name": "Shop"}),
            ),
            ("GET", format!("{transfer}{query}"), Value::Null),
            ("POST", transfer.clone(), project.clone()),
            ("POST", format!("{transfer}/initiate"), project.clone()),
            ("POST", path("oauth/token"), exchange.clone()),
        ]);
    }
    for (method, path, body) in endpoints {
        // Even an administrator of a project is no platform.
        let call = || {
            let call = server.admin(method, &path);
            if method == "GET" {
                call
            } else {
                call.body(body.clone())
            }
        };
        call().refused(400, "SCHEMA_ERROR").await;
        for header in [
            "Basic",
            "Basic !",
            // `host`, `host:`, `host:rival-secret`, `nobody:x`
            "Basic aG9zdA==",
            "Basic aG9zdDo=",
            "Basic aG9zdDpyaXZhbC1zZWNyZXQ=",
            "Basic bm9ib2R5Ong=",
            // The right credentials under another scheme.
            "Bearer aG9zdDpob3N0LXNlY3JldDox",
        ] {
            let details = call()
                .header("authorization", header)
                .refused(400, "SCHEMA_ERROR")
                .await;
            let message = details["message"].as_str().unwrap();
            assert!(message.contains("headers.authorization"), "{message}");
            // Nothing else is wrong with the request.
            assert_eq!(message.matches('\n').count(), 1, "{message}");
        }
    }
}
