//! `/contact-channels`: the email addresses of users.

use axum::Json;
use muniment_domain::user::{ChannelChange, NewChannel, UserCommand, UserError};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{ContactChannelId, EmailAddress, UserId};
use muniment_event_store::{AccessType, LedgerError};
use muniment_projections::read_models::users::{self, ContactChannelRow, UserRecord};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::app::App;
use crate::app::users::contact_channels::{ChangeError, change, send_verification_code, verify};
use crate::error::codes::{
    CannotGetOwnUserWithoutUser, ContactChannelAlreadyUsedForAuthBySomeoneElse,
    EmailAlreadyVerified, EmailIsNotPrimaryEmail, Errors, RedirectUrlNotWhitelisted, Text,
    UserIdDoesNotExist, UserNotFound,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Created, List, Success};
use crate::http::auth::codes::{
    CodeErrors, CodeIsValid, MailedCode, check_mailed_code, limit_sending,
};
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::caller::Auth;
use crate::http::request::declare::{fields, request, signed_in};
use crate::http::request::presence::{ignored, optional, or_default, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{
    boolean, lenient_email, one_of, strict_email, url_text, user_id_or_me, uuid,
};
use crate::security::limits::Limit;
use crate::views::ContactChannelView;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_contact_channels, create_contact_channel))
        .routes(operations!(verify_contact_channel))
        .routes(operations!(check_contact_channel_code))
        .routes(operations!(send_primary_email_verification_code))
        .routes(operations!(
            get_contact_channel,
            update_contact_channel,
            delete_contact_channel
        ))
        .routes(operations!(send_contact_channel_verification_code))
}

request! {
    /// Whose channels to list.
    struct ListContactChannels {
        query {
            /// The user whose channels they are. With server access they may be everybody's.
            user_id: Option<UserId> = optional(user_id_or_me());
            /// Only the one of this id.
            contact_channel_id: Option<Uuid> = optional(uuid());
        }
    }

    /// An email address to be added to a user.
    struct CreateContactChannel {
        query {
            .. _ids: IgnoredIds;
        }
        body {
            /// The user whose address it is.
            user_id: UserId = required(user_id_or_me());
            /// What sort of channel it is.
            _kind as "type": &'static str = required(one_of(&["email"]));
            /// The address.
            value: EmailAddress = required(lenient_email());
            /// Whether the address may be used to sign in.
            used_for_auth: bool = required(boolean());
            /// Whether it is the user's primary address.
            is_primary: bool = or_default(boolean(), false);
            /// Whether the address is known to be the user's.
            is_verified: bool = or_default(boolean(), false), servers;
        }
    }

    /// A channel that is named.
    struct NamedContactChannel {
        path {
            .. channel: ChannelPath;
        }
        query {
            .. _ids: IgnoredIds;
        }
    }

    /// A change of a channel.
    struct UpdateContactChannel {
        path {
            .. channel: ChannelPath;
        }
        query {
            .. _ids: IgnoredIds;
        }
        body {
            /// Another address. It is unverified, unless a server says otherwise.
            value: Option<EmailAddress> = optional(lenient_email());
            /// What sort of channel it is.
            _kind as "type": Option<&'static str> = optional(one_of(&["email"]));
            /// Whether the address may be used to sign in.
            used_for_auth: Option<bool> = optional(boolean());
            /// Whether it is the user's primary address.
            is_primary: Option<bool> = optional(boolean());
            /// Whether the address is known to be the user's.
            is_verified: Option<bool> = optional(boolean()), servers;
        }
    }

    /// That a link shall be mailed which proves the address of a channel.
    struct SendVerificationCode {
        path {
            .. channel: ChannelPath;
        }
        query(open) {}
        body {
            /// Where the link leads; the code is added to its query.
            callback_url: String = required(url_text());
        }
    }

    /// That a link shall be mailed which proves the signed-in user's primary address.
    struct SendPrimaryVerificationCode {
        caller {
            user: Arc<UserRecord> = signed_in();
        }
        query(open) {}
        body {
            /// The signed-in user's primary address.
            email: EmailAddress = required(strict_email());
            /// Where the link leads; the code is added to its query.
            callback_url: String = required(url_text());
        }
    }
}

