//! A webhook receiver in a process of its own, to be killed. What it acknowledges it has on disk.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::receiver::Received;
use crate::support::eventually;

/// Tell the process that it is one: where to listen, and which file to write to.
const ADDRESS_VARIABLE: &str = "MUNIMENT_TEST_RECEIVER_ADDRESS";
const FILE_VARIABLE: &str = "MUNIMENT_TEST_RECEIVER_FILE";

/// The receiver. Killed when dropped.
pub(crate) struct ReceiverProcess {
    address: SocketAddr,
    running: Option<Child>,
    /// One file for each of its lives.
    files: TempDir,
}

impl ReceiverProcess {
    pub(crate) async fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut receiver = Self {
            address: free.local_addr().unwrap(),
            running: None,
            files: tempfile::tempdir().unwrap(),
        };
        drop(free);
        receiver.revive().await;
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Kills it without warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.running.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again at the same address, if it does not run.
    pub(crate) async fn revive(&mut self) {
        if self.running.is_some() {
            return;
        }
        let file = self.files.path().join(self.lives().len().to_string());
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "receiver_process::receive_until_killed"])
            .args(["--ignored", "--nocapture"])
            .env(ADDRESS_VARIABLE, self.address.to_string())
            .env(FILE_VARIABLE, file)
            .stdout(Stdio::null())
            .spawn();
        self.running = Some(process.unwrap());
        eventually("the receiver listens", || async {
            TcpStream::connect(self.address).await.is_ok()
        })
        .await;
    }

    /// All that it acknowledged, in all its lives, and perhaps one message of each life that it
    /// was about to acknowledge.
    pub(crate) fn received(&self) -> Vec<Received> {
        let texts = self
            .lives()
            .into_iter()
            .map(|file| fs::read_to_string(file).unwrap());
        let texts: Vec<String> = texts.collect();
        let lines = texts.iter().flat_map(|text| text.split_inclusive('\n'));
        // One that it was writing when it was killed has no end.
        let whole = lines.filter_map(|line| line.strip_suffix('\n'));
        let receipts = whole.map(|line| serde_json::from_str::<Receipt>(line).unwrap());
        receipts.map(Received::from).collect()
    }

    /// The files of its lives, the first comes first.
    fn lives(&self) -> Vec<PathBuf> {
        let file = |life: usize| self.files.path().join(life.to_string());
        let files = (0..).map(file).take_while(|file| file.exists());
        files.collect()
    }
}

impl Drop for ReceiverProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A message, as a line of a file.
#[derive(Serialize, Deserialize)]
struct Receipt {
    path: String,
    headers: HashMap<String, String>,
    body: String,
}

impl From<Receipt> for Received {
    fn from(receipt: Receipt) -> Self {
        let headers: HeaderMap = (&receipt.headers).try_into().unwrap();
        Self {
            path: receipt.path,
            headers,
            bytes: receipt.body.into_bytes(),
        }
    }
}

#[tokio::test]
#[ignore = "the process that other tests start, and kill"]
async fn receive_until_killed() {
    let variable = |name| std::env::var(name).ok();
    let (Some(address), Some(file)) = (variable(ADDRESS_VARIABLE), variable(FILE_VARIABLE)) else {
        return;
    };
    let listener = TcpListener::bind(address).await.unwrap();
    let file = File::create_new(Path::new(&file)).unwrap();
    let routes = Router::new().fallback(take);
    let routes = routes.with_state(Arc::new(Mutex::new(file)));
    axum::serve(listener, routes).await.unwrap();
}

async fn take(
    State(file): State<Arc<Mutex<File>>>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let receipt = Receipt {
        path: uri.path().to_owned(),
        headers: headers.iter().map(text).collect(),
        body,
    };
    let line = format!("{}\n", serde_json::to_string(&receipt).unwrap());
    file.lock().unwrap().write_all(line.as_bytes()).unwrap();
    StatusCode::NO_CONTENT
}
