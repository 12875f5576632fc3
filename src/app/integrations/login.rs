//! Letting a platform into a project: the code flow of OpenID Connect with PKCE (RFC 7636), where
//! what is agreed to is not a user's identity but a project with an admin key.
//!
//! 1. The platform sends a browser to the identity provider, which remembers the request in an
//!    [`Interaction`]. Nothing is stored: the interaction travels, sealed, as its own id. So a
//!    stranger's request costs no row, and any node can go on with it.
//! 2. The browser goes to the dashboard, where an owner picks a project. The dashboard [`confirm`]s
//!    that, which issues an admin key and an authorization code for this interaction.
//! 3. The browser brings that code back, [`finish`]es the interaction, and goes to the platform
//!    with a login code.
//! 4. The platform [`exchange`]s the login code for the admin key and an id token.
//!
//! Both codes are verification codes: they work once and for ten minutes.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, Header};
use muniment_domain::project::{Project, ProjectCommand, ProjectError};
use muniment_domain::verification_code::Purpose;
use muniment_domain::{KeySetId, Millis, ProjectId, UserId};
use muniment_event_store::{EventContext, LedgerError};
use muniment_projections::read_models::verification_codes::VerificationCodeRow;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use super::clients::{Client, IdTokenSigning};
use super::{Integration, key_expiry};
use crate::app::App;
use crate::app::auth::codes::NewCode;
use crate::app::auth::presented_code::{Handling, PresentedCode, present, take};
use crate::app::projects::NewKeys;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// How long the dashboard may take over an interaction: an hour.
const INTERACTION_MILLIS: i64 = 60 * 60 * 1000;
/// How long the codes work: ten minutes, the most that RFC 6749 §4.1.2 recommends.
const CODE_MILLIS: i64 = 10 * 60 * 1000;
/// How long an id token is valid, in seconds.
const ID_TOKEN_SECONDS: i64 = 60 * 60;

/// A platform's request to be let into some project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interaction {
    /// Who asks.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What the platform wants back with the answer.
    pub state: Option<String>,
    /// What the platform wants back in the id token.
    pub nonce: Option<String>,
    /// The hash of what only the platform knows (RFC 7636, S256).
    pub code_challenge: String,
    /// When it asked.
    pub asked_at: Millis,
}

impl Interaction {
    /// The interaction's id, which is the interaction itself, sealed.
    ///
    /// # Errors
    /// Never, short of a bug.
    pub fn seal(&self, app: &App, integration: Integration) -> Result<String, LedgerError> {
        let plain = serde_json::to_vec(self)?;
        let sealed = app
            .integrations
            .interactions
            .seal(&plain, integration.as_str())?;
        Ok(BASE64URL_NOPAD.encode(&sealed))
    }

    /// The interaction of that id, unless it is none of this integration's or took too long.
    #[must_use]
    pub fn open(app: &App, integration: Integration, uid: &str) -> Option<Self> {
        let sealed = BASE64URL_NOPAD.decode(uid.as_bytes()).ok()?;
        let key = &app.integrations.interactions;
        let plain = key.open(&sealed, integration.as_str()).ok()?;
        let interaction: Self = serde_json::from_slice(&plain).ok()?;
        (app.now() < interaction.asked_at.plus(INTERACTION_MILLIS)).then_some(interaction)
    }

    /// Where the browser goes with the answer.
    fn answer(&self, code: &str) -> Option<Url> {
        let mut url = Url::parse(&self.redirect_uri).ok()?;
        url.query_pairs_mut().append_pair("code", code);
        if let Some(state) = &self.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        Some(url)
    }
}

/// What an owner agreed to.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Agreement {
    project_id: ProjectId,
    key_set_id: KeySetId,
    /// The user who agreed, if the dashboard said who that was. Codes of before this was noted have
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreed_by: Option<UserId>,
}

/// What an authorization code remembers.
#[derive(Serialize, Deserialize)]
struct Confirmation {
    interaction_uid: String,
    #[serde(flatten)]
    agreement: Agreement,
}

/// What a login code remembers.
#[derive(Serialize, Deserialize)]
struct Login {
    integration: String,
    client_id: String,
    redirect_uri: String,
    code_challenge: String,
    nonce: Option<String>,
    #[serde(flatten)]
    agreement: Agreement,
}

