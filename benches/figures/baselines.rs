//! What the machine can do without us: single-row inserts, and signatures.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use muniment::clock::Clock;
use muniment::embedded::postgres::PrivatePostgres;
use muniment::security::secrets::{Random, ServerSecret};
use muniment::security::tokens::{NewClaims, TokenIssuer};
use muniment_domain::{Millis, ProjectId, SessionId, UserId};

use crate::load::MEASURED;
use crate::server::execute;

/// Rates per second.
pub(crate) struct Baselines {
    /// Rows that `pgbench` inserts one by one; none, where this Postgres came without it.
    pub inserts: Option<f64>,
    /// Tokens signed on one thread.
    pub signatures: f64,
}

impl Baselines {
    /// Measures them, and says so.
    pub(crate) async fn measure(postgres: &PrivatePostgres, secret: &ServerSecret) -> Self {
        let inserts = pgbench(postgres).await;
        let signatures = signing_loop(secret);
        let shown = inserts.map_or_else(|| "(absent)".to_owned(), |rate| format!("{rate:.0}"));
        println!("pgbench, single-row inserts      {shown:>9} /s");
        println!("signing loop, one thread         {signatures:>9.0} /s");
        Self {
            inserts,
            signatures,
        }
    }
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
