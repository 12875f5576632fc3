//! schemathesis, a tool that makes requests up from a reference, against ours: no answer is a 5xx, of
//! a status, header or media type that the reference does not know, or of a body that its schema does
//! not allow.
//!
//! It is skipped where `schemathesis` is not installed (`pip install schemathesis`). The run is short;
//! `just schemathesis` takes five minutes per access.

use std::process::Stdio;

use serde_json::json;

use crate::support::{TestServer, unique_email};

/// How long each access is tried, in seconds, unless `MUNIMENT_SCHEMATHESIS_SECONDS` says otherwise.
const SECONDS: &str = "20";

/// Operations after which nothing else would be tried: the project, or the session, is gone.
const ENDS: [&str; 2] = ["deleteCurrentProject", "deleteCurrentUser"];

/// What must hold. That bad data is refused is for the tests of each area: scalars are coerced.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_undocumented_is_answered_to_administrators() {
    explore("admin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_undocumented_is_answered_to_servers() {
    explore("server").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_undocumented_is_answered_to_clients() {
    explore("client").await;
}

async fn explore(access: &str) {
    let installed = std::process::Command::new("schemathesis")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !installed.is_ok_and(|status| status.success()) {
        eprintln!("skipped: schemathesis is not installed");
        return;
    }
    let server = TestServer::start().await;
    let config = json!({
        "allow_user_api_keys": true, "allow_team_api_keys": true, "allow_localhost": true,
        "client_team_creation_enabled": true, "magic_link_enabled": true, "passkey_enabled": true,
    });
    let project = server.new_project(config).await;
    let user = server.sign_up_to(&project, &unique_email()).await;
    let headers = [
        ("x-stack-project-id", project.id.as_str()),
        ("x-stack-access-type", access),
        ("x-stack-publishable-client-key", &project.client),
        ("x-stack-secret-server-key", &project.server),
        ("x-stack-super-secret-admin-key", &project.admin),
        ("x-stack-access-token", &user.access),
    ];
    let seconds = std::env::var("MUNIMENT_SCHEMATHESIS_SECONDS");
    let seconds = seconds.unwrap_or_else(|_| SECONDS.to_owned());
    let folder = tempfile::tempdir().unwrap();
    let mut run = tokio::process::Command::new("schemathesis");
    run.current_dir(folder.path())
        .args(["run", &format!("{}/openapi.json", server.base())])
        .args(["--origin", &server.base()])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
        .args(["--max-time", &seconds, "--continue-on-failure"])
        .args(["--suppress-health-check", "all", "--no-color"])
        .args(ENDS.iter().flat_map(|id| ["--exclude-operation-id", id]));
    for (name, value) in headers {
        run.args(["-H", &format!("{name}:{value}")]);
    }
    let output = run.output().await.unwrap();
    let (told, wrong) = (output.stdout, output.stderr);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&told),
        String::from_utf8_lossy(&wrong)
    );
}
