//! `/internal/projects`: projects as their owners manage them.

pub(crate) mod fields;

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::permission::TEAM_ADMIN;
use muniment_domain::project::{ProjectCommand, ProjectConfig, ProjectProfile};
use muniment_domain::{PermissionId, ProjectId, TeamId, UserId};
use muniment_event_store::EventContext;
use muniment_projections::read_models::permissions::{self, Holding};
use muniment_projections::read_models::{projects, teams};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::fields::read_change;
use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::app::projects::{self as app_projects, ProjectChange};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{success, whole_list};
use crate::http::images::{self, Folder, ImageRule};
use crate::http::request::access::{AdminAccess, ClientAccess};
use crate::http::request::caller::Auth;
use crate::http::request::input::Input;
use crate::http::request::values::{text, uuid};
use crate::views::AdminProject;

/// The permission that it takes to give a project away.
/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update, delete))
        .routes(routes!(transfer))
}

/// The caller's project, with all settings.
#[utoipa::path(get, path = "/internal/projects/current", tag = "internal", responses((status = 200, body = AdminProject)))]
pub(crate) async fn read(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    Ok(Json(AdminProject::of(
        &*reload(&access.app, access.project_id()).await?,
    ))
    .into_response())
}

/// Changes the caller's project.
#[utoipa::path(patch, path = "/internal/projects/current", tag = "internal", request_body = Value,
    responses((status = 200, body = AdminProject), (status = 400, description = "SCHEMA_ERROR")))]
pub(crate) async fn update(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let name = body.optional("display_name", text);
    let change = read_change(&access.app, &mut body);
    body.close();
    let (name, mut change) = form.finish((|| Some((name?, change?)))())?;
    change.profile.display_name = name;
    check_theme(&access.project.config, &change.settings)?;
    keep_logos(&access.app, &mut change).await?;
    app_projects::update(
        &access.app,
        access.event_context(),
        access.project_id(),
        change,
    )
    .await?;
    Ok(Json(AdminProject::of(
        &*reload(&access.app, access.project_id()).await?,
    ))
    .into_response())
}

/// Deletes the caller's project with everything in it.
#[utoipa::path(delete, path = "/internal/projects/current", tag = "internal", responses((status = 200, description = "Deleted")))]
async fn delete(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    if access.project_id().is_internal() {
        let text = "The internal project owns all others and cannot be deleted.";
        return Err(ApiError::text(StatusCode::BAD_REQUEST, text));
    }
    app_projects::delete(&access.app, access.event_context(), access.project_id()).await?;
    Ok(success())
}

/// Makes a project, owned by one of the signed-in user's teams.
#[utoipa::path(post, path = "/internal/projects", tag = "internal", request_body = Value,
    responses((status = 201, body = AdminProject), (status = 400, description = "SCHEMA_ERROR"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED, EXPECTED_INTERNAL_PROJECT"), (status = 404, description = "TEAM_MEMBERSHIP_NOT_FOUND")))]
async fn create(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let name = body.required("display_name", text);
    let owner = body.required("owner_team_id", uuid);
    let change = read_change(&access.app, &mut body);
    body.close();
    let (name, owner, mut change) = form.finish((|| Some((name?, TeamId(owner?), change?)))())?;
    let user = internal_user(&access)?;
    require_membership(&access.app, owner, user).await?;
    check_theme(&ProjectConfig::default(), &change.settings)?;
    keep_logos(&access.app, &mut change).await?;
    change.profile.display_name = Some(name);
    let id = ProjectId::from_uuid(access.app.random.uuid());
    let mut profile = ProjectProfile::default();
    change.profile.apply_to(&mut profile);
    let mut settings = Map::from_iter([
        ("auth.password.allowSignIn".to_owned(), json!(true)),
        ("domains.allowLocalhost".to_owned(), json!(true)),
    ]);
    settings.extend(change.settings);
    let context = access.event_context_of(&id);
    app_projects::create(&access.app, &context, &id, Some(owner), profile, settings).await?;
    let project = reload(&access.app, &id).await?;
    Ok((StatusCode::CREATED, Json(AdminProject::of(&project))).into_response())
}

/// The projects of the signed-in user's teams.
#[utoipa::path(get, path = "/internal/projects", tag = "internal",
    responses((status = 200, description = "Projects"), (status = 401, description = "USER_AUTHENTICATION_REQUIRED, EXPECTED_INTERNAL_PROJECT")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    let user = internal_user(&access)?;
    let mut items = Vec::new();
    for row in projects::owned_by(access.app.pool(), user).await? {
        items.push(AdminProject::of(&LoadedProject::read(&row, Vec::new())?));
    }
    Ok(whole_list(&items))
}

/// Gives a project to another team of the signed-in user.
#[utoipa::path(post, path = "/internal/projects/transfer", tag = "internal", request_body = Value,
    responses((status = 200, description = "Transferred"), (status = 400, description = "SCHEMA_ERROR"), (status = 401, description = "TEAM_PERMISSION_REQUIRED"), (status = 404, description = "PROJECT_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND")))]
async fn transfer(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let user = form.internal_user(&access);
    let mut body = form.body();
    let project = body.required("project_id", text);
    let team = body.required("new_team_id", uuid);
    body.close();
    let (user, id, new_owner) = form.finish((|| {
        Some((user?, ProjectId::from_caller(&project?), TeamId(team?)))
    })())?;
    let project = access.app.projects.find_now(&id).await?;
    let project = project.ok_or_else(|| KnownError::project_not_found(&id))?;
    let Some(owner) = project.owner_team_id else {
        let text = "The project has no owner team, so nobody can give it away.";
        return Err(ApiError::text(StatusCode::BAD_REQUEST, text));
    };
    require_team_admin(&access.app, owner, user).await?;
    require_membership(&access.app, new_owner, user).await?;
    let context = EventContext {
        project_id: id.clone(),
        ..access.event_context_of(&id)
    };
    app_projects::change(
        &access.app,
        &context,
        &id,
        vec![ProjectCommand::Transfer(new_owner)],
    )
    .await?;
    Ok(Json(json!({"success": "true"})).into_response())
}

async fn require_team_admin(app: &App, team: TeamId, user: UserId) -> Result<(), ApiError> {
    let permission = PermissionId::new(TEAM_ADMIN);
    match permissions::in_team(app.pool(), team, user, &permission).await? {
        Holding::Held => Ok(()),
        Holding::NotMember => Err(KnownError::team_membership_not_found(team, user).into()),
        Holding::Lacking => {
            Err(KnownError::team_permission_required(team, user, &permission).into())
        }
    }
}

/// The signed-in user of the `internal` project.
fn internal_user(auth: &Auth) -> Result<UserId, ApiError> {
    let user = auth.signed_in()?.user.user_id();
    if auth.project_id().is_internal() {
        Ok(user)
    } else {
        Err(KnownError::expected_internal_project().into())
    }
}

async fn require_membership(app: &App, team: TeamId, user: UserId) -> Result<(), ApiError> {
    if teams::is_member(app.pool(), team, user).await? {
        return Ok(());
    }
    Err(KnownError::team_membership_not_found(team, user).into())
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
    Err(ApiError::text(StatusCode::BAD_REQUEST, text))
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
