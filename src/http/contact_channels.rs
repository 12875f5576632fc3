//! `/contact-channels`: the email addresses of users.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::user::{ChannelChange, NewChannel, UserCommand, UserError};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{ContactChannelId, EmailAddress, UserId};
use muniment_event_store::{AccessType, LedgerError};
use muniment_projections::read_models::users::{self, ContactChannelRow};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::users::contact_channels::{ChangeError, change, send_verification_code, verify};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{success, whole_list};
use crate::http::auth::codes::{check_code, limit_sending, read_code};
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::caller::Auth;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{boolean, lenient_email, one_of, strict_email, url_text, uuid};
use crate::security::limits::Limit;
use crate::views::ContactChannelView;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(verify_code))
        .routes(routes!(check_verification_code))
        .routes(routes!(send_to_primary))
        .routes(routes!(read, update, delete))
        .routes(routes!(send))
}

/// Clients may see and change their own channels only.
fn require_own(auth: &Auth, user: Option<UserId>) -> Result<(), ApiError> {
    if auth.access_type != AccessType::Client {
        return Ok(());
    }
    let own = auth.own_user()?.user.user_id();
    if user == Some(own) {
        return Ok(());
    }
    Err(ApiError::text(
        StatusCode::FORBIDDEN,
        "Clients may handle the contact channels of the signed-in user only. Pass user_id=me.",
    ))
}

/// Lists channels: a user's, or with server access all of the project.
#[utoipa::path(get, path = "/contact-channels", tag = "contact channels",
    params(("user_id" = Option<String>, Query), ("contact_channel_id" = Option<Uuid>, Query)),
    responses((status = 200, description = "A list of contact channels", body = [ContactChannelView]),
        (status = 403, description = "text: somebody else's channels")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut query = form.query();
    let user = query.optional_user_id_or_me("user_id");
    let only = query.optional("contact_channel_id", uuid);
    query.close();
    let (user, only) = form.finish((|| Some((user?, only?)))())?;
    require_own(&access, user)?;
    let rows = users::channels_of(access.app.pool(), access.project_id(), user).await?;
    let wanted = rows
        .iter()
        .filter(|row| only.is_none_or(|only| only == row.id));
    let views: Vec<ContactChannelView> = wanted.map(ContactChannelView::of).collect();
    Ok(whole_list(&views))
}

/// Adds an email address to a user.
#[utoipa::path(post, path = "/contact-channels", tag = "contact channels", request_body = Value,
    responses((status = 201, description = "The channel", body = ContactChannelView),
        (status = 400, description = "SCHEMA_ERROR, CANNOT_GET_OWN_USER_WITHOUT_USER; text: the user has the address already"),
        (status = 403, description = "text: somebody else's channels"),
        (status = 404, description = "USER_NOT_FOUND"),
        (status = 409, description = "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE")))]
async fn create(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    ignore_ids_in_query(&mut form);
    let new = read_new(&access, &mut form);
    let (user, channel) = form.finish(new)?;
    require_own(&access, Some(user))?;
    let known = users::by_id(access.app.pool(), access.project_id(), user).await?;
    known.ok_or_else(KnownError::user_not_found)?;
    let (id, shown) = (channel.channel_id, channel.address.to_string());
    let command = UserCommand::AddChannel(channel);
    change(
        &access.app,
        access.event_context(),
        user,
        command,
        Some(&shown),
    )
    .await?;
    let row = find(&access, user, id).await?;
    let view = ContactChannelView::of(&row.ok_or_else(not_found)?);
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// Whose channel it shall be, and the channel. Clients cannot say that it is verified.
fn read_new(access: &ProjectAccess, form: &mut Form<'_>) -> Option<(UserId, NewChannel)> {
    let mut body = form.body();
    let user = body.required_user_id_or_me("user_id");
    let kind = body.required("type", one_of(&["email"]));
    let address = body.required("value", lenient_email);
    let used_for_auth = body.required("used_for_auth", boolean);
    let is_primary = body.or_default("is_primary", boolean, false);
    let is_verified = match access.access_type {
        AccessType::Client => Some(false),
        AccessType::Server | AccessType::Admin => body.or_default("is_verified", boolean, false),
    };
    body.close();
    kind?;
    let channel = NewChannel {
        channel_id: ContactChannelId(access.app.random.uuid()),
        now: access.app.now(),
        address: address?,
        is_primary: is_primary?,
        is_verified: is_verified?,
        used_for_auth: used_for_auth?,
    };
    Some((user?, channel))
}

/// Shows a channel.
#[utoipa::path(get, path = "/contact-channels/{user_id}/{contact_channel_id}", tag = "contact channels",
    params(("user_id" = String, Path), ("contact_channel_id" = Uuid, Path)),
    responses((status = 200, description = "The channel", body = ContactChannelView),
        (status = 404, description = "text: no such channel")))]
