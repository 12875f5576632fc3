//! Asking a code for its grounds: the table is [`muniment_domain::grounds`], and this is how each of
//! its lines is looked at in the unit of work that uses the code.

use muniment_domain::customer::CustomerRef;
use muniment_domain::grounds::{Ground, Siblings};
use muniment_domain::project::Project;
use muniment_domain::team::Team;
use muniment_domain::user::{FirstFactor, User};
use muniment_domain::verification_code::{
    CodeDetails, Purpose, VerificationCode, VerificationCodeCommand,
};
use muniment_domain::{EmailAddress, ProjectId, TeamId, UserId, VerificationCodeId};
use muniment_event_store::{LedgerError, UnitOfWork};
use muniment_projections::read_models::projects;
use muniment_projections::read_models::teams::invitations;
use muniment_projections::read_models::users;
use muniment_projections::read_models::verification_codes::{self, VerificationCodeRow};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// Where a code remembers how often the password had changed when it was sent. Codes of before this
/// was noted have none, and are not void for it.
const PASSWORD_CHANGES: &str = "password_changes";

/// Where an invitation remembers how often somebody had left its team when it was sent.
const DEPARTURES: &str = "departures";

/// Notes in a code what its grounds are to be compared with.
pub(super) async fn note(
    unit: &mut UnitOfWork,
    purpose: Purpose,
    subject: Option<UserId>,
    details: &mut CodeDetails,
) -> Result<(), LedgerError> {
    let grounds = purpose.grounds();
    if let Some(user) = subject.filter(|_| grounds.contains(&Ground::Password)) {
        let changes = unit.look::<User>(&user).await?.password_changes();
        details.data[PASSWORD_CHANGES] = json!(changes);
    }
    let team = grounds.contains(&Ground::NotRemoved);
    if let Some(team) = team.then(|| team_in(&details.data)).flatten() {
        let departures = unit.look::<Team>(&team).await?.departures();
        details.data[DEPARTURES] = json!(departures);
    }
    Ok(())
}

/// How often somebody had left the team when an invitation to it was sent. One that does not say is
/// as old as can be.
#[must_use]
pub fn departures_before(invitation: &Value) -> u32 {
    let noted = invitation[DEPARTURES].as_u64();
    noted.and_then(|it| it.try_into().ok()).unwrap_or(0)
}

/// Whether everything is so that the code rests on. The outer error is ours.
pub(super) async fn require(
    unit: &mut UnitOfWork,
    purpose: Purpose,
    code: &VerificationCodeRow,
) -> Result<Result<(), ApiError>, LedgerError> {
    for ground in purpose.grounds() {
        if !holds(unit, *ground, code).await? {
            return Ok(Err(refusal(*ground, code)));
        }
    }
    Ok(Ok(()))
}

/// Callers learn that an invitation's team is gone, because they were told of the team. Of anything
/// else they learn only that there is no such code.
fn refusal(ground: Ground, code: &VerificationCodeRow) -> ApiError {
    match (ground, team_of(code)) {
        (Ground::Team, Some(team)) => KnownError::team_not_found(team).into(),
        _ => KnownError::verification_code_not_found().into(),
    }
}

