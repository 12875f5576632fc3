//! Single features, a few seconds each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use muniment::app::App;
use muniment::app::auth::codes::{self, MAILED_MILLIS, NewCode};
use muniment::security::passwords::{Cost, Passwords};
use muniment::security::secrets::Random;
use muniment_domain::ProjectId;
use muniment_domain::verification_code::Purpose;
use muniment_event_store::EventContext;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::Stage;
use crate::accounts::PASSWORD;
use crate::load::{BRIEF_WARM_UP, BRIEFLY, CONNECTIONS, exchange, load_for, report};
use crate::server::{DEPTH, Server};

const SIGN_INS_BY_CODE: usize = 3_000;
const TIMED_REFUSALS: usize = 41;

/// One line per feature.
pub(crate) async fn measure(stage: &Stage) {
    let (server, project, users) = (&stage.server, &stage.project, &stage.users);
    let key = server
        .made(
            project,
            "/user-api-keys",
            &json!({"user_id": users[0]["user_id"], "description": "x", "expires_at_millis": null}),
        )
        .await;
    let body = json!({"api_key": key["value"]}).to_string();
    let check =
        |_: &Value, _| Server::secret_request("POST", "/user-api-keys/check", project, &body);
    let rate = load_for(server.address, users, &check, (64, BRIEF_WARM_UP, BRIEFLY)).await;
    report("API-key checks", rate, None, "");

    let team = server
        .made(project, "/teams", &json!({"display_name": "Team"}))
        .await;
    let team = team["id"].as_str().unwrap();
    for user in users {
        let user = user["user_id"].as_str().unwrap();
        let path = format!("/team-memberships/{team}/{user}");
        server.made(project, &path, &json!({})).await;
        let path = format!("/team-permissions/{team}/{user}/p7:0");
        server.made(project, &path, &json!({})).await;
    }
    let check = |user: &Value, _| {
        let user = user["user_id"].as_str().unwrap();
        let path = format!(
            "/team-permissions?team_id={team}&user_id={user}&recursive=true&permission_id=p7:{}",
            DEPTH - 1
        );
        Server::secret_request("GET", &path, project, "")
    };
    let rate = load_for(server.address, users, &check, (64, BRIEF_WARM_UP, BRIEFLY)).await;
    let name = format!("permission checks, depth {DEPTH}");
    report(&name, rate, None, "");

    let rate = sign_in_by_codes(server, &stage.app, project).await;
    report("magic-link sign-ins", rate, None, "");

    let bare = hashing_loop().await;
    println!("argon2, nothing else             {bare:>9.0} /s");
    let sign_in = |user: &Value, _| {
        let body = json!({"email": user["email"], "password": PASSWORD}).to_string();
        Server::request(
            "POST",
            "/auth/password/sign-in",
            project,
            &Value::Null,
            &body,
        )
    };
    let rate = load_for(
        server.address,
        users,
        &sign_in,
        (64, BRIEF_WARM_UP, BRIEFLY),
    )
    .await;
    report("password sign-ins", rate, Some(bare), "of argon2");

    let known = users[0]["email"].as_str().unwrap();
    let wrong = median_refusal(server, project, known).await;
    let unknown = median_refusal(server, project, "nobody@example.com").await;
    println!(
        "refusal: wrong password {:.2} ms, unknown email {:.2} ms, ratio {:.3}",
        wrong.as_secs_f64() * 1e3,
        unknown.as_secs_f64() * 1e3,
        unknown.as_secs_f64() / wrong.as_secs_f64()
    );
}

/// Sign-ins per second with codes that were issued before, one user per connection.
async fn sign_in_by_codes(server: &Server, app: &App, project: &str) -> f64 {
    let id = ProjectId::from_caller(project);
    let context = &EventContext::system(id, "benchmark", app.now());
    let issue = |connection: usize| async move {
        let mut codes = Vec::new();
        for _ in 0..SIGN_INS_BY_CODE / CONNECTIONS {
            let email = format!("link-{connection}@example.com");
            let code = NewCode::generate(app, Purpose::SignIn, MAILED_MILLIS)
                .mailed(&email, None)
                .remembering(json!({}));
            codes::issue(app, context, &code).await.unwrap();
            codes.push(json!({"code": code.text()}).to_string());
        }
        codes
    };
    let issued = join_all((0..CONNECTIONS).map(issue)).await;
    let count: usize = issued.iter().map(Vec::len).sum();
    let begun = Instant::now();
    let signing_in = issued.iter().map(|codes| async move {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        for code in codes {
            let path = "/auth/otp/sign-in";
            let request = Server::request("POST", path, project, &Value::Null, code);
            let answer = exchange(&mut stream, &request).await;
            assert!(answer.starts_with(b"HTTP/1.1 200"));
        }
    });
    join_all(signing_in).await;
    count as f64 / begun.elapsed().as_secs_f64()
}

/// Passwords hashed per second as the server hashes them, with nothing else to do.
async fn hashing_loop() -> f64 {
    let passwords = Passwords::new(Cost::Standard, &Random::system()).unwrap();
    let (begun, count) = (Instant::now(), AtomicU64::new(0));
    let hashing = (0..CONNECTIONS).map(|_| async {
        while begun.elapsed() < BRIEFLY {
            passwords.hash(PASSWORD).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    join_all(hashing).await;
    count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

/// How long a sign-in takes that is refused, one after the other.
async fn median_refusal(server: &Server, project: &str, email: &str) -> Duration {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = json!({"email": email, "password": "not this one"}).to_string();
    let path = "/auth/password/sign-in";
    let request = Server::request("POST", path, project, &Value::Null, &body);
    let mut times = Vec::new();
    for _ in 0..TIMED_REFUSALS {
        let begun = Instant::now();
        let answer = exchange(&mut stream, &request).await;
        times.push(begun.elapsed());
        assert!(answer.starts_with(b"HTTP/1.1 400"));
    }
    times.sort();
    times[TIMED_REFUSALS / 2]
}
