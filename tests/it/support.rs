//! A server per test on a database of its own, and a client that says what it expects.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use muniment::app::QueryErrors;
use muniment::app::projects::seed::{self, Seed};
use muniment::app::projects::{self, NewKeys};
use muniment::clients::address_policy::AddressPolicy;
use muniment::clients::mail::Carrier;
use muniment::clients::stripe::StripeAccess;
use muniment::clock::Clock;
use muniment::config::{AnalyticsSettings, Delivery, Settings, TrustedProxy};
use muniment::embedded::analytics_engine::{AnalyticsEngine, Home};
use muniment::embedded::cache_folder::cache_folder;
use muniment::embedded::postgres::{Durability, Lifetime, PrivatePostgres};
use muniment::security::limits::Quotas;
use muniment::security::passwords::Cost;
use muniment::security::secrets::{Random, ServerSecret};
use muniment::server::{self, Configuration, Follow, Mode, Server};
use muniment_domain::ProjectId;
use muniment_domain::project::{Level, ProjectCommand};
use muniment_event_store::{EventContext, EventLog};
use muniment_projections::analytics::AnalyticsStore;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;

use crate::reference::Reference;
use crate::smtp::MailBox;

/// The cluster of this test run. Its watchdog stops and removes it when the process ends.
static CLUSTER: OnceCell<PrivatePostgres> = OnceCell::const_new();
/// The analytics engine of this test run, which every server uses: each test has its own projects.
static ENGINE: OnceCell<AnalyticsEngine> = OnceCell::const_new();
const TEMPLATE: &str = "muniment_template";

/// Keys of the `internal` project.
pub(crate) const INTERNAL_CLIENT: &str = "pck_internal-client-key";
pub(crate) const INTERNAL_SERVER: &str = "ssk_internal-server-key";
pub(crate) const INTERNAL_ADMIN: &str = "sak_internal-admin-key";

/// Where tests say that the API and the dashboard are.
pub(crate) const PUBLIC_URL: &str = "http://localhost:8102";
pub(crate) const DASHBOARD_URL: &str = "https://dashboard.example.com";
/// Where logins of the platform `host` lead.
pub(crate) const PLATFORM_CALLBACK: &str = "https://host.example.com/callback?kept=1";

/// The hosting platforms that are registered.
fn integration_clients() -> Value {
    json!([
        {"client_id": "host", "client_secret": "host-secret:1", "redirect_uris": [PLATFORM_CALLBACK],
         "id_token_signed_response_alg": "ES256"},
        {"client_id": "rival", "client_secret": "rival-secret", "redirect_uris": [PLATFORM_CALLBACK],
         "id_token_signed_response_alg": "HS256"},
    ])
}

async fn cluster() -> &'static PrivatePostgres {
    CLUSTER
        .get_or_init(|| async {
            let lifetime = Lifetime::Ephemeral(Durability::Fast);
            let postgres = PrivatePostgres::start(lifetime, &cache_folder())
                .await
                .unwrap();
            let mut connection = PgConnection::connect(&postgres.url("postgres"))
                .await
                .unwrap();
            let create = sqlx::query("CREATE DATABASE muniment_template");
            create.execute(&mut connection).await.unwrap();
            let pool = server::connect(&postgres.url(TEMPLATE), 1).await.unwrap();
            server::migrate(&pool).await.unwrap();
            pool.close().await;
            postgres
        })
        .await
}

/// The engine that all tests share. It ends with the process.
pub(crate) async fn engine() -> &'static AnalyticsEngine {
    ENGINE
        .get_or_init(|| async {
            let engine = start_engine().await;
            engine.store().migrate().await.unwrap();
            engine
        })
        .await
}

/// An engine of one's own, to be killed and the like. It has no schema yet.
pub(crate) async fn start_engine() -> AnalyticsEngine {
    let program = Path::new(env!("CARGO_BIN_EXE_muniment"));
    AnalyticsEngine::start(program, Home::Temporary, &cache_folder())
        .await
        .unwrap()
}

/// Names a ClickHouse server to test with, as `CLICKHOUSE_URL` does, instead of the engine.
const SERVER_VARIABLE: &str = "MUNIMENT_TEST_CLICKHOUSE_URL";

