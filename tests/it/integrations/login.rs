//! A platform is let into a project, by OpenID Connect.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use muniment::server::Follow;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::{HOST, RIVAL};
use crate::support::{
    Answer, Call, DASHBOARD_URL, PLATFORM_CALLBACK, PUBLIC_URL, TestServer, database, unique_email,
};

const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
const MINUTE: i64 = 60 * 1000;

fn challenge() -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(VERIFIER.as_bytes()))
}

/// Where an answer leads: its address on this very server, if it is the API's.
fn location(answer: &Answer) -> Url {
    Url::parse(answer.header("location")).unwrap()
}

/// The path below the API's prefix, with the query.
fn path_of(url: &Url) -> String {
    let start = format!("{PUBLIC_URL}/api/v1");
    url.as_str().strip_prefix(&start).unwrap().to_owned()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs).finish()
}

/// A platform's side of a login, and a browser that follows no redirects by itself.
struct Platform<'s> {
    server: &'s TestServer,
    integration: &'static str,
    client_id: &'static str,
    credentials: &'static str,
    browser: reqwest::Client,
}

impl<'s> Platform<'s> {
    fn host(server: &'s TestServer, integration: &'static str) -> Self {
        let browser = reqwest::Client::builder().redirect(Policy::none());
        Self {
            server,
            integration,
            client_id: "host",
            credentials: HOST,
            browser: browser.build().unwrap(),
        }
    }

