//! `kill -9` at random moments of the server, the analytics engine, the webhook receiver and
//! Postgres, all of them real processes: afterwards what was acknowledged is in the log, the
//! analytics store says what the log says, and every webhook has arrived under its own id.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use muniment::embedded::analytics_engine::{AnalyticsEngine, Home};
use muniment::embedded::cache_folder::cache_folder;
use muniment::server::Follow;
use muniment_projections::analytics::AnalyticsStore;
use muniment_projections::analytics::sync::verify::verify;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::analytics_sync::synchronized;
use crate::crash::{
    Acknowledged, Binary, Caller, answer_to, assert_told, check, load, until_loaded,
};
use crate::mortal_postgres::MortalPostgres;
use crate::processes::{children, kill};
use crate::receiver_process::ReceiverProcess;
use crate::support::{Project, TestServer, Variant, eventually, unique_email};
use crate::telemetry::{BATCH, SEGMENT, select};

/// Set to the number that a failed run printed, it makes the same choices again.
const SEED_VARIABLE: &str = "MUNIMENT_CRASH_SEED";
const DATABASE: &str = "muniment";
const ROUNDS: usize = 10;
/// No further round is begun then, once everything has died at least once.
const LONG_ENOUGH: Duration = Duration::from_secs(20);
const SIGNING_UP: usize = 3;
const SHOPPING: usize = 3;
/// How much of an item is granted at a time.
const GRANT: u64 = 3;
const WEBHOOKS: [&str; 3] = ["user.created", "user.updated", "team.created"];

#[derive(Clone, Copy, Debug)]
enum Victim {
    Server,
    /// The process that keeps the analytics.
    Engine,
    Receiver,
    Postgres,
}

const VICTIMS: [Victim; 4] = [
    Victim::Server,
    Victim::Engine,
    Victim::Receiver,
    Victim::Postgres,
];

#[tokio::test(flavor = "multi_thread")]
async fn after_crashes_of_anything_the_store_says_what_the_log_says() {
    let seed =
        std::env::var(SEED_VARIABLE).map_or_else(|_| rand::random(), |it| it.parse().unwrap());
    eprintln!("{SEED_VARIABLE}={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let mut first = VICTIMS;
    first.shuffle(&mut chance);
    let mut world = World::open().await;
    let started = Instant::now();
    let (done, taken) = (Arc::default(), Arc::<Mutex<Taken>>::default());
    let crowd = world.crowd(&done, &taken);
    let observed = || taken.lock().unwrap().marks.len();
    for round in 0..ROUNDS {
        // First each alone, then any two shortly after one another.
        let victims = match first.get(round) {
            Some(victim) => vec![*victim],
            None if started.elapsed() > LONG_ENOUGH => break,
            None => VICTIMS.sample(&mut chance, 2).copied().collect(),
        };
        let before = observed();
        until_loaded(&done, 5).await;
        eventually("shops have load too", || async { observed() > before }).await;
        eprintln!("{victims:?} die after {:?}", started.elapsed());
        for victim in victims {
            world.kill(victim).await;
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..400))).await;
        }
        world.revive().await;
        eprintln!("everything runs again after {:?}", started.elapsed());
    }
    until_loaded(&done, 5).await;
    world.kill(Victim::Server).await;
    drop(crowd);
    let done = std::mem::take(&mut *done.lock().unwrap());
    let taken = std::mem::take(&mut *taken.lock().unwrap());
    world.assert_nothing_lost(&done, &taken).await;
}

/// Everything that can be killed.
struct World {
    postgres: MortalPostgres,
    receiver: ReceiverProcess,
    server: Option<Binary>,
    /// Where the last server is or was.
    address: watch::Sender<String>,
    /// What servers keep on disk: the analytics engine's data.
    home: TempDir,
    project: Project,
    /// What webhooks are signed with.
    secret: String,
}

impl World {
    async fn open() -> Self {
        let postgres = MortalPostgres::start(DATABASE).await;
        let receiver = ReceiverProcess::start().await;
        let home = tempfile::tempdir().unwrap();
        let url = postgres.url(DATABASE);
        // It makes the schema.
        let server = Binary::develop(&url, home.path()).await;
        let no_store = Variant {
            follow: Follow::Nothing,
            analytics: None,
            ..Variant::usual().await
        };
        let maker = TestServer::start_with(&url, no_store).await;
        let project = maker.new_project(json!({})).await;
        let settings = json!({
            "apps.installed.analytics.enabled": true,
            "payments.items.credits": {"customerType": "user"},
        });
        let body = json!({"config_override_string": settings.to_string()});
        let path = "/internal/config/override/branch";
        let call = maker.admin_of(&project, "PATCH", path).body(body);
        call.expect(200).await;
        let path = "/internal/webhooks/endpoints";
        let endpoint = json!({"url": receiver.url(), "filter_types": WEBHOOKS});
        let call = maker.admin_of(&project, "POST", path).body(endpoint);
        let endpoint = call.expect(201).await;
        let path = format!("{path}/{}/secret", endpoint["id"].as_str().unwrap());
        let secret = maker.admin_of(&project, "GET", &path).expect(200).await;
        maker.stop().await;
        Self {
            postgres,
            receiver,
            address: watch::Sender::new(server.base.clone()),
            server: Some(server),
            home,
            project,
            secret: secret["secret"].as_str().unwrap().to_owned(),
        }
    }