/// The store that all tests share, by connections of the test's own: they end with its runtime.
pub(crate) async fn analytics() -> AnalyticsStore {
    let settings = AnalyticsSettings {
        clickhouse_url: std::env::var(SERVER_VARIABLE).ok(),
    };
    let Some(endpoint) = settings.server(&secret()).unwrap() else {
        return engine().await.store().reconnected();
    };
    let store = AnalyticsStore::new(endpoint);
    store.migrate().await.unwrap();
    store
}

/// The URL of a fresh database with the schema in it.
pub(crate) async fn database() -> String {
    copy_of(TEMPLATE).await
}

/// The URL of a copy of the database of that name, to which nobody may be connected.
pub(crate) async fn copy_of(original: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let postgres = cluster().await;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&postgres.url("postgres"))
        .await
        .unwrap();
    let sql = format!("CREATE DATABASE {name} TEMPLATE {original}");
    sqlx::query(&sql).execute(&mut connection).await.unwrap();
    postgres.url(&name)
}

/// Ends all connections to a database and allows no more, so that it can be copied.
pub(crate) async fn close_off(name: &str) {
    let postgres = cluster().await;
    let mut connection = PgConnection::connect(&postgres.url("postgres"))
        .await
        .unwrap();
    for sql in [
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
    ] {
        sqlx::query(&sql).execute(&mut connection).await.unwrap();
    }
}

/// The secret that tests run with.
pub(crate) fn secret() -> ServerSecret {
    ServerSecret::generate(&Random::seeded(42))
}

/// How a test's server may differ from the usual one.
pub(crate) struct Variant {
    pub follow: Follow,
    pub quotas: Quotas,
    pub trusted_proxy: Option<TrustedProxy>,
    pub webhooks: Delivery,
    pub analytics: Option<AnalyticsStore>,
    pub query_errors: QueryErrors,
    pub stripe: Option<StripeAccess>,
}

impl Variant {
    /// What most tests want: everything runs.
    pub(crate) async fn usual() -> Self {
        Self {
            follow: Follow::Everything,
            quotas: Quotas::default(),
            trusted_proxy: None,
            webhooks: Delivery::Embedded(AddressPolicy::Anywhere),
            analytics: Some(analytics().await),
            query_errors: QueryErrors::Shown,
            stripe: None,
        }
    }
}

/// A server with an `internal` project and one project to test with.
pub(crate) struct TestServer {
    server: Server,
    http: reqwest::Client,
    pub clock: Clock,
    pub project: Project,
    pub mail: MailBox,
}

/// A project and its keys.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub id: String,
    pub client: String,
    pub server: String,
    pub admin: String,
}

/// What a sign-in yields.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub user_id: String,
    pub access: String,
    pub refresh: String,
}

