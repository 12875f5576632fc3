//! `/internal/projects`: projects as their owners manage them.

pub(crate) mod fields;

use axum::Json;
use muniment_domain::permission::TEAM_ADMIN;
use muniment_domain::project::{ProjectCommand, ProjectConfig, ProjectProfile};
use muniment_domain::{ProjectId, TeamId, UserId};
use muniment_event_store::EventContext;
use muniment_projections::read_models::projects;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use utoipa_axum::router::OpenApiRouter;

use self::fields::ProjectFields;
use super::shapes::text_among;
use crate::app::App;
use crate::app::authorization::{require_membership, require_permission};
use crate::app::projects::directory::LoadedProject;
use crate::app::projects::{self as app_projects, ProjectChange};
use crate::error::codes::{
    CurrentProjectNotFound, Errors, ExpectedInternalProject, ProjectNotFound,
    TeamMembershipNotFound, TeamPermissionRequired, Text, UserAuthenticationRequired,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Created, List, Success};
use crate::http::images::{self, Folder, ImageRule};
use crate::http::openapi::operations;
use crate::http::request::access::{AdminAccess, ClientAccess};
use crate::http::request::caller::Auth;
use crate::http::request::declare::{NoInput, internal_user, request};
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{text, uuid};
use crate::views::AdminProject;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_projects, create_project))
        .routes(operations!(
            get_admin_project,
            update_project,
            delete_project
        ))
        .routes(operations!(transfer_project))
}

request! {
    /// A change of a project.
    pub(crate) struct UpdateProject {
        body {
            .. fields: ProjectFields;
            /// The project's name.
            display_name: Option<String> = optional(text());
        }
        example {"display_name": "Shop", "config": {"sign_up_enabled": true}}
    }

    /// A project to be made.
    struct CreateProject {
        body {
            .. fields: ProjectFields;
            /// The project's name.
            display_name: String = required(text());
            /// The team that is to own the project: one of the signed-in user's.
            owner as "owner_team_id": TeamId = required(uuid().map(TeamId));
        }
    }

    /// A project to be given away.
    struct TransferProject {
        caller { user: UserId = internal_user(); }
        query(open) {}
        body {
            /// The project.
            id as "project_id": ProjectId = required(text().map(|id| ProjectId::from_caller(&id)));
            /// The team that is to own the project: one of the signed-in user's.
            new_owner as "new_team_id": TeamId = required(uuid().map(TeamId));
        }
    }
}

/// A project was given away.
#[derive(Serialize, ToSchema)]
struct ProjectTransferred {
    #[schema(schema_with = success_in_words)]
    success: &'static str,
}

fn success_in_words() -> Object {
    text_among("Always `true`, as a text.", &["true"])
}

/// That nobody is signed in, or not to the project `internal`.
type NoInternalUser = (UserAuthenticationRequired, ExpectedInternalProject);

/// Shows the caller's project, with all settings.
#[utoipa::path(get, path = "/internal/projects/current", tag = "internal", responses(Errors<CurrentProjectNotFound>))]
pub(crate) async fn get_admin_project(
    access: AdminAccess,
    _: NoInput,
) -> ApiResult<Json<AdminProject>> {
    let project = reload(&access.app, access.project_id()).await?;
    Ok(Json(AdminProject::of(&project)))
}

/// Changes the caller's project.
#[utoipa::path(patch, path = "/internal/projects/current", tag = "internal",
    responses(Errors<(CurrentProjectNotFound, Text<400>)>))]
pub(crate) async fn update_project(
    access: AdminAccess,
    update: UpdateProject,
) -> ApiResult<Json<AdminProject>> {
    let (app, id) = (&access.app, access.project_id());
    let mut change = update.fields.into_change(app, update.display_name);
    check_theme(&access.project.config, &change.settings)?;
    keep_logos(app, &mut change).await?;
    app_projects::update(app, access.event_context(), id, change).await?;
    Ok(Json(AdminProject::of(&*reload(app, id).await?)))
}

/// Deletes the caller's project with everything in it.
#[utoipa::path(delete, path = "/internal/projects/current", tag = "internal", responses(Errors<Text<400>>))]
async fn delete_project(access: AdminAccess, _: NoInput) -> ApiResult<Json<Success>> {
    if access.project_id().is_internal() {
        let text = "The internal project owns all others and cannot be deleted.";
        return Err(ApiError::bad_request(text));
    }
    app_projects::delete(&access.app, access.event_context(), access.project_id()).await?;
    Ok(Success::ANSWER)
}

