//! The published SDK, driven by Node: see `tests/sdk/scenario.mjs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use muniment::server::Follow;

use crate::crash::Binary;
use crate::support::{TestServer, database};

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_works_unmodified() {
    if let Some(reason) = missing_tools() {
        eprintln!("skipped: {reason}");
        return;
    }
    let packages = install();
    let url = database().await;
    // A project is made in this process, and then served by the real binary.
    let maker = TestServer::start_on(&url, Follow::Nothing).await;
    let project = maker.new_project(json!({})).await;
    maker.stop().await;
    let server = Binary::serve(&url).await;
    let run = Command::new("node")
        .arg("scenario.mjs")
        .current_dir(&packages)
        .env("MUNIMENT_URL", &server.base)
        .env("MUNIMENT_PROJECT_ID", &project.id)
        .env("MUNIMENT_CLIENT_KEY", &project.client)
        .env("MUNIMENT_SERVER_KEY", &project.server)
        .output()
        .unwrap();
    let (out, error) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(run.status.success(), "{out}\n{error}");
    assert!(out.contains("all steps passed"), "{out}\n{error}");
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
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk");
    std::fs::create_dir_all(&target).unwrap();
    let lock = std::fs::read(source.join("package-lock.json")).unwrap();
    let installed = target.join("installed-lock.json");
    for file in ["package.json", "package-lock.json", "scenario.mjs"] {
        std::fs::copy(source.join(file), target.join(file)).unwrap();
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