impl Tokens {
    pub(crate) fn of(body: &Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Self {
            user_id: text("user_id"),
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_on(&database().await, Follow::Everything).await
    }

    pub(crate) async fn start_on(url: &str, follow: Follow) -> Self {
        Self::start_limited(url, follow, Quotas::default(), None).await
    }

    /// A server with that analytics store, or none.
    pub(crate) async fn start_analysing(analytics: Option<AnalyticsStore>) -> Self {
        let variant = Variant {
            analytics,
            ..Variant::usual().await
        };
        Self::start_with(&database().await, variant).await
    }

    /// A server that delivers webhooks that way.
    pub(crate) async fn start_delivering(url: &str, webhooks: Delivery) -> Self {
        let variant = Variant {
            webhooks,
            ..Variant::usual().await
        };
        Self::start_with(url, variant).await
    }

    /// A server that takes payments through that Stripe.
    pub(crate) async fn start_charging(stripe: StripeAccess) -> Self {
        Self::start_charging_on(&database().await, Follow::Everything, stripe).await
    }

    pub(crate) async fn start_charging_on(url: &str, follow: Follow, stripe: StripeAccess) -> Self {
        let variant = Variant {
            follow,
            stripe: Some(stripe),
            ..Variant::usual().await
        };
        Self::start_with(url, variant).await
    }

    /// A server with limits of its own, behind proxies.
    pub(crate) async fn start_limited(
        url: &str,
        follow: Follow,
        quotas: Quotas,
        trusted_proxy: Option<TrustedProxy>,
    ) -> Self {
        let variant = Variant {
            follow,
            quotas,
            trusted_proxy,
            ..Variant::usual().await
        };
        Self::start_with(url, variant).await
    }

    /// A server that differs from the usual one.
    pub(crate) async fn start_with(url: &str, variant: Variant) -> Self {
        let Variant {
            follow,
            quotas,
            trusted_proxy,
            webhooks,
            analytics,
            query_errors,
            stripe,
        } = variant;
        let pool = server::connect(url, 20).await.unwrap();
        let clock = Clock::fixed(Clock::system().now());
        let mail = MailBox::open().await;
        let mut settings = Settings::defaults().unwrap();
        PUBLIC_URL.clone_into(&mut settings.network.public_url);
        settings.network.dashboard_url = Some(DASHBOARD_URL.to_owned());
        settings.network.trusted_proxy = trusted_proxy;
        settings.integrations.integration_clients = Some(integration_clients().to_string());
        "noreply@muniment.example.com".clone_into(&mut settings.mail.email_sender);
        settings.limits.rate_limits = quotas;
        let address_policy = match webhooks {
            Delivery::Embedded(policy) => policy,
            Delivery::Svix {
                server_url,
                api_key,
            } => {
                settings.webhooks.svix_server_url = Some(server_url);
                settings.webhooks.svix_api_key = Some(api_key);
                AddressPolicy::Public
            }
        };
        let configuration = Configuration {
            settings,
            secret: secret(),
            mode: Mode {
                mail: Carrier::Server(mail.server()),
                address_policy,
                stripe,
                analytics,
                query_errors,
                docs_credentials: Vec::new(),
            },
            password_cost: Cost::Minimal,
            clock: clock.clone(),
        };
        let app = server::assemble(pool, configuration).unwrap();
        let keys = NewKeys {
            publishable_client_key: Some(INTERNAL_CLIENT.to_owned()),
            secret_server_key: Some(INTERNAL_SERVER.to_owned()),
            super_secret_admin_key: Some(INTERNAL_ADMIN.to_owned()),
        };
        let internal = Seed {
            keys,
            sign_up: true,
            otp: true,
            allow_localhost: true,
            oauth_providers: Vec::new(),
        };
        seed::internal_project(&app, &internal).await.unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(app, address, follow).await.unwrap();
        let none = Project {
            id: String::new(),
            client: String::new(),
            server: String::new(),
            admin: String::new(),
        };
        let http = reqwest::Client::new();
        let mut started = Self {
            server,
            http,
            clock,
            mail,
            project: none,
        };
        started.project = started.new_project(json!({})).await;
        started
    }

    pub(crate) fn app(&self) -> &muniment::app::App {
        self.server.app()
    }

    pub(crate) fn log(&self) -> &EventLog {
        &self.server.app().log
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.log().pool()
    }

    pub(crate) async fn flush_activity(&self) {
        let now = self.clock.now();
        self.server.app().activity.flush_all(now).await.unwrap();
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    /// The `internal` project.
    pub(crate) fn internal(&self) -> Project {
        Project {
            id: "internal".to_owned(),
            client: INTERNAL_CLIENT.to_owned(),
            server: INTERNAL_SERVER.to_owned(),
            admin: INTERNAL_ADMIN.to_owned(),
        }
    }

    /// Makes a project the way its owner does: sign up to `internal`, create, issue keys.
    pub(crate) async fn new_project(&self, config: Value) -> Project {
        let owner = self.sign_up_to(&self.internal(), &unique_email()).await;
        let internal = self.internal();
        let me = self
            .client_of(&internal, "GET", "/users/me")
            .user(&owner)
            .expect(200)
            .await;
        let mut settings = json!({
            "client_team_creation_enabled": true,
            "client_user_deletion_enabled": true,
        });
        for (name, value) in config.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let created = self
            .client_of(&internal, "POST", "/internal/projects")
            .user(&owner)
            .body(json!({
                "display_name": "Test",
                "owner_team_id": me["selected_team_id"],
                "config": settings,
            }))
            .expect(201)
            .await;
        let id = created["id"].as_str().unwrap().to_owned();
        let keys = self
            .call("POST", "/internal/api-keys")
            .header("x-stack-access-type", "admin")
            .header("x-stack-project-id", &id)
            .header("x-stack-admin-access-token", &owner.access)
            .body(json!({
                "description": "for tests",
                "expires_at_millis": 4_102_444_799_000_i64,
                "has_publishable_client_key": true,
                "has_secret_server_key": true,
                "has_super_secret_admin_key": true,
            }))
            .expect(200)
            .await;
        let key = |name: &str| keys[name].as_str().unwrap().to_owned();
        Project {
            id,
            client: key("publishable_client_key"),
            server: key("secret_server_key"),
            admin: key("super_secret_admin_key"),
        }
    }

    /// A call without any authentication.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Call(
            self.http
                .request(method, format!("{}/api/v1{path}", self.base())),
        )
    }