async fn read(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    ignore_ids_in_query(&mut form);
    let ids = read_ids(&mut form);
    let (user, id) = form.finish(ids)?;
    require_own(&access, Some(user))?;
    let row = find(&access, user, id).await?;
    let view = ContactChannelView::of(&row.ok_or_else(not_found)?);
    Ok(Json(view).into_response())
}

/// Changes a channel. A new address is unverified, unless a server says otherwise.
#[utoipa::path(patch, path = "/contact-channels/{user_id}/{contact_channel_id}", tag = "contact channels",
    params(("user_id" = String, Path), ("contact_channel_id" = Uuid, Path)), request_body = Value,
    responses((status = 200, description = "The channel", body = ContactChannelView),
        (status = 400, description = "SCHEMA_ERROR; text: no such channel, or the user has the address already"),
        (status = 409, description = "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE")))]
async fn update(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    ignore_ids_in_query(&mut form);
    let ids = read_ids(&mut form);
    let channel = read_change(access.access_type, ids.map(|(_, id)| id), &mut form);
    let ((user, id), channel) = form.finish(ids.zip(channel))?;
    require_own(&access, Some(user))?;
    require_found(&access, user, id).await?;
    let command = UserCommand::ChangeChannel(channel);
    change(&access.app, access.event_context(), user, command, None).await?;
    let row = require_found(&access, user, id).await?;
    Ok(Json(ContactChannelView::of(&row)).into_response())
}

/// What changes of a channel. Clients cannot say that it is verified.
fn read_change(
    access_type: AccessType,
    channel_id: Option<ContactChannelId>,
    form: &mut Form<'_>,
) -> Option<ChannelChange> {
    let mut body = form.body();
    let address = body.optional("value", lenient_email);
    let kind = body.optional("type", one_of(&["email"]));
    let used_for_auth = body.optional("used_for_auth", boolean);
    let is_primary = body.optional("is_primary", boolean);
    let is_verified = match access_type {
        AccessType::Client => Some(None),
        AccessType::Server | AccessType::Admin => body.optional("is_verified", boolean),
    };
    body.close();
    kind?;
    Some(ChannelChange {
        channel_id: channel_id?,
        address: address?,
        is_primary: is_primary?,
        is_verified: is_verified?,
        used_for_auth: used_for_auth?,
    })
}

/// Removes a channel, be it the primary one.
#[utoipa::path(delete, path = "/contact-channels/{user_id}/{contact_channel_id}", tag = "contact channels",
    params(("user_id" = String, Path), ("contact_channel_id" = Uuid, Path)),
    responses((status = 200, description = "`{success: true}`"), (status = 400, description = "text: no such channel")))]
async fn delete(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    ignore_ids_in_query(&mut form);
    let ids = read_ids(&mut form);
    let (user, id) = form.finish(ids)?;
    require_own(&access, Some(user))?;
    require_found(&access, user, id).await?;
    let removed = change(
        &access.app,
        access.event_context(),
        user,
        UserCommand::RemoveChannel(id),
        None,
    )
    .await;
    match removed {
        // Somebody removed it in the same moment.
        Err(ChangeError::Ledger(LedgerError::User(UserError::ChannelNotFound))) => {
            Err(no_such_channel())
        }
        outcome => Ok(outcome.map(|()| success())?),
    }
}

/// Mails a link that proves a channel's address.
#[utoipa::path(post, path = "/contact-channels/{user_id}/{contact_channel_id}/send-verification-code",
    tag = "contact channels", params(("user_id" = String, Path), ("contact_channel_id" = Uuid, Path)),
    request_body = Value,
    responses((status = 200, description = "`{success: true}`"),
        (status = 400, description = "USER_ID_DOES_NOT_EXIST, REDIRECT_URL_NOT_WHITELISTED, CANNOT_GET_OWN_USER_WITHOUT_USER, SCHEMA_ERROR; text: somebody else's channel"),
        (status = 404, description = "text: no such channel"),
        (status = 409, description = "EMAIL_ALREADY_VERIFIED")))]
