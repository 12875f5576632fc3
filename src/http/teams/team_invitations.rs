//! `/team-invitations`: inviting people to teams by mail, and accepting that.

use axum::Json;
use muniment_domain::permission::{INVITE_MEMBERS, READ_MEMBERS, REMOVE_MEMBERS};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{EmailAddress, TeamId, UserId, VerificationCodeId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::teams::TeamRow;
use muniment_projections::read_models::teams::invitations;
use muniment_projections::read_models::users::UserRow;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::find::{FoundTeam, NamesTeam, NotAllowed, find_team, require_allowed, team_id};
use crate::app::App;
use crate::app::teams::invitations::{
    accept_by_id, accept_code, require_unrestricted, revoke, send, team_behind,
};
use crate::error::codes::{
    Errors, ItemNotFound, ItemQuantityInsufficientAmount, RedirectUrlNotWhitelisted,
    TeamInvitationRestrictedUserNotAllowed, TeamNotFound, Text, UserAuthenticationRequired,
    UserNotFound, VerificationCodeMaxAttemptsReached, VerificationCodeNotFound,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Empty, List, Success};
use crate::http::auth::codes::{
    CodeErrors, CodeIsValid, MailedCode, check_mailed_code, limit_sending,
};
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::caller::Auth;
use crate::http::request::declare::request;
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::{url_text, user_id_or_me, uuid};
use crate::http::request::shape::{Shape, scalar};
use crate::http::request::values;
use crate::security::limits::Limit;
use crate::views::TeamInvitation;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_team_invitations))
        .routes(operations!(send_team_invitation))
        .routes(operations!(delete_team_invitation))
        .routes(operations!(accept_team_invitation))
        .routes(operations!(check_team_invitation_code))
        .routes(operations!(get_team_invitation_details))
        .routes(operations!(accept_team_invitation_by_id))
}

request! {
    /// That somebody shall be invited to a team.
    struct SendTeamInvitation {
        body {
            /// The team.
            team_id: TeamId = required(team_id());
            /// Whom to invite. The address is shown as it is written here.
            email: InvitedEmail = required(invited_email());
            /// Where the link in the mail leads; the code is added to its query.
            callback_url: String = required(url_text());
        }
    }

    /// Whose invitations to list: those into a team, or those to a user.
    struct ListTeamInvitations {
        query {
            /// The team that they are into. Either this or `user_id`.
            team_id: Option<TeamId> = optional(team_id());
            /// The user whose verified addresses they were sent to: an id, or `me` for the signed-in
            /// user's. Either this or `team_id`.
            user_id: Option<UserId> = optional(user_id_or_me());
        }
    }

    /// An invitation to be taken back.
    struct DeleteTeamInvitation {
        path {
            /// The invitation's id.
            id: VerificationCodeId = required(invitation_id());
        }
        query {
            /// The team that it is into. It must be named.
            team_id: Option<TeamId> = optional(team_id());
        }
    }

    /// An invitation that is accepted by its id.
    struct AcceptTeamInvitationById {
        path {
            /// The invitation's id.
            id: VerificationCodeId = required(invitation_id());
        }
        query {
            /// Who accepts it: an id, or `me` for the signed-in user's.
            user_id: UserId = required(user_id_or_me());
        }
        body(optional) {}
    }
}

/// An address, by the rules of sign-up, and as it was written.
struct InvitedEmail {
    address: EmailAddress,
    written: String,
}

fn invited_email() -> impl Shape<Value = InvitedEmail> {
    scalar(
        |value| {
            Ok(InvitedEmail {
                address: values::strict_email(value)?,
                written: values::text(value)?,
            })
        },
        || json!({"type": "string", "format": "email"}),
    )
}

fn invitation_id() -> impl Shape<Value = VerificationCodeId> {
    uuid().map(VerificationCodeId)
}

impl NamesTeam for SendTeamInvitation {
    const PERMISSIONS: &'static [&'static str] = &[INVITE_MEMBERS];

    fn team_id(&self) -> TeamId {
        self.team_id
    }
}

/// An invitation is on its way.
#[derive(Serialize, ToSchema)]
struct SentTeamInvitation {
    /// Always true.
    success: bool,
    /// The invitation's id.
    id: Uuid,
}

/// Mails an invitation to a team.
///
/// Clients need the permission `$invite_members` in it.
#[utoipa::path(post, path = "/team-invitations/send-code", tag = "teams",
    responses(Errors<(RedirectUrlNotWhitelisted, Text<429>)>))]
async fn send_team_invitation(
    access: ClientAccess,
    FoundTeam(team, wanted): FoundTeam<SendTeamInvitation>,
) -> ApiResult<Json<SentTeamInvitation>> {
    let InvitedEmail { address, written } = wanted.email;
    limit_sending(&access, &address)?;
    let request = access.request_context();
    let id = send(request, &team, &written, &wanted.callback_url).await?;
    Ok(Json(SentTeamInvitation {
        success: true,
        id: id.0,
    }))
}

