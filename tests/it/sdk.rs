//! The published SDK, driven by Node: see the scenarios in `tests/sdk`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use muniment::clients::stripe::MOCK_KEY;
use muniment::server::Follow;

use crate::crash::Binary;
use crate::smtp::MailBox;
use crate::stripe_server::WEBHOOK_SECRET;
use crate::support::{INTERNAL_CLIENT, PASSWORD, TestServer, database, unique_email};

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_works_unmodified() {
    drive("scenario.mjs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_manages_permissions_and_api_keys() {
    let config = json!({"allow_user_api_keys": true, "allow_team_api_keys": true});
    drive("permissions.mjs", config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_brings_back_what_came_by_mail() {
    let config = json!({"magic_link_enabled": true, "allow_localhost": true});
    drive("sign_in.mjs", config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_manages_projects_and_their_configuration() {
    drive("projects.mjs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_verify_webhooks_with_the_package_of_svix() {
    drive("webhooks.mjs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_svix_manages_endpoints_here() {
    drive("svix.mjs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_counts_items_and_sells_products() {
    drive("payments.mjs", json!({"allow_localhost": true})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_generated_from_the_reference_compiles_and_works() {
    drive("generated_client.mjs", json!({"allow_localhost": true})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_sends_recordings_and_shows_them() {
    drive("analytics.mjs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_through_the_sdk_is_soon_in_the_store_and_told_to_webhooks() {
    drive_on(Served::WithAnalytics, "lag.mjs", json!({})).await;
}

/// What a scenario's server has.
#[derive(Clone, Copy)]
enum Served {
    /// No analytics store.
    Alone,
    /// An analytics engine of its own.
    WithAnalytics,
}

async fn drive(scenario: &str, config: Value) {
    drive_on(Served::Alone, scenario, config).await;
}

async fn drive_on(served: Served, scenario: &str, config: Value) {
    if let Some(reason) = missing_tools() {
        eprintln!("skipped: {reason}");
        return;
    }
    let packages = install();
    let url = database().await;
    // A project is made in this process, and then served by the real binary.
    let maker = TestServer::start_on(&url, Follow::Nothing).await;
    let project = maker.new_project(config).await;
    let owner = unique_email();
    maker.sign_up_to(&maker.internal(), &owner).await;
    maker.stop().await;
    let mailbox = MailBox::open().await;
    let settings = [
        ("MUNIMENT_SMTP_URL", mailbox.url()),
        ("STRIPE_SECRET_KEY", MOCK_KEY.to_owned()),
        ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
    ];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let home = tempfile::tempdir().unwrap();
    let server = match served {
        Served::Alone => Binary::serve_with(&url, &settings).await,
        Served::WithAnalytics => Binary::develop(&url, home.path()).await,
    };
    let run = tokio::process::Command::new("node")
        .arg(scenario)
        .current_dir(&packages)
        .env("MAILBOX_URL", show(mailbox).await)
        .env("MUNIMENT_URL", &server.base)
        .env("MUNIMENT_PROJECT_ID", &project.id)
        .env("MUNIMENT_CLIENT_KEY", &project.client)
        .env("MUNIMENT_SERVER_KEY", &project.server)
        .env("MUNIMENT_ADMIN_KEY", &project.admin)
        .env("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
        .env("MUNIMENT_INTERNAL_CLIENT_KEY", INTERNAL_CLIENT)
        .env("MUNIMENT_OWNER_EMAIL", &owner)
        .env("MUNIMENT_OWNER_PASSWORD", PASSWORD)
        .output()
        .await
        .unwrap();
    let (out, error) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(run.status.success(), "{out}\n{error}");
    assert!(out.contains("all steps passed"), "{out}\n{error}");
    for figure in out.lines().filter(|line| line.starts_with("lag ")) {
        eprintln!("{figure}");
    }
}

/// Serves a mailbox to the scenarios: `GET /<address>/<n>` waits for the nth mail to the address.
async fn show(mailbox: MailBox) -> String {
    let show = |Path((address, nth)): Path<(String, usize)>| async move {
        let mail = mailbox.nth(&address, nth).await;
        Json(json!({
            "subject": mail.subject, "text": mail.text, "link": mail.link(), "code": mail.code(),
        }))
    };
    let router = Router::new().route("/{address}/{nth}", get(show));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn missing_tools() -> Option<String> {
    let works = |program: &str| {
        Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|run| run.status.success())
    };
    let missing = ["node", "npm"]
        .into_iter()
        .find(|program| !works(program))?;
    Some(format!(
        "{missing} is not on this machine, so the published SDK cannot be driven"
    ))
}

/// Installs the locked packages once, outside the source tree.
fn install() -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk");
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk");
    std::fs::create_dir_all(&target).unwrap();
    let lock = std::fs::read(source.join("package-lock.json")).unwrap();
    let installed = target.join("installed-lock.json");
    for file in std::fs::read_dir(&source).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), target.join(file.file_name())).unwrap();
        }
    }
    if std::fs::read(&installed).is_ok_and(|known| known == lock) {
        return target;
    }
    let run = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(&target)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "npm ci failed: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    std::fs::write(installed, lock).unwrap();
    target
}
