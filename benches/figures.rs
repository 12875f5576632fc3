//! The figures we watch, measured side by side on one machine: `cargo bench --bench figures`.
//!
//! A release build of the server runs as a process of its own on a private, fully durable Postgres.
//! Beside it, on the same Postgres, `pgbench` inserts single rows; and loops sign tokens on one thread
//! and hash passwords on as many as the server does. What is printed are rates and their ratios to
//! those; nothing is asserted, because a rate depends on the machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark may fail loudly"
)]
#![allow(clippy::cast_precision_loss, reason = "rates for human eyes")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use muniment::analytics_engine::{AnalyticsEngine, Home};
use muniment::app::codes::{self, MAILED_MILLIS, NewCode};
use muniment::app::integrations::clients::Clients;
use muniment::app::projects::{self, NewKeys};
use muniment::app::seed;
use muniment::app::{App, QueryErrors};
use muniment::cache_folder::cache_folder;
use muniment::clock::Clock;
use muniment::limits::Quotas;
use muniment::mail::{Carrier, SharedMail};
use muniment::passwords::{Cost, Passwords};
use muniment::private_postgres::{Durability, Lifetime, PrivatePostgres};
use muniment::secrets::{Random, ServerSecret};
use muniment::server::{self, Configuration, Follow};
use muniment::tokens::{NewClaims, TokenIssuer};
use muniment::webhooks::Delivery;
use muniment::webhooks::courier::Reach;
use muniment_domain::project::{Level, Project, ProjectCommand};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{Millis, ProjectId, SessionId, UserId};
use muniment_projections::analytics::{AnalyticsStore, TenantQuery};
use muniment_projections::replay::replay;
use muniment_projections::subscription::lags;
use muniment_projections::{EventContext, EventLog, LedgerError, MasterKey};
use serde_json::{Map, Value, json};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: usize = 32;
const MEASURED: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(2);
/// For the lines about single features.
const BRIEFLY: Duration = Duration::from_secs(3);
const BRIEF_WARM_UP: Duration = Duration::from_millis(500);
/// Chains of permission definitions, each of which contains the next.
const CHAINS: usize = 100;
const DEPTH: usize = 10;
const SIGN_INS_BY_CODE: usize = 3_000;
const TIMED_REFUSALS: usize = 41;
/// Together about 500 events per second: a sign-up makes two, a user and a session.
const SIGN_UPS_AT_ONCE: usize = 10;
const SIGN_UP_EVERY: Duration = Duration::from_millis(40);
/// Events of analytics.
const EVENTS: u64 = 10_000_000;
const TIMED_QUERIES: usize = 21;
const PASSWORD: &str = "long enough";
const USERS_FOR_REPLAY: usize = 20_000;
/// Webhooks that have not arrived by then are lost.
const WEBHOOK_PATIENCE: Duration = Duration::from_secs(300);
/// Together with the connections, 10,000 customers.
const CUSTOMERS_PER_CONNECTION: u64 = 313;
/// As many as the SDK sends at once.
const EVENTS_PER_BATCH: usize = 50;
/// Changes that make a history long.
const HISTORY: usize = 100_000;
const CLIENT_KEY: &str = "pck_benchmark";
const SERVER_KEY: &str = "ssk_benchmark";
const ADMIN_KEY: &str = "sak_benchmark";