/// Lets the platform that asked in that interaction into the project: issues an admin key that works
/// for a hundred years, and returns an authorization code. `context` is that of the `internal` project.
///
/// # Errors
/// `PROJECT_NOT_FOUND`.
pub async fn confirm(
    app: &App,
    context: &EventContext,
    interaction_uid: String,
    project_id: ProjectId,
    (description, agreed_by): (String, Option<UserId>),
) -> Result<String, ApiError> {
    if app.projects.find(&project_id).await?.is_none() {
        return Err(KnownError::project_not_found(&project_id).into());
    }
    let set = KeySetId(app.random.uuid());
    let keys = NewKeys {
        super_secret_admin_key: Some(app.integrations.admin_key(set)),
        ..NewKeys::default()
    };
    let issued = &keys.issued(set, description, context.now, key_expiry(context.now));
    let confirmation = Confirmation {
        interaction_uid,
        agreement: Agreement {
            project_id: project_id.clone(),
            key_set_id: set,
            agreed_by,
        },
    };
    let code = NewCode::generate(app, Purpose::IntegrationConfirmation, CODE_MILLIS)
        .remembering(json!(confirmation));
    let (id, code) = (&project_id, &code);
    let done = app
        .log
        .transact(context, |mut unit| async move {
            let issue = ProjectCommand::IssueKeys(issued.clone());
            unit.execute::<Project>(id, issue).await?;
            code.issue(&mut unit).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await;
    app.projects.forget(&project_id);
    match done {
        Ok(()) => Ok(code.text().to_owned()),
        Err(LedgerError::Project(ProjectError::NotFound)) => {
            Err(KnownError::project_not_found(&project_id).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Uses the authorization code up and returns where the browser goes with the login code. `None` if
/// the interaction or the code does not work, or they do not belong together.
///
/// # Errors
/// When the database fails.
pub async fn finish(
    app: &App,
    context: &EventContext,
    integration: Integration,
    uid: &str,
    code: &str,
) -> Result<Option<Url>, ApiError> {
    let Some(interaction) = Interaction::open(app, integration, uid) else {
        return Ok(None);
    };
    let purpose = Purpose::IntegrationConfirmation;
    let Some(confirmation) = working(present(app, context, purpose, code).await)? else {
        return Ok(None);
    };
    let Some(Confirmation {
        interaction_uid,
        agreement,
    }) = serde_json::from_value(confirmation.row().data.clone()).ok()
    else {
        return Ok(None);
    };
    if interaction_uid != uid {
        return Ok(None);
    }
    let login = Login {
        integration: integration.to_string(),
        client_id: interaction.client_id.clone(),
        redirect_uri: interaction.redirect_uri.clone(),
        code_challenge: interaction.code_challenge.clone(),
        nonce: interaction.nonce.clone(),
        agreement,
    };
    let code =
        NewCode::generate(app, Purpose::IntegrationLogin, CODE_MILLIS).remembering(json!(login));
    let swapped = swap(app, context, &confirmation, &code).await;
    Ok(working(swapped)?.and_then(|()| interaction.answer(code.text())))
}

/// Uses one code up and issues another, or neither.
async fn swap(
    app: &App,
    context: &EventContext,
    old: &PresentedCode,
    new: &NewCode,
) -> Result<(), ApiError> {
    app.log
        .transact(context, |mut unit| async move {
            old.redeem(&mut unit).await?;
            new.issue(&mut unit).await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

/// What a platform gets for a login code.
pub struct Granted {
    /// The project that it was let into.
    pub project_id: ProjectId,
    /// The key to the project, with all rights of its owner.
    pub super_secret_admin_key: String,
    /// Who was let in, into what, signed (OpenID Connect Core §2).
    pub id_token: String,
}

/// What a platform shows for its login code.
pub struct Exchange<'e> {
    /// The code.
    pub code: &'e str,
    /// What the challenge of the request is the hash of.
    pub code_verifier: &'e str,
    /// Where the answer went.
    pub redirect_uri: &'e str,
}

/// Uses a login code up. `None` if it does not work, or was not issued for this client, redirect
/// URI and verifier; it is used up then all the same, so that nobody can go on guessing.
///
/// # Errors
/// When the database fails.
pub async fn exchange(
    app: &App,
    context: &EventContext,
    integration: Integration,
    client: &Client,
    shown: &Exchange<'_>,
) -> Result<Option<Granted>, ApiError> {
    let purpose = Purpose::IntegrationLogin;
    let code = shown.code.to_lowercase();
    let taken = take(app, context, purpose, &code, Handling::Redeem).await;
    let Some(row) = working::<VerificationCodeRow>(taken)? else {
        return Ok(None);
    };
    let Ok(login) = serde_json::from_value::<Login>(row.data) else {
        return Ok(None);
    };
    let fits = login.integration == integration.as_str()
        && login.client_id == client.id
        && login.redirect_uri == shown.redirect_uri
        && login.code_challenge == challenge_of(shown.code_verifier);
    if !fits {
        return Ok(None);
    }
    Ok(Some(Granted {
        super_secret_admin_key: app.integrations.admin_key(login.agreement.key_set_id),
        id_token: id_token(app, integration, client, &login).map_err(ApiError::internal)?,
        project_id: login.agreement.project_id,
    }))
}

/// A code that does not work is no failure of ours, and why is nobody's business.
fn working<T>(taken: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match taken {
        Ok(taken) => Ok(Some(taken)),
        Err(ApiError::Known(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// RFC 7636 §4.2, S256.
fn challenge_of(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()))
}

/// The name of an identity provider: the base of its URLs.
#[must_use]
pub fn issuer(app: &App, integration: Integration) -> String {
    let base = &app.public_url;
    format!("{base}/api/v1/integrations/{integration}/oauth/idp")
}

/// The claims of an id token.
#[derive(Serialize)]
struct IdClaims<'c> {
    iss: &'c str,
    sub: &'c ProjectId,
    aud: &'c str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'c str>,
}

fn id_token(
    app: &App,
    integration: Integration,
    client: &Client,
    login: &Login,
) -> Result<String, crate::security::tokens::TokenError> {
    let (issuer, now) = (issuer(app, integration), app.now().seconds());
    let claims = IdClaims {
        iss: &issuer,
        sub: &login.agreement.project_id,
        aud: &client.id,
        iat: now,
        exp: now + ID_TOKEN_SECONDS,
        nonce: login.nonce.as_deref(),
    };
    match &client.id_tokens {
        IdTokenSigning::ProviderKey => app.tokens.sign(&key_name(integration), &claims),
        IdTokenSigning::ClientSecret(key) => {
            let header = Header::new(Algorithm::HS256);
            Ok(jsonwebtoken::encode(&header, &claims, key)?)
        }
    }
}

/// Under which name the provider's keys are derived. No project has a colon in its id.
#[must_use]
pub fn key_name(integration: Integration) -> String {
    format!("identity-provider:{integration}")
}
