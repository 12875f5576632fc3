//! `/users`: accounts, by their owners and by servers.

mod fields;
pub(crate) mod find;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muniment_domain::user::UserUpdate;
use muniment_domain::{TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::paging::Direction;
use muniment_projections::read_models::users::{self, Listing, UserRecord, Visibility};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::fields::{UserFields, map_patch, read_oauth_account};
use self::find::find_user;
use crate::app::App;
use crate::app::users::accounts::{self, NewAccount, SideEffects};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::{OwnUserAccess, ProjectAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{boolean, integer, one_of, query_boolean, text, uuid};
use crate::views::{CurrentUser, ServerUser};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read_me, update_me, delete_me))
        .routes(routes!(read, update, delete))
}

/// The signed-in user.
#[utoipa::path(get, path = "/users/me", tag = "users",
    responses((status = 200, body = CurrentUser), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER")))]
async fn read_me(access: OwnUserAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    Ok(show(&access, &access.own))
}

/// Changes the signed-in user.
#[utoipa::path(patch, path = "/users/me", tag = "users", request_body = Value,
    responses((status = 200, body = CurrentUser), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER, SCHEMA_ERROR"),
        (status = 404, description = "TEAM_MEMBERSHIP_NOT_FOUND"), (status = 409, description = "USER_EMAIL_ALREADY_EXISTS")))]
async fn update_me(access: OwnUserAccess, input: Input) -> ApiResult {
    change(&access, access.own.user.user_id(), input).await
}

/// Deletes the signed-in user, if the project lets users do so.
#[utoipa::path(delete, path = "/users/me", tag = "users",
    responses((status = 200, description = "Deleted"), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER")))]
async fn delete_me(access: OwnUserAccess, input: Input) -> ApiResult {
    let id = access.own.user.user_id();
    access.form(&input).no_query().finish(Some(()))?;
    let allowed = access.project.config.users.allow_client_user_deletion;
    if access.access_type == AccessType::Client && !allowed {
        let refusal = "This project does not let users delete their own account. Ask its operator to delete it.";
        return Err(ApiError::text(StatusCode::BAD_REQUEST, refusal));
    }
    accounts::close(&access.app, access.event_context(), id).await?;
    Ok(success())
}

/// One user.
#[utoipa::path(get, path = "/users/{user_id}", tag = "users", params(("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, body = ServerUser), (status = 404, description = "USER_NOT_FOUND")))]
async fn read(access: ServerAccess, input: Input) -> ApiResult {
    let id = user_in_path(&access, &input)?;
    let record = find_user(&access, id).await?;
    Ok(Json(ServerUser::of(&access.app, &record, &access.project)).into_response())
}

/// Changes one user.
#[utoipa::path(patch, path = "/users/{user_id}", tag = "users", request_body = Value, params(("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, body = ServerUser), (status = 400, description = "SCHEMA_ERROR"),
        (status = 404, description = "USER_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND"), (status = 409, description = "USER_EMAIL_ALREADY_EXISTS")))]
async fn update(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let id = form.params().required_user_id_or_me("user_id");
    let id = match id {
        Some(id) => id,
        None => form.finish(None)?,
    };
    change(&access, id, input).await
}

/// Deletes one user, with everything that is theirs.
#[utoipa::path(delete, path = "/users/{user_id}", tag = "users", params(("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, description = "Deleted"), (status = 404, description = "USER_NOT_FOUND")))]
async fn delete(access: ServerAccess, input: Input) -> ApiResult {
    let id = user_in_path(&access, &input)?;
    find_user(&access, id).await?;
    accounts::close(&access.app, access.event_context(), id).await?;
    Ok(success())
}

/// Lists users by the time of their sign-up.
#[utoipa::path(get, path = "/users", tag = "users",
    params(("team_id" = Option<String>, Query), ("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query),
        ("order_by" = Option<String>, Query, description = "`signed_up_at`"), ("desc" = Option<bool>, Query),
        ("query" = Option<String>, Query, description = "Part of a name or an email address, or an id"),
        ("include_restricted" = Option<bool>, Query), ("include_anonymous" = Option<bool>, Query), ("only_anonymous" = Option<bool>, Query)),
    responses((status = 200, description = "A page of users")))]
async fn list(access: ServerAccess, input: Input) -> ApiResult {
    let listing = read_listing(access.form(&input))?;
    let verification = access.project.config.email_verification();
    let page = users::list(
        access.app.pool(),
        access.project_id(),
        &listing,
        verification,
    )
    .await?;
    let show = |record: &UserRecord| ServerUser::of(&access.app, record, &access.project);
    let items: Vec<ServerUser> = page.items.iter().map(show).collect();
    let pagination = json!({"next_cursor": page.next_cursor});
    Ok(
        Json(json!({"items": items, "is_paginated": true, "pagination": pagination}))
            .into_response(),
    )
}