fields! {
    /// What names a channel in a path.
    struct ChannelPath {
        /// A user's id, or `me` for the signed-in user's.
        user_id: UserId = required(user_id_or_me());
        /// The channel's id.
        id as "contact_channel_id": ContactChannelId = required(uuid().map(ContactChannelId));
    }

    /// All operations accept the ids in the query as well; only the listing looks at them.
    struct IgnoredIds {
        /// Accepted, and not looked at.
        _user_id as "user_id": () = ignored();
        /// Accepted, and not looked at.
        _contact_channel_id as "contact_channel_id": () = ignored();
    }
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
    Err(ApiError::forbidden(
        "Clients may handle the contact channels of the signed-in user only. Pass user_id=me.",
    ))
}

/// Somebody else's channels.
type NotOwn = (CannotGetOwnUserWithoutUser, Text<403>);

/// Lists channels: a user's, or with server access all of the project.
#[utoipa::path(get, path = "/contact-channels", tag = "contact channels", responses(Errors<NotOwn>))]
async fn list_contact_channels(
    access: ClientAccess,
    wanted: ListContactChannels,
) -> ApiResult<Json<List<ContactChannelView>>> {
    require_own(&access, wanted.user_id)?;
    let (pool, project) = (access.app.pool(), access.project_id());
    let rows = users::channels_of(pool, project, wanted.user_id).await?;
    let only = wanted.contact_channel_id;
    let rows = rows
        .iter()
        .filter(|row| only.is_none_or(|only| only == row.id));
    Ok(List::of(rows.map(ContactChannelView::of).collect()))
}

/// Adds an email address to a user.
#[utoipa::path(post, path = "/contact-channels", tag = "contact channels",
    responses(Errors<(NotOwn, UserNotFound, ContactChannelAlreadyUsedForAuthBySomeoneElse, Text<400>, Text<404>)>))]
async fn create_contact_channel(
    access: ClientAccess,
    new: CreateContactChannel,
) -> ApiResult<Created<ContactChannelView>> {
    let user = new.user_id;
    require_own(&access, Some(user))?;
    let known = users::by_id(access.app.pool(), access.project_id(), user).await?;
    known.ok_or_else(KnownError::user_not_found)?;
    let shown = new.value.to_string();
    let channel = NewChannel {
        channel_id: ContactChannelId(access.app.random.uuid()),
        now: access.app.now(),
        address: new.value,
        is_primary: new.is_primary,
        is_verified: new.is_verified,
        used_for_auth: new.used_for_auth,
    };
    let id = channel.channel_id;
    let command = UserCommand::AddChannel(channel);
    let (app, context) = (&access.app, access.event_context());
    change(app, context, user, command, Some(&shown)).await?;
    let row = find(&access, user, id).await?;
    Ok(Created(ContactChannelView::of(&row.ok_or_else(not_found)?)))
}

/// Shows a channel.
#[utoipa::path(get, path = "/contact-channels/{user_id}/{contact_channel_id}", tag = "contact channels",
    responses(Errors<(NotOwn, Text<404>)>))]
async fn get_contact_channel(
    access: ClientAccess,
    NamedContactChannel { channel, .. }: NamedContactChannel,
) -> ApiResult<Json<ContactChannelView>> {
    require_own(&access, Some(channel.user_id))?;
    let row = find(&access, channel.user_id, channel.id).await?;
    Ok(Json(ContactChannelView::of(&row.ok_or_else(not_found)?)))
}

/// Changes a channel. A new address is unverified, unless a server says otherwise.
#[utoipa::path(patch, path = "/contact-channels/{user_id}/{contact_channel_id}", tag = "contact channels",
    responses(Errors<(NotOwn, ContactChannelAlreadyUsedForAuthBySomeoneElse, Text<400>)>))]
async fn update_contact_channel(
    access: ClientAccess,
    update: UpdateContactChannel,
) -> ApiResult<Json<ContactChannelView>> {
    let ChannelPath {
        user_id: user, id, ..
    } = update.channel;
    require_own(&access, Some(user))?;
    require_found(&access, user, id).await?;
    let command = UserCommand::ChangeChannel(ChannelChange {
        channel_id: id,
        address: update.value,
        is_primary: update.is_primary,
        is_verified: update.is_verified,
        used_for_auth: update.used_for_auth,
    });
    change(&access.app, access.event_context(), user, command, None).await?;
    let row = require_found(&access, user, id).await?;
    Ok(Json(ContactChannelView::of(&row)))
}

