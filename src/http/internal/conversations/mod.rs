//! `/internal/conversations`: what agents and the users of their projects write to each other.

mod views;

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::support_conversation::{
    AgentText, Details, NewConversation, Priority, Source, Status, SupportConversation,
    SupportConversationCommand,
};
use muniment_domain::{Patch, ProjectId, SupportConversationId, UserId};
use muniment_projections::read_models::support_conversations::{self, Listing};
use muniment_projections::read_models::teams;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use views::{SupportDetail, SupportOpened, SupportSummary};

use crate::app::App;
use crate::app::conversations;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ClientAccess;
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{integer, one_of, text, uuid};

/// The longest page, which is also the usual one.
const MAX_PAGE: i64 = 200;

/// The routes of this folder.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, open))
        .routes(routes!(read, change))
}

/// Conversations of a project that the signed-in user manages, those with the latest messages first.
#[utoipa::path(get, path = "/internal/conversations", tag = "internal",
    params(("projectId" = String, Query), ("query" = Option<String>, Query), ("status" = Option<String>, Query),
        ("userId" = Option<String>, Query), ("limit" = Option<i64>, Query), ("offset" = Option<i64>, Query)),
    responses((status = 200, description = "A page", body = [SupportSummary]), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "PROJECT_NOT_FOUND")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let user = form.internal_user(&access);
    let mut query = form.query();
    let project = query.required("projectId", project_id);
    let term = query.optional("query", text);
    let status = query.optional("status", one_of(&Status::NAMES));
    let customer = query.optional("userId", uuid);
    let limit = query.or_default("limit", integer(1..=MAX_PAGE), MAX_PAGE);
    let offset = query.or_default("offset", integer(0..=i64::MAX), 0);
    query.close();
    let (user, project, listing) = form.finish((|| {
        let term = term?.map(|term| term.trim().to_owned());
        let listing = Listing {
            query: term.filter(|term| !term.is_empty()),
            status: status?,
            customer: customer?.map(UserId),
            limit: limit?,
            offset: offset?,
        };
        Some((user?, project?, listing))
    })())?;
    require_managed(&access.app, user, &project).await?;
    let found = support_conversations::list(access.app.pool(), &project, &listing).await?;
    let shown: Vec<SupportSummary> = found.into_iter().map(SupportSummary::of).collect();
    Ok(Json(json!({"conversations": shown})).into_response())
}

/// Opens a conversation with a user of a project.
#[utoipa::path(post, path = "/internal/conversations", tag = "internal", request_body = Value,
    responses((status = 200, description = "Opened", body = SupportOpened), (status = 400, description = "SCHEMA_ERROR, USER_ID_DOES_NOT_EXIST"), (status = 404, description = "PROJECT_NOT_FOUND")))]
async fn open(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let agent = form.internal_user(&access);
    let mut body = form.body();
    let project = body.required("projectId", project_id);
    let customer = body.required("userId", uuid);
    let topic = body.required("subject", trimmed_text);
    let message = body.required("initialMessage", trimmed_text);
    let priority = body.required("priority", named::<Priority>(&Priority::NAMES));
    let source = body.or_default("source", named(&Source::NAMES), Source::Manual);
    body.close();
    let opening = form.finish((|| {
        Some(NewConversation {
            project_id: project?,
            customer: UserId(customer?),
            topic: topic?,
            priority: priority?,
            source: source?,
            entry_point_id: access.app.random.uuid(),
            message: agent_text(&access.app, agent?, message?),
        })
    })())?;
    require_managed(&access.app, opening.message.agent, &opening.project_id).await?;
    let conversation_id = SupportConversationId(access.app.random.uuid());
    let context = access.event_context_of(&opening.project_id);
    conversations::open(&access.app, &context, conversation_id, &opening).await?;
    Ok(Json(SupportOpened { conversation_id }).into_response())
}

/// A conversation with everything that was said.
#[utoipa::path(get, path = "/internal/conversations/{conversation_id}", tag = "internal", params(("conversation_id" = String, Path), ("projectId" = String, Query)),
    responses((status = 200, description = "The conversation", body = SupportDetail), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "PROJECT_NOT_FOUND, or an unknown conversation")))]
async fn read(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let user = form.internal_user(&access);
    let id = read_id(&mut form);
    let mut query = form.query();
    let project = query.required("projectId", project_id);
    query.close();
    let (user, id, project) = form.finish((|| Some((user?, id?, project?)))())?;
    require_managed(&access.app, user, &project).await?;
    detail(&access.app, &project, id).await
}

/// Answers, notes something down, or changes how the conversation stands.
#[utoipa::path(patch, path = "/internal/conversations/{conversation_id}", tag = "internal", params(("conversation_id" = String, Path)), request_body = Value,
    responses((status = 200, description = "The conversation", body = SupportDetail), (status = 400, description = "SCHEMA_ERROR, or it has that status"), (status = 404, description = "PROJECT_NOT_FOUND, or an unknown conversation")))]
