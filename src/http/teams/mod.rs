//! `/teams`: groups of users.

mod fields;
pub(crate) mod find;
pub(crate) mod team_invitations;
pub(crate) mod team_member_profiles;
pub(crate) mod team_memberships;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muniment_domain::permission::{DELETE_TEAM, UPDATE_TEAM};
use muniment_domain::{TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::paging::Direction;
use muniment_projections::read_models::teams::{self, Listing, TeamRow};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::fields::TeamFields;
use self::find::find_team;
use crate::app::App;
use crate::app::teams::{self as app_teams, require_permission};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::caller::Auth;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{integer, one_of, query_boolean, text, uuid};
use crate::http::users::find::find_user;
use crate::views::{ClientTeam, ServerTeam};

/// The longest page of teams.
const MAX_PAGE: i64 = 200;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update, delete))
        .merge(team_memberships::router())
        .merge(team_member_profiles::router())
        .merge(team_invitations::router())
}

/// Founds a team.
#[utoipa::path(post, path = "/teams", tag = "teams", request_body = Value,
    params(("add_current_user" = Option<bool>, Query, description = "Deprecated: use creator_user_id")),
    responses((status = 201, body = ServerTeam), (status = 400, description = "SCHEMA_ERROR"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 403, description = "Not yours to do"), (status = 404, description = "USER_NOT_FOUND")))]
async fn create(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut query = form.query();
    let add_current_user = query.optional("add_current_user", query_boolean);
    query.close();
    let mut body = form.body();
    let name = body.required("display_name", text);
    let fields = TeamFields::read(&mut body, access.access_type);
    let creator = body.optional_user_id_or_me("creator_user_id");
    body.close();
    let (name, fields, creator, add_current_user) =
        form.finish((|| Some((name?, fields?, creator?, add_current_user?)))())?;
    let creator = choose_creator(&access, creator, add_current_user)?;
    if let Some(user) = creator {
        find_user(&access, user).await?;
    }
    let profile = fields.into_profile(&access, name).await?;
    let id = TeamId(access.app.random.uuid());
    app_teams::create(
        &access.app,
        access.event_context(),
        &access.project,
        id,
        profile,
        creator,
    )
    .await?;
    let team = find_team(&access, id).await?;
    Ok((StatusCode::CREATED, show(&access, team)).into_response())
}

fn choose_creator(
    auth: &Auth,
    named: Option<UserId>,
    add_current_user: Option<bool>,
) -> Result<Option<UserId>, ApiError> {
    if named.is_some() && add_current_user.is_some() {
        let text = "Send either add_current_user or creator_user_id, not both.";
        return Err(ApiError::text(StatusCode::BAD_REQUEST, text));
    }
    if auth.access_type == AccessType::Client {
        let own = auth.signed_in()?.user.user_id();
        if !auth.project.config.teams.allow_client_team_creation {
            return Err(forbidden(
                "This project does not let its users create teams.",
            ));
        }
        if named.is_some_and(|user| user != own) {
            return Err(forbidden("You can only create teams for yourself."));
        }
        return Ok(Some(own));
    }
    match (named, add_current_user) {
        (None, Some(true)) => {
            let text = "add_current_user needs a signed-in user.";
            let user = auth.user_id();
            let missing = || ApiError::text(StatusCode::UNAUTHORIZED, text);
            user.map(Some).ok_or_else(missing)
        }
        (named, _) => Ok(named),
    }
}

fn forbidden(text: &str) -> ApiError {
    ApiError::text(StatusCode::FORBIDDEN, text)
}

/// One team.
#[utoipa::path(get, path = "/teams/{team_id}", tag = "teams", params(("team_id" = String, Path)),
    responses((status = 200, body = ServerTeam), (status = 404, description = "TEAM_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND")))]
async fn read(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = team_id(&mut form);
    let id = form.finish(id)?;
    if access.access_type == AccessType::Client {
        let user = access.signed_in()?.user.user_id();
        if !teams::is_member(access.app.pool(), id, user).await? {
            return Err(KnownError::team_membership_not_found(id, user).into());
        }
    }
    Ok(show(&access, find_team(&access, id).await?))
}

/// Changes a team.
#[utoipa::path(patch, path = "/teams/{team_id}", tag = "teams", request_body = Value, params(("team_id" = String, Path)),
    responses((status = 200, body = ServerTeam), (status = 401, description = "USER_AUTHENTICATION_REQUIRED, TEAM_PERMISSION_REQUIRED"), (status = 404, description = "TEAM_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND")))]