async fn send(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let ids = read_ids(&mut form);
    let mut body = form.body();
    let callback = body.required("callback_url", url_text);
    body.close();
    let ((user, id), callback) = form.finish((|| Some((ids?, callback?)))())?;
    if access.access_type == AccessType::Client && access.own_user()?.user.user_id() != user {
        let text = "Clients may verify the addresses of the signed-in user only.";
        return Err(ApiError::text(StatusCode::BAD_REQUEST, text));
    }
    if users::by_id(access.app.pool(), access.project_id(), user)
        .await?
        .is_none()
    {
        return Err(KnownError::user_id_does_not_exist(user).into());
    }
    let row = find(&access, user, id).await?.ok_or_else(not_found)?;
    limit_sending(&access, &EmailAddress::from_stored(row.value.clone()))?;
    let request = access.request_context();
    send_verification_code(request, &row, &callback).await?;
    Ok(success())
}

/// Mails a link that proves the signed-in user's primary address. Kept for older clients.
#[utoipa::path(post, path = "/contact-channels/send-verification-code", tag = "contact channels",
    request_body = Value,
    responses((status = 200, description = "`{success: true}`"),
        (status = 400, description = "EMAIL_IS_NOT_PRIMARY_EMAIL, REDIRECT_URL_NOT_WHITELISTED, SCHEMA_ERROR"),
        (status = 409, description = "EMAIL_ALREADY_VERIFIED")))]
async fn send_to_primary(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let user = form.signed_in(&access);
    let mut body = form.body();
    let email = body.required("email", strict_email);
    let callback = body.required("callback_url", url_text);
    body.close();
    let (user, email, callback) = form.finish((|| Some((user?, email?, callback?)))())?;
    let primary = user.user.primary_email.as_deref();
    if primary != Some(email.as_str()) {
        return Err(KnownError::email_is_not_primary_email(email.as_str(), primary).into());
    }
    limit_sending(&access, &email)?;
    let id = user.user.user_id();
    let rows = users::channels_of(access.app.pool(), access.project_id(), Some(id)).await?;
    let row = rows.into_iter().find(|row| row.is_primary);
    let request = access.request_context();
    send_verification_code(request, &row.ok_or_else(not_found)?, &callback).await?;
    Ok(success())
}

/// Notes that an address reaches its owner, who brings the code back.
#[utoipa::path(post, path = "/contact-channels/verify", tag = "contact channels", request_body = Value,
    responses((status = 200, description = "`{success: true}`"),
        (status = 400, description = "VERIFICATION_CODE_EXPIRED, VERIFICATION_CODE_MAX_ATTEMPTS_REACHED, SCHEMA_ERROR; text: the user does not have the address any more"),
        (status = 404, description = "VERIFICATION_CODE_NOT_FOUND"),
        (status = 409, description = "VERIFICATION_CODE_ALREADY_USED")))]
async fn verify_code(access: ClientAccess, input: Input) -> ApiResult {
    let code = read_code(&access, &input)?;
    access.limit(Limit::CodeCheckFromIp)?;
    verify(&access.app, access.event_context(), &code).await?;
    Ok(success())
}

/// Says whether a code that proves an address would work, without using it up.
#[utoipa::path(post, path = "/contact-channels/verify/check-code", tag = "contact channels", request_body = Value,
    responses((status = 200, description = "`{is_code_valid: true}`")))]
async fn check_verification_code(access: ClientAccess, input: Input) -> ApiResult {
    check_code(&access, &input, Purpose::ContactChannelVerification).await
}

/// All operations accept the ids in the query as well; only the listing looks at them.
fn ignore_ids_in_query(form: &mut Form<'_>) {
    let mut query = form.query();
    query.ignore("user_id");
    query.ignore("contact_channel_id");
    query.close();
}

fn read_ids(form: &mut Form<'_>) -> Option<(UserId, ContactChannelId)> {
    let mut params = form.params();
    let user = params.required_user_id_or_me("user_id");
    let id = params.required("contact_channel_id", uuid);
    params.close();
    Some((user?, ContactChannelId(id?)))
}

async fn find(
    access: &ProjectAccess,
    user: UserId,
    id: ContactChannelId,
) -> Result<Option<ContactChannelRow>, LedgerError> {
    users::channel(access.app.pool(), access.project_id(), user, id).await
}

/// Changing what is not there is a bad request, not something that was not found.
async fn require_found(
    access: &ProjectAccess,
    user: UserId,
    id: ContactChannelId,
) -> Result<ContactChannelRow, ApiError> {
    find(access, user, id).await?.ok_or_else(no_such_channel)
}

fn no_such_channel() -> ApiError {
    ApiError::text(
        StatusCode::BAD_REQUEST,
        "The user has no contact channel of this id.",
    )
}

fn not_found() -> ApiError {
    ApiError::text(
        StatusCode::NOT_FOUND,
        "The user has no contact channel of this id.",
    )
}
