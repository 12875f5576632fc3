//! `kill -9` at random moments: what was acknowledged is there, and nothing is there twice.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use muniment::cache_folder::cache_folder;
use muniment::server::Follow;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{
    INTERNAL_ADMIN, INTERNAL_CLIENT, INTERNAL_SERVER, PASSWORD, Project, TestServer, database,
    eventually, secret, unique_email,
};

const ROUNDS: usize = 20;
const CALLERS: usize = 6;
const WEBHOOK_ROUNDS: usize = 8;

/// The real binary, serving. Killed when dropped.
pub struct Binary {
    process: Child,
    pub base: String,
}

impl Binary {
    pub async fn serve(database_url: &str) -> Self {
        Self::serve_with(database_url, &[]).await
    }

    /// Serves with more settings than the usual ones.
    pub async fn serve_with(database_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::run(&["serve"], database_url, settings).await
    }

    /// Everything for development but Postgres, with what is kept in `dir`: the analytics engine
    /// is a child of this process.
    pub async fn develop(database_url: &str, dir: &Path) -> Self {
        let dir = dir.to_str().unwrap();
        let cache = cache_folder();
        let settings = [
            ("MUNIMENT_CACHE_DIR", cache.to_str().unwrap()),
            ("MUNIMENT_RATE_LIMITS", "off"),
        ];
        Self::run(&["dev", "--dir", dir], database_url, &settings).await
    }

    async fn run(arguments: &[&str], database_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_muniment"))
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("MUNIMENT_SERVER_SECRET", secret().to_base64url())
            .env("MUNIMENT_PORT", "0")
            .env("MUNIMENT_BIND", "127.0.0.1")
            .env("MUNIMENT_WEBHOOK_ALLOW_PRIVATE", "on")
            .env("MUNIMENT_INTERNAL_PUBLISHABLE_CLIENT_KEY", INTERNAL_CLIENT)
            .env("MUNIMENT_INTERNAL_SECRET_SERVER_KEY", INTERNAL_SERVER)
            .env("MUNIMENT_INTERNAL_SUPER_SECRET_ADMIN_KEY", INTERNAL_ADMIN)
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let base = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            while log.read_line(&mut line).unwrap() > 0 {
                if let Some((_, address)) = line.trim().rsplit_once("serving address=") {
                    let base = format!("http://{address}");
                    // Somebody must go on reading, or the server blocks on a full pipe.
                    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                    return base;
                }
                line.clear();
            }
            panic!("the server did not start");
        });
        Self {
            process,
            base: base.await.unwrap(),
        }
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the server said it had done.
#[derive(Default)]
pub struct Acknowledged {
    users: Vec<(String, String)>,
    teams: Vec<(String, String)>,
    names: Vec<(String, String)>,
}

/// Signs up, founds a team and renames the user until the server is gone.
async fn load(base: String, project: Project, done: Arc<Mutex<Acknowledged>>) {
    let http = reqwest::Client::new();
    let call = |method: &str, path: &str| {
        http.request(method.parse().unwrap(), format!("{base}/api/v1{path}"))
            .header("x-stack-access-type", "client")
            .header("x-stack-project-id", &project.id)
            .header("x-stack-publishable-client-key", &project.client)
    };
    let json_of = async |request: reqwest::RequestBuilder| -> Option<Value> {
        let response = request.send().await.ok()?;
        response.status().is_success().then_some(())?;
        response.json().await.ok()
    };
    loop {
        let email = unique_email();
        let body = json!({"email": email, "password": PASSWORD});
        let Some(user) = json_of(call("POST", "/auth/password/sign-up").json(&body)).await else {
            return;
        };
        let id = user["user_id"].as_str().unwrap().to_owned();
        let token = user["access_token"].as_str().unwrap().to_owned();
        done.lock().unwrap().users.push((id.clone(), email));
        let named = json!({"display_name": id});
        let request = call("POST", "/teams")
            .header("x-stack-access-token", &token)
            .json(&named);
        let Some(team) = json_of(request).await else {
            return;
        };
        let team = team["id"].as_str().unwrap().to_owned();
        done.lock().unwrap().teams.push((team, id.clone()));
        let request = call("PATCH", "/users/me")
            .header("x-stack-access-token", &token)
            .json(&named);
        if json_of(request).await.is_none() {
            return;
        }
        done.lock().unwrap().names.push((id.clone(), id));
    }
}

fn acknowledged(done: &Mutex<Acknowledged>) -> usize {
    let done = done.lock().unwrap();
    done.users.len() + done.teams.len() + done.names.len()
}

/// Starts the callers of a round.
pub fn callers(
    server: &Binary,
    project: &Project,
    done: &Arc<Mutex<Acknowledged>>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let start = |_| tokio::spawn(load(server.base.clone(), project.clone(), Arc::clone(done)));
    (0..CALLERS).map(start).collect()
}

