//! What users do to themselves: changing their profile, refreshing their session, reading.

use muniment::security::secrets::Random;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::Stage;
use crate::baselines::Baselines;
use crate::load::{CONNECTIONS, body_of, exchange, load, report};
use crate::server::Server;

pub(crate) const PASSWORD: &str = "long enough";

/// Beside what the machine can do.
pub(crate) async fn measure(stage: &Stage, baselines: &Baselines) {
    let (server, project, users) = (&stage.server, &stage.project, &stage.users);
    let update = |user: &Value, n: u64| {
        let body = json!({"display_name": format!("name {n}")}).to_string();
        Server::request("PATCH", "/users/me", project, user, &body)
    };
    let rate = load(server, users, &update).await;
    report("PATCH /users/me", rate, baselines.inserts, "of pgbench");
    let refresh = |user: &Value, _| {
        let path = "/auth/sessions/current/refresh";
        Server::request("POST", path, project, user, "")
    };
    let rate = load(server, users, &refresh).await;
    let signatures = Some(baselines.signatures);
    report("refresh", rate, signatures, "of signing");
    let read = |user: &Value, _| Server::request("GET", "/users/me", project, user, "");
    let rate = load(server, users, &read).await;
    report("GET /users/me", rate, None, "");
}

/// One user per connection.
pub(crate) async fn sign_up(server: &Server, project: &str) -> Vec<Value> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut users = Vec::new();
    for _ in 0..CONNECTIONS {
        let email = format!("{}@example.com", Random::system().request_id());
        let body = json!({"email": email, "password": PASSWORD});
        let request = Server::request(
            "POST",
            "/auth/password/sign-up",
            project,
            &Value::Null,
            &body.to_string(),
        );
        let mut user = body_of(&exchange(&mut stream, &request).await);
        user["email"] = json!(email);
        users.push(user);
    }
    users
}