fn read_listing(mut form: Form) -> Result<Listing, ApiError> {
    let mut query = form.query();
    let team = query.optional("team_id", uuid);
    let limit = query.optional("limit", integer(1..=i64::MAX));
    let cursor = query.optional("cursor", uuid);
    let order = query.optional("order_by", one_of(&["signed_up_at"]));
    let desc = query.or_default("desc", query_boolean, false);
    let search = query.optional("query", text);
    let restricted = query.or_default("include_restricted", query_boolean, false);
    let anonymous = query.or_default("include_anonymous", query_boolean, false);
    let only = query.or_default("only_anonymous", query_boolean, false);
    query.close();
    let (anonymous, only, listing) = form.finish((|| {
        order?;
        let visibility = match (restricted?, anonymous?, only?) {
            (_, true, true) => Visibility::Anonymous,
            (_, true, false) => Visibility::Everybody,
            (true, false, _) => Visibility::SignedUp,
            (false, false, _) => Visibility::Unrestricted,
        };
        let listing = Listing {
            team: team?.map(TeamId),
            visibility,
            query: search?,
            cursor: cursor?.map(UserId),
            limit: limit?,
            direction: if desc? {
                Direction::Descending
            } else {
                Direction::Ascending
            },
        };
        Some((anonymous?, only?, listing))
    })())?;
    if only && !anonymous {
        let refusal = "only_anonymous=true needs include_anonymous=true as well.";
        return Err(ApiError::text(StatusCode::BAD_REQUEST, refusal));
    }
    Ok(listing)
}

/// Creates a user.
#[utoipa::path(post, path = "/users", tag = "users", request_body = Value,
    responses((status = 201, body = ServerUser), (status = 400, description = "SCHEMA_ERROR"), (status = 409, description = "USER_EMAIL_ALREADY_EXISTS")))]
async fn create(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let fields = UserFields::read(&mut body, access.access_type);
    let is_anonymous = body.or_default("is_anonymous", boolean, false);
    let accounts = body.optional_list("oauth_providers", read_oauth_account);
    body.close();
    let (fields, is_anonymous, oauth) =
        form.finish((|| Some((fields?, is_anonymous?, accounts?)))())?;
    fields.check_restriction(&input)?;
    let user = fields
        .into_new_user(&access, is_anonymous, oauth.unwrap_or_default())
        .await?;
    let account = NewAccount::generate(&access.app, &access.project, user);
    accounts::open(
        &access.app,
        access.event_context(),
        &account,
        &SideEffects::default(),
    )
    .await?;
    let record = find_user(&access, account.id).await?;
    let view = ServerUser::of(&access.app, &record, &access.project).before_personal_team();
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

async fn change(access: &ProjectAccess, id: UserId, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let fields = UserFields::read(&mut body, access.access_type);
    let selected_team = body.nullable("selected_team_id", uuid);
    let sign_up = match access.access_type {
        AccessType::Client => Some(None),
        AccessType::Server | AccessType::Admin => body.optional("is_anonymous", only_false),
    };
    body.close();
    let (fields, selected_team, sign_up) =
        form.finish((|| Some((fields?, selected_team?, sign_up?)))())?;
    fields.check_restriction(&input)?;
    // The signed-in user was found before.
    if access.user_id() != Some(id) {
        find_user(access, id).await?;
    }
    let update = UserUpdate {
        selected_team_id: map_patch(selected_team, TeamId),
        sign_up: sign_up.is_some(),
        ..fields.into_update(access).await?
    };
    accounts::update(
        &access.app,
        access.event_context(),
        id,
        &update,
        &SideEffects::default(),
    )
    .await?;
    let record = find_user(access, id).await?;
    Ok(show(access, &record))
}

fn only_false(value: &Value) -> Result<bool, String> {
    if boolean(value)? {
        return Err(
            "may only be false: an anonymous user can sign up, but not the reverse".to_owned(),
        );
    }
    Ok(false)
}

fn user_in_path(auth: &Auth, input: &Input) -> Result<UserId, ApiError> {
    let mut form = input.form(auth.user_id()).no_query();
    let id = form.params().required_user_id_or_me("user_id");
    form.finish(id)
}

fn show(access: &ProjectAccess, record: &UserRecord) -> Response {
    match access.access_type {
        AccessType::Client => Json(CurrentUser::of(record, &access.project)).into_response(),
        AccessType::Server | AccessType::Admin => {
            Json(ServerUser::of(&access.app, record, &access.project)).into_response()
        }
    }
}
