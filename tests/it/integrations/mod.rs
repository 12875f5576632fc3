//! Contract 04 §12: what hosting platforms do.

mod domains;
mod login;
mod neon;
mod provisioning;
mod transfer;

use serde_json::json;

use crate::support::{Project, TestServer};

/// Credentials of the platforms `host` (whose secret has a colon in it) and `rival`.
pub const HOST: &str = "Basic aG9zdDpob3N0LXNlY3JldDox";
pub const RIVAL: &str = "Basic cml2YWw6cml2YWwtc2VjcmV0";

/// A project that a platform made. It has an admin key alone.
pub async fn provision(server: &TestServer, integration: &str, client: &str) -> Project {
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
