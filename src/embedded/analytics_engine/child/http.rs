//! The ClickHouse HTTP interface, <https://clickhouse.com/docs/interfaces/http>, as far as the
//! `clickhouse` crate and curl use it.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Multipart, Request as HttpRequest, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use data_encoding::BASE64;
use muniment_projections::analytics::TENANT_USER;
use tokio::task::spawn_blocking;

use super::chdb::{Exception, Output};
use super::session::{Access, Request, Sessions, exception};
use super::{OWNER, Passwords};
use crate::security::secrets::Random;

/// Parameters of the interface itself; all others are settings of the query.
const NO_SETTINGS: [&str; 16] = [
    "add_http_cors_header",
    "buffer_size",
    "client_protocol_version",
    "close_session",
    "compress",
    "decompress",
    "enable_http_compression",
    "password",
    "quota_key",
    "role",
    "session_check",
    "session_id",
    "session_timeout",
    "stacktrace",
    "user",
    "wait_end_of_query",
];
const DEFAULT_FORMAT: &str = "TabSeparated";

#[derive(Clone)]
struct Interface {
    sessions: Sessions,
    passwords: Arc<Passwords>,
}

/// As whom a request runs.
#[derive(Clone, Copy)]
enum User {
    Owner,
    Tenant,
}

/// Answers requests until the process ends.
pub(super) async fn serve(
    listener: TcpListener,
    sessions: Sessions,
    passwords: Passwords,
) -> std::io::Result<()> {
    let interface = Interface {
        sessions,
        passwords: Arc::new(passwords),
    };
    let router = Router::new()
        .route("/ping", get(|| async { "Ok.\n" }))
        .route("/", any(answer))
        .with_state(interface);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, router).await
}

async fn answer(State(interface): State<Interface>, request: HttpRequest) -> Response {
    let started = Instant::now();
    match interface.run(request).await {
        Ok((query_id, format, output)) => success(&query_id, &format, output, started),
        Err(error) => failure(&error),
    }
}

impl Interface {
    async fn run(&self, http: HttpRequest) -> Result<(String, String, Output), Exception> {
        let mut request = Request::default();
        let mut text = String::new();
        let mut credentials = Credentials::of(http.headers());
        let query = http.uri().query().unwrap_or_default().to_owned();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "user" => credentials.user = value.clone().into_owned(),
                "password" => credentials.password = value.clone().into_owned(),
                _ => {}
            }
            take(&mut request, &mut text, &name, value.into_owned());
        }
        let user = credentials.check(&self.passwords)?;
        if http.method() == Method::GET {
            request.access = Access::ReadOnly;
        }
        let data = read_body(&mut request, &mut text, http).await?;
        if text.is_empty() {
            request.statement = statement_of(&data)?;
        } else {
            request.statement = text;
            request.data = data;
        }
        if request.query_id.is_empty() {
            request.query_id = Random::system().uuid().to_string();
        }
        if request.format.is_empty() {
            DEFAULT_FORMAT.clone_into(&mut request.format);
        }
        let sessions = self.sessions.clone();
        let running = spawn_blocking(move || {
            let output = match user {
                User::Owner => sessions.run_as_owner(&request),
                User::Tenant => sessions.run_as_tenant(&request),
            };
            output.map(|output| (request.query_id, request.format, output))
        });
        running
            .await
            .unwrap_or_else(|error| Err(exception(1001, &error.to_string())))
    }
}

/// Puts a parameter where it belongs.
fn take(request: &mut Request, text: &mut String, name: &str, value: String) {
    match name {
        "query" => *text = value,
        "query_id" => request.query_id = value,
        "database" => request.database = value,
        "default_format" => request.format = value,
        _ if NO_SETTINGS.contains(&name) => {}
        _ => match name.strip_prefix("param_") {
            Some(name) => request.params.push((name.to_owned(), value)),
            None => request.settings.push((name.to_owned(), value)),
        },
    }
}

/// The body's data; of a form, its fields are taken as parameters.
async fn read_body(
    request: &mut Request,
    text: &mut String,
    http: HttpRequest,
) -> Result<Bytes, Exception> {
    let unreadable = |error: &dyn std::error::Error| exception(1000, &error.to_string());
    if http.headers().contains_key(CONTENT_ENCODING) {
        return Err(exception(89, "Compressed bodies are not taken here"));
    }
    let kind = http.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !kind.is_some_and(|kind| kind.starts_with(b"multipart/form-data")) {
        let body = to_bytes(http.into_body(), usize::MAX).await;
        return body.map_err(|error| unreadable(&error));
    }
    let mut form = Multipart::from_request(http, &())
        .await
        .map_err(|error| unreadable(&error))?;
    while let Some(field) = form
        .next_field()
        .await
        .map_err(|error| unreadable(&error))?
    {
        let name = field.name().unwrap_or_default().to_owned();
        let value = field.text().await.map_err(|error| unreadable(&error))?;
        take(request, text, &name, value);
    }
    Ok(Bytes::new())
}

/// A body without a query in the URL is the statement.
fn statement_of(body: &[u8]) -> Result<String, Exception> {
    let text = std::str::from_utf8(body);
    let text = text.map_err(|_| exception(62, "Syntax error: the query is not valid UTF-8"))?;
    Ok(text.to_owned())
}

struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let basic = text(AUTHORIZATION.as_str())
            .strip_prefix("Basic ")
            .and_then(|encoded| BASE64.decode(encoded.as_bytes()).ok())
            .and_then(|decoded| String::from_utf8(decoded).ok());
        match basic.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((user, password)) => Self {
                user: user.to_owned(),
                password: password.to_owned(),
            },
            None => Self {
                user: text("x-clickhouse-user"),
                password: text("x-clickhouse-key"),
            },
        }
    }

    fn check(&self, passwords: &Passwords) -> Result<User, Exception> {
        let (user, password) = match self.user.as_str() {
            OWNER | "" => (User::Owner, &passwords.owner),
            TENANT_USER => (User::Tenant, &passwords.tenant),
            _ => return Err(self.unknown()),
        };
        if self.password == *password {
            Ok(user)
        } else {
            Err(self.unknown())
        }
    }

    fn unknown(&self) -> Exception {
        let user = &self.user;
        let text = format!(
            "{user}: Authentication failed: password is incorrect, or there is no user with such name."
        );
        exception(516, &text)
    }
}

fn success(query_id: &str, format: &str, output: Output, started: Instant) -> Response {
    let summary = format!(
        "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"elapsed_ns\":\"{}\"}}",
        output.rows_read,
        output.bytes_read,
        started.elapsed().as_nanos()
    );
    let mut response = Response::new(Body::from(output.body));
    for (name, value) in [
        ("x-clickhouse-query-id", query_id),
        ("x-clickhouse-format", format),
        ("x-clickhouse-timezone", "UTC"),
        ("x-clickhouse-summary", &summary),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn failure(Exception(text): &Exception) -> Response {
    let code = text
        .strip_prefix("Code: ")
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(code, _)| code.parse::<u32>().ok())
        .unwrap_or(1001);
    let headers = [("x-clickhouse-exception-code", code.to_string())];
    (status(code), headers, format!("{text}\n")).into_response()
}

/// The status that ClickHouse gives to an error.
fn status(code: u32) -> StatusCode {
    match code {
        36 | 43 | 47 | 53 | 62 | 115 => StatusCode::BAD_REQUEST,
        46 | 60 | 81 => StatusCode::NOT_FOUND,
        48 => StatusCode::NOT_IMPLEMENTED,
        159 => StatusCode::REQUEST_TIMEOUT,
        164 | 497 | 516 => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