    /// A call to a path outside the API.
    pub(crate) fn page(&self, method: &str, path: &str) -> Call {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Call(self.http.request(method, format!("{}{path}", self.base())))
    }

    pub(crate) fn client_of(&self, project: &Project, method: &str, path: &str) -> Call {
        self.call(method, path)
            .header("x-stack-access-type", "client")
            .header("x-stack-project-id", &project.id)
            .header("x-stack-publishable-client-key", &project.client)
    }

    pub(crate) fn server_of(&self, project: &Project, method: &str, path: &str) -> Call {
        self.call(method, path)
            .header("x-stack-access-type", "server")
            .header("x-stack-project-id", &project.id)
            .header("x-stack-secret-server-key", &project.server)
    }

    pub(crate) fn admin_of(&self, project: &Project, method: &str, path: &str) -> Call {
        self.call(method, path)
            .header("x-stack-access-type", "admin")
            .header("x-stack-project-id", &project.id)
            .header("x-stack-super-secret-admin-key", &project.admin)
    }

    pub(crate) fn client(&self, method: &str, path: &str) -> Call {
        self.client_of(&self.project, method, path)
    }

    pub(crate) fn server(&self, method: &str, path: &str) -> Call {
        self.server_of(&self.project, method, path)
    }

    pub(crate) fn admin(&self, method: &str, path: &str) -> Call {
        self.admin_of(&self.project, method, path)
    }

    pub(crate) async fn sign_up_to(&self, project: &Project, email: &str) -> Tokens {
        let body = self
            .client_of(project, "POST", "/auth/password/sign-up")
            .body(json!({"email": email, "password": PASSWORD}))
            .expect(200)
            .await;
        Tokens::of(&body)
    }

    pub(crate) async fn sign_up(&self, email: &str) -> Tokens {
        self.sign_up_to(&self.project, email).await
    }

    pub(crate) async fn anonymous(&self) -> Tokens {
        let call = self.client("POST", "/auth/anonymous/sign-up");
        Tokens::of(&call.expect(200).await)
    }

    /// Switches on every way to sign in, and trusts local hosts.
    pub(crate) async fn offer_everything(&self) {
        self.configure(json!({
            "magic_link_enabled": true,
            "passkey_enabled": true,
            "credential_enabled": true,
            "allow_localhost": true,
        }))
        .await;
    }

    /// Asks for a sign-in code and waits for the mail. Yields the whole code.
    pub(crate) async fn sign_in_code(&self, email: &str) -> String {
        let nth = self.mail.to(email).len() + 1;
        self.client("POST", "/auth/otp/send-sign-in-code")
            .body(json!({"email": email, "callback_url": CALLBACK}))
            .expect(200)
            .await;
        self.mail.nth(email, nth).await.code()
    }

    /// Changes the test project's settings.
    pub(crate) async fn configure(&self, config: Value) {
        let call = self.admin("PATCH", "/internal/projects/current");
        call.body(json!({"config": config})).expect(200).await;
    }

    /// Gives the test project an account at Stripe.
    pub(crate) async fn set_up_payments(&self) {
        let call = self.admin("POST", "/internal/payments/setup");
        call.body(json!({})).expect(200).await;
    }