async fn holds(
    unit: &mut UnitOfWork,
    ground: Ground,
    code: &VerificationCodeRow,
) -> Result<bool, LedgerError> {
    let subject = code.subject.map(UserId);
    match (ground, subject) {
        (Ground::Account, Some(user)) => Ok(unit.look::<User>(&user).await?.is_active()),
        (Ground::Password, Some(user)) => {
            let noted = code.data[PASSWORD_CHANGES].as_u64();
            let changes = u64::from(unit.look::<User>(&user).await?.password_changes());
            Ok(noted.is_none_or(|noted| noted == changes))
        }
        (Ground::SignInAddress, Some(user)) => opens(unit, user, code).await,
        (Ground::SomebodysSignInAddress, Some(user)) => {
            Ok(opens(unit, user, code).await? || opens_anothers(unit, code).await?)
        }
        (Ground::Address, Some(user)) => {
            let state = unit.look::<User>(&user).await?;
            Ok(address_of(code).is_some_and(|address| state.has_address(address)))
        }
        (Ground::FirstFactor, Some(user)) => {
            let proof: Option<FirstFactor> = remembered(code, "proof");
            let state = unit.look::<User>(&user).await?;
            Ok(proof.is_none_or(|proof| state.accepts(&proof)))
        }
        (Ground::Team, _) => match team_of(code) {
            Some(team) => Ok(unit.look::<Team>(&team).await?.is_active()),
            None => Ok(true),
        },
        (Ground::Customer, _) => customer_exists(unit, code).await,
        (Ground::Project, _) => match remembered::<ProjectId>(code, "project_id") {
            Some(id) => Ok(!unit.look::<Project>(&id).await?.is_deleted()),
            None => Ok(true),
        },
        (Ground::Owner, _) => still_owns(unit, code).await,
        // The account that the code was about is gone, and what the code said of it with it.
        (
            Ground::Account
            | Ground::Password
            | Ground::SignInAddress
            | Ground::Address
            | Ground::FirstFactor,
            None,
        ) => Ok(false),
        // A sign-in code that was sent when nobody had the address opens an account that is made for
        // it. Siblings and departures void codes by discarding them: such a code is never found. And
        // on the last three, no code rests.
        (
            Ground::SomebodysSignInAddress
            | Ground::NoSiblingUsed(_)
            | Ground::NotRemoved
            | Ground::Passkey
            | Ground::Session
            | Ground::Unrestricted,
            _,
        ) => Ok(true),
    }
}

async fn opens(
    unit: &mut UnitOfWork,
    user: UserId,
    code: &VerificationCodeRow,
) -> Result<bool, LedgerError> {
    let Some(address) = address_of(code) else {
        return Ok(false);
    };
    let address = address.to_owned();
    let proof = FirstFactor::Mailbox { address };
    Ok(unit.look::<User>(&user).await?.accepts(&proof))
}

/// Whether another account signs in with the address by now. The read table only says which one to
/// look at.
async fn opens_anothers(
    unit: &mut UnitOfWork,
    code: &VerificationCodeRow,
) -> Result<bool, LedgerError> {
    let Some(address) = address_of(code) else {
        return Ok(false);
    };
    let address = EmailAddress::from_stored(address.to_owned());
    let project = unit.context().project_id.clone();
    let channel = users::channel_by_auth_email(unit.log().pool(), &project, &address).await?;
    match channel {
        Some(channel) => opens(unit, UserId(channel.user_id), code).await,
        None => Ok(false),
    }
}

async fn customer_exists(
    unit: &mut UnitOfWork,
    code: &VerificationCodeRow,
) -> Result<bool, LedgerError> {
    match remembered::<CustomerRef>(code, "customer") {
        Some(customer) => is_not_deleted(unit, &customer).await,
        None => Ok(true),
    }
}

/// Whether the customer was not deleted. One that never was may buy: a project's own servers may
/// know of it before the project does.
///
/// # Errors
/// When the database fails.
pub async fn is_not_deleted(
    unit: &mut UnitOfWork,
    customer: &CustomerRef,
) -> Result<bool, LedgerError> {
    Ok(match customer {
        CustomerRef::User { user_id } => !unit.look::<User>(user_id).await?.is_deleted(),
        CustomerRef::Team { team_id } => !unit.look::<Team>(team_id).await?.is_deleted(),
        CustomerRef::Custom { .. } => true,
    })
}

/// Who agreed to let a platform into a project, where that is known.
#[derive(Deserialize)]
struct Agreed {
    project_id: ProjectId,
    #[serde(default)]
    agreed_by: Option<UserId>,
}

async fn still_owns(
    unit: &mut UnitOfWork,
    code: &VerificationCodeRow,
) -> Result<bool, LedgerError> {
    let Ok(agreed) = serde_json::from_value::<Agreed>(code.data.clone()) else {
        return Ok(true);
    };
    let Some(user) = agreed.agreed_by else {
        return Ok(true);
    };
    let owner = projects::owner_of(unit.log().pool(), &agreed.project_id).await?;
    let Some(team) = owner else {
        return Ok(false);
    };
    let is_member = unit.look::<Team>(&team).await?.has_member(user);
    Ok(is_member && unit.look::<User>(&user).await?.is_active())
}

/// Voids what must not outlive the use of this code.
pub(super) async fn void_siblings(
    unit: &mut UnitOfWork,
    purpose: Purpose,
    used: &VerificationCodeRow,
) -> Result<(), LedgerError> {
    let Some(scope) = purpose.siblings() else {
        return Ok(());
    };
    for sibling in siblings(unit, purpose, scope, used).await? {
        if sibling != used.code_id() {
            discard(unit, sibling).await?;
        }
    }
    Ok(())
}