/// Waits until a round has had `least` answers and some more. On a busy machine as on an idle one
/// there is load then, and the moment is any.
pub async fn until_loaded(done: &Mutex<Acknowledged>, least: usize) {
    let wanted = acknowledged(done) + least + usize::from(rand::random::<u8>() % 30);
    eventually("the round has load", || async {
        acknowledged(done) >= wanted
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_crashes_lose_and_duplicate_nothing() {
    let url = database().await;
    let maker = TestServer::start_on(&url, Follow::Nothing).await;
    let project = maker.new_project(json!({})).await;
    maker.stop().await;
    let done = Arc::new(Mutex::new(Acknowledged::default()));
    for _ in 0..ROUNDS {
        let mut server = Binary::serve(&url).await;
        let callers = callers(&server, &project, &done);
        until_loaded(&done, 1).await;
        tokio::time::sleep(Duration::from_micros(rand::random::<u64>() % 40_000)).await;
        server.kill();
        for caller in callers {
            caller.await.unwrap();
        }
    }
    let server = TestServer::start_on(&url, Follow::Everything).await;
    let done = std::mem::take(&mut *done.lock().unwrap());
    eprintln!(
        "{} sign-ups, {} teams and {} updates were acknowledged in {ROUNDS} rounds",
        done.users.len(),
        done.teams.len(),
        done.names.len()
    );
    check(&server, &project, &done).await;
    server.assert_verified().await;
    eventually("the tally has every event", || async {
        let sql = "SELECT (SELECT count(*) FROM events) = (SELECT sum(count) FROM event_tally)";
        sqlx::query_scalar::<_, Option<bool>>(sql)
            .fetch_one(server.pool())
            .await
            .unwrap()
            == Some(true)
    })
    .await;
    let uneven: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT event_type, count(*) AS n FROM events GROUP BY 1) e
         FULL JOIN (SELECT event_type, sum(count)::bigint AS n FROM event_tally GROUP BY 1) t
         USING (event_type) WHERE e.n IS DISTINCT FROM t.n",
    )
    .fetch_one(server.pool())
    .await
    .unwrap();
    assert_eq!(uneven, 0, "no event was tallied twice");
}

async fn check(server: &TestServer, project: &Project, done: &Acknowledged) {
    let users = server.server_of(project, "GET", "/users").expect(200).await;
    let field = |id: &str, name: &str| {
        let user = users["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|user| user["id"] == *id);
        user.map(|user| user[name].clone())
    };
    for (id, email) in &done.users {
        assert_eq!(
            field(id, "primary_email"),
            Some(json!(email)),
            "user {id} was acknowledged"
        );
    }
    for (id, name) in &done.names {
        assert_eq!(
            field(id, "display_name"),
            Some(json!(name)),
            "update of {id} was acknowledged"
        );
    }
    for (team, user) in &done.teams {
        let path = format!("/teams?user_id={user}");
        let teams = server.server_of(project, "GET", &path).expect(200).await;
        assert_eq!(
            teams["items"][0]["id"],
            json!(team),
            "team {team} was acknowledged"
        );
    }
}

/// Webhooks, with the server killed and the receiver gone at random moments.
#[tokio::test(flavor = "multi_thread")]
async fn crashes_lose_no_webhook_and_change_no_id() {
    let url = database().await;
    let maker = TestServer::start_on(&url, Follow::Nothing).await;
    let project = maker.new_project(json!({})).await;
    let mut receiver = Receiver::open().await;
    let endpoint = json!({"url": receiver.url(), "filter_types": ["user.created", "user.updated", "team.created"]});
    maker
        .admin_of(&project, "POST", "/internal/webhooks/endpoints")
        .body(endpoint)
        .expect(201)
        .await;
    maker.stop().await;
    let done = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..WEBHOOK_ROUNDS {
        let mut server = Binary::serve(&url).await;
        let callers = callers(&server, &project, &done);
        until_loaded(&done, 5).await;
        // In every other round the receiver is away for a while.
        if round % 2 == 1 {
            receiver.break_down().await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 300)).await;
        server.kill();
        if round % 2 == 1 {
            receiver.recover().await;
        }
        for caller in callers {
            caller.await.unwrap();
        }
    }
    let server = TestServer::start_on(&url, Follow::Everything).await;
    let told = expected_webhooks(&server, &project).await;
    let arrived = || {
        let received = receiver.received();
        let ids: HashSet<String> = received.iter().map(|m| m.id().to_owned()).collect();
        ids.len()
    };
    eventually("every webhook arrives", || async {
        // Those that found the receiver away are due later.
        server.clock.advance(1_000);
        arrived() >= told
    })
    .await;
    let received = receiver.received();
    let mut bodies: HashMap<&str, &[u8]> = HashMap::new();
    for message in &received {
        let first = bodies.entry(message.id()).or_insert(&message.bytes);
        assert_eq!(*first, message.bytes, "one id, one message");
    }
    assert_eq!(bodies.len(), told, "no event has two ids");
    let distinct: HashSet<&[u8]> = bodies.values().copied().collect();
    // Two updates to the same name within a millisecond are not made by this load.
    assert_eq!(distinct.len(), told, "no event was told under two ids");
    eprintln!(
        "{told} webhooks arrived, {} of them again, in {WEBHOOK_ROUNDS} rounds",
        received.len() - told
    );
}

/// How many events of the project the outside world is to be told of.
async fn expected_webhooks(server: &TestServer, project: &Project) -> usize {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events WHERE project_id = $1
         AND event_type IN ('UserCreated', 'UserUpdated', 'TeamCreated')",
    )
    .bind(&project.id)
    .fetch_one(server.pool())
    .await
    .unwrap();
    usize::try_from(count).unwrap()
}
