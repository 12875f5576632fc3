//! Invitations to teams: codes that go out by mail, and what becomes of them.
//!
//! A code can be accepted in two ways: by its holder, or by its id by a user whose verified
//! address it was sent to. Either way it is used up once.

use muniment_domain::team::{Entrance, MemberAdded, Team, TeamCommand};
use muniment_domain::verification_code::{
    Purpose, VerificationCode, VerificationCodeCommand, VerificationCodeError,
};
use muniment_domain::{TeamId, UserId, VerificationCodeId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::teams::invitations;
use muniment_projections::read_models::teams::invitations::Invitation;
use muniment_projections::read_models::teams::{self, TeamRow};
use muniment_projections::read_models::users::UserRow;
use muniment_projections::read_models::verification_codes::VerificationCodeRow;
use uuid::Uuid;

use crate::app::App;
use crate::app::auth::code_grounds;
use crate::app::auth::presented_code::{self, Handling, present};
use crate::app::auth::redirects;
use crate::app::emails;
use crate::app::emails::CodeEmail;
use crate::app::payments::plans;
use crate::app::projects::DefaultsOf;
use crate::app::projects::directory::LoadedProject;
use crate::app::request_context::RequestContext;
use crate::app::users::require_living;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// Mails an invitation, and returns its id.
///
/// # Errors
/// `REDIRECT_URL_NOT_WHITELISTED`.
pub async fn send(
    request: RequestContext<'_>,
    team: &TeamRow,
    email: &str,
    callback: &str,
) -> Result<VerificationCodeId, ApiError> {
    redirects::require_trusted(callback, &request.project.config.domains)?;
    let message = CodeEmail::team_invitation(request.app, team, [email, callback]);
    emails::enqueue(request.app, request.context, &message).await?;
    Ok(message.code().id())
}

/// Takes an invitation into that team back: its code stops working.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND` for what is no open invitation into that team.
pub async fn revoke(
    app: &App,
    context: &EventContext,
    team: TeamId,
    id: VerificationCodeId,
) -> Result<(), ApiError> {
    let open = invitations::of_team(app.pool(), &context.project_id, team, app.now()).await?;
    if !open.iter().any(|invitation| invitation.code_id() == id) {
        return Err(KnownError::verification_code_not_found().into());
    }
    app.log
        .transact(context, |mut unit| async move {
            // It may have been accepted in the meantime.
            require_open(&mut unit, id).await?;
            unit.execute::<VerificationCode>(&id, VerificationCodeCommand::Discard)
                .await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

/// Uses a code up and lets the user into its team. A user who is a member already stays one.
///
/// # Errors
/// What is wrong with the code; then, with the code used up all the same,
/// `USER_AUTHENTICATION_REQUIRED` if nobody is signed in,
/// `TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED`, `TEAM_NOT_FOUND`, and, for a team that owns
/// projects, `ITEM_QUANTITY_INSUFFICIENT_AMOUNT` if its plan has no seat left.
pub async fn accept_code(
    request: RequestContext<'_>,
    code: &str,
    user: Option<&UserRow>,
) -> Result<(), ApiError> {
    let RequestContext { app, context, .. } = request;
    let code = &present(app, context, Purpose::TeamInvitation, code).await?;
    let accepted = async {
        let team = team_of(code.row())?;
        let user = require_unrestricted(request.project, user)?.user_id();
        app.log
            .transact(context, |mut unit| async move {
                code.redeem(&mut unit).await?;
                let invited_after = code_grounds::departures_before(&code.row().data);
                require_not_departed(&mut unit, team, user, invited_after).await?;
                add_member(&mut unit, request, team, user).await?;
                Ok::<_, ApiError>((unit, ()))
            })
            .await
    };
    code.settle(app, context, accepted.await).await
}

/// The team that a code invites to. The look counts as an attempt.
///
/// # Errors
/// As for [`accept_code`].
pub async fn team_behind(
    request: RequestContext<'_>,
    code: &str,
    user: Option<&UserRow>,
) -> Result<TeamRow, ApiError> {
    let RequestContext { app, context, .. } = request;
    let purpose = Purpose::TeamInvitation;
    let code = presented_code::take(app, context, purpose, code, Handling::Check).await?;
    let id = team_of(&code)?;
    require_unrestricted(request.project, user)?;
    let team = teams::by_id(request.app.pool(), &request.project.id, id).await?;
    team.ok_or_else(|| KnownError::team_not_found(id).into())
}

/// Lets a user into a team who was invited at a verified address of theirs, without the code.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND` for what is no open invitation to the user, `TEAM_NOT_FOUND`,
/// `ITEM_QUANTITY_INSUFFICIENT_AMOUNT` as for [`accept_code`];
/// `VERIFICATION_CODE_MAX_ATTEMPTS_REACHED` if its code was looked at too often.
pub async fn accept_by_id(
    request: RequestContext<'_>,
    id: VerificationCodeId,
    user: UserId,
) -> Result<(), ApiError> {
    let invitation = &invitation_to(request, id, user).await?;
    let team = invitation.team();
    request
        .app
        .log
        .transact(request.context, |mut unit| async move {
            require_open(&mut unit, id).await?;
            let redeem = VerificationCodeCommand::Redeem(unit.context().now);
            unit.execute::<VerificationCode>(&id, redeem).await?;
            let address = [invitation.recipient_email.as_str()];
            code_grounds::void_invitations_to(&mut unit, team, &address, Some(id)).await?;
            let invited_after = u32::try_from(invitation.departures).unwrap_or(0);
            require_not_departed(&mut unit, team, user, invited_after).await?;
            add_member(&mut unit, request, team, user).await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

/// Whoever left a team, or was removed from it, is not let in again by an invitation from before.
async fn require_not_departed(
    unit: &mut UnitOfWork,
    team: TeamId,
    user: UserId,
    invited_after: u32,
) -> Result<(), ApiError> {
    let state = unit.look::<Team>(&team).await?;
    if state.has_departed_since(user, invited_after) {
        return Err(KnownError::verification_code_not_found().into());
    }
    Ok(())
}

async fn invitation_to(
    request: RequestContext<'_>,
    id: VerificationCodeId,
    user: UserId,
) -> Result<Invitation, ApiError> {
    let (app, project) = (request.app, &request.project.id);
    let open = invitations::to_user(app.pool(), project, user, app.now()).await?;
    let meant = open
        .into_iter()
        .find(|invitation| invitation.code_id() == id);
    meant.ok_or_else(|| KnownError::verification_code_not_found().into())
}

/// Callers who name an invitation by its id are not told why it is gone.
async fn require_open(unit: &mut UnitOfWork, id: VerificationCodeId) -> Result<(), ApiError> {
    let now = unit.context().now;
    match unit.state::<VerificationCode>(&id).await?.check(now) {
        Ok(()) | Err(VerificationCodeError::TooManyAttempts) => Ok(()),
        Err(_) => Err(KnownError::verification_code_not_found().into()),
    }
}

fn team_of(code: &VerificationCodeRow) -> Result<TeamId, ApiError> {
    let team = code.data["team_id"]
        .as_str()
        .and_then(|id| Uuid::try_parse(id).ok());
    team.map(TeamId)
        .ok_or_else(|| KnownError::verification_code_not_found().into())
}

/// Makes sure that somebody is signed in who may use the project.
///
/// # Errors
/// `USER_AUTHENTICATION_REQUIRED`, `TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED`.
pub fn require_unrestricted<'u>(
    project: &LoadedProject,
    user: Option<&'u UserRow>,
) -> Result<&'u UserRow, ApiError> {
    let user = user.ok_or_else(KnownError::user_authentication_required)?;
    match user.restricted_reason(project.config.email_verification()) {
        Some(reason) => Err(KnownError::team_invitation_restricted_user(reason).into()),
        None => Ok(user),
    }
}

async fn add_member(
    unit: &mut UnitOfWork,
    request: RequestContext<'_>,
    team: TeamId,
    user_id: UserId,
) -> Result<(), ApiError> {
    let state = unit.state::<Team>(&team).await?;
    if !state.is_active() {
        return Err(KnownError::team_not_found(team).into());
    }
    require_living(unit, user_id).await?;
    if state.members().any(|member| member == user_id) {
        return Ok(());
    }
    let members = state.members().count() + 1;
    plans::require_seats(request.app, request.project, team, members).await?;
    let added = MemberAdded {
        user_id,
        joined_at: unit.context().now,
        entrance: Entrance::Added,
        permission_ids: request.project.existing(DefaultsOf::TeamMember),
    };
    let done = unit
        .execute::<Team>(&team, TeamCommand::AddMember(added))
        .await;
    done.map_err(|error: LedgerError| error.into())
}
