//! `/integrations/{integration}/projects/provision`: a platform makes a project.

use axum::Json;
use axum::extract::State;
use muniment_domain::ProjectId;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::platform_request::{NamedIntegration, PlatformRequest};
use crate::app::App;
use crate::app::integrations::Integration;
use crate::app::integrations::provisioning::{self, Connection};
use crate::error::ApiResult;
use crate::error::codes::{Errors, Text};
use crate::http::openapi::operations;
use crate::http::request::declare::{Audience, Request, RequestDescription, fields, request};
use crate::http::request::fields::Checked;
use crate::http::request::input::Form;
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::text;
use crate::http::request::shape::{Shape, list_of, object, scalar};
use crate::http::request::values;

/// The longest name of a branch at Neon: it becomes a key in the settings.
const MAX_BRANCH: usize = 63;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(provision_project))
}

request! {
    /// A project for a customer of some platform.
    struct ProvisionProject {
        body {
            /// The project's name.
            display_name: String = required(text());
        }
    }

    /// A project for a customer of Neon's.
    struct ProvisionNeonProject {
        body {
            /// The project's name.
            display_name: String = required(text());
            /// How the project's databases are reached. Under `custom`, this is an unknown field.
            connection_strings: Option<Vec<Connection>> = optional(connections());
        }
    }
}

fields! {
    /// How the database of a branch is reached.
    struct ConnectionFields {
        /// The branch at Neon: 1 to 63 letters, digits, `_` and `-`, and not `-` first.
        branch_id: String = required(branch_id());
        /// The connection string, password included.
        string as "connection_string": String = required(text());
    }
}

/// A project, by the fields that its integration has.
struct WantedProject {
    display_name: String,
    connections: Vec<Connection>,
}

impl Request for WantedProject {
    fn read(form: &mut Form<'_>) -> Checked<Self> {
        let mut path = form.path_section(&["open"]);
        let name = path.field("integration", Audience::Everybody, &required(text()))?;
        path.close();
        if Integration::named(&name) == Some(Integration::Neon) {
            let wanted = ProvisionNeonProject::read(form)?;
            return Some(Self {
                display_name: wanted.display_name,
                connections: wanted.connection_strings.unwrap_or_default(),
            });
        }
        let wanted = ProvisionProject::read(form)?;
        Some(Self {
            display_name: wanted.display_name,
            connections: Vec::new(),
        })
    }

    fn describe() -> RequestDescription {
        ProvisionNeonProject::describe()
    }
}

/// How the databases of branches are reached.
pub(super) fn connections() -> impl Shape<Value = Vec<Connection>> {
    list_of(object().map(|fields: ConnectionFields| Connection {
        branch_id: fields.branch_id,
        string: fields.string,
    }))
}

fn branch_id() -> impl Shape<Value = String> {
    let schema = || {
        let pattern = format!("^[A-Za-z0-9_][A-Za-z0-9_-]{{0,{}}}$", MAX_BRANCH - 1);
        json!({"type": "string", "pattern": pattern})
    };
    scalar(read_branch_id, schema)
}

fn read_branch_id(value: &Value) -> Result<String, String> {
    let id = values::text(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_key = !id.is_empty() && !id.starts_with('-') && id.chars().all(fits);
    if is_key && id.len() <= MAX_BRANCH {
        return Ok(id);
    }
    Err(format!(
        "must have 1 to {MAX_BRANCH} letters, digits, _ and -, and must not start with -"
    ))
}

/// A project that was made, and its key.
#[derive(Serialize, ToSchema)]
struct ProvisionedProject {
    /// The project's id.
    #[schema(value_type = String)]
    project_id: ProjectId,
    /// Its admin key, which is shown this once.
    super_secret_admin_key: String,
}

/// Makes a project that nobody owns yet.
///
/// Its admin key is shown this once. Whoever follows a link to transfer it becomes the owner.
#[utoipa::path(post, path = "/integrations/{integration}/projects/provision", tag = "integrations",
    responses(Errors<Text<400>>))]
async fn provision_project(
    State(app): State<App>,
    _: NamedIntegration,
    PlatformRequest {
        caller,
        client,
        wanted,
    }: PlatformRequest<WantedProject>,
) -> ApiResult<Json<ProvisionedProject>> {
    let context = caller.event_context(&app, &ProjectId::from_uuid(app.random.uuid()));
    let (name, connections) = (wanted.display_name, &wanted.connections);
    let made = provisioning::provision(&app, &context, &client, name, connections).await?;
    Ok(Json(ProvisionedProject {
        project_id: made.project_id,
        super_secret_admin_key: made.super_secret_admin_key,
    }))
}
