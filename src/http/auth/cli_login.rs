//! `/auth/cli`: signing a command-line program in through a browser.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::app::auth::cli_login::{self, Answer};
use crate::error::ApiResult;
use crate::error::codes::{Errors, InvalidPollingCode, Text};
use crate::http::openapi::describe::{OperationDescription, OperationOutput};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::{optional, or_default, required};
use crate::http::request::shape::scalars::{choice, integer, text};
use crate::security::limits::Limit;
use crate::timestamp;

/// How long a login may wait at most: a day, in milliseconds.
const MAX_LIFETIME: i64 = 86_400_000;
/// How long a login waits if nothing else is said: two hours, in milliseconds.
const LIFETIME: i64 = 7_200_000;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(begin_cli_login))
        .routes(operations!(poll_cli_login))
        .routes(operations!(complete_cli_login))
}

request! {
    /// That a program wants to be signed in.
    struct BeginCliLogin {
        query(open) {}
        body(optional) {
            /// How long the codes work, in milliseconds: a day at most.
            expires_in_millis: i64 = or_default(integer(i64::MIN..=MAX_LIFETIME), LIFETIME);
            /// The refresh token of an anonymous user whose session the program has so far. The
            /// browser may take that session over.
            anon_refresh_token: Option<String> = optional(text());
        }
    }

    /// A program's question how far its login has come.
    struct PollCliLogin {
        query(open) {}
        body {
            /// The `polling_code` with which the login began.
            polling_code: String = required(text());
        }
    }

    /// The browser's answer to a program.
    struct CompleteCliLogin {
        query(open) {}
        body {
            /// The `login_code` with which the login began.
            login_code: String = required(text());
            /// What to do: `check` looks whether the program has an anonymous session,
            /// `claim-anon-session` takes it over, `complete` hands the browser's session to the
            /// program.
            mode: Mode = or_default(choice(&MODES), "complete");
            /// The refresh token of the session to hand over. `complete` needs it.
            refresh_token: Option<String> = optional(text());
        }
    }
}

/// What the browser does.
#[derive(Clone, Copy)]
enum Mode {
    Check,
    Claim,
    Complete,
}

const MODES: [(&str, Mode); 3] = [
    ("check", Mode::Check),
    ("claim-anon-session", Mode::Claim),
    ("complete", Mode::Complete),
];

/// A login that waits for a browser.
#[derive(Serialize, ToSchema)]
struct CliLoginCodes {
    /// When both codes stop working (ISO 8601).
    #[schema(format = DateTime)]
    expires_at: String,
    /// What the browser answers with.
    login_code: String,
    /// What the program asks with.
    polling_code: String,
}

/// Begins to wait for a browser.
#[utoipa::path(post, path = "/auth/cli", tag = "cli", responses(Errors<(Text<400>, Text<429>)>))]
async fn begin_cli_login(
    access: ClientAccess,
    wanted: BeginCliLogin,
) -> ApiResult<Json<CliLoginCodes>> {
    access.limit(Limit::SignInFromIp)?;
    let (request, lifetime) = (access.request_context(), wanted.expires_in_millis);
    let begun = cli_login::begin(request, lifetime, wanted.anon_refresh_token).await?;
    Ok(Json(CliLoginCodes {
        expires_at: timestamp::format(begun.expires_at),
        login_code: begun.login_code,
        polling_code: begun.polling_code,
    }))
}

/// How far a login has come.
enum Progress {
    Without(PendingCliLogin),
    With(CompletedCliLogin),
}

/// A login without a session to fetch.
#[derive(Serialize, ToSchema)]
struct PendingCliLogin {
    status: CliLoginStatus,
}

/// Why there is no session to fetch.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CliLoginStatus {
    /// Nobody has answered yet.
    Waiting,
    /// It is too late.
    Expired,
    /// The session was fetched before.
    Used,
}

/// A login with its session, which is told once.
#[derive(Serialize, ToSchema)]
struct CompletedCliLogin {
    /// The session's.
    refresh_token: String,
    status: CliLoginSuccess,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CliLoginSuccess {
    Success,
}

impl From<Answer> for Progress {
    fn from(answer: Answer) -> Self {
        let status = match answer {
            Answer::Waiting => CliLoginStatus::Waiting,
            Answer::Expired => CliLoginStatus::Expired,
            Answer::Used => CliLoginStatus::Used,
            Answer::Success(refresh_token) => {
                return Self::With(CompletedCliLogin {
                    refresh_token,
                    status: CliLoginSuccess::Success,
                });
            }
        };
        Self::Without(PendingCliLogin { status })
    }
}

impl IntoResponse for Progress {
    fn into_response(self) -> Response {
        match self {
            Self::Without(pending) => Json(pending).into_response(),
            Self::With(completed) => (StatusCode::CREATED, Json(completed)).into_response(),
        }
    }
}

impl OperationOutput for Progress {
    fn describe(operation: &mut OperationDescription) {
        operation.answers_json::<PendingCliLogin>(200, "There is no session to fetch.");
        operation.answers_json::<CompletedCliLogin>(201, "The session. It is told once.");
    }
}

/// Tells a program how far its login has come.
#[utoipa::path(post, path = "/auth/cli/poll", tag = "cli",
    responses(Errors<(InvalidPollingCode, Text<429>)>))]
async fn poll_cli_login(access: ClientAccess, wanted: PollCliLogin) -> ApiResult<Progress> {
    access.limit(Limit::CodeCheckFromIp)?;
    let answer = cli_login::poll(access.request_context(), &wanted.polling_code).await?;
    Ok(answer.into())
}

/// What the browser gets, by the mode.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum CliLoginOutcome {
    /// For `check`.
    Checked {
        /// Whether the program has an anonymous session that may be taken over.
        cli_session_state: CliSessionState,
    },
    /// For `claim-anon-session`.
    Claimed {
        /// A fresh access token of the anonymous session.
        access_token: String,
        /// The refresh token with which the program began.
        refresh_token: String,
    },
    /// For `complete`.
    Completed {
        /// Always true.
        success: bool,
    },
}

/// Which session a program has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CliSessionState {
    /// That of an anonymous user.
    Anonymous,
    /// None.
    None,
}

/// Answers a program from the browser.
///
/// The browser looks at the program's anonymous session, takes it over, or hands its own session
/// over.
#[utoipa::path(post, path = "/auth/cli/complete", tag = "cli",
    responses(Errors<(Text<400>, Text<429>)>))]
async fn complete_cli_login(
    access: ClientAccess,
    wanted: CompleteCliLogin,
) -> ApiResult<Json<CliLoginOutcome>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let (request, code) = (access.request_context(), &wanted.login_code);
    Ok(Json(match wanted.mode {
        Mode::Check => CliLoginOutcome::Checked {
            cli_session_state: if cli_login::has_anonymous_session(request, code).await? {
                CliSessionState::Anonymous
            } else {
                CliSessionState::None
            },
        },
        Mode::Claim => {
            let claimed = cli_login::claim(request, code).await?;
            CliLoginOutcome::Claimed {
                access_token: claimed.access_token,
                refresh_token: claimed.refresh_token,
            }
        }
        Mode::Complete => {
            cli_login::complete(request, code, wanted.refresh_token).await?;
            CliLoginOutcome::Completed { success: true }
        }
    }))
}