    /// People who use whatever server there is, until they are dropped.
    fn crowd(&self, done: &Arc<Mutex<Acknowledged>>, taken: &Arc<Mutex<Taken>>) -> JoinSet<()> {
        let mut crowd = JoinSet::new();
        for _ in 0..SIGNING_UP {
            let (caller, done) = (self.caller(), Arc::clone(done));
            crowd.spawn(comes_back(caller, move |caller| {
                load(caller, Arc::clone(&done))
            }));
        }
        for _ in 0..SHOPPING {
            let (caller, taken) = (self.caller(), Arc::clone(taken));
            crowd.spawn(comes_back(caller, move |caller| {
                shop(caller, Arc::clone(&taken))
            }));
        }
        crowd
    }

    /// Yields a caller of the server that there is then.
    fn caller(&self) -> impl Fn() -> Caller + use<> {
        let (address, project) = (self.address.subscribe(), self.project.clone());
        move || Caller {
            base: address.borrow().clone(),
            project: project.clone(),
            http: reqwest::Client::new(),
        }
    }

    async fn kill(&mut self, victim: Victim) {
        match victim {
            // Its engine ends with it.
            Victim::Server => self.server = None,
            Victim::Engine => {
                if let Some(server) = &self.server {
                    kill(&children(&server.process_id().to_string())).await;
                }
            }
            Victim::Receiver => self.receiver.kill(),
            Victim::Postgres => self.postgres.kill().await,
        }
    }

    /// Starts what does not run. Servers see to their engines.
    async fn revive(&mut self) {
        self.postgres.revive().await;
        self.receiver.revive().await;
        if self.server.is_none() {
            let url = self.postgres.url(DATABASE);
            let server = Binary::develop(&url, self.home.path()).await;
            self.address.send_replace(server.base.clone());
            self.server = Some(server);
        }
        let server = self.server.as_ref().unwrap();
        let server = server.process_id().to_string();
        eventually("there is an engine", || async {
            !children(&server).is_empty()
        })
        .await;
    }

    async fn assert_nothing_lost(&mut self, done: &Acknowledged, taken: &Taken) {
        self.postgres.revive().await;
        self.receiver.revive().await;
        let engine = reopen(self.home.path()).await;
        let store = engine.store();
        let with_store = Variant {
            analytics: Some(store.clone()),
            ..Variant::usual().await
        };
        let url = self.postgres.url(DATABASE);
        let server = TestServer::start_with(&url, with_store).await;
        check(&server, &self.project, done).await;
        self.assert_items_kept(&server, taken).await;
        assert_store_agrees(&server, &self.project, store).await;
        self.assert_observations_kept(&server, store, taken).await;
        let told = assert_told(&server, &self.project, || self.receiver.received()).await;
        let received = self.receiver.received();
        let mut signed = received.iter();
        assert!(signed.all(|message| message.is_signed_with(&self.secret)));
        let again = received.len() - told;
        eprintln!(
            "{} sign-ups, {} teams, {} updates, {} changes of items and {} observations \
             acknowledged; {told} webhooks arrived, {again} of them again",
            done.users.len(),
            done.teams.len(),
            done.names.len(),
            taken.changes.values().sum::<u64>(),
            taken.marks.len(),
        );
        server.stop().await;
    }

    /// Each customer's last change may have been made without anybody being told so.
    async fn assert_items_kept(&self, server: &TestServer, taken: &Taken) {
        for (user, acknowledged) in &taken.changes {
            let path = format!("/payments/items/user/{user}/credits");
            let item = server.server_of(&self.project, "GET", &path);
            let quantity = item.expect(200).await["quantity"].as_u64().unwrap();
            let possible = [GRANT * acknowledged, GRANT * (acknowledged + 1)];
            assert!(possible.contains(&quantity), "{user}: {quantity}");
        }
    }

