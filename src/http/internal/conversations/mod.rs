//! `/internal/conversations`: what agents and the users of their projects write to each other.

mod change;
mod views;

use axum::Json;
use muniment_domain::support_conversation::{
    AgentText, NewConversation, Priority, Source, Status, SupportConversation,
};
use muniment_domain::{ProjectId, SupportConversationId, UserId};
use muniment_projections::read_models::support_conversations::{self, Listing};
use muniment_projections::read_models::teams;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;

use self::change::UpdateSupportConversation;
use self::views::{SupportConversationList, SupportDetail, SupportOpened};
use super::shapes::named;
use crate::app::App;
use crate::app::conversations;
use crate::error::codes::{Errors, ProjectNotFound, Text, UserIdDoesNotExist};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::{fields, internal_user, request};
use crate::http::request::presence::{optional, or_default, required};
use crate::http::request::shape::scalars::{integer, one_of, text, uuid};
use crate::http::request::shape::{Shape, scalar};
use crate::http::request::values;

/// The longest page, which is also the usual one.
const MAX_PAGE: i64 = 200;

/// The routes of this folder.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(
            list_support_conversations,
            open_support_conversation
        ))
        .routes(operations!(
            get_support_conversation,
            update_support_conversation
        ))
}

request! {
    /// Which conversations to list.
    struct ListSupportConversations {
        caller { user: UserId = internal_user(); }
        query {
            /// The project whose users they are with.
            project as "projectId": ProjectId = required(project_id());
            /// Only conversations with this in their subject, their latest message, or the name or address of
            /// their customer. White space around it does not count.
            query: Option<String> = optional(text());
            /// Only conversations of this status.
            status: Option<&'static str> = optional(one_of(&Status::NAMES));
            /// Only conversations with this user.
            customer as "userId": Option<UserId> = optional(uuid().map(UserId));
            /// How many there should be at most.
            limit: i64 = or_default(integer(1..=MAX_PAGE), MAX_PAGE);
            /// How many to leave out before.
            offset: i64 = or_default(integer(0..=i64::MAX), 0);
        }
    }

    /// A conversation to be opened.
    struct OpenSupportConversation {
        caller { agent: UserId = internal_user(); }
        body {
            /// The project whose user the conversation is with.
            project as "projectId": ProjectId = required(project_id());
            /// The user whom the conversation is with.
            customer as "userId": UserId = required(uuid().map(UserId));
            /// What the conversation is about.
            subject: String = required(trimmed_text());
            /// What the agent writes first.
            initial_message as "initialMessage": String = required(trimmed_text());
            /// How urgent the conversation is.
            priority: Priority = required(named(&Priority::NAMES));
            /// The channel that the conversation comes from.
            source: Source = or_default(named(&Source::NAMES), "manual");
        }
    }

    /// A conversation that is named.
    struct GetSupportConversation {
        caller { user: UserId = internal_user(); }
        path {
            .. conversation: SupportConversationPath;
        }
        query {
            /// The project whose user the conversation is with.
            project as "projectId": ProjectId = required(project_id());
        }
    }
}

fields! {
    /// What names a conversation in a path.
    struct SupportConversationPath {
        /// The conversation's id.
        id as "conversation_id": SupportConversationId = required(uuid().map(SupportConversationId));
    }
}

/// A project's id.
fn project_id() -> impl Shape<Value = ProjectId> {
    let read = |value: &serde_json::Value| {
        if value.as_str() == Some(ProjectId::INTERNAL) {
            return Ok(ProjectId::internal());
        }
        let id = values::uuid(value).map_err(|_| "must be a UUID, or `internal`".to_owned())?;
        Ok(ProjectId::from_uuid(id))
    };
    scalar(read, || {
        json!({"anyOf": [
            {"type": "string", "format": "uuid"},
            {"type": "string", "enum": [ProjectId::INTERNAL]},
        ]})
    })
}