/// Removes a channel, be it the primary one.
#[utoipa::path(delete, path = "/contact-channels/{user_id}/{contact_channel_id}", tag = "contact channels",
    responses(Errors<(NotOwn, Text<400>)>))]
async fn delete_contact_channel(
    access: ClientAccess,
    NamedContactChannel { channel, .. }: NamedContactChannel,
) -> ApiResult<Json<Success>> {
    let ChannelPath {
        user_id: user, id, ..
    } = channel;
    require_own(&access, Some(user))?;
    require_found(&access, user, id).await?;
    let command = UserCommand::RemoveChannel(id);
    let removed = change(&access.app, access.event_context(), user, command, None).await;
    match removed {
        // Somebody removed it in the same moment.
        Err(ChangeError::Ledger(LedgerError::User(UserError::ChannelNotFound))) => {
            Err(no_such_channel())
        }
        outcome => Ok(outcome.map(|()| Success::ANSWER)?),
    }
}

/// Mails a link that proves a channel's address.
#[utoipa::path(post, path = "/contact-channels/{user_id}/{contact_channel_id}/send-verification-code",
    tag = "contact channels",
    responses(Errors<(NotOwn, UserIdDoesNotExist, RedirectUrlNotWhitelisted, EmailAlreadyVerified, Text<400>, Text<404>, Text<429>)>))]
async fn send_contact_channel_verification_code(
    access: ClientAccess,
    wanted: SendVerificationCode,
) -> ApiResult<Json<Success>> {
    let ChannelPath {
        user_id: user, id, ..
    } = wanted.channel;
    if access.access_type == AccessType::Client && access.own_user()?.user.user_id() != user {
        let text = "Clients may verify the addresses of the signed-in user only.";
        return Err(ApiError::bad_request(text));
    }
    let known = users::by_id(access.app.pool(), access.project_id(), user).await?;
    known.ok_or_else(|| KnownError::user_id_does_not_exist(user))?;
    let row = find(&access, user, id).await?.ok_or_else(not_found)?;
    limit_sending(&access, &EmailAddress::from_stored(row.value.clone()))?;
    send_verification_code(access.request_context(), &row, &wanted.callback_url).await?;
    Ok(Success::ANSWER)
}

/// Mails a link that proves the signed-in user's primary address. Kept for older clients.
#[utoipa::path(post, path = "/contact-channels/send-verification-code", tag = "contact channels",
    responses(Errors<(EmailIsNotPrimaryEmail, RedirectUrlNotWhitelisted, EmailAlreadyVerified, Text<404>, Text<429>)>))]
async fn send_primary_email_verification_code(
    access: ClientAccess,
    wanted: SendPrimaryVerificationCode,
) -> ApiResult<Json<Success>> {
    let user = &wanted.user.user;
    let (email, primary) = (&wanted.email, user.primary_email.as_deref());
    if primary != Some(email.as_str()) {
        return Err(KnownError::email_is_not_primary_email(email.as_str(), primary).into());
    }
    limit_sending(&access, email)?;
    let (pool, project) = (access.app.pool(), access.project_id());
    let rows = users::channels_of(pool, project, Some(user.user_id())).await?;
    let row = rows.into_iter().find(|row| row.is_primary);
    let row = row.ok_or_else(not_found)?;
    send_verification_code(access.request_context(), &row, &wanted.callback_url).await?;
    Ok(Success::ANSWER)
}

/// Notes that an address reaches its owner, who brings the code back.
#[utoipa::path(post, path = "/contact-channels/verify", tag = "contact channels",
    responses(Errors<(CodeErrors, Text<400>)>))]
async fn verify_contact_channel(
    access: ClientAccess,
    MailedCode { code }: MailedCode,
) -> ApiResult<Json<Success>> {
    access.limit(Limit::CodeCheckFromIp)?;
    verify(&access.app, access.event_context(), &code).await?;
    Ok(Success::ANSWER)
}

/// Says whether a code that proves an address would work, without using it up.
#[utoipa::path(post, path = "/contact-channels/verify/check-code", tag = "contact channels",
    responses(Errors<CodeErrors>))]
async fn check_contact_channel_code(
    access: ClientAccess,
    code: MailedCode,
) -> ApiResult<Json<CodeIsValid>> {
    check_mailed_code(&access, code, Purpose::ContactChannelVerification).await
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
    ApiError::bad_request("The user has no contact channel of this id.")
}

fn not_found() -> ApiError {
    ApiError::not_found("The user has no contact channel of this id.")
}
