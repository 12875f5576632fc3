//! `/team-invitations`: inviting people to teams by mail, and accepting that.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::permission::{INVITE_MEMBERS, READ_MEMBERS, REMOVE_MEMBERS};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{TeamId, UserId, VerificationCodeId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::teams::TeamRow;
use muniment_projections::read_models::teams::invitations;
use muniment_projections::read_models::users::UserRow;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::teams::invitations::{
    accept_by_id, accept_code, require_unrestricted, revoke, send, team_behind,
};
use crate::app::teams::require_permission;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{success, whole_list};
use crate::http::auth::codes::{check_code, limit_sending, read_code};
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::caller::Auth;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{strict_email, text, url_text, uuid};
use crate::http::teams::find::find_team;
use crate::security::limits::Limit;
use crate::views::TeamInvitation;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(send_code))
        .routes(routes!(delete))
        .routes(routes!(accept))
        .routes(routes!(check))
        .routes(routes!(details))
        .routes(routes!(accept_one))
}

/// Mails an invitation to a team.
#[utoipa::path(post, path = "/team-invitations/send-code", tag = "teams", request_body = Value,
    responses((status = 200, description = "`{success: true, id}`"),
        (status = 400, description = "REDIRECT_URL_NOT_WHITELISTED, SCHEMA_ERROR"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED, TEAM_PERMISSION_REQUIRED"),
        (status = 404, description = "TEAM_MEMBERSHIP_NOT_FOUND, TEAM_NOT_FOUND")))]
async fn send_code(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let team = body.required("team_id", uuid);
    let email = body.required("email", |value: &Value| {
        Ok((strict_email(value)?, text(value)?))
    });
    let callback = body.required("callback_url", url_text);
    body.close();
    let (team, (address, written), callback) =
        form.finish((|| Some((TeamId(team?), email?, callback?)))())?;
    let team = require(&access, team, &[INVITE_MEMBERS]).await?;
    limit_sending(&access, &address)?;
    let request = access.request_context();
    // The address is kept as it was written.
    let id = send(request, &team, &written, &callback).await?;
    Ok(Json(json!({"success": true, "id": id})).into_response())
}

/// Whose invitations are listed.
enum Of {
    Team(TeamId),
    User(UserId),
}

/// Lists the open invitations of a team, or those to the verified addresses of a user.
#[utoipa::path(get, path = "/team-invitations", tag = "teams",
    params(("team_id" = Option<String>, Query, description = "Either this"), ("user_id" = Option<String>, Query, description = "or this: a user's id, or `me`")),
    responses((status = 200, description = "Invitations"),
        (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER, SCHEMA_ERROR; text: both or neither of the two"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED, TEAM_PERMISSION_REQUIRED"),
        (status = 404, description = "TEAM_MEMBERSHIP_NOT_FOUND, TEAM_NOT_FOUND")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let (pool, project, now) = (access.app.pool(), access.project_id(), access.app.now());
    let found = match read_listing(access.form(&input))? {
        Of::Team(team) => {
            require(&access, team, &[READ_MEMBERS, INVITE_MEMBERS]).await?;
            invitations::of_team(pool, project, team, now).await?
        }
        Of::User(user) => {
            require_own(&access, user)?;
            invitations::to_user(pool, project, user, now).await?
        }
    };
    let items: Vec<TeamInvitation> = found.into_iter().map(TeamInvitation::from).collect();
    Ok(whole_list(&items))
}

fn read_listing(mut form: Form<'_>) -> Result<Of, ApiError> {
    let mut query = form.query();
    let team = query.optional("team_id", uuid);
    let user = query.optional_user_id_or_me("user_id");
    query.close();
    match form.finish((|| Some((team?.map(TeamId), user?)))())? {
        (Some(team), None) => Ok(Of::Team(team)),
        (None, Some(user)) => Ok(Of::User(user)),
        _ => Err(bad_request("Set either team_id or user_id.")),
    }
}

/// Takes an invitation back.
#[utoipa::path(delete, path = "/team-invitations/{id}", tag = "teams",
    params(("id" = String, Path), ("team_id" = String, Query, description = "The team that it is for")),
    responses((status = 200, description = "Taken back"), (status = 400, description = "SCHEMA_ERROR; text: no team_id"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED, TEAM_PERMISSION_REQUIRED"),
        (status = 404, description = "TEAM_MEMBERSHIP_NOT_FOUND, TEAM_NOT_FOUND, VERIFICATION_CODE_NOT_FOUND")))]