async fn siblings(
    unit: &UnitOfWork,
    purpose: Purpose,
    scope: Siblings,
    code: &VerificationCodeRow,
) -> Result<Vec<VerificationCodeId>, LedgerError> {
    let (pool, project) = (unit.log().pool(), &unit.context().project_id);
    let (subject, address) = (code.subject.map(UserId), address_of(code));
    match (scope, subject, address) {
        (Siblings::OfAccount, Some(user), _) => {
            let open = verification_codes::open_about(pool, project, purpose, user).await?;
            Ok(ids(open.iter()))
        }
        (Siblings::OfChannel, Some(user), Some(address)) => {
            let open = verification_codes::open_about(pool, project, purpose, user).await?;
            Ok(ids(open
                .iter()
                .filter(|it| address_of(it) == Some(address))))
        }
        (Siblings::OfAddress, Some(_), Some(address)) => {
            verification_codes::open_sign_ins(pool, project, address).await
        }
        (Siblings::OfInvitation, _, Some(address)) => match team_of(code) {
            Some(team) => invitations_to(unit, team, &[address]).await,
            None => Ok(Vec::new()),
        },
        (
            Siblings::OfAccount
            | Siblings::OfChannel
            | Siblings::OfAddress
            | Siblings::OfInvitation,
            _,
            _,
        ) => Ok(Vec::new()),
    }
}

fn ids<'c>(codes: impl Iterator<Item = &'c VerificationCodeRow>) -> Vec<VerificationCodeId> {
    codes.map(VerificationCodeRow::code_id).collect()
}

/// Voids the open invitations into a team that were sent to addresses of a user who left it, or was
/// removed.
///
/// # Errors
/// When the database fails.
pub async fn void_invitations(
    unit: &mut UnitOfWork,
    team: TeamId,
    user: UserId,
) -> Result<(), LedgerError> {
    let state = unit.look::<User>(&user).await?;
    let addresses: Vec<String> = state.addresses().map(str::to_owned).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    void_invitations_to(unit, team, &addresses, None).await
}

/// Voids the open invitations into a team that were sent to any of these addresses, but the one that
/// is being accepted.
///
/// # Errors
/// When the database fails.
pub async fn void_invitations_to(
    unit: &mut UnitOfWork,
    team: TeamId,
    addresses: &[&str],
    accepted: Option<VerificationCodeId>,
) -> Result<(), LedgerError> {
    for invitation in invitations_to(unit, team, addresses).await? {
        if Some(invitation) != accepted {
            discard(unit, invitation).await?;
        }
    }
    Ok(())
}

/// The open invitations into a team to any of these addresses. Invitations keep an address as it was
/// written, so it is compared in its normal form.
async fn invitations_to(
    unit: &UnitOfWork,
    team: TeamId,
    addresses: &[&str],
) -> Result<Vec<VerificationCodeId>, LedgerError> {
    let (pool, context) = (unit.log().pool(), unit.context());
    let open = invitations::of_team(pool, &context.project_id, team, context.now).await?;
    let wanted: Vec<String> = addresses.iter().map(|address| normal(address)).collect();
    let meant = open
        .iter()
        .filter(|invitation| wanted.contains(&normal(&invitation.recipient_email)));
    Ok(meant.map(invitations::Invitation::code_id).collect())
}

fn normal(address: &str) -> String {
    address.trim().to_lowercase()
}

async fn discard(unit: &mut UnitOfWork, code: VerificationCodeId) -> Result<(), LedgerError> {
    unit.execute::<VerificationCode>(&code, VerificationCodeCommand::Discard)
        .await
}

fn address_of(code: &VerificationCodeRow) -> Option<&str> {
    code.email.as_deref()
}

fn team_of(code: &VerificationCodeRow) -> Option<TeamId> {
    team_in(&code.data)
}

fn team_in(data: &Value) -> Option<TeamId> {
    let id = data["team_id"].as_str()?;
    Uuid::try_parse(id).ok().map(TeamId)
}

fn remembered<T: DeserializeOwned>(code: &VerificationCodeRow, name: &str) -> Option<T> {
    match &code.data[name] {
        Value::Null => None,
        value => serde_json::from_value(value.clone()).ok(),
    }
}