/// Creates a project, owned by one of the signed-in user's teams.
#[utoipa::path(post, path = "/internal/projects", tag = "internal",
    responses(Errors<(NoInternalUser, TeamMembershipNotFound, CurrentProjectNotFound, Text<400>)>))]
async fn create_project(
    access: ClientAccess,
    new: CreateProject,
) -> ApiResult<Created<AdminProject>> {
    let app = &access.app;
    let user = require_internal_user(&access)?;
    require_membership(app, &access.preconditions, new.owner, user).await?;
    let mut change = new.fields.into_change(app, Some(new.display_name));
    check_theme(&ProjectConfig::default(), &change.settings)?;
    keep_logos(app, &mut change).await?;
    let id = ProjectId::from_uuid(app.random.uuid());
    let mut profile = ProjectProfile::default();
    change.profile.apply_to(&mut profile);
    let mut settings = Map::from_iter([
        ("auth.password.allowSignIn".to_owned(), json!(true)),
        ("domains.allowLocalhost".to_owned(), json!(true)),
    ]);
    settings.extend(change.settings);
    let context = access.event_context_of(&id);
    app_projects::create(app, &context, &id, Some(new.owner), profile, settings).await?;
    let project = reload(app, &id).await?;
    Ok(Created(AdminProject::of(&project)))
}

/// Lists the projects of the signed-in user's teams.
#[utoipa::path(get, path = "/internal/projects", tag = "internal", responses(Errors<NoInternalUser>))]
async fn list_projects(access: ClientAccess, _: NoInput) -> ApiResult<Json<List<AdminProject>>> {
    let user = require_internal_user(&access)?;
    let mut items = Vec::new();
    for row in projects::owned_by(access.app.pool(), user).await? {
        items.push(AdminProject::of(&LoadedProject::read(&row, Vec::new())?));
    }
    Ok(List::of(items))
}

/// Gives a project to another team of the signed-in user.
#[utoipa::path(post, path = "/internal/projects/transfer", tag = "internal",
    responses(Errors<(ProjectNotFound, TeamMembershipNotFound, TeamPermissionRequired, Text<400>)>))]
async fn transfer_project(
    access: ClientAccess,
    wanted: TransferProject,
) -> ApiResult<Json<ProjectTransferred>> {
    let (app, id, user) = (&access.app, wanted.id, wanted.user);
    let project = app.projects.find_now(&id).await?;
    let project = project.ok_or_else(|| KnownError::project_not_found(&id))?;
    let owner = project.owner_team_id.ok_or_else(|| {
        ApiError::bad_request("The project has no owner team, so nobody can give it away.")
    })?;
    let preconditions = &access.preconditions;
    require_permission(app, preconditions, (owner, user), TEAM_ADMIN).await?;
    require_membership(app, preconditions, wanted.new_owner, user).await?;
    let context = EventContext {
        project_id: id.clone(),
        ..access.event_context_of(&id)
    };
    let transfer = ProjectCommand::Transfer(wanted.new_owner);
    app_projects::change(app, &context, &id, vec![transfer]).await?;
    Ok(Json(ProjectTransferred { success: "true" }))
}

/// The signed-in user of the `internal` project.
fn require_internal_user(auth: &Auth) -> Result<UserId, ApiError> {
    let user = auth.signed_in()?.user.user_id();
    if auth.project_id().is_internal() {
        Ok(user)
    } else {
        Err(KnownError::expected_internal_project().into())
    }
}

pub(crate) async fn reload(app: &App, id: &ProjectId) -> Result<Arc<LoadedProject>, ApiError> {
    let project = app.projects.find_now(id).await?;
    project.ok_or_else(|| KnownError::current_project_not_found(id).into())
}

/// Only themes that exist can be chosen.
fn check_theme(config: &ProjectConfig, settings: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(theme) = settings
        .get("emails.selectedThemeId")
        .and_then(Value::as_str)
    else {
        return Ok(());
    };
    if config.emails.themes.contains_key(theme) {
        return Ok(());
    }
    let text = format!("There is no email theme {theme}.");
    Err(ApiError::bad_request(text))
}

/// Keeps uploaded logos, and puts their links in the place of the uploads.
async fn keep_logos(app: &App, change: &mut ProjectChange) -> Result<(), ApiError> {
    let profile = &mut change.profile;
    for logo in [
        &mut profile.logo_url,
        &mut profile.logo_full_url,
        &mut profile.logo_dark_mode_url,
        &mut profile.logo_full_dark_mode_url,
    ] {
        let given = std::mem::take(logo);
        let rule = ImageRule::UploadsAndLinks;
        *logo = images::accept(app, Folder::ProjectLogos, rule, given).await?;
    }
    Ok(())
}
