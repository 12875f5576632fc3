//! `kill -9` at random moments: what was acknowledged is there, and nothing is there twice.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use muniment::embedded::cache_folder::cache_folder;
use muniment::server::Follow;
use muniment_event_store::Cursor;
use muniment_projections::webhooks::webhook_events::webhook_events;
use muniment_projections::webhooks::{Occasion, WebhookData};
use serde_json::{Value, json};

use crate::receiver::{Received, Receiver};
use crate::support::{
    INTERNAL_ADMIN, INTERNAL_CLIENT, INTERNAL_SERVER, PASSWORD, Project, TestServer, Tokens,
    database, eventually, secret, unique_email,
};

const ROUNDS: usize = 20;
const CALLERS: usize = 6;
const WEBHOOK_ROUNDS: usize = 8;

/// The real binary, serving. Killed when dropped.
pub(crate) struct Binary {
    process: Child,
    pub base: String,
}

impl Binary {
    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) async fn serve(database_url: &str) -> Self {
        Self::serve_with(database_url, &[]).await
    }

    /// Serves with more settings than the usual ones.
    pub(crate) async fn serve_with(database_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::run(&["serve"], database_url, settings).await
    }

    /// Everything for development but Postgres, with what is kept in `dir`: the analytics engine
    /// is a child of this process.
    pub(crate) async fn develop(database_url: &str, dir: &Path) -> Self {
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

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn kill(&mut self) {
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
pub(crate) struct Acknowledged {
    pub users: Vec<(String, String)>,
    pub teams: Vec<(String, String)>,
    pub names: Vec<(String, String)>,
}

/// Somebody who calls a server for a project, until the server is gone.
pub(crate) struct Caller {
    pub base: String,
    pub project: Project,
    pub http: reqwest::Client,
}

impl Caller {
    pub(crate) fn client(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.call(method, path)
            .header("x-stack-access-type", "client")
            .header("x-stack-publishable-client-key", &self.project.client)
    }

    pub(crate) fn server(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.call(method, path)
            .header("x-stack-access-type", "server")
            .header("x-stack-secret-server-key", &self.project.server)
    }

    fn call(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(
                method.parse().unwrap(),
                format!("{}/api/v1{path}", self.base),
            )
            .header("x-stack-project-id", &self.project.id)
    }

    /// Signs somebody up with that address.
    pub(crate) async fn sign_up(&self, email: &str) -> Option<Tokens> {
        let body = json!({"email": email, "password": PASSWORD});
        let request = self.client("POST", "/auth/password/sign-up").json(&body);
        Some(Tokens::of(&answer_to(request).await?))
    }
}

/// What is answered, if anything is and it is no error.
pub(crate) async fn answer_to(request: reqwest::RequestBuilder) -> Option<Value> {
    let response = request.send().await.ok()?;
    response.status().is_success().then_some(())?;
    response.json().await.ok()
}

/// Signs up, founds a team and renames the user until the server is gone.
pub(crate) async fn load(caller: Caller, done: Arc<Mutex<Acknowledged>>) {
    while load_once(&caller, &done).await.is_some() {}
}

async fn load_once(caller: &Caller, done: &Mutex<Acknowledged>) -> Option<()> {
    let email = unique_email();
    let user = caller.sign_up(&email).await?;
    let id = user.user_id;
    done.lock().unwrap().users.push((id.clone(), email));
    let named = json!({"display_name": id});
    let request = caller
        .client("POST", "/teams")
        .header("x-stack-access-token", &user.access)
        .json(&named);
    let team = answer_to(request).await?;
    let team = team["id"].as_str().unwrap().to_owned();
    done.lock().unwrap().teams.push((team, id.clone()));
    let request = caller
        .client("PATCH", "/users/me")
        .header("x-stack-access-token", &user.access)
        .json(&named);
    answer_to(request).await?;
    done.lock().unwrap().names.push((id.clone(), id));
    Some(())
}

fn acknowledged(done: &Mutex<Acknowledged>) -> usize {
    let done = done.lock().unwrap();
    done.users.len() + done.teams.len() + done.names.len()
}

/// Starts the callers of a round.
fn callers(
    server: &Binary,
    project: &Project,
    done: &Arc<Mutex<Acknowledged>>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let start = |_| {
        let caller = Caller {
            base: server.base.clone(),
            project: project.clone(),
            http: reqwest::Client::new(),
        };
        tokio::spawn(load(caller, Arc::clone(done)))
    };
    (0..CALLERS).map(start).collect()
}

/// Waits until a round has had `least` answers and some more. On a busy machine as on an idle one
/// there is load then, and the moment is any.
pub(crate) async fn until_loaded(done: &Mutex<Acknowledged>, least: usize) {
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

/// Sees that what was acknowledged is there.
pub(crate) async fn check(server: &TestServer, project: &Project, done: &Acknowledged) {
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
    let told = assert_told(&server, &project, || receiver.received()).await;
    let again = receiver.received().len() - told;
    eprintln!("{told} webhooks arrived, {again} of them again, in {WEBHOOK_ROUNDS} rounds");
}

/// Waits until every webhook that the log implies has arrived, and sees that each has the id that
/// its event's place in the log gives it, each time, and that nothing else has arrived. Yields how
/// many there are.
pub(crate) async fn assert_told(
    server: &TestServer,
    project: &Project,
    received: impl Fn() -> Vec<Received>,
) -> usize {
    let implied = implied_webhooks(server, project).await;
    assert_eq!(implied.len(), count_implied(server, project).await);
    eventually("every webhook arrives", || async {
        // Those that found the receiver away are due later.
        server.clock.advance(5_000);
        let received = received();
        let ids: HashSet<&str> = received.iter().map(Received::id).collect();
        implied.keys().all(|id| ids.contains(id.as_str()))
    })
    .await;
    let received = received();
    let mut bodies: HashMap<&str, &[u8]> = HashMap::new();
    for message in &received {
        let first = bodies.entry(message.id()).or_insert(&message.bytes);
        assert_eq!(*first, message.bytes, "one id, one message");
        let about = (
            message.kind(),
            message.data()["id"].as_str().map(str::to_owned),
        );
        let (kind, subject) = &implied[message.id()];
        assert_eq!(about, (kind.clone(), Some(subject.clone())));
    }
    assert_eq!(bodies.len(), implied.len(), "no event has two ids");
    let distinct: HashSet<&[u8]> = bodies.values().copied().collect();
    // Two updates to the same name within a millisecond are not made by this load.
    assert_eq!(
        distinct.len(),
        implied.len(),
        "no event was told under two ids"
    );
    implied.len()
}

/// What the outside world is to be told of a project: kinds and subjects, by the messages' ids.
async fn implied_webhooks(
    server: &TestServer,
    project: &Project,
) -> HashMap<String, (String, String)> {
    let events = server.log().read_after(Cursor::default(), i64::MAX).await;
    let webhook_events = webhook_events(server.log(), &events.unwrap().events)
        .await
        .unwrap()
        .events;
    let of_project = webhook_events
        .into_iter()
        .filter(|happening| happening.project_id.as_str() == project.id);
    let told = of_project.map(|happening| {
        let kind = match happening.what {
            WebhookData::User { occasion, .. } => match occasion {
                Occasion::Created => "user.created",
                Occasion::Updated => "user.updated",
            },
            WebhookData::Team { .. } => "team.created",
            other => panic!("no part of the load: {other:?}"),
        };
        (happening.message_id, (kind.to_owned(), happening.subject))
    });
    told.collect()
}

/// How many events of the project the outside world is to be told of.
async fn count_implied(server: &TestServer, project: &Project) -> usize {
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