async fn delete(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let id = invitation_id(&mut form);
    let mut query = form.query();
    let team = query.optional("team_id", uuid);
    query.close();
    let (id, team) = form.finish((|| Some((id?, team?.map(TeamId))))())?;
    let team = team.ok_or_else(|| bad_request("Set team_id: the team that was invited to."))?;
    require(&access, team, &[REMOVE_MEMBERS]).await?;
    revoke(&access.app, access.event_context(), team, id).await?;
    Ok(success())
}

/// Lets the signed-in user into the team that a code invites to. The code need not have been sent
/// to an address of that user.
#[utoipa::path(post, path = "/team-invitations/accept", tag = "teams", request_body = Value,
    responses((status = 200, description = "`{}`; the user is a member, now or before"),
        (status = 400, description = "VERIFICATION_CODE_EXPIRED, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED, SCHEMA_ERROR; in project `internal`, ITEM_QUANTITY_INSUFFICIENT_AMOUNT"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 403, description = "TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND, TEAM_NOT_FOUND; in project `internal`, ITEM_NOT_FOUND"), (status = 409, description = "VERIFICATION_CODE_ALREADY_USED")))]
async fn accept(access: ClientAccess, input: Input) -> ApiResult {
    let code = read_code(&access, &input)?;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    accept_code(request, &code, current(&access)).await?;
    Ok(Json(json!({})).into_response())
}

/// Says whether an invitation's code would work, without using it up.
#[utoipa::path(post, path = "/team-invitations/accept/check-code", tag = "teams", request_body = Value,
    responses((status = 200, description = "`{is_code_valid: true}`")))]
async fn check(access: ClientAccess, input: Input) -> ApiResult {
    check_code(&access, &input, Purpose::TeamInvitation).await
}

/// Says which team a code invites to, without using it up.
#[utoipa::path(post, path = "/team-invitations/accept/details", tag = "teams", request_body = Value,
    responses((status = 200, description = "`{team_id, team_display_name}`"),
        (status = 400, description = "VERIFICATION_CODE_EXPIRED, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED, SCHEMA_ERROR"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 403, description = "TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND, TEAM_NOT_FOUND"), (status = 409, description = "VERIFICATION_CODE_ALREADY_USED")))]
async fn details(access: ClientAccess, input: Input) -> ApiResult {
    let code = read_code(&access, &input)?;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    let team = team_behind(request, &code, current(&access)).await?;
    let shown = json!({"team_id": team.id, "team_display_name": team.display_name});
    Ok(Json(shown).into_response())
}

/// Lets a user into a team who was invited at one of their verified addresses.
#[utoipa::path(post, path = "/team-invitations/{id}/accept", tag = "teams",
    params(("id" = String, Path), ("user_id" = String, Query, description = "A user's id, or `me`")),
    responses((status = 200, description = "`{}`; the user is a member, now or before"),
        (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED, SCHEMA_ERROR; in project `internal`, ITEM_QUANTITY_INSUFFICIENT_AMOUNT"),
        (status = 403, description = "TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND, TEAM_NOT_FOUND")))]
async fn accept_one(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let id = invitation_id(&mut form);
    let mut query = form.query();
    let user = query.required_user_id_or_me("user_id");
    query.close();
    form.optional_body().close();
    let (id, user) = form.finish((|| Some((id?, user?)))())?;
    require_own(&access, user)?;
    if access.access_type == AccessType::Client {
        require_unrestricted(&access.project, current(&access))?;
    }
    accept_by_id(access.request_context(), id, user).await?;
    Ok(Json(json!({})).into_response())
}

fn invitation_id(form: &mut Form<'_>) -> Option<VerificationCodeId> {
    let mut params = form.params();
    let id = params.required("id", uuid);
    params.close();
    id.map(VerificationCodeId)
}

fn current(auth: &Auth) -> Option<&UserRow> {
    auth.user().map(|record| &record.user)
}

/// Clients see and accept what concerns the signed-in user only.
fn require_own(auth: &Auth, user: UserId) -> Result<(), ApiError> {
    if auth.access_type == AccessType::Client && auth.own_user()?.user.user_id() != user {
        return Err(KnownError::cannot_get_own_user_without_user().into());
    }
    Ok(())
}

/// Clients need permissions in the team; servers do not.
async fn require(
    access: &ProjectAccess,
    team: TeamId,
    permissions: &[&str],
) -> Result<TeamRow, ApiError> {
    if access.access_type == AccessType::Client {
        let user = access.signed_in()?.user.user_id();
        for permission in permissions {
            require_permission(&access.app, team, user, permission).await?;
        }
    }
    find_team(access, team).await
}

fn bad_request(text: &str) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, text)
}