#[tokio::main]
async fn main() {
    // `cargo test --benches` asks for a mere start.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let lifetime = Lifetime::Ephemeral(Durability::Full);
    let postgres = PrivatePostgres::start(lifetime, &cache_folder())
        .await
        .unwrap();
    let secret = ServerSecret::generate(&Random::seeded(7));
    let inserts = pgbench(&postgres).await;
    let signatures = signing_loop(&secret);
    println!("pgbench, single-row inserts      {:>9} /s", shown(inserts));
    println!("signing loop, one thread         {signatures:>9.0} /s");

    let url = postgres.url("muniment");
    execute(&postgres.url("postgres"), "CREATE DATABASE muniment").await;
    let app = seed(&url, &secret).await;
    let project = seed::DEMO_PROJECT.to_string();
    let (server, start) = Server::start(&url, &secret).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!(
        "start to first answer            {:>9.0} ms",
        start.as_secs_f64() * 1e3
    );
    println!(
        "idle memory                      {:>9.1} MiB",
        server.memory()
    );

    let users = sign_up(&server, &project).await;
    let update = |user: &Value, n: u64| {
        let body = json!({"display_name": format!("name {n}")}).to_string();
        Server::request("PATCH", "/users/me", &project, user, &body)
    };
    report(
        "PATCH /users/me",
        load(&server, &users, &update).await,
        inserts,
        "of pgbench",
    );
    let refresh = |user: &Value, _| {
        Server::request("POST", "/auth/sessions/current/refresh", &project, user, "")
    };
    report(
        "refresh",
        load(&server, &users, &refresh).await,
        Some(signatures),
        "of signing",
    );
    let read = |user: &Value, _| Server::request("GET", "/users/me", &project, user, "");
    report(
        "GET /users/me",
        load(&server, &users, &read).await,
        None,
        "",
    );
    items(&url, &secret, &server, &project).await;
    println!(
        "memory under load                {:>9.1} MiB",
        server.memory()
    );

    report_features(&server, &app, &project, &users).await;
    observations(&url, &secret, &project, &users).await;

    let since = Clock::system().now();
    create_users(&server, &project).await;
    println!(
        "webhooks to a local receiver     {:>9.0} /s",
        webhooks(&server, &project, since).await
    );
    synchronization(&url, &secret, &project).await;
    drop(server);
    app.pool().close().await;
    let pool = server::connect(&url, 4).await.unwrap();
    let log = EventLog::new(pool, MasterKey::derive(secret.as_bytes()));
    let (mut folded, begun) = (0, Instant::now());
    let mut fold_rate = 0.0;
    replay(&log, &[], |progress| {
        (folded, fold_rate) = (progress.done, progress.rate);
    })
    .await
    .unwrap();
    let rate = folded as f64 / begun.elapsed().as_secs_f64();
    println!(
        "replay of {folded:>7} events         {fold_rate:>9.0} /s folding, {rate:.0} /s with indexes and swap"
    );
    postgres.stop().await.unwrap();
    analytics().await;
}

/// An analytics engine, empty but for its schema.
async fn start_engine() -> AnalyticsEngine {
    let program = Path::new(env!("CARGO_BIN_EXE_muniment"));
    let engine = AnalyticsEngine::start(program, Home::Temporary, &cache_folder())
        .await
        .unwrap();
    engine.store().migrate().await.unwrap();
    engine
}

