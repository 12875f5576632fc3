//! `/internal/ai-conversations`: what dashboard users and the assistant say to each other.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::ai_conversation::{
    AiConversation, AiConversationAction, AiConversationCommand, AiConversationError, AiMessage,
    AiRole,
};
use muniment_domain::{AiConversationId, Millis, ProjectId, UserId};
use muniment_event_store::LedgerError;
use muniment_projections::read_models::ai_conversations;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::app::conversations;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{json_value, one_of, text};
use crate::timestamp;

/// How many conversations a list shows.
const LISTED: i64 = 50;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(read, rename, delete))
        .routes(routes!(replace_messages))
}

/// The signed-in user's latest conversations about a project.
#[utoipa::path(get, path = "/internal/ai-conversations", tag = "internal", params(("projectId" = String, Query)),
    responses((status = 200, description = "The latest 50"), (status = 400, description = "SCHEMA_ERROR")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let user = form.internal_user(&access);
    let mut query = form.query();
    let about = query.required("projectId", text);
    query.close();
    let (user, about) = form.finish((|| Some((user?, about?)))())?;
    let about = ProjectId::from_caller(&about);
    let found = ai_conversations::recent(access.app.pool(), user, &about, LISTED).await?;
    let shown = found.iter().map(|heading| {
        json!({
            "id": heading.id,
            "title": heading.title,
            "projectId": about,
            "updatedAt": timestamp::format_with_millis(Millis(heading.updated_at)),
        })
    });
    Ok(Json(json!({"conversations": shown.collect::<Vec<_>>()})).into_response())
}

/// Begins a conversation.
#[utoipa::path(post, path = "/internal/ai-conversations", tag = "internal", request_body = Value,
    responses((status = 200, description = "Its id and title"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "PROJECT_NOT_FOUND")))]
async fn start(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let user = form.internal_user(&access);
    let mut body = form.body();
    let title = body.required("title", text);
    let about = body.required("projectId", text);
    let messages = read_messages(&access.app, &mut body);
    body.close();
    let (user, title, about, messages) =
        form.finish((|| Some((user?, title?, about?, messages?)))())?;
    let about = ProjectId::from_caller(&about);
    let id = AiConversationId(access.app.random.uuid());
    let command = AiConversationCommand {
        by: user,
        at: access.app.now(),
        action: AiConversationAction::Start {
            project_id: about.clone(),
            title: title.clone(),
            messages,
        },
    };
    conversations::start(&access.app, access.event_context(), id, &about, &command).await?;
    Ok(Json(json!({"id": id, "title": title})).into_response())
}

/// A conversation, with everything that was said.
#[utoipa::path(get, path = "/internal/ai-conversations/{conversation_id}", tag = "internal", params(("conversation_id" = String, Path)),
    responses((status = 200, description = "The conversation"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "Unknown, or somebody else's")))]
async fn read(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let user = form.internal_user(&access);
    let id = read_id(&mut form);
    let (user, id) = form.finish((|| Some((user?, id?)))())?;
    let id = parse_id(&id)?;
    let found = ai_conversations::by_id(access.app.pool(), user, id).await?;
    let row = found.ok_or_else(unknown)?;
    let shown = json!({
        "id": row.id,
        "title": row.title,
        "projectId": row.project_id,
        "messages": row.messages,
    });
    Ok(Json(shown).into_response())
}

/// Gives a conversation another title.
#[utoipa::path(patch, path = "/internal/ai-conversations/{conversation_id}", tag = "internal", params(("conversation_id" = String, Path)), request_body = Value,
    responses((status = 200, description = "Renamed"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "Unknown, or somebody else's")))]
async fn rename(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let user = form.internal_user(&access);
    let id = read_id(&mut form);
    let mut body = form.body();
    let title = body.required("title", text);
    body.close();
    let (user, id, title) = form.finish((|| Some((user?, id?, title?)))())?;
    let action = AiConversationAction::Rename(title);
    change(&access, user, &id, action).await
}

/// Removes a conversation.
#[utoipa::path(delete, path = "/internal/ai-conversations/{conversation_id}", tag = "internal", params(("conversation_id" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "Unknown, or somebody else's")))]
async fn delete(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let user = form.internal_user(&access);
    let id = read_id(&mut form);
    let (user, id) = form.finish((|| Some((user?, id?)))())?;
    change(&access, user, &id, AiConversationAction::Delete).await
}

/// Puts other messages in the place of all there are.
#[utoipa::path(put, path = "/internal/ai-conversations/{conversation_id}/messages", tag = "internal", params(("conversation_id" = String, Path)), request_body = Value,
    responses((status = 200, description = "Replaced"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "Unknown, or somebody else's")))]
async fn replace_messages(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let user = form.internal_user(&access);
    let id = read_id(&mut form);
    let mut body = form.body();
    let messages = read_messages(&access.app, &mut body);
    body.close();
    let (user, id, messages) = form.finish((|| Some((user?, id?, messages?)))())?;
    let action = AiConversationAction::ReplaceMessages(messages);
    change(&access, user, &id, action).await
}

/// Nobody learns whether others have a conversation of that id.
async fn change(
    access: &ProjectAccess,
    by: UserId,
    id: &str,
    action: AiConversationAction,
) -> ApiResult {
    let id = parse_id(id)?;
    let context = access.event_context_of(&ProjectId::internal());
    let at = access.app.now();
    let command = AiConversationCommand { by, at, action };
    match access
        .app
        .execute::<AiConversation>(&context, &id, &command)
        .await
    {
        Ok(()) => Ok(Json(json!({})).into_response()),
        Err(LedgerError::AiConversation(AiConversationError::NotFound)) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}

fn unknown() -> ApiError {
    let text = "You have no conversation of this id. List them at /internal/ai-conversations.";
    ApiError::text(StatusCode::NOT_FOUND, text)
}

/// The text in the place of the id. What is no id at all is one that nobody has.
fn read_id(form: &mut Form<'_>) -> Checked<String> {
    let mut params = form.params();
    let id = params.required("conversation_id", text);
    params.close();
    id
}

fn parse_id(text: &str) -> Result<AiConversationId, ApiError> {
    Uuid::try_parse(text)
        .map(AiConversationId)
        .map_err(|_| unknown())
}

fn read_messages(app: &App, body: &mut Fields<'_>) -> Option<Vec<AiMessage>> {
    body.required_list("messages", |item| {
        let role = item.required("role", one_of(&AiRole::NAMES));
        let content = item.required("content", json_value);
        Some(AiMessage {
            id: app.random.uuid(),
            role: serde_json::from_value(json!(role?)).ok()?,
            content: content?,
        })
    })
}
