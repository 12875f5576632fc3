//! Changing and reading item quantities.

use std::time::Duration;

use futures_util::future::join_all;
use muniment::clock::Clock;
use muniment::server;
use muniment_domain::ProjectId;
use muniment_domain::project::{Level, Project, ProjectCommand};
use muniment_event_store::{EventContext, LedgerError, MasterKey};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::Stage;
use crate::load::{CONNECTIONS, exchange, load, load_many, report};
use crate::server::{SERVER_KEY, Server};

/// Together with the connections, 10,000 customers.
const CUSTOMERS_PER_CONNECTION: u64 = 313;
/// Changes that make a history long.
const HISTORY: usize = 100_000;

/// Of one hot item, and of many customers; with no history, and
/// with a long one.
pub(crate) async fn measure(stage: &Stage) {
    let (server, project) = (&stage.server, &stage.project);
    configure(stage).await;
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

async fn configure(stage: &Stage) {
    let pool = server::connect(&stage.url, 2).await.unwrap();
    let log =
        muniment_projections::open_log(pool.clone(), MasterKey::derive(stage.secret.as_bytes()));
    let id = ProjectId::from_caller(&stage.project);
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
    let request = item_request(
        "POST",
        project,
        "hot",
        "/update-quantity?allow_negative=false",
    );
    let changes = (0..CONNECTIONS).map(|_| async {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        for _ in 0..HISTORY / CONNECTIONS {
            let answer = exchange(&mut stream, &request).await;
            assert!(answer.starts_with(b"HTTP/1.1 200"));
        }
    });
    join_all(changes).await;
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