/// Queries of one of a hundred projects, which have ten million events together.
async fn analytics() {
    let engine = start_engine().await;
    let store = engine.store();
    let insert = format!(
        "INSERT INTO events (event_type, event_at, data, project_id, branch_id, user_id) \
         SELECT '$page-view', now() - number % 2000000, \
         '{{\"path\":\"/page/' || number % 50 || '\"}}', \
         toString(number % 100), 'main', toString(number % 100000) FROM numbers({EVENTS})"
    );
    let begun = Instant::now();
    store.owner().query_raw(&insert).execute().await.unwrap();
    println!(
        "events made in the engine        {:>9.0} /s",
        EVENTS as f64 / begun.elapsed().as_secs_f64()
    );
    for (name, text) in [
        ("count", "SELECT count() FROM events"),
        (
            "visitors per day",
            "SELECT toDate(event_at) AS day, uniq(user_id) FROM events GROUP BY day ORDER BY day",
        ),
        (
            "most visited pages",
            "SELECT data.path::String AS path, count() AS n FROM events GROUP BY path ORDER BY n DESC LIMIT 10",
        ),
    ] {
        let mut millis = Vec::new();
        for _ in 0..TIMED_QUERIES {
            let begun = Instant::now();
            store
                .tenant_query(TenantQuery {
                    query_id: "benchmark",
                    project_id: "7",
                    branch_id: "main",
                    text,
                    params: &Map::new(),
                    timeout: MEASURED,
                })
                .await
                .unwrap();
            millis.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        millis.sort_by(f64::total_cmp);
        let name = format!("query: {name}");
        println!("{name:<32} {:>9.1} ms", millis[TIMED_QUERIES / 2]);
    }
}

fn shown(rate: Option<f64>) -> String {
    rate.map_or_else(|| "(absent)".to_owned(), |rate| format!("{rate:.0}"))
}

fn report(name: &str, rate: f64, base: Option<f64>, of: &str) {
    let ratio = base.map_or_else(String::new, |base| {
        format!("  {:.0} % {of}", 100.0 * rate / base)
    });
    println!("{name:<32} {rate:>9.0} /s{ratio}");
}

async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

/// Single-row inserts by as many clients; none, where this Postgres came without pgbench.
async fn pgbench(postgres: &PrivatePostgres) -> Option<f64> {
    let program = postgres.bin_dir().join("pgbench");
    if !program.exists() {
        return None;
    }
    execute(
        &postgres.url("postgres"),
        "CREATE TABLE t (id bigserial PRIMARY KEY, v text)",
    )
    .await;
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        &script,
        "INSERT INTO t (v) VALUES ('a value of some length, as names have');\n",
    )
    .unwrap();
    let seconds = MEASURED.as_secs().to_string();
    let run = Command::new(program)
        .args([
            "-n", "-M", "prepared", "-c", "32", "-j", "2", "-T", &seconds, "-f",
        ])
        .arg(script.path())
        .arg(postgres.url("postgres"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let line = text
        .lines()
        .find(|line| line.starts_with("tps = "))
        .unwrap_or_else(|| panic!("{text}"));
    Some(line.split_whitespace().nth(2).unwrap().parse().unwrap())
}

/// Tokens signed per second, on one thread.
fn signing_loop(secret: &ServerSecret) -> f64 {
    let issuer = TokenIssuer::new(secret, "http://localhost:8102", 600);
    let id = Random::seeded(1).uuid();
    let claims = NewClaims {
        project_id: ProjectId::from_uuid(id),
        user_id: UserId(id),
        session_id: SessionId(id),
        name: Some("Ada".to_owned()),
        email: Some("ada@example.com".to_owned()),
        email_verified: true,
        selected_team_id: None,
        signed_up_at: Millis(0),
        is_anonymous: false,
        restricted_reason: None,
        requires_totp_mfa: false,
    };
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < Duration::from_secs(2) {
        issuer.issue(&claims, Clock::system().now()).unwrap();
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

async fn assemble(
    url: &str,
    connections: u32,
    secret: &ServerSecret,
    analytics: Option<AnalyticsStore>,
) -> App {
    let pool = server::connect(url, connections).await.unwrap();
    server::migrate(&pool).await.unwrap();
    let configuration = Configuration {
        secret: secret.clone(),
        public_url: "http://localhost:8102".to_owned(),
        dashboard_url: "http://localhost:8102".to_owned(),
        integration_clients: Clients::default(),
        access_token_seconds: 600,
        mail: SharedMail {
            carrier: Carrier::Nobody,
            sender: String::new(),
        },
        password_cost: Cost::Minimal,
        trusted_proxy: None,
        quotas: Quotas::Off,
        webhooks: Delivery::Embedded(Reach::Anywhere),
        analytics,
        query_errors: QueryErrors::Withheld,
        stripe: None,
        clock: Clock::system(),
    };
    server::assemble(pool, configuration).unwrap()
}

/// Makes the schema and a project.
async fn seed(url: &str, secret: &ServerSecret) -> App {
    let app = assemble(url, 4, secret, None).await;
    let keys = NewKeys {
        publishable_client_key: Some(CLIENT_KEY.to_owned()),
        secret_server_key: Some(SERVER_KEY.to_owned()),
        super_secret_admin_key: Some(ADMIN_KEY.to_owned()),
    };
    let project = seed::demo_project(&app, &keys).await.unwrap();
    let context = EventContext::system(project.clone(), "benchmark", app.now());
    let mut changes = serde_json::Map::from_iter([
        ("auth.otp.allowSignIn".to_owned(), json!(true)),
        ("apiKeys.enabled.user".to_owned(), json!(true)),
        ("apps.installed.analytics.enabled".to_owned(), json!(true)),
    ]);
    for chain in 0..CHAINS {
        for depth in 0..DEPTH {
            let next = format!("p{chain}:{}", depth + 1);
            let contained = (depth + 1 < DEPTH).then_some((next, json!(true)));
            let contained = serde_json::Map::from_iter(contained);
            changes.insert(
                format!("rbac.permissions.p{chain}:{depth}"),
                json!({"scope": "team", "containedPermissionIds": contained}),
            );
        }
    }
    let level = Level::Environment;
    let settings = ProjectCommand::Override { level, changes };
    projects::change(&app, &context, &project, vec![settings])
        .await
        .unwrap();
    app
}

/// Lines about single features, a few seconds each.
async fn report_features(server: &Server, app: &App, project: &str, users: &[Value]) {
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

    let rate = sign_in_by_codes(server, app, project).await;
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
            let code = NewCode::draw(app, Purpose::SignIn, MAILED_MILLIS)
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
    let passwords = Passwords::new(Cost::Standard).unwrap();
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

/// The release build, serving.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts it, and measures how long it takes to the first answer.
    async fn start(url: &str, secret: &ServerSecret) -> (Self, Duration) {
        let port = free_port();
        let begun = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_muniment"))
            .arg("serve")
            .env("DATABASE_URL", url)
            .env("MUNIMENT_SERVER_SECRET", secret.to_base64url())
            // All of the load comes from one address.
            .env("MUNIMENT_RATE_LIMITS", "off")
            .env("MUNIMENT_WEBHOOK_ALLOW_PRIVATE", "on")
            .env("MUNIMENT_PORT", port.to_string())
            .env("MUNIMENT_BIND", "127.0.0.1")
            .env("MUNIMENT_ACCESS_TOKEN_SECONDS", "3600")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let server = Self { process, address };
        loop {
            if let Ok(mut stream) = TcpStream::connect(address).await {
                let answer =
                    exchange(&mut stream, b"GET /health?db=1 HTTP/1.1\r\nhost: x\r\n\r\n").await;
                assert!(answer.starts_with(b"HTTP/1.1 200"));
                return (server, begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Resident memory, in MiB.
    fn memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(Path::new(&path)).unwrap_or_default();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap_or("VmRSS: 0");
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1024.0
    }

    fn request(method: &str, path: &str, project: &str, user: &Value, body: &str) -> Vec<u8> {
        let (access, refresh) = (
            user["access_token"].as_str(),
            user["refresh_token"].as_str(),
        );
        let credentials = match (path.ends_with("refresh"), access, refresh) {
            (true, _, Some(token)) => format!("x-stack-refresh-token: {token}\r\n"),
            (false, Some(token), _) => format!("x-stack-access-token: {token}\r\n"),
            _ => String::new(),
        };
        format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: x\r\nx-stack-access-type: client\r\n\
             x-stack-project-id: {project}\r\nx-stack-publishable-client-key: {CLIENT_KEY}\r\n\
             {credentials}content-type: {}\r\ncontent-length: {}\r\n\r\n{body}",
            if body.is_empty() {
                ""
            } else {
                "application/json"
            },
            body.len(),
        )
        .into_bytes()
    }

    fn secret_request(method: &str, path: &str, project: &str, body: &str) -> Vec<u8> {
        format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: x\r\nx-stack-access-type: server\r\n\
             x-stack-project-id: {project}\r\nx-stack-secret-server-key: {SERVER_KEY}\r\n\
             content-type: {}\r\ncontent-length: {}\r\n\r\n{body}",
            if body.is_empty() {
                ""
            } else {
                "application/json"
            },
            body.len(),
        )
        .into_bytes()
    }

    /// Posts something with the secret key and demands that it works.
    async fn made(&self, project: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = Self::secret_request("POST", path, project, &body.to_string());
        let answer = exchange(&mut stream, &request).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 20"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        body_of(&answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody listens on at the moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Sends one request and reads one answer. As little as possible, so that the load costs little of
/// the processors that the server wants.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::with_capacity(4096);
    loop {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "the server hung up");
        if let Some(end) = end_of(&answer) {
            answer.truncate(end);
            return answer;
        }
    }
}

/// Where the answer ends, once its head is complete.
fn end_of(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap_or("0");
    let end = head + length.trim().parse::<usize>().unwrap();
    (answer.len() >= end).then_some(end)
}

fn body_of(answer: &[u8]) -> Value {
    let head = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    serde_json::from_slice(&answer[head..]).unwrap()
}

/// One user per connection.
async fn sign_up(server: &Server, project: &str) -> Vec<Value> {
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

/// Requests answered per second, over [`CONNECTIONS`] connections.
async fn load(server: &Server, users: &[Value], request: &impl Fn(&Value, u64) -> Vec<u8>) -> f64 {
    load_for(server.address, users, request, (64, WARM_UP, MEASURED)).await
}

/// Like [`load`], with so many different requests on each connection.
async fn load_many(
    server: &Server,
    users: &[Value],
    different: u64,
    request: &impl Fn(&Value, u64) -> Vec<u8>,
) -> f64 {
    load_for(
        server.address,
        users,
        request,
        (different, WARM_UP, MEASURED),
    )
    .await
}

async fn load_for(
    address: SocketAddr,
    users: &[Value],
    request: &impl Fn(&Value, u64) -> Vec<u8>,
    (different, warm_up, measured): (u64, Duration, Duration),
) -> f64 {
    let count = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for user in users {
        let requests: Vec<Vec<u8>> = (0..different).map(|n| request(user, n)).collect();
        let (count, done) = (Arc::clone(&count), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            for request in requests.iter().cycle() {
                let answer = exchange(&mut stream, request).await;
                assert!(
                    answer.starts_with(b"HTTP/1.1 200"),
                    "{}",
                    String::from_utf8_lossy(&answer)
                );
                count.fetch_add(1, Ordering::Relaxed);
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        }));
    }
    tokio::time::sleep(warm_up).await;
    let (before, begun) = (count.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(measured).await;
    let rate = (count.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64();
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    rate
}

/// Changes and reads item quantities: of one hot item, and of many customers; with no history, and
/// with a long one.
async fn items(url: &str, secret: &ServerSecret, server: &Server, project: &str) {
    configure_items(url, secret, project).await;
    let customers: Vec<Value> = (0..CONNECTIONS).map(|n| json!(n)).collect();
    let hot = |_: &Value, _| {
        item_request(
            "POST",
            project,
            "hot",
            "/update-quantity?allow_negative=false",
        )
    };
    let spread = |connection: &Value, n: u64| {
        let customer = format!("{connection}-{}", n % CUSTOMERS_PER_CONNECTION);
        item_request(
            "POST",
            project,
            &customer,
            "/update-quantity?allow_negative=false",
        )
    };
    let read =
        |customer: &'static str| move |_: &Value, _| item_request("GET", project, customer, "");
    let fresh = load(server, &customers, &hot).await;
    report("update-quantity, one hot item", fresh, None, "");
    let rate = load_many(server, &customers, CUSTOMERS_PER_CONNECTION, &spread).await;
    report("update-quantity, 10,000 items", rate, None, "");
    let empty = load(server, &customers, &read("nobody")).await;
    report("balance read, empty history", empty, None, "");
    lengthen(server, project).await;
    let rate = load(server, &customers, &hot).await;
    report(
        "update-quantity, long history",
        rate,
        Some(fresh),
        "of a short one",
    );
    let rate = load(server, &customers, &read("hot")).await;
    report(
        "balance read, long history",
        rate,
        Some(empty),
        "of an empty one",
    );
}

async fn configure_items(url: &str, secret: &ServerSecret, project: &str) {
    let pool = server::connect(url, 2).await.unwrap();
    let log = EventLog::new(pool.clone(), MasterKey::derive(secret.as_bytes()));
    let id = ProjectId::from_caller(project);
    let context = EventContext::system(id.clone(), "benchmark", Clock::system().now());
    let changes = json!({"payments.items.units": {"customerType": "custom"}});
    let command = ProjectCommand::Override {
        level: Level::Environment,
        changes: changes.as_object().unwrap().clone(),
    };
    log.transact(&context, |mut unit| {
        let (id, command) = (id.clone(), command.clone());
        async move {
            unit.execute::<Project>(&id, command).await?;
            Ok::<_, LedgerError>((unit, ()))
        }
    })
    .await
    .unwrap();
    pool.close().await;
    // Another process learns of a change within half a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Gives the hot item 100,000 changes.
async fn lengthen(server: &Server, project: &str) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = item_request(
        "POST",
        project,
        "hot",
        "/update-quantity?allow_negative=false",
    );
    for _ in 0..HISTORY {
        let answer = exchange(&mut stream, &request).await;
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

fn item_request(method: &str, project: &str, customer: &str, rest: &str) -> Vec<u8> {
    let (kind, body) = match method {
        "GET" => ("", String::new()),
        _ => ("application/json", json!({"delta": 1}).to_string()),
    };
    format!(
        "{method} /api/v1/payments/items/custom/{customer}/units{rest} HTTP/1.1\r\nhost: x\r\n\
         x-stack-access-type: server\r\nx-stack-project-id: {project}\r\n\
         x-stack-secret-server-key: {SERVER_KEY}\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Fills the log with many streams, for the replay.
async fn create_users(server: &Server, project: &str) {
    let mut tasks = Vec::new();
    for connection in 0..CONNECTIONS {
        let (address, project) = (server.address, project.to_owned());
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for n in 0..USERS_FOR_REPLAY / CONNECTIONS {
                let body = json!({
                    "display_name": format!("User {n} of {connection}"),
                    "primary_email": format!("u{n}-{connection}@example.com"),
                    "primary_email_auth_enabled": true,
                    "client_metadata": {"plan": "free", "seats": n},
                })
                .to_string();
                let request = format!(
                    "POST /api/v1/users HTTP/1.1\r\nhost: x\r\nx-stack-access-type: server\r\n\
                     x-stack-project-id: {project}\r\nx-stack-secret-server-key: {SERVER_KEY}\r\n\
                     content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let answer = exchange(&mut stream, request.as_bytes()).await;
                assert!(
                    answer.starts_with(b"HTTP/1.1 201"),
                    "{}",
                    String::from_utf8_lossy(&answer)
                );
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// What browsers observe, per second: over HTTP into the spool, and from the spool into the embedded
/// analytics engine. That server runs in this process, with subscribers of its own.
async fn observations(url: &str, secret: &ServerSecret, project: &str, users: &[Value]) {
    let engine = start_engine().await;
    let app = assemble(url, 20, secret, Some(engine.store().clone())).await;
    let pool = app.pool().clone();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let served = server::Server::start(app, address, Follow::Everything)
        .await
        .unwrap();
    let now = Clock::system().now().0;
    let click = json!({
        "event_type": "$click", "event_at_ms": now,
        "data": {"tag_name": "a", "text": "Buy", "href": "/buy", "selector": "main > p > a", "x": 10, "y": 20},
    });
    let batch = json!({
        "session_replay_segment_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        "batch_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        "sent_at_ms": now,
        "events": vec![click; EVENTS_PER_BATCH],
    });
    let batch = batch.to_string();
    let send =
        |user: &Value, _| Server::request("POST", "/analytics/events/batch", project, user, &batch);
    let brief = (1, BRIEF_WARM_UP, BRIEFLY);
    let batches = load_for(served.address(), users, &send, brief).await;
    report(
        "analytics events taken",
        batches * EVENTS_PER_BATCH as f64,
        None,
        "",
    );
    let waiting = || async {
        let count = sqlx::query_scalar("SELECT count(*) FROM telemetry_spool");
        count.fetch_one(&pool).await.unwrap()
    };
    let (begun, left): (Instant, i64) = (Instant::now(), waiting().await);
    while waiting().await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = left as f64 / begun.elapsed().as_secs_f64();
    report("from the spool into the store", rate, None, "");
    served.stop().await;
}

/// How fast the log reaches the analytics store: all of it at once, and sign-ups at a steady pace.
async fn synchronization(url: &str, secret: &ServerSecret, project: &str) {
    let engine = start_engine().await;
    let store = engine.store();
    let rewind =
        "UPDATE subscriptions SET transaction = '0', position = 0 WHERE name = 'analytics'";
    execute(url, rewind).await;
    let app = assemble(url, 20, secret, Some(store.clone())).await;
    let pool = app.pool().clone();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let begun = Instant::now();
    let served = server::Server::start(app, address, Follow::Everything)
        .await
        .unwrap();
    while !is_synchronized(&pool).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let rows = "SELECT sum(rows) FROM system.parts WHERE active AND database = 'analytics_internal'
                AND table NOT IN ('events', 'migrations')";
    let rows: u64 = store.owner().query(rows).fetch_one().await.unwrap();
    report(
        "log to analytics store, rows",
        rows as f64 / elapsed,
        None,
        "",
    );

    let (since, events) = (Clock::system().now().0, count_events(&pool).await);
    let begun = Instant::now();
    let signing_up = (0..SIGN_UPS_AT_ONCE).map(|_| sign_up_steadily(served.address(), project));
    join_all(signing_up).await;
    let events = count_events(&pool).await - events;
    let pace = events as f64 / begun.elapsed().as_secs_f64();
    while !is_synchronized(&pool).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lags = "SELECT quantiles(0.5, 0.99)(toFloat64(dateDiff('millisecond', signed_up_at, sync_created_at)))
                FROM users WHERE signed_up_at >= fromUnixTimestamp64Milli(?)";
    let lags: Vec<f64> = store
        .owner()
        .query(lags)
        .bind(since)
        .fetch_one()
        .await
        .unwrap();
    println!(
        "sign-up to analytics store       {:>9.0} ms, p99 {:.0} ms, at {pace:.0} events per second",
        lags[0], lags[1]
    );
    served.stop().await;
}

async fn is_synchronized(pool: &PgPool) -> bool {
    let lags = lags(pool).await.unwrap();
    lags.iter()
        .any(|lag| lag.name == "analytics" && lag.events == 0)
}

async fn count_events(pool: &PgPool) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM events");
    count.fetch_one(pool).await.unwrap()
}

/// Signs users up, one every [`SIGN_UP_EVERY`], over a connection.
async fn sign_up_steadily(address: SocketAddr, project: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut tick = tokio::time::interval(SIGN_UP_EVERY);
    let begun = Instant::now();
    while begun.elapsed() < MEASURED {
        tick.tick().await;
        let email = format!("{}@example.com", Random::system().request_id());
        let body = json!({"email": email, "password": PASSWORD}).to_string();
        let path = "/auth/password/sign-up";
        let request = Server::request("POST", path, project, &Value::Null, &body);
        body_of(&exchange(&mut stream, &request).await);
    }
}

/// Webhooks delivered per second: those of all users made since then, made from the log, signed,
/// sent to a receiver of our own, and logged.
async fn webhooks(server: &Server, project: &str, since: Millis) -> f64 {
    let count = Arc::new(AtomicU64::new(0));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let taken = Arc::clone(&count);
    let take = move || {
        taken.fetch_add(1, Ordering::Relaxed);
        std::future::ready(axum::http::StatusCode::NO_CONTENT)
    };
    let receiver = axum::Router::new().fallback(take);
    let receiving = tokio::spawn(async move { axum::serve(listener, receiver).await.unwrap() });
    let endpoint = json!({"url": url, "filter_types": ["user.created"]});
    let endpoint = admin_call(server, project, "endpoints", &endpoint).await;
    let replay = format!("endpoints/{}/replay", endpoint["id"].as_str().unwrap());
    admin_call(server, project, &replay, &json!({"since_millis": since.0})).await;
    let wanted = (USERS_FOR_REPLAY / CONNECTIONS * CONNECTIONS) as u64;
    let begun = Instant::now();
    while count.load(Ordering::Relaxed) < wanted {
        assert!(begun.elapsed() < WEBHOOK_PATIENCE, "webhooks are missing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    receiving.abort();
    wanted as f64 / begun.elapsed().as_secs_f64()
}

async fn admin_call(server: &Server, project: &str, path: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = body.to_string();
    let request = format!(
        "POST /api/v1/internal/webhooks/{path} HTTP/1.1\r\nhost: x\r\n\
         x-stack-access-type: admin\r\nx-stack-project-id: {project}\r\n\
         x-stack-super-secret-admin-key: {ADMIN_KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(&mut stream, request.as_bytes()).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 20"), "{text}");
    body_of(&answer)
}