async fn change(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let agent = form.internal_user(&access);
    let id = read_id(&mut form);
    let mut body = form.body();
    let project = body.required("projectId", project_id);
    let change = read_change(&mut body);
    body.close();
    let (agent, id, project, change) = form.finish((|| Some((agent?, id?, project?, change?)))())?;
    require_managed(&access.app, agent, &project).await?;
    let known = support_conversations::by_id(access.app.pool(), &project, id).await?;
    known.ok_or_else(unknown)?;
    let context = access.event_context_of(&project);
    let command = change.into_command(&access.app, agent);
    access
        .app
        .execute::<SupportConversation>(&context, &id, &command)
        .await?;
    detail(&access.app, &project, id).await
}

async fn detail(app: &App, project: &ProjectId, id: SupportConversationId) -> ApiResult {
    let found = support_conversations::by_id(app.pool(), project, id).await?;
    let record = found.ok_or_else(unknown)?;
    let messages = support_conversations::messages(app.pool(), id).await?;
    Ok(Json(SupportDetail::of(record, messages)?).into_response())
}

fn unknown() -> ApiError {
    let text = "The project has no conversation of this id. List them at /internal/conversations.";
    ApiError::text(StatusCode::NOT_FOUND, text)
}

/// Only who is in the team that owns a project may know of it.
async fn require_managed(app: &App, user: UserId, id: &ProjectId) -> Result<(), ApiError> {
    let project = app.projects.find(id).await?;
    if let Some(owner) = project.and_then(|project| project.owner_team_id)
        && teams::is_member(app.pool(), owner, user).await?
    {
        return Ok(());
    }
    Err(KnownError::project_not_found(id).into())
}

fn agent_text(app: &App, agent: UserId, body: String) -> AgentText {
    AgentText {
        message_id: app.random.uuid(),
        agent,
        body,
        at: app.now(),
    }
}

/// A change as it was asked for.
enum Change {
    Reply(String),
    Note(String),
    Status(Status),
    Details {
        assigned_to_user_id: Patch<String>,
        assigned_to_display_name: Patch<String>,
        priority: Option<Priority>,
        tags: Option<Vec<String>>,
    },
}

impl Change {
    fn into_command(self, app: &App, agent: UserId) -> SupportConversationCommand {
        match self {
            Self::Reply(body) => SupportConversationCommand::Reply {
                text: agent_text(app, agent, body),
                entry_point_id: app.random.uuid(),
            },
            Self::Note(body) => SupportConversationCommand::AddNote(agent_text(app, agent, body)),
            Self::Status(status) => SupportConversationCommand::ChangeStatus {
                status,
                agent,
                message_id: app.random.uuid(),
                at: app.now(),
            },
            Self::Details {
                assigned_to_user_id,
                assigned_to_display_name,
                priority,
                tags,
            } => SupportConversationCommand::ChangeDetails(Details {
                at: app.now(),
                assigned_to_user_id,
                assigned_to_display_name,
                priority,
                tags,
            }),
        }
    }
}

/// `attributes` is what some versions of the dashboard call `metadata`.
const CHANGES: [&str; 5] = ["reply", "internal-note", "status", "metadata", "attributes"];

fn read_change(body: &mut Fields<'_>) -> Option<Change> {
    match body.required("type", one_of(&CHANGES))? {
        "reply" => Some(Change::Reply(body.required("body", trimmed_text)?)),
        "internal-note" => Some(Change::Note(body.required("body", trimmed_text)?)),
        "status" => {
            let status = body.required("status", named(&Status::NAMES));
            Some(Change::Status(status?))
        }
        _ => {
            let assigned_to_user_id = body.nullable("assignedToUserId", text);
            let assigned_to_display_name = body.nullable("assignedToDisplayName", text);
            let priority = body.optional("priority", named(&Priority::NAMES));
            let tags = body.optional_values("tags", text);
            Some(Change::Details {
                assigned_to_user_id: assigned_to_user_id?,
                assigned_to_display_name: assigned_to_display_name?,
                priority: priority?,
                tags: tags?,
            })
        }
    }
}

fn read_id(form: &mut Form<'_>) -> Checked<SupportConversationId> {
    let mut params = form.params();
    let id = params.required("conversation_id", uuid);
    params.close();
    id.map(SupportConversationId)
}

fn project_id(value: &Value) -> Result<ProjectId, String> {
    if value.as_str() == Some(ProjectId::INTERNAL) {
        return Ok(ProjectId::internal());
    }
    let id = uuid(value).map_err(|_| "must be a UUID, or `internal`".to_owned())?;
    Ok(ProjectId::from_uuid(id))
}

/// A text of at least one character, not counting white space around it, which is cut off.
fn trimmed_text(value: &Value) -> Result<String, String> {
    let text = text(value)?.trim().to_owned();
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text)
    }
}

/// One of a few values that have names.
fn named<T: DeserializeOwned>(
    names: &'static [&'static str],
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let name = one_of(names)(value)?;
        serde_json::from_value(json!(name)).map_err(|error| error.to_string())
    }
}