    fn rival(server: &'s TestServer, integration: &'static str) -> Self {
        Self {
            client_id: "rival",
            credentials: RIVAL,
            ..Self::host(server, integration)
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/integrations/{}/{rest}", self.integration)
    }

    /// What the browser gets from a path below the API's prefix.
    async fn visit(&self, method: &str, path: &str) -> Answer {
        let url = format!("{}/api/v1{path}", self.server.base());
        let request = self.browser.request(method.parse().unwrap(), url);
        let response = request.send().await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    /// Asks to be let in. Yields the id of the interaction.
    async fn ask(&self, state: &str) -> String {
        let query = encoded(&[
            ("client_id", self.client_id),
            ("redirect_uri", PLATFORM_CALLBACK),
            ("state", state),
            ("code_challenge", &challenge()),
            ("code_challenge_method", "S256"),
            ("response_type", "code"),
        ]);
        let path = self.path(&format!("oauth/authorize?{query}"));
        let answer = self.visit("GET", &path).await;
        assert_eq!(answer.status, 307, "{}", answer.text);
        let at_provider = location(&answer);
        assert_eq!(parameter(&at_provider, "scope").unwrap(), "openid");
        assert_eq!(parameter(&at_provider, "state").unwrap(), state);
        let answer = self.visit("GET", &path_of(&at_provider)).await;
        assert_eq!(answer.status, 307, "{}", answer.text);
        assert_eq!(answer.header("set-cookie"), "");
        let interaction = path_of(&location(&answer));
        let start = self.path("oauth/idp/interaction/");
        interaction.strip_prefix(&start).unwrap().to_owned()
    }

    /// The dashboard's word that the owner agrees. Yields the authorization code.
    async fn agree(&self, uid: &str, project: &str) -> String {
        let confirmed = self.confirm(json!({"interaction_uid": uid, "project_id": project}));
        let code = confirmed.expect(200).await["authorization_code"].clone();
        code.as_str().unwrap().to_owned()
    }

    fn confirm(&self, body: Value) -> Call {
        let internal = self.server.internal();
        let path = self.path("internal/confirm");
        self.server.server_of(&internal, "POST", &path).body(body)
    }

    fn return_path(&self, uid: &str, code: &str) -> String {
        self.path(&format!("oauth/idp/interaction/{uid}/done?code={code}"))
    }

    /// Brings the authorization code back. Yields the login code.
    async fn come_back(&self, uid: &str, code: &str, state: &str) -> String {
        let answer = self.visit("POST", &self.return_path(uid, code)).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let callback = location(&answer);
        assert!(callback.as_str().starts_with(PLATFORM_CALLBACK));
        assert_eq!(parameter(&callback, "state").unwrap(), state);
        parameter(&callback, "code").unwrap()
    }

    fn exchange(&self, code: &str) -> Call {
        self.exchange_with(code, VERIFIER, PLATFORM_CALLBACK)
    }

    fn exchange_with(&self, code: &str, verifier: &str, redirect_uri: &str) -> Call {
        let call = self.server.call("POST", &self.path("oauth/token"));
        call.header("authorization", self.credentials).body(json!({
            "grant_type": "authorization_code", "code": code,
            "code_verifier": verifier, "redirect_uri": redirect_uri,
        }))
    }

    /// All of it: yields a login code.
    async fn log_in(&self, project: &str) -> String {
        let uid = self.ask("s").await;
        let code = self.agree(&uid, project).await;
        self.come_back(&uid, &code, "s").await
    }

    /// The same exchange at the provider itself.
    fn exchange_at_provider(&self, code: &str) -> Call {
        let form = encoded(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", PLATFORM_CALLBACK),
        ]);
        let call = self.server.call("POST", &self.path("oauth/idp/token"));
        call.header("authorization", self.credentials)
            .raw("application/x-www-form-urlencoded", form)
    }
}

#[tokio::test]
async fn a_platform_is_let_into_a_project() {
    let server = TestServer::start().await;
    for integration in ["custom", "neon"] {
        let platform = Platform::host(&server, integration);
        let state = json!({"details": {"external_project_name": "My shop"}});
        let state = BASE64.encode(state.to_string().as_bytes());
        let uid = platform.ask(&state).await;
        let interaction = platform.path(&format!("oauth/idp/interaction/{uid}"));
        let answer = platform.visit("GET", &interaction).await;
        assert_eq!(answer.status, 307);
        let dashboard = location(&answer);
        let start = format!("{DASHBOARD_URL}/integrations/{integration}/confirm?");
        assert!(dashboard.as_str().starts_with(&start), "{dashboard}");
        assert_eq!(parameter(&dashboard, "interaction_uid").unwrap(), uid);
        assert_eq!(
            parameter(&dashboard, "external_project_name").unwrap(),
            "My shop"
        );

        let keys_before = key_sets(&server).await;
        // The newest set comes first.
        server.clock.advance(1);
        let confirmed = platform.confirm(json!({
            "interaction_uid": uid, "project_id": server.project.id, "external_project_name": "My shop",
        }));
        let code = confirmed.expect(200).await["authorization_code"].clone();
        let code = code.as_str().unwrap();
        let keys = key_sets(&server).await;
        assert_eq!(keys.len(), keys_before.len() + 1);
        assert!(keys[0]["description"].as_str().unwrap().contains("My shop"));
        assert!(keys[0].get("secret_server_key").is_none());
        let expiry = keys[0]["expires_at_millis"].as_i64().unwrap();
        let years = (expiry - server.clock.now().0) / (365 * 24 * 60 * MINUTE);
        assert_eq!(years, 100);

        // A GET uses nothing up, but sends itself back by POST.
        let page = platform
            .visit("GET", &platform.return_path(&uid, code))
            .await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.text.contains("submit()"), "{}", page.text);
        let login = platform.come_back(&uid, code, &state).await;
        let granted = platform.exchange(&login).expect(200).await;
        assert_eq!(granted["token_type"], "api_key");
        assert_eq!(granted["project_id"], server.project.id);
        let mut project = server.project.clone();
        project.admin = granted["access_token"].as_str().unwrap().to_owned();
        assert!(project.admin.starts_with("sak_"));
        let opened = server.admin_of(&project, "GET", "/internal/projects/current");
        assert_eq!(opened.expect(200).await["id"], project.id);
        // Nothing that opens anything is kept.
        let kept: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM verification_codes c WHERE to_jsonb(c)::text LIKE '%' || $1 || '%'",
        )
        .bind(&project.admin)
        .fetch_one(server.pool())
        .await
        .unwrap();
        assert_eq!(kept, 0);
    }
    server.assert_verified().await;
}