    /// Writes settings of the test project as they are kept: dotted keys and their values.
    pub(crate) async fn override_settings(&self, changes: Value) {
        let app = self.server.app();
        let id = ProjectId::from_caller(&self.project.id);
        let context = EventContext::system(id.clone(), "test", app.now());
        let command = ProjectCommand::Override {
            level: Level::Environment,
            changes: changes.as_object().unwrap().clone(),
        };
        projects::change(app, &context, &id, vec![command])
            .await
            .unwrap();
    }

    pub(crate) async fn create_team(&self, owner: &Tokens) -> String {
        let call = self
            .client("POST", "/teams")
            .user(owner)
            .body(json!({"display_name": "Team"}));
        call.expect(201).await["id"].as_str().unwrap().to_owned()
    }

    /// Lets a user into a team, as an ordinary member.
    pub(crate) async fn add_member(&self, team: &str, user: &Tokens) {
        let path = format!("/team-memberships/{team}/{}", user.user_id);
        let call = self.server("POST", &path).body(json!({}));
        call.expect(201).await;
    }

    /// Whether the read models say what the log says.
    pub(crate) async fn assert_verified(&self) {
        let differences = muniment_projections::maintenance::verify::verify(self.log(), |_| ())
            .await
            .unwrap()
            .differences;
        assert!(differences.is_empty(), "{differences:#?}");
    }
}

/// Where links in mails lead.
pub(crate) const CALLBACK: &str = "http://localhost:3000/handler?after=x";

/// The password of every test user.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// An address nobody else uses.
pub(crate) fn unique_email() -> String {
    format!("{}@example.com", Random::system().request_id())
}

/// A request that is being put together.
pub(crate) struct Call(reqwest::RequestBuilder);

impl Call {
    /// The method, and the path with its query.
    pub(crate) fn line(&self) -> String {
        let request = self.0.try_clone().unwrap().build().unwrap();
        let url = request.url();
        let query = url.query().map_or(String::new(), |it| format!("?{it}"));
        format!("{} {}{query}", request.method(), url.path())
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub(crate) fn user(self, tokens: &Tokens) -> Self {
        self.header("x-stack-access-token", &tokens.access)
            .header("x-stack-allow-anonymous-user", "true")
    }

    pub(crate) fn body(self, body: Value) -> Self {
        Self(self.0.json(&body))
    }

    pub(crate) fn raw(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header("content-type", content_type).body(body))
    }

    /// Sends, and holds the answer against the reference.
    pub(crate) async fn send(self) -> Answer {
        let (client, request) = self.0.build_split();
        let request = request.unwrap();
        let method = request.method().clone();
        let response = client.execute(request).await.unwrap();
        // It may have been led elsewhere.
        let url = response.url().clone();
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Answer {
            status,
            headers,
            text: response.text().await.unwrap(),
        };
        let reference = Reference::of(&url.origin().ascii_serialization()).await;
        reference.check(method.as_str(), url.path(), &answer);
        answer
    }

    /// Sends, and demands that status.
    pub(crate) async fn expect(self, status: u16) -> Value {
        let answer = self.send().await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        answer.json()
    }

    /// Sends, and demands that status, whatever is said beside.
    pub(crate) async fn expect_status(self, status: u16) {
        let answer = self.send().await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    }

    /// Sends, and demands that known error. Yields its details.
    pub(crate) async fn refused(self, status: u16, code: &str) -> Value {
        let answer = self.send().await;
        assert_eq!(
            answer.known_error(),
            Some(code),
            "{} {}",
            answer.status,
            answer.text
        );
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        let body = answer.json();
        assert_eq!(body["code"], code);
        assert!(body["error"].is_string());
        body.get("details").cloned().unwrap_or(Value::Null)
    }

    /// Sends, and demands an error without a code.
    pub(crate) async fn refused_in_words(self, status: u16) {
        let answer = self.send().await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert_eq!(answer.known_error(), None, "{}", answer.text);
        assert!(
            answer.header("content-type").starts_with("text/plain"),
            "{}",
            answer.text
        );
    }
}

/// An answer.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn known_error(&self) -> Option<&str> {
        self.headers
            .get("x-stack-known-error")
            .map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Tries until it holds, or half a minute has passed: for what subscribers do in the background.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !holds().await {
        assert!(
            std::time::Instant::now() < deadline,
            "never happened: {what}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
