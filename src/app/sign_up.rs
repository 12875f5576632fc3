//! Signing up: a stranger gets an account, or an anonymous user's account becomes a full one
//! (contract 02 §1.6).

use muniment_domain::session::Opening as SessionOpening;
use muniment_domain::user::{NewPrimaryEmail, NewUser, UserUpdate};
use muniment_domain::{ContactChannelId, EmailAddress, Patch, UserId};
use muniment_projections::users::UserRow;

use super::accounts::{self, Along, Opening};
use super::letters::CodeLetter;
use super::sessions::NewSession;
use super::sign_in::{Novelty, SignedIn, Visit, hand_out, require_no_second_factor};
use crate::http::ApiError;

/// What a stranger brings.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The address to sign in with.
    pub email: EmailAddress,
    /// What proves the address, or guards the account.
    pub proof: Proof,
    /// Where the link leads that is to prove the address.
    pub verification_callback: Option<String>,
}

/// The way in which somebody signs up.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A password was chosen; the address is yet to be proved. Holds the password's hash.
    Password(String),
    /// A code that was sent to the address came back.
    Code,
}

/// Signs up and in. `current` is the signed-in user, who matters only if anonymous: then that
/// account becomes the new one, with id and data kept.
///
/// # Errors
/// `USER_EMAIL_ALREADY_EXISTS`; `MULTI_FACTOR_AUTHENTICATION_REQUIRED` for an anonymous user who
/// has a second factor.
pub async fn sign_up(
    visit: Visit<'_>,
    sign_up: SignUp,
    current: Option<&UserRow>,
) -> Result<SignedIn, ApiError> {
    let session = NewSession::draw(visit.app, SessionOpening::SignUp);
    let user = match current.filter(|user| user.is_anonymous) {
        Some(anonymous) => upgrade(visit, sign_up, anonymous, &session).await?,
        None => create(visit, sign_up, &session).await?,
    };
    hand_out(visit, user, session, Novelty::New).await
}

async fn create(
    visit: Visit<'_>,
    sign_up: SignUp,
    session: &NewSession,
) -> Result<UserId, ApiError> {
    let is_verified = matches!(sign_up.proof, Proof::Code);
    let user = NewUser {
        primary_email: Some(NewPrimaryEmail {
            channel_id: ContactChannelId(visit.app.random.uuid()),
            address: sign_up.email.clone(),
            is_verified,
            used_for_auth: true,
        }),
        otp_enabled: is_verified,
        password_hash: match &sign_up.proof {
            Proof::Password(hash) => Some(hash.clone()),
            Proof::Code => None,
        },
        ..NewUser::blank(visit.project.id.clone(), visit.context.now)
    };
    let opening = Opening::draw(visit.app, visit.project, user);
    let letter = verification_letter(visit, &sign_up, opening.id);
    let along = Along {
        session: Some(session),
        letter: letter.as_ref(),
    };
    accounts::open(visit.app, visit.context, &opening, &along).await?;
    Ok(opening.id)
}

async fn upgrade(
    visit: Visit<'_>,
    sign_up: SignUp,
    anonymous: &UserRow,
    session: &NewSession,
) -> Result<UserId, ApiError> {
    let id = anonymous.user_id();
    let letter = verification_letter(visit, &sign_up, id);
    let blank = UserUpdate::nothing(visit.context.now, ContactChannelId(visit.app.random.uuid()));
    let blank = UserUpdate {
        sign_up: true,
        primary_email: Patch::Set(sign_up.email),
        primary_email_auth_enabled: Some(true),
        ..blank
    };
    let update = match sign_up.proof {
        Proof::Password(hash) => UserUpdate {
            password_hash: Patch::Set(hash),
            ..blank
        },
        Proof::Code => UserUpdate {
            primary_email_verified: Some(true),
            otp_enabled: Some(true),
            ..blank
        },
    };
    let along = Along {
        session: Some(session).filter(|_| !anonymous.totp_enabled),
        letter: letter.as_ref(),
    };
    accounts::update(visit.app, visit.context, id, &update, &along).await?;
    require_no_second_factor(visit, anonymous, Novelty::New).await?;
    Ok(id)
}

fn verification_letter(visit: Visit<'_>, sign_up: &SignUp, user: UserId) -> Option<CodeLetter> {
    let callback = sign_up.verification_callback.as_deref()?;
    let email = sign_up.email.as_str();
    Some(CodeLetter::email_verification(
        visit.app, user, email, callback,
    ))
}
