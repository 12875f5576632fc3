//! The server under load: the release build as a process of its own, and assembled in this one.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use muniment::app::projects::seed;
use muniment::app::projects::{self, NewKeys};
use muniment::app::{App, QueryErrors};
use muniment::clients::address_policy::AddressPolicy;
use muniment::clients::mail::Carrier;
use muniment::clock::Clock;
use muniment::config::Settings;
use muniment::embedded::analytics_engine::{AnalyticsEngine, Home};
use muniment::embedded::cache_folder::cache_folder;
use muniment::security::limits::Quotas;
use muniment::security::passwords::Cost;
use muniment::security::secrets::ServerSecret;
use muniment::server::{self, Configuration, Mode};
use muniment_domain::project::{Level, ProjectCommand};
use muniment_event_store::EventContext;
use muniment_projections::analytics::AnalyticsStore;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpStream;

use crate::load::{body_of, exchange};

/// Chains of permission definitions, each of which contains the next.
const CHAINS: usize = 100;
pub(crate) const DEPTH: usize = 10;
pub(crate) const CLIENT_KEY: &str = "pck_benchmark";
pub(crate) const SERVER_KEY: &str = "ssk_benchmark";
pub(crate) const ADMIN_KEY: &str = "sak_benchmark";

pub(crate) async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

/// An analytics engine, empty but for its schema.
pub(crate) async fn start_engine() -> AnalyticsEngine {
    let program = Path::new(env!("CARGO_BIN_EXE_muniment"));
    let engine = AnalyticsEngine::start(program, Home::Temporary, &cache_folder())
        .await
        .unwrap();
    engine.store().migrate().await.unwrap();
    engine
}

pub(crate) async fn assemble(
    url: &str,
    connections: u32,
    secret: &ServerSecret,
    analytics: Option<AnalyticsStore>,
) -> App {
    let pool = server::connect(url, connections).await.unwrap();
    server::migrate(&pool).await.unwrap();
    let mut settings = Settings::defaults().unwrap();
    settings.limits.rate_limits = Quotas::Off;
    let configuration = Configuration {
        settings,
        secret: secret.clone(),
        mode: Mode {
            mail: Carrier::Nobody,
            address_policy: AddressPolicy::Anywhere,
            stripe: None,
            analytics,
            query_errors: QueryErrors::Withheld,
            docs_credentials: Vec::new(),
        },
        password_cost: Cost::Minimal,
        clock: Clock::system(),
    };
    server::assemble(pool, configuration).unwrap()
}

/// Makes the schema and a project.
pub(crate) async fn seed(url: &str, secret: &ServerSecret) -> App {
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

/// The release build, serving.
pub(crate) struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it, and measures how long it takes to the first answer.
    pub(crate) async fn start(url: &str, secret: &ServerSecret) -> (Self, Duration) {
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
    pub(crate) fn memory(&self) -> f64 {
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

    pub(crate) fn request(
        method: &str,
        path: &str,
        project: &str,
        user: &Value,
        body: &str,
    ) -> Vec<u8> {
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

    pub(crate) fn secret_request(method: &str, path: &str, project: &str, body: &str) -> Vec<u8> {
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
    pub(crate) async fn made(&self, project: &str, path: &str, body: &Value) -> Value {
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