/// A text of at least one character, not counting white space around it, which is cut off.
fn trimmed_text() -> impl Shape<Value = String> {
    let trimmed = |text: String| match text.trim() {
        "" => Err("must not be empty".to_owned()),
        trimmed => Ok(trimmed.to_owned()),
    };
    text()
        .refine(trimmed)
        .described(|| json!({"pattern": r"\S"}))
}

/// Lists conversations with the users of a project that the signed-in user manages.
///
/// Those with the latest messages come first.
#[utoipa::path(get, path = "/internal/conversations", tag = "internal", responses(Errors<ProjectNotFound>))]
async fn list_support_conversations(
    access: ClientAccess,
    wanted: ListSupportConversations,
) -> ApiResult<Json<SupportConversationList>> {
    require_managed(&access.app, wanted.user, &wanted.project).await?;
    let term = wanted.query.map(|term| term.trim().to_owned());
    let listing = Listing {
        query: term.filter(|term| !term.is_empty()),
        status: wanted.status,
        customer: wanted.customer,
        limit: wanted.limit,
        offset: wanted.offset,
    };
    let found = support_conversations::list(access.app.pool(), &wanted.project, &listing).await?;
    Ok(Json(SupportConversationList::of(found)))
}

/// Opens a conversation with a user of a project.
#[utoipa::path(post, path = "/internal/conversations", tag = "internal",
    responses(Errors<(ProjectNotFound, UserIdDoesNotExist, Text<400>)>))]
async fn open_support_conversation(
    access: ClientAccess,
    wanted: OpenSupportConversation,
) -> ApiResult<Json<SupportOpened>> {
    let app = &access.app;
    let opening = NewConversation {
        entry_point_id: app.random.uuid(),
        message: agent_text(app, wanted.agent, wanted.initial_message),
        project_id: wanted.project,
        customer: wanted.customer,
        topic: wanted.subject,
        priority: wanted.priority,
        source: wanted.source,
    };
    require_managed(app, wanted.agent, &opening.project_id).await?;
    let conversation_id = SupportConversationId(app.random.uuid());
    let context = access.event_context_of(&opening.project_id);
    conversations::open(app, &context, conversation_id, &opening).await?;
    Ok(Json(SupportOpened { conversation_id }))
}

/// Shows a conversation with everything that was said.
#[utoipa::path(get, path = "/internal/conversations/{conversation_id}", tag = "internal",
    responses(Errors<(ProjectNotFound, Text<404>)>))]
async fn get_support_conversation(
    access: ClientAccess,
    wanted: GetSupportConversation,
) -> ApiResult<Json<SupportDetail>> {
    require_managed(&access.app, wanted.user, &wanted.project).await?;
    detail(&access.app, &wanted.project, wanted.conversation.id).await
}

/// Answers, notes something down, or changes how a conversation stands.
#[utoipa::path(patch, path = "/internal/conversations/{conversation_id}", tag = "internal",
    responses(Errors<(ProjectNotFound, Text<400>, Text<404>)>))]
async fn update_support_conversation(
    access: ClientAccess,
    wanted: UpdateSupportConversation,
) -> ApiResult<Json<SupportDetail>> {
    let (app, project, id) = (&access.app, wanted.project, wanted.id);
    require_managed(app, wanted.agent, &project).await?;
    let known = support_conversations::by_id(app.pool(), &project, id).await?;
    known.ok_or_else(unknown)?;
    let context = access.event_context_of(&project);
    let command = wanted.change.into_command(app, wanted.agent);
    app.execute::<SupportConversation>(&context, &id, &command)
        .await?;
    detail(app, &project, id).await
}

async fn detail(
    app: &App,
    project: &ProjectId,
    id: SupportConversationId,
) -> ApiResult<Json<SupportDetail>> {
    let found = support_conversations::by_id(app.pool(), project, id).await?;
    let record = found.ok_or_else(unknown)?;
    let messages = support_conversations::messages(app.pool(), id).await?;
    Ok(Json(SupportDetail::of(record, messages)?))
}

fn unknown() -> ApiError {
    let text = "The project has no conversation of this id. List them at /internal/conversations.";
    ApiError::not_found(text)
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
