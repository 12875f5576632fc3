//! A change of a conversation as it is asked for: its `type` says which fields go with it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use muniment_domain::support_conversation::{
    Details, Priority, Status, SupportConversationCommand,
};
use muniment_domain::{Patch, ProjectId, SupportConversationId, UserId};
use serde_json::json;

use super::{SupportConversationPath, agent_text, project_id, trimmed_text};
use crate::app::App;
use crate::error::ApiError;
use crate::http::internal::shapes::named;
use crate::http::openapi::describe::{OperationDescription, OperationInput, describe_request};
use crate::http::request::declare::{
    Audience, BodyDescription, Openness, Part, Request, RequestDescription, extract, fields,
    internal_user, object_schema,
};
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::input::Form;
use crate::http::request::presence::{nullable, optional, required};
use crate::http::request::shape::list_of;
use crate::http::request::shape::scalars::{one_of, text};

/// A change of a conversation.
pub(super) struct UpdateSupportConversation {
    /// The signed-in user, in whose name things are written.
    pub(super) agent: UserId,
    pub(super) id: SupportConversationId,
    pub(super) project: ProjectId,
    pub(super) change: Change,
}

/// What is to be done.
pub(super) enum Change {
    Write(TextFields),
    Status(StatusFields),
    Details(DetailsFields),
}

/// Something is written: to the customer, or for other agents.
const TEXTS: [&str; 2] = [REPLY, "internal-note"];
const REPLY: &str = "reply";

/// Another status.
const STATUS: [&str; 1] = ["status"];

/// `attributes` is what some versions of the dashboard call `metadata`.
const DETAILS: [&str; 2] = ["metadata", "attributes"];

/// All of them.
const CHANGES: [&str; 5] = [TEXTS[0], TEXTS[1], STATUS[0], DETAILS[0], DETAILS[1]];

fields! {
    /// What goes with every change.
    struct ProjectFields {
        /// The project whose user the conversation is with.
        project as "projectId": ProjectId = required(project_id());
    }

    /// Something to write.
    pub(super) struct TextFields {
        /// Whether it is written to the customer, or as a note for other agents.
        kind as "type": &'static str = required(one_of(&TEXTS));
        /// What to write.
        body: String = required(trimmed_text());
    }

    /// Another status.
    pub(super) struct StatusFields {
        /// That the status changes.
        _kind as "type": &'static str = required(one_of(&STATUS));
        /// Who is expected to answer next.
        status: Status = required(named(&Status::NAMES));
    }

    /// Other details. What is absent stays.
    pub(super) struct DetailsFields {
        /// That details change.
        _kind as "type": &'static str = required(one_of(&DETAILS));
        /// The agent who takes care of the conversation. Null for nobody.
        assigned_to_user_id as "assignedToUserId": Patch<String> = nullable(text());
        /// The name of that agent. Null for none.
        assigned_to_display_name as "assignedToDisplayName": Patch<String> = nullable(text());
        /// How urgent the conversation is.
        priority: Option<Priority> = optional(named(&Priority::NAMES));
        /// All words that the conversation is marked with.
        tags: Option<Vec<String>> = optional(list_of(text()));
    }
}

impl Change {
    /// Reads what goes with a change of this kind.
    fn read(kind: &str, body: &mut Fields<'_>) -> Checked<Self> {
        if TEXTS.contains(&kind) {
            TextFields::read(body).map(Self::Write)
        } else if STATUS.contains(&kind) {
            StatusFields::read(body).map(Self::Status)
        } else {
            DetailsFields::read(body).map(Self::Details)
        }
    }

    pub(super) fn into_command(self, app: &App, agent: UserId) -> SupportConversationCommand {
        match self {
            Self::Write(fields) => {
                let text = agent_text(app, agent, fields.body);
                if fields.kind != REPLY {
                    return SupportConversationCommand::AddNote(text);
                }
                SupportConversationCommand::Reply {
                    text,
                    entry_point_id: app.random.uuid(),
                }
            }
            Self::Status(fields) => SupportConversationCommand::ChangeStatus {
                status: fields.status,
                agent,
                message_id: app.random.uuid(),
                at: app.now(),
            },
            Self::Details(fields) => SupportConversationCommand::ChangeDetails(Details {
                at: app.now(),
                assigned_to_user_id: fields.assigned_to_user_id,
                assigned_to_display_name: fields.assigned_to_display_name,
                priority: fields.priority,
                tags: fields.tags,
            }),
        }
    }
}

impl Request for UpdateSupportConversation {
    fn read(form: &mut Form<'_>) -> Checked<Self> {
        let agent = form.need(&internal_user());
        let path = SupportConversationPath::read(&mut form.path_section(&[]));
        form.query_section(&[]).close();
        let mut body = form.body_section(&[]);
        let project = ProjectFields::read(&mut body);
        let kind = body.field("type", Audience::Everybody, &required(one_of(&CHANGES)));
        let change = kind.and_then(|kind| Change::read(kind, &mut body));
        body.close();
        Some(Self {
            agent: agent?,
            id: path?.id,
            project: project?.project,
            change: change?,
        })
    }

    fn describe() -> RequestDescription {
        let choices = [
            TextFields::describe(),
            StatusFields::describe(),
            DetailsFields::describe(),
        ]
        .map(|fields| {
            let fields = [ProjectFields::describe(), fields].concat();
            object_schema(&fields, Openness::Closed)
        });
        RequestDescription {
            path: SupportConversationPath::describe(),
            body: Some(BodyDescription {
                name: "UpdateSupportConversation",
                required: true,
                schema: json!({"anyOf": choices}),
                example: None,
            }),
            ..RequestDescription::default()
        }
    }
}

impl OperationInput for UpdateSupportConversation {
    fn describe(operation: &mut OperationDescription) {
        describe_request(operation, &<Self as Request>::describe());
    }
}

impl FromRequestParts<App> for UpdateSupportConversation {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        extract(parts, app).await
    }
}
