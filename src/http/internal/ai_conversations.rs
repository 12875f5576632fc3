//! `/internal/ai-conversations`: what dashboard users and the assistant say to each other.

use axum::Json;
use muniment_domain::ai_conversation::{
    AiConversation, AiConversationAction, AiConversationCommand, AiConversationError, AiMessage,
    AiRole,
};
use muniment_domain::{AiConversationId, Millis, ProjectId, UserId};
use muniment_event_store::LedgerError;
use muniment_projections::read_models::ai_conversations;
use muniment_projections::read_models::ai_conversations::{AiConversationRow, Heading};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::shapes::{named, text_among};
use crate::app::App;
use crate::app::conversations;
use crate::error::codes::{Errors, ProjectNotFound, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::Empty;
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::declare::{fields, internal_user, request};
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::{json_value, text};
use crate::http::request::shape::{Shape, list_of, object};
use crate::timestamp;

/// How many conversations a list shows.
const LISTED: i64 = 50;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_ai_conversations, create_ai_conversation))
        .routes(operations!(
            get_ai_conversation,
            rename_ai_conversation,
            delete_ai_conversation
        ))
        .routes(operations!(replace_ai_messages))
}

request! {
    /// The project whose conversations to list.
    struct ListAiConversations {
        caller { user: UserId = internal_user(); }
        query {
            /// The project that the conversations are about.
            about as "projectId": ProjectId = required(project_id());
        }
    }

    /// A conversation to begin.
    struct CreateAiConversation {
        caller { user: UserId = internal_user(); }
        body {
            /// The conversation's title.
            title: String = required(text());
            /// The project that the conversation is about.
            about as "projectId": ProjectId = required(project_id());
            /// What was said so far, oldest first.
            messages: Vec<SentAiMessage> = required(list_of(object()));
        }
    }

    /// A conversation that is named.
    struct NamedAiConversation {
        caller { user: UserId = internal_user(); }
        path {
            .. conversation: AiConversationPath;
        }
    }

    /// Another title for a conversation.
    struct RenameAiConversation {
        caller { user: UserId = internal_user(); }
        path {
            .. conversation: AiConversationPath;
        }
        body {
            /// The title from now on.
            title: String = required(text());
        }
    }

    /// Messages to put in the place of those of a conversation.
    struct ReplaceAiMessages {
        caller { user: UserId = internal_user(); }
        path {
            .. conversation: AiConversationPath;
        }
        body {
            /// Everything that was said, oldest first.
            messages: Vec<SentAiMessage> = required(list_of(object()));
        }
    }
}

fields! {
    /// What names a conversation in a path.
    struct AiConversationPath {
        /// The conversation's id, a UUID.
        id as "conversation_id": Option<AiConversationId> = required(lenient_id());
    }

    /// A message as it is sent.
    struct SentAiMessage {
        /// Who said it.
        role: AiRole = required(named(&AiRole::NAMES));
        /// The message itself, in any form.
        content: Value = required(json_value());
    }
}

/// What is no id at all is one that nobody has.
fn lenient_id() -> impl Shape<Value = Option<AiConversationId>> {
    text().map(|text| Uuid::try_parse(&text).ok().map(AiConversationId))
}

/// A project's id. Whether there is such a project is another question.
fn project_id() -> impl Shape<Value = ProjectId> {
    text().map(|text| ProjectId::from_caller(&text))
}

/// The signed-in user's conversations about a project.
#[derive(Serialize, ToSchema)]
struct AiConversationList {
    /// Those that changed last come first. At most 50.
    conversations: Vec<AiConversationSummary>,
}

/// A conversation in a list.
#[derive(Serialize, ToSchema)]
struct AiConversationSummary {
    id: Uuid,
    /// The project that the conversation is about.
    #[serde(rename = "projectId")]
    #[schema(value_type = String)]
    project_id: ProjectId,
    title: String,
    /// When it changed last (RFC 3339).
    #[serde(rename = "updatedAt")]
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A conversation that has begun.
#[derive(Serialize, ToSchema)]
struct StartedAiConversation {
    #[schema(value_type = Uuid)]
    id: AiConversationId,
    title: String,
}

/// A conversation with everything that was said.
#[derive(Serialize, ToSchema)]
struct AiConversationView {
    id: Uuid,
    /// Oldest first.
    messages: Vec<AiMessageView>,
    /// The project that the conversation is about.
    #[serde(rename = "projectId")]
    project_id: String,
    title: String,
}

/// A message of a conversation.
#[derive(Serialize, ToSchema)]
struct AiMessageView {
    /// The message itself, in whatever form it was sent.
    content: Value,
    id: Uuid,
    #[schema(schema_with = role)]
    role: AiRole,
}

fn role() -> Object {
    text_among("Who said it.", &AiRole::NAMES)
}

impl AiConversationSummary {
    fn of(heading: Heading, about: &ProjectId) -> Self {
        Self {
            id: heading.id,
            project_id: about.clone(),
            title: heading.title,
            updated_at: timestamp::format_with_millis(Millis(heading.updated_at)),
        }
    }
}

impl From<AiMessage> for AiMessageView {
    fn from(message: AiMessage) -> Self {
        let AiMessage { id, role, content } = message;
        Self { content, id, role }
    }
}

impl AiConversationView {
    fn of(row: AiConversationRow) -> Result<Self, LedgerError> {
        let messages: Vec<AiMessage> = serde_json::from_value(row.messages)?;
        Ok(Self {
            id: row.id,
            messages: messages.into_iter().map(AiMessageView::from).collect(),
            project_id: row.project_id,
            title: row.title,
        })
    }
}

/// Lists the signed-in user's latest conversations about a project.
#[utoipa::path(get, path = "/internal/ai-conversations", tag = "internal")]
async fn list_ai_conversations(
    access: ClientAccess,
    ListAiConversations { user, about }: ListAiConversations,
) -> ApiResult<Json<AiConversationList>> {
    let found = ai_conversations::recent(access.app.pool(), user, &about, LISTED).await?;
    let shown = |heading| AiConversationSummary::of(heading, &about);
    Ok(Json(AiConversationList {
        conversations: found.into_iter().map(shown).collect(),
    }))
}

/// Begins a conversation.
#[utoipa::path(post, path = "/internal/ai-conversations", tag = "internal",
    responses(Errors<ProjectNotFound>))]