async fn update(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = team_id(&mut form);
    let mut body = form.body();
    let name = body.optional("display_name", text);
    let fields = TeamFields::read(&mut body, access.access_type);
    body.close();
    let (id, name, fields) = form.finish((|| Some((id?, name?, fields?)))())?;
    require(&access, id, UPDATE_TEAM).await?;
    find_team(&access, id).await?;
    let change = fields.into_change(&access, name).await?;
    app_teams::update(&access.app, access.event_context(), id, change).await?;
    Ok(show(&access, find_team(&access, id).await?))
}

/// Dissolves a team.
#[utoipa::path(delete, path = "/teams/{team_id}", tag = "teams", params(("team_id" = String, Path)),
    responses((status = 200, description = "Dissolved"), (status = 401, description = "USER_AUTHENTICATION_REQUIRED, TEAM_PERMISSION_REQUIRED"), (status = 404, description = "TEAM_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND")))]
async fn delete(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let id = team_id(&mut form);
    let id = form.finish(id)?;
    require(&access, id, DELETE_TEAM).await?;
    find_team(&access, id).await?;
    app_teams::delete(&access.app, access.event_context(), id).await?;
    Ok(success())
}

/// Lists teams by the time of their creation.
#[utoipa::path(get, path = "/teams", tag = "teams",
    params(("user_id" = Option<String>, Query, description = "Only this user's teams; `me` for one's own"), ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query), ("order_by" = Option<String>, Query, description = "`created_at`"), ("desc" = Option<bool>, Query), ("query" = Option<String>, Query)),
    responses((status = 200, description = "Teams"), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER"), (status = 403, description = "Another user's teams")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let listing = read_listing(access.form(&input))?;
    if access.access_type == AccessType::Client {
        let own = access.own_user()?.user.user_id();
        if listing.member != Some(own) {
            return Err(forbidden(
                "You can only list your own teams. Set user_id to me.",
            ));
        }
    }
    let page = teams::list(access.app.pool(), access.project_id(), &listing).await?;
    let items: Vec<Value> = page
        .items
        .into_iter()
        .map(|team| view(&access, team))
        .collect();
    if listing.limit.is_none() {
        return Ok(crate::http::answer::whole_list(&items));
    }
    let pagination = json!({"next_cursor": page.next_cursor});
    Ok(
        Json(json!({"items": items, "is_paginated": true, "pagination": pagination}))
            .into_response(),
    )
}

fn read_listing(mut form: Form<'_>) -> Result<Listing, ApiError> {
    let mut query = form.query();
    let member = query.optional_user_id_or_me("user_id");
    let limit = query.optional("limit", integer(1..=i64::MAX));
    let cursor = query.optional("cursor", uuid);
    let order = query.optional("order_by", one_of(&["created_at"]));
    let desc = query.or_default("desc", query_boolean, false);
    let search = query.optional("query", text);
    query.close();
    if let (Some(None), Some(Some(_))) = (&limit, &cursor) {
        form.violation("query.cursor", "needs a limit");
    }
    form.finish((|| {
        order?;
        Some(Listing {
            member: member?,
            query: search?,
            cursor: cursor?.map(TeamId),
            limit: limit?.map(|limit| limit.min(MAX_PAGE)),
            direction: if desc? {
                Direction::Descending
            } else {
                Direction::Ascending
            },
        })
    })())
}

fn team_id(form: &mut Form<'_>) -> Option<TeamId> {
    form.params().required("team_id", uuid).map(TeamId)
}

/// Clients need a permission in the team; servers do not.
async fn require(access: &ProjectAccess, team: TeamId, permission: &str) -> Result<(), ApiError> {
    if access.access_type != AccessType::Client {
        return Ok(());
    }
    let user = access.signed_in()?.user.user_id();
    require_permission(&access.app, team, user, permission).await
}

fn view(auth: &Auth, team: TeamRow) -> Value {
    match auth.access_type {
        AccessType::Client => json!(ClientTeam::from(team)),
        AccessType::Server | AccessType::Admin => json!(ServerTeam::from(team)),
    }
}

fn show(auth: &Auth, team: TeamRow) -> Response {
    Json(view(auth, team)).into_response()
}