async fn key_sets(server: &TestServer) -> Vec<Value> {
    let keys = server.admin("GET", "/internal/api-keys").expect(200).await;
    keys["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_provider_describes_itself_and_signs_what_it_says() {
    let server = TestServer::start().await;
    let host = Platform::host(&server, "neon");
    let issuer = format!("{PUBLIC_URL}/api/v1/integrations/neon/oauth/idp");
    let described = "/integrations/neon/oauth/idp/.well-known/openid-configuration";
    let described = server.call("GET", described).expect(200).await;
    assert_eq!(described["issuer"], issuer);
    assert_eq!(
        described["jwks_uri"],
        format!("{issuer}/.well-known/jwks.json")
    );
    assert_eq!(
        described["code_challenge_methods_supported"],
        json!(["S256"])
    );
    let keys = "/integrations/neon/oauth/idp/.well-known/jwks.json";
    let keys = server.call("GET", keys).expect(200).await;

    let login = host.log_in(&server.project.id).await;
    let answer = host.exchange_at_provider(&login).expect(200).await;
    let token = answer["id_token"].as_str().unwrap();
    let kid = decode_header(token).unwrap().kid.unwrap();
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == kid).unwrap();
    let part = |name: &str| key[name].as_str().unwrap();
    let key = DecodingKey::from_ec_components(part("x"), part("y")).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["host"]);
    validation.set_issuer(&[&issuer]);
    validation.validate_exp = false;
    let claims = decode::<Value>(token, &key, &validation).unwrap().claims;
    assert_eq!(claims["sub"], server.project.id);
    assert_eq!(answer["token_type"], "Bearer");

    // The registry says how a client's id tokens are signed.
    let rival = Platform::rival(&server, "neon");
    let login = rival.log_in(&server.project.id).await;
    let answer = rival.exchange_at_provider(&login).expect(200).await;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["rival"]);
    validation.validate_exp = false;
    let key = DecodingKey::from_secret(b"rival-secret");
    let token = answer["id_token"].as_str().unwrap();
    assert!(decode::<Value>(token, &key, &validation).is_ok());
    // No token of the provider's is anybody's access token.
    let call = server
        .client("GET", "/users/me")
        .header("x-stack-access-token", token);
    call.refused(401, "UNPARSABLE_ACCESS_TOKEN").await;
}

#[tokio::test]
async fn a_login_code_works_once_for_whom_it_is_meant() {
    let server = TestServer::start().await;
    let (host, rival) = (
        Platform::host(&server, "custom"),
        Platform::rival(&server, "custom"),
    );
    let neon = Platform::host(&server, "neon");
    let id = server.project.id.clone();
    let used = host.log_in(&id).await;
    host.exchange(&used).expect(200).await;
    let stolen = host.log_in(&id).await;
    let code = host.log_in(&id).await;
    let elsewhere = host.log_in(&id).await;
    let other = host.log_in(&id).await;
    let late = host.log_in(&id).await;
    for call in [
        host.exchange(&used),
        host.exchange("0".repeat(45).as_str()),
        host.exchange("short"),
        rival.exchange(&stolen),
        host.exchange_with(&code, "another verifier", PLATFORM_CALLBACK),
        host.exchange_with(&other, VERIFIER, "https://evil.example.com"),
        neon.exchange(&elsewhere),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.known_error(), None);
        assert!(answer.header("content-type").starts_with("text/plain"));
        assert!(answer.text.contains("invalid_grant"), "{}", answer.text);
    }
    // Who guessed wrong has used the code up.
    host.exchange(&code).refused_in_words(400).await;
    server.clock.advance(10 * MINUTE);
    host.exchange(&late).refused_in_words(400).await;

    let at_provider = host.exchange_at_provider(&used).expect(400).await;
    assert_eq!(at_provider["error"], "invalid_grant");
    let bare = server.call("POST", &host.path("oauth/idp/token"));
    assert_eq!(bare.expect(400).await["error"], "invalid_request");
    let form = "grant_type=authorization_code&client_id=host&client_secret=wrong";
    let wrong = server.call("POST", &host.path("oauth/idp/token"));
    let wrong = wrong.raw("application/x-www-form-urlencoded", form);
    assert_eq!(wrong.expect(400).await["error"], "invalid_client");

    let token = || server.call("POST", &host.path("oauth/token"));
    let body = json!({"grant_type": "authorization_code", "code": "c", "code_verifier": "v",
                      "redirect_uri": PLATFORM_CALLBACK});
    token()
        .body(body.clone())
        .refused(400, "SCHEMA_ERROR")
        .await;
    for name in ["grant_type", "code", "code_verifier", "redirect_uri"] {
        let mut bad = body.clone();
        bad.as_object_mut().unwrap().remove(name);
        let call = token().header("authorization", HOST).body(bad);
        call.refused(400, "SCHEMA_ERROR").await;
    }
    let mut bad = body;
    bad["grant_type"] = json!("password");
    let call = token().header("authorization", HOST).body(bad);
    call.refused(400, "SCHEMA_ERROR").await;
    server.assert_verified().await;
}