    /// What browsers were told had been taken is in the store, and nothing is there twice.
    async fn assert_observations_kept(
        &self,
        server: &TestServer,
        store: &AnalyticsStore,
        taken: &Taken,
    ) {
        eventually("the spool is empty", || async {
            count(server.pool(), "SELECT count(*) FROM telemetry_spool").await == 0
        })
        .await;
        let project = &self.project.id;
        let sql = format!(
            "SELECT data.mark::String AS mark FROM events
             WHERE project_id = '{project}' AND event_type = '$click'"
        );
        let stored = select(store, &sql).await;
        let stored: Vec<&str> = stored
            .iter()
            .map(|row| row["mark"].as_str().unwrap())
            .collect();
        let distinct: HashSet<&str> = stored.iter().copied().collect();
        assert_eq!(
            distinct.len(),
            stored.len(),
            "no observation is there twice"
        );
        for mark in &taken.marks {
            assert!(distinct.contains(mark.as_str()), "{mark} was acknowledged");
        }
        let sql = format!(
            "SELECT refresh_token_id AS session FROM events
             WHERE project_id = '{project}' AND event_type = '$token-refresh'"
        );
        let issued = select(store, &sql).await;
        let sessions: HashSet<String> = issued
            .iter()
            .map(|row| row["session"].to_string())
            .collect();
        assert_eq!(sessions.len(), issued.len(), "no token is there twice");
        let begun = "SELECT count(*) FROM events WHERE aggregate_type = 'session' AND sequence = 1";
        assert!(issued.len() as u64 <= count(server.pool(), begun).await);
        let refused = "SELECT count(*) FROM telemetry_refused";
        assert_eq!(count(server.pool(), refused).await, 0);
    }
}

/// Counts and sums in the store, against those of the log; then every row of every table.
async fn assert_store_agrees(server: &TestServer, project: &Project, store: &AnalyticsStore) {
    synchronized(server).await;
    let of_project = format!("project_id = '{}'", project.id);
    let logged = |what: &str, event_type: &str| {
        let sql =
            format!("SELECT {what} FROM events WHERE event_type = '{event_type}' AND {of_project}");
        async move { count(server.pool(), &sql).await }
    };
    let stored = |what: &str, table: &str| {
        let sql = format!(
            "SELECT toUInt64({what}) FROM {table} FINAL WHERE sync_is_deleted = 0 AND {of_project}"
        );
        async move { store.owner().query(&sql).fetch_one::<u64>().await.unwrap() }
    };
    let granted = "sum((payload ->> 'delta')::bigint)::bigint";
    for (table, [in_store, in_log], event_type) in [
        ("users", ["count()", "count(*)"], "UserCreated"),
        ("teams", ["count()", "count(*)"], "TeamCreated"),
        (
            "item_balances",
            ["count()", "count(DISTINCT aggregate_id)"],
            "ItemQuantityChanged",
        ),
        (
            "item_balances",
            ["sum(quantity)", granted],
            "ItemQuantityChanged",
        ),
    ] {
        let logged = logged(in_log, event_type).await;
        assert_eq!(
            stored(in_store, table).await,
            logged,
            "{in_store} of {table}"
        );
        assert!(
            logged > 3,
            "there was load: {logged} is {in_log} of {event_type}"
        );
    }
    let differences = verify(server.log(), store, |_| ())
        .await
        .unwrap()
        .differences;
    assert!(differences.is_empty(), "{differences:#?}");
    let dead = "SELECT count(*) FROM dead_letters";
    assert_eq!(count(server.pool(), dead).await, 0);
}

async fn count(pool: &PgPool, sql: &str) -> u64 {
    let count: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.unwrap();
    u64::try_from(count).unwrap()
}

/// Uses one server after the other, each until it is gone.
async fn comes_back<F: Future<Output = ()>>(
    caller: impl Fn() -> Caller,
    uses: impl Fn(Caller) -> F,
) {
    loop {
        uses(caller()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What servers said they had taken.
#[derive(Default)]
struct Taken {
    /// Of how many changes of an item each user was told.
    changes: HashMap<String, u64>,
    /// What identifies each observation of a browser.
    marks: Vec<String>,
}

/// Signs up; then is granted something and looked at, until the server is gone.
async fn shop(caller: Caller, taken: Arc<Mutex<Taken>>) {
    let _ = shop_on(&caller, &taken).await;
}

async fn shop_on(caller: &Caller, taken: &Mutex<Taken>) -> Option<()> {
    let user = caller.sign_up(&unique_email()).await?;
    let id = &user.user_id;
    let path = format!("/payments/items/user/{id}/credits/update-quantity?allow_negative=false");
    let grant = json!({"delta": GRANT});
    for nth in 0.. {
        answer_to(caller.server("POST", &path).json(&grant)).await?;
        *taken.lock().unwrap().changes.entry(id.clone()).or_default() += 1;
        let marks = ["a", "b"].map(|part| format!("{id} {nth} {part}"));
        let click =
            |mark| json!({"event_type": "$click", "event_at_ms": nth, "data": {"mark": mark}});
        let batch = json!({
            "session_replay_segment_id": SEGMENT, "batch_id": BATCH, "sent_at_ms": nth,
            "events": marks.each_ref().map(click),
        });
        let post = caller.client("POST", "/analytics/events/batch");
        let post = post.header("x-stack-access-token", &user.access);
        answer_to(post.json(&batch)).await?;
        taken.lock().unwrap().marks.extend(marks);
    }
    None
}

/// Starts an engine on what the servers left. The last one's child may take a moment to end.
async fn reopen(home: &Path) -> AnalyticsEngine {
    let program = Path::new(env!("CARGO_BIN_EXE_muniment"));
    let home = Home::Kept(home.join("analytics"));
    let engine = AnalyticsEngine::start(program, home, &cache_folder()).await;
    engine.unwrap()
}
