//! `/internal/projects`: projects as their owners manage them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::permission::TEAM_ADMIN;
use muniment_domain::project::config::{MERGE_STRATEGIES, PROVIDERS};
use muniment_domain::project::old_fields::{OLD_FIELDS, OldField, OldShape};
use muniment_domain::project::{
    OnboardingStatus, ProjectCommand, ProjectConfig, ProjectProfile, ProjectUpdated,
};
use muniment_domain::{Patch, PermissionId, ProjectId, TeamId, UserId};
use muniment_projections::EventContext;
use muniment_projections::read_models::permissions::{self, Holding};
use muniment_projections::read_models::{projects, teams};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::projects::{self as app_projects, LoadedProject, ProjectChange};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{success, whole_list};
use crate::http::images::{self, Folder, ImageRule};
use crate::http::request::access::{AdminAccess, ClientAccess};
use crate::http::request::caller::Auth;
use crate::http::request::input::{
    Checked, Fields, Input, boolean, integer, lenient_email, non_empty_text, one_of, permission_id,
    text, text_max, url_text, uuid,
};
use crate::views::AdminProject;

/// The longest mail password, in UTF-16 code units.
const MAX_MAIL_PASSWORD: usize = 70;
/// The permission that it takes to give a project away.
/// The routes of this file.
pub fn router() -> OpenApiRouter<App> {
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

/// Everything of `ProjectUpdate` but the name, which creation demands.
fn read_change(app: &App, body: &mut Fields<'_>) -> Option<ProjectChange> {
    let description = body.nullable("description", text);
    let logo_url = body.nullable("logo_url", url_text);
    let logo_full_url = body.nullable("logo_full_url", url_text);
    let logo_dark_mode_url = body.nullable("logo_dark_mode_url", url_text);
    let logo_full_dark_mode_url = body.nullable("logo_full_dark_mode_url", url_text);
    let is_production_mode = body.optional("is_production_mode", boolean);
    let onboarding_status = body.optional("onboarding_status", one_of(&OnboardingStatus::NAMES));
    let settings = body.optional_object("config", |config| read_settings(app, config));
    let onboarding_status = match onboarding_status? {
        Some(name) => Some(serde_json::from_value(json!(name)).ok()?),
        None => None,
    };
    let description = match description? {
        Patch::Keep => None,
        Patch::Clear => Some(String::new()),
        Patch::Set(text) => Some(text),
    };
    Some(ProjectChange {
        profile: ProjectUpdated {
            display_name: None,
            description,
            logo_url: logo_url?,
            logo_full_url: logo_full_url?,
            logo_dark_mode_url: logo_dark_mode_url?,
            logo_full_dark_mode_url: logo_full_dark_mode_url?,
            is_production_mode: is_production_mode?,
            onboarding_status,
        },
        settings: settings?.unwrap_or_default(),
    })
}

fn read_settings(app: &App, config: &mut Fields<'_>) -> Option<Map<String, Value>> {
    let mut settings = Map::new();
    let mut complete = true;
    for field in OLD_FIELDS.iter().filter(|field| field.is_written()) {
        match read_field(field, config) {
            Some(Some(written)) => {
                let value = field.write(&written, || app.random.uuid());
                settings.insert(field.setting.to_owned(), value);
            }
            Some(None) => {}
            None => complete = false,
        }
    }
    complete.then_some(settings)
}

/// A field's value, in its own shape.
fn read_field(field: &OldField, config: &mut Fields<'_>) -> Checked<Option<Value>> {
    fn value<T: Into<Value>>(read: Checked<Option<T>>) -> Checked<Option<Value>> {
        Some(read?.map(Into::into))
    }
    let name = field.name;
    match field.shape {
        OldShape::Switch(_) => value(config.optional(name, boolean)),
        OldShape::MergeStrategy => value(config.optional(name, one_of(&MERGE_STRATEGIES))),
        OldShape::Theme => value(config.optional(name, text)),
        OldShape::Permissions(_) => value(config.optional_list(name, |item| {
            Some(json!({"id": item.required("id", permission_id)?}))
        })),
        OldShape::Domains => value(config.optional_list(name, read_domain)),
        OldShape::Providers | OldShape::ProviderIds => {
            value(config.optional_list(name, read_provider))
        }
        OldShape::EmailServer => value(config.optional_object(name, read_email_server)),
    }
}

fn read_domain(item: &mut Fields<'_>) -> Option<Value> {
    let domain = item.required("domain", web_address);
    let handler_path = item.required("handler_path", absolute_path);
    Some(json!({"domain": domain?, "handler_path": handler_path?}))
}

/// A web address, possibly with `*` in the host.
pub(crate) fn web_address(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    let parses = url::Url::parse(&text.replace('*', "wildcard")).is_ok()
        || url::Url::parse(&text.replace(":*", ":1").replace('*', "wildcard")).is_ok();
    if is_web && parses && !text.contains(' ') {
        Ok(text)
    } else {
        Err("must be a URL that starts with http:// or https://".to_owned())
    }
}

fn absolute_path(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.starts_with('/') {
        Ok(text)
    } else {
        Err("must start with /".to_owned())
    }
}

/// A shared server needs nothing else, though it is kept; one of one's own needs everything.
fn read_email_server(fields: &mut Fields<'_>) -> Option<Value> {
    let kind = fields.required("type", one_of(&["shared", "standard"]));
    let is_standard = kind == Some("standard");
    let mut server = json!({"type": kind});
    let mut complete = kind.is_some();
    let mut keep = |name: &str, value: Option<Option<Value>>| match value {
        Some(Some(value)) => server[name] = value,
        Some(None) => {}
        None => complete = false,
    };
    let port = if is_standard {
        fields.required("port", integer(0..=65_535)).map(Some)
    } else {
        fields.optional("port", integer(0..=65_535))
    };
    keep("port", port.map(|port| port.map(Value::from)));
    let texts: [(&str, TextParser); 5] = [
        ("host", non_empty_text),
        ("username", non_empty_text),
        ("password", mail_password),
        ("sender_name", non_empty_text),
        ("sender_email", sender_address),
    ];
    for (name, parser) in texts {
        let value = if is_standard {
            fields.required(name, parser).map(Some)
        } else {
            fields.optional(name, parser)
        };
        keep(name, value.map(|value| value.map(Value::from)));
    }
    complete.then_some(server)
}

/// Reads a text, or says what it must be.
type TextParser = fn(&Value) -> Result<String, String>;

fn sender_address(value: &Value) -> Result<String, String> {
    lenient_email(value).map(|address| address.to_string())
}

fn mail_password(value: &Value) -> Result<String, String> {
    non_empty_text(value)?;
    text_max(MAX_MAIL_PASSWORD)(value)
}

fn read_provider(item: &mut Fields<'_>) -> Option<Value> {
    let id = item.required("id", one_of(&PROVIDERS));
    let kind = item.required("type", one_of(&["shared", "standard"]));
    let (client_id, client_secret) = if kind == Some("standard") {
        let id = item.required("client_id", non_empty_text);
        let secret = item.required("client_secret", non_empty_text);
        (id.map(Some), secret.map(Some))
    } else {
        (
            item.optional("client_id", text),
            item.optional("client_secret", text),
        )
    };
    let facebook = item.optional("facebook_config_id", text);
    let tenant = item.optional("microsoft_tenant_id", text);
    let bundles = item.optional_values("apple_bundle_ids", text);
    let mut provider = json!({"id": id?, "type": kind?});
    let optional = [
        ("client_id", client_id?),
        ("client_secret", client_secret?),
        ("facebook_config_id", facebook?),
        ("microsoft_tenant_id", tenant?),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            provider[name] = json!(value);
        }
    }
    if let Some(bundles) = bundles? {
        provider["apple_bundle_ids"] = json!(bundles);
    }
    Some(provider)
}