/// Lists the open invitations of a team, or those to the verified addresses of a user.
///
/// To see a team's, clients need the permissions `$read_members` and `$invite_members` in it; of
/// users, they see the signed-in one's.
#[utoipa::path(get, path = "/team-invitations", tag = "teams",
    responses(Errors<(NotAllowed, TeamNotFound, Text<400>)>))]
async fn list_team_invitations(
    access: ClientAccess,
    wanted: ListTeamInvitations,
) -> ApiResult<Json<List<TeamInvitation>>> {
    let (pool, project, now) = (access.app.pool(), access.project_id(), access.app.now());
    let found = match (wanted.team_id, wanted.user_id) {
        (Some(team), None) => {
            require(&access, team, &[READ_MEMBERS, INVITE_MEMBERS]).await?;
            invitations::of_team(pool, project, team, now).await?
        }
        (None, Some(user)) => {
            require_own(&access, user)?;
            invitations::to_user(pool, project, user, now).await?
        }
        _ => return Err(ApiError::bad_request("Set either team_id or user_id.")),
    };
    Ok(List::of(
        found.into_iter().map(TeamInvitation::from).collect(),
    ))
}

/// Takes an invitation back.
///
/// Clients need the permission `$remove_members` in the team.
#[utoipa::path(delete, path = "/team-invitations/{id}", tag = "teams",
    responses(Errors<(NotAllowed, TeamNotFound, VerificationCodeNotFound, Text<400>)>))]
async fn delete_team_invitation(
    access: ClientAccess,
    DeleteTeamInvitation { id, team_id }: DeleteTeamInvitation,
) -> ApiResult<Json<Success>> {
    let missing = || ApiError::bad_request("Set team_id: the team that was invited to.");
    let team = team_id.ok_or_else(missing)?;
    require(&access, team, &[REMOVE_MEMBERS]).await?;
    revoke(&access.app, access.event_context(), team, id).await?;
    Ok(Success::ANSWER)
}

/// Why a user cannot accept an invitation. Seats are counted in teams of the project `internal`.
type NotAcceptable = (
    UserAuthenticationRequired,
    TeamInvitationRestrictedUserNotAllowed,
    TeamNotFound,
    UserNotFound,
    ItemNotFound,
    ItemQuantityInsufficientAmount,
);

/// Lets the signed-in user into the team that a code invites to.
///
/// The code need not have been sent to an address of that user. Who is a member already stays one.
#[utoipa::path(post, path = "/team-invitations/accept", tag = "teams",
    responses(Errors<(CodeErrors, NotAcceptable)>))]
async fn accept_team_invitation(
    access: ClientAccess,
    MailedCode { code }: MailedCode,
) -> ApiResult<Json<Empty>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    accept_code(request, &code, current(&access)).await?;
    Ok(Json(Empty {}))
}

/// Says whether an invitation's code would work, without using it up.
#[utoipa::path(post, path = "/team-invitations/accept/check-code", tag = "teams",
    responses(Errors<(CodeErrors, TeamNotFound)>))]
async fn check_team_invitation_code(
    access: ClientAccess,
    code: MailedCode,
) -> ApiResult<Json<CodeIsValid>> {
    check_mailed_code(&access, code, Purpose::TeamInvitation).await
}

/// The team that a code invites to.
#[derive(Serialize, ToSchema)]
struct TeamInvitationDetails {
    team_id: Uuid,
    team_display_name: String,
}

/// Says which team a code invites to, without using it up.
#[utoipa::path(post, path = "/team-invitations/accept/details", tag = "teams",
    responses(Errors<(CodeErrors, UserAuthenticationRequired, TeamInvitationRestrictedUserNotAllowed, TeamNotFound)>))]
async fn get_team_invitation_details(
    access: ClientAccess,
    MailedCode { code }: MailedCode,
) -> ApiResult<Json<TeamInvitationDetails>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    let team = team_behind(request, &code, current(&access)).await?;
    Ok(Json(TeamInvitationDetails {
        team_id: team.id,
        team_display_name: team.display_name,
    }))
}

/// Lets a user into a team who was invited at one of their verified addresses.
///
/// Clients accept on behalf of the signed-in user only. Who is a member already stays one.
#[utoipa::path(post, path = "/team-invitations/{id}/accept", tag = "teams",
    responses(Errors<(NotAcceptable, VerificationCodeNotFound, VerificationCodeMaxAttemptsReached)>))]
async fn accept_team_invitation_by_id(
    access: ClientAccess,
    AcceptTeamInvitationById { id, user_id }: AcceptTeamInvitationById,
) -> ApiResult<Json<Empty>> {
    require_own(&access, user_id)?;
    if access.access_type == AccessType::Client {
        require_unrestricted(&access.project, current(&access))?;
    }
    accept_by_id(access.request_context(), id, user_id).await?;
    Ok(Json(Empty {}))
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
    require_allowed(&access.app, access, team, permissions).await?;
    find_team(access, team).await
}