#[tokio::test]
async fn an_authorization_code_ends_its_own_interaction_only() {
    let server = TestServer::start().await;
    let host = Platform::host(&server, "custom");
    let (mine, other) = (host.ask("a").await, host.ask("b").await);
    let code = host.agree(&mine, &server.project.id).await;
    let refused = async |uid: &str, code: &str| {
        let answer = host.visit("POST", &host.return_path(uid, code)).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.header("content-type").starts_with("text/plain"));
    };
    refused(&other, &code).await;
    refused("made-up", &code).await;
    refused(&mine, &"0".repeat(45)).await;
    let neon = Platform::host(&server, "neon");
    let answer = neon.visit("POST", &neon.return_path(&mine, &code)).await;
    assert_eq!(answer.status, 400);
    // None of that has used it up.
    host.come_back(&mine, &code, "a").await;
    refused(&mine, &code).await;
    for method in ["GET", "POST"] {
        let path = host.path(&format!("oauth/idp/interaction/{mine}/done"));
        let call = server.call(method, &path);
        call.refused(400, "SCHEMA_ERROR").await;
    }

    let late = host.ask("c").await;
    let code = host.agree(&late, &server.project.id).await;
    server.clock.advance(10 * MINUTE);
    refused(&late, &code).await;
    server.clock.advance(50 * MINUTE);
    let path = host.path(&format!("oauth/idp/interaction/{late}"));
    let answer = host.visit("GET", &path).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"], "invalid_request");
    server.assert_verified().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_lead_nowhere() {
    let server = TestServer::start().await;
    let host = Platform::host(&server, "custom");
    let challenge = challenge();
    let right = [
        ("client_id", "host"),
        ("redirect_uri", PLATFORM_CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let ask = async |pairs: &[(&str, &str)]| {
        let path = host.path(&format!("oauth/idp/auth?{}", encoded(pairs)));
        host.visit("GET", &path).await
    };
    assert_eq!(ask(&right).await.status, 307);
    for (name, value, error) in [
        ("client_id", "nobody", "invalid_client"),
        (
            "redirect_uri",
            "https://evil.example.com",
            "invalid_redirect_uri",
        ),
        (
            "redirect_uri",
            "https://host.example.com/callback",
            "invalid_redirect_uri",
        ),
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "email", "invalid_scope"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
    ] {
        let wrong = right.map(|(key, good)| (key, if key == name { value } else { good }));
        let answer = ask(&wrong).await;
        assert_eq!(answer.status, 400, "{name}");
        assert_eq!(answer.json()["error"], error, "{name}");
        let missing: Vec<_> = right.into_iter().filter(|(key, _)| *key != name).collect();
        assert_eq!(ask(&missing).await.json()["error"], "invalid_request");
    }
    let authorize = async |pairs: &[(&str, &str)]| {
        let path = host.path(&format!("oauth/authorize?{}", encoded(pairs)));
        host.visit("GET", &path).await
    };
    let mut front = right.to_vec();
    front[3] = ("state", "s");
    assert_eq!(authorize(&front).await.status, 307);
    for at in 0..front.len() {
        let mut missing = front.clone();
        missing.remove(at);
        let answer = authorize(&missing).await;
        assert_eq!(answer.known_error(), Some("SCHEMA_ERROR"));
    }
    let mut plain = front.clone();
    plain[5].1 = "plain";
    assert_eq!(authorize(&plain).await.known_error(), Some("SCHEMA_ERROR"));

    let overview = host.visit("GET", &host.path("oauth")).await;
    assert_eq!(overview.status, 200);
    for end in ["authorize", "token"] {
        let url = format!("{PUBLIC_URL}/api/v1/integrations/custom/oauth/{end}");
        assert!(overview.text.contains(&url), "{}", overview.text);
    }
    for path in ["oauth", "oauth/idp/auth", "oauth/idp/.well-known/jwks.json"] {
        let path = format!("/integrations/elsewhere/{path}");
        server.call("GET", &path).refused_in_words(404).await;
    }
}

#[tokio::test]
async fn only_the_dashboard_says_who_is_let_in() {
    let server = TestServer::start().await;
    let host = Platform::host(&server, "neon");
    let body = json!({"interaction_uid": "uid", "project_id": server.project.id});
    let path = host.path("internal/confirm");
    let foreign = server.server("POST", &path).body(body.clone());
    foreign.refused(400, "SCHEMA_ERROR").await;
    let internal = server.internal();
    let client = server
        .client_of(&internal, "POST", &path)
        .body(body.clone());
    client.refused(401, "INSUFFICIENT_ACCESS_TYPE").await;
    let admin = server.admin_of(&internal, "POST", &path).body(body.clone());
    assert_eq!(
        admin.expect(200).await["authorization_code"]
            .as_str()
            .unwrap()
            .len(),
        45
    );
    let details = host
        .confirm(json!({"interaction_uid": "uid", "project_id": "nowhere"}))
        .refused(404, "PROJECT_NOT_FOUND")
        .await;
    assert_eq!(details, json!({"project_id": "nowhere"}));
    for bad in [
        json!({}),
        json!({"interaction_uid": "uid"}),
        json!({"interaction_uid": "", "project_id": server.project.id}),
    ] {
        host.confirm(bad).refused(400, "SCHEMA_ERROR").await;
    }
}

#[tokio::test]
async fn any_node_goes_on_with_a_login() {
    let url = database().await;
    let here = TestServer::start_on(&url, Follow::Everything).await;
    let there = TestServer::start_on(&url, Follow::Nothing).await;
    let (first, second) = (
        Platform::host(&here, "custom"),
        Platform::host(&there, "custom"),
    );
    let uid = first.ask("s").await;
    let code = second.agree(&uid, &here.project.id).await;
    let login = first.come_back(&uid, &code, "s").await;
    let granted = second.exchange(&login).expect(200).await;
    let mut project = here.project.clone();
    project.admin = granted["access_token"].as_str().unwrap().to_owned();
    there
        .admin_of(&project, "GET", "/internal/projects/current")
        .expect(200)
        .await;
}

/// Codes by which a platform is let into a project are void once the project is gone, or once
/// whoever agreed to it has no say in it any more.
#[tokio::test]
async fn codes_go_with_the_project_and_whoever_agreed() {
    let server = TestServer::start().await;
    let internal = server.internal();
    let host = Platform::host(&server, "custom");
    for way in 0..3 {
        let owner = server.sign_up_to(&internal, &unique_email()).await;
        let me = server.client_of(&internal, "GET", "/users/me").user(&owner);
        let team = me.expect(200).await["selected_team"]["id"].clone();
        let team = team.as_str().unwrap();
        let create = server.client_of(&internal, "POST", "/internal/projects");
        let body = json!({"display_name": "Mine", "owner_team_id": team});
        let made = create.user(&owner).body(body).expect(201).await;
        let project = made["id"].as_str().unwrap();
        let agree = async |uid: &str| {
            let call = host.confirm(json!({"interaction_uid": uid, "project_id": project}));
            let confirmed = call.user(&owner).expect(200).await;
            confirmed["authorization_code"].as_str().unwrap().to_owned()
        };
        let (uid, later) = (host.ask("s").await, host.ask("s").await);
        let login = host.come_back(&uid, &agree(&uid).await, "s").await;
        let confirmation = agree(&later).await;
        let path = match way {
            0 => format!("/users/{}", owner.user_id),
            1 => format!("/team-memberships/{team}/{}", owner.user_id),
            _ => {
                let delete = server.call("DELETE", "/internal/projects/current");
                let delete = delete
                    .header("x-stack-access-type", "admin")
                    .header("x-stack-project-id", project)
                    .header("x-stack-admin-access-token", &owner.access);
                delete.expect(200).await;
                String::new()
            }
        };
        if way < 2 {
            server
                .server_of(&internal, "DELETE", &path)
                .expect(200)
                .await;
        }
        host.exchange(&login).refused_in_words(400).await;
        let back = host.return_path(&later, &confirmation);
        let answer = host.visit("POST", &back).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    server.assert_verified().await;
}