async fn create_ai_conversation(
    access: ClientAccess,
    new: CreateAiConversation,
) -> ApiResult<Json<StartedAiConversation>> {
    let (app, about, title) = (&access.app, new.about, new.title);
    let id = AiConversationId(app.random.uuid());
    let command = AiConversationCommand {
        by: new.user,
        at: app.now(),
        action: AiConversationAction::Start {
            project_id: about.clone(),
            title: title.clone(),
            messages: with_ids(app, new.messages),
        },
    };
    conversations::start(app, access.event_context(), id, &about, &command).await?;
    Ok(Json(StartedAiConversation { id, title }))
}

/// Shows a conversation, with everything that was said.
#[utoipa::path(get, path = "/internal/ai-conversations/{conversation_id}", tag = "internal",
    responses(Errors<Text<404>>))]
async fn get_ai_conversation(
    access: ClientAccess,
    NamedAiConversation { user, conversation }: NamedAiConversation,
) -> ApiResult<Json<AiConversationView>> {
    let id = conversation.id.ok_or_else(unknown)?;
    let found = ai_conversations::by_id(access.app.pool(), user, id).await?;
    Ok(Json(AiConversationView::of(found.ok_or_else(unknown)?)?))
}

/// Gives a conversation another title.
#[utoipa::path(patch, path = "/internal/ai-conversations/{conversation_id}", tag = "internal",
    responses(Errors<Text<404>>))]
async fn rename_ai_conversation(
    access: ClientAccess,
    RenameAiConversation {
        user,
        conversation,
        title,
    }: RenameAiConversation,
) -> ApiResult<Json<Empty>> {
    let action = AiConversationAction::Rename(title);
    change(&access, user, &conversation, action).await
}

/// Deletes a conversation.
#[utoipa::path(delete, path = "/internal/ai-conversations/{conversation_id}", tag = "internal",
    responses(Errors<Text<404>>))]
async fn delete_ai_conversation(
    access: ClientAccess,
    NamedAiConversation { user, conversation }: NamedAiConversation,
) -> ApiResult<Json<Empty>> {
    change(&access, user, &conversation, AiConversationAction::Delete).await
}

/// Replaces all messages of a conversation.
#[utoipa::path(put, path = "/internal/ai-conversations/{conversation_id}/messages", tag = "internal",
    responses(Errors<Text<404>>))]
async fn replace_ai_messages(
    access: ClientAccess,
    ReplaceAiMessages {
        user,
        conversation,
        messages,
    }: ReplaceAiMessages,
) -> ApiResult<Json<Empty>> {
    let messages = with_ids(&access.app, messages);
    let action = AiConversationAction::ReplaceMessages(messages);
    change(&access, user, &conversation, action).await
}

/// Nobody learns whether others have a conversation of that id.
async fn change(
    access: &ProjectAccess,
    by: UserId,
    path: &AiConversationPath,
    action: AiConversationAction,
) -> ApiResult<Json<Empty>> {
    let id = path.id.ok_or_else(unknown)?;
    let (app, context) = (&access.app, access.event_context_of(&ProjectId::internal()));
    let at = app.now();
    let command = AiConversationCommand { by, at, action };
    match app.execute::<AiConversation>(&context, &id, &command).await {
        Ok(()) => Ok(Json(Empty {})),
        Err(LedgerError::AiConversation(AiConversationError::NotFound)) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}

fn unknown() -> ApiError {
    ApiError::not_found(
        "You have no conversation of this id. List them at /internal/ai-conversations.",
    )
}

fn with_ids(app: &App, messages: Vec<SentAiMessage>) -> Vec<AiMessage> {
    let with_id = |message: SentAiMessage| AiMessage {
        id: app.random.uuid(),
        role: message.role,
        content: message.content,
    };
    messages.into_iter().map(with_id).collect()
}
