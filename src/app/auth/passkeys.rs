//! Passkeys (WebAuthn Level 2): registering one, and signing in with it.
//!
//! One server may stand behind many web sites, so it cannot name the relying party when a ceremony
//! begins: the client puts its own host in, and the server learns it from the origin that the
//! authenticator signed. That origin must be one that the project trusts.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use muniment_domain::UserId;
use muniment_domain::session::SessionOrigin;
use muniment_domain::user::{FirstFactor, Passkey, User, UserCommand, UserError};
use muniment_domain::verification_code::Purpose;
use muniment_event_store::{LedgerError, Reservation};
use muniment_projections::read_models::passkeys;
use muniment_projections::read_models::users::UserRow;
use serde_json::{Value, json};
use url::Url;
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AuthenticationState, COSEAlgorithm, Credential, PublicKeyCredential,
    RegisterPublicKeyCredential, RegistrationState, UserVerificationPolicy,
};

use super::codes::{self, NewCode};
use super::presented_code::{Handling, take};
use super::redirects;
use super::sign_in::{SignedIn, after_first_factor};
use crate::app::projects::directory::LoadedProject;
use crate::app::request_context::RequestContext;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// What stands for the relying party's id until the client puts its own host there.
const PLACEHOLDER: &str = "THIS_VALUE_WILL_BE_REPLACED.example.com";
/// How long the browser lets the user take, in milliseconds.
const TIMEOUT_MILLIS: i64 = 60_000;
/// How long the challenge works: a little longer, for the way back.
const CHALLENGE_MILLIS: i64 = TIMEOUT_MILLIS + 5_000;
/// What a user without name and address is called in the authenticator's list.
const NAMELESS: &str = "Account";
/// Ed25519, ECDSA on P-256, RSA with PKCS #1 padding; each with SHA-256 where it needs a hash.
const ALGORITHMS: [COSEAlgorithm; 3] = [
    COSEAlgorithm::EDDSA,
    COSEAlgorithm::ES256,
    COSEAlgorithm::RS256,
];
/// Tests of clients need a challenge that they know beforehand.
const FIXED_CHALLENGE: &str = "STACK_ENABLE_HARDCODED_PASSKEY_CHALLENGE_FOR_TESTING";

/// The beginning of a ceremony.
#[derive(Clone, Debug)]
pub struct Ceremony {
    /// What the browser's API is to be called with.
    pub options: Value,
    /// The code that belongs to the challenge.
    pub code: String,
}

/// Begins to register a passkey for a user.
///
/// # Errors
/// `PASSKEY_AUTHENTICATION_NOT_ENABLED`.
pub async fn begin_registration(
    request: RequestContext<'_>,
    user: &UserRow,
) -> Result<Ceremony, ApiError> {
    require_enabled(request.project)?;
    let webauthn = relying_party(PLACEHOLDER, Vec::new());
    let name = [&user.display_name, &user.primary_email]
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty());
    let name = name.map_or(NAMELESS, String::as_str);
    let id = user.id.to_string();
    let builder = webauthn
        .new_challenge_register_builder(id.as_bytes(), name, name)
        .map_err(ApiError::internal)?
        .user_verification_policy(UserVerificationPolicy::Discouraged_DO_NOT_USE)
        .credential_algorithms(ALGORITHMS.to_vec());
    let (_, state) = webauthn
        .generate_challenge_register(builder)
        .map_err(ApiError::internal)?;
    let (state, challenge) = with_challenge(json!(state));
    let code = NewCode::generate(request.app, Purpose::PasskeyRegistration, CHALLENGE_MILLIS)
        .about(user.user_id())
        .remembering(json!({"user_id": user.id, "state": state}));
    codes::issue(request.app, request.context, &code).await?;
    let algorithms =
        ALGORITHMS.map(|algorithm| json!({"type": "public-key", "alg": algorithm as i64}));
    Ok(Ceremony {
        options: json!({
            "challenge": challenge,
            "rp": {"name": request.project.profile.display_name, "id": PLACEHOLDER},
            "user": {
                "id": BASE64URL_NOPAD.encode(id.as_bytes()),
                "name": name,
                "displayName": name,
            },
            "pubKeyCredParams": algorithms,
            "timeout": TIMEOUT_MILLIS,
            "attestation": "none",
            "excludeCredentials": [],
            "authenticatorSelection": {
                "residentKey": "required",
                "userVerification": "preferred",
                "requireResidentKey": true,
            },
            "extensions": {"credProps": true},
        }),
        code: code.text().to_owned(),
    })
}

/// Registers what the authenticator made, in place of the user's passkey before. Returns the
/// credential's id.
///
/// # Errors
/// What is wrong with the code; then `PASSKEY_AUTHENTICATION_NOT_ENABLED`,
/// `USER_AUTHENTICATION_REQUIRED`, `PASSKEY_REGISTRATION_FAILED`.
pub async fn register(
    request: RequestContext<'_>,
    code: &str,
    response: Value,
    user: Option<UserId>,
) -> Result<String, ApiError> {
    let RequestContext { app, context, .. } = request;
    let purpose = Purpose::PasskeyRegistration;
    let code = take(app, context, purpose, code, Handling::Redeem).await?;
    require_enabled(request.project)?;
    let user = user.ok_or_else(KnownError::user_authentication_required)?;
    let failed = || ApiError::from(KnownError::passkey_registration_failed());
    if code.subject != Some(user.0) {
        return Err(failed());
    }
    let state: RegistrationState =
        serde_json::from_value(code.data["state"].clone()).map_err(ApiError::internal)?;
    let passkey = trusted_origin(&response, request.project)
        .and_then(|origin| check_registration(response, &state, origin).ok())
        .ok_or_else(failed)?;
    let id = passkey.credential_id.clone();
    app.execute::<User>(context, &user, &UserCommand::RegisterPasskey(passkey))
        .await
        .map_err(|error| match error {
            LedgerError::Taken(Reservation::PasskeyCredential) => failed(),
            error => error.into(),
        })?;
    Ok(id)
}

/// Begins to sign in with a passkey, of whomever it may be.
///
/// # Errors
/// `PASSKEY_AUTHENTICATION_NOT_ENABLED`.
pub async fn begin_sign_in(request: RequestContext<'_>) -> Result<Ceremony, ApiError> {
    require_enabled(request.project)?;
    let webauthn = relying_party(PLACEHOLDER, Vec::new());
    let policy = Some(UserVerificationPolicy::Discouraged_DO_NOT_USE);
    let builder = webauthn
        .new_challenge_authenticate_builder(Vec::new(), policy)
        .map_err(ApiError::internal)?;
    let (_, state) = webauthn
        .generate_challenge_authenticate(builder)
        .map_err(ApiError::internal)?;
    let (state, challenge) = with_challenge(json!(state));
    let code = NewCode::generate(
        request.app,
        Purpose::PasskeyAuthentication,
        CHALLENGE_MILLIS,
    )
    .remembering(json!({"state": state}));
    codes::issue(request.app, request.context, &code).await?;
    Ok(Ceremony {
        options: json!({
            "rpId": PLACEHOLDER,
            "challenge": challenge,
            "timeout": TIMEOUT_MILLIS,
            "userVerification": "preferred",
            "allowCredentials": [],
        }),
        code: code.text().to_owned(),
    })
}

/// Signs in with what the authenticator signed.
///
/// # Errors
/// What is wrong with the code; then `PASSKEY_AUTHENTICATION_NOT_ENABLED`,
/// `PASSKEY_AUTHENTICATION_FAILED`, `MULTI_FACTOR_AUTHENTICATION_REQUIRED`.
pub async fn sign_in(
    request: RequestContext<'_>,
    code: &str,
    response: Value,
) -> Result<SignedIn, ApiError> {
    let RequestContext { app, context, .. } = request;
    let purpose = Purpose::PasskeyAuthentication;
    let code = take(app, context, purpose, code, Handling::Redeem).await?;
    require_enabled(request.project)?;
    let failed = || ApiError::from(KnownError::passkey_authentication_failed());
    let state: AuthenticationState =
        serde_json::from_value(code.data["state"].clone()).map_err(ApiError::internal)?;
    let id = response["id"].as_str().ok_or_else(failed)?;
    let found = passkeys::by_credential(app.pool(), &request.project.id, id).await?;
    let (user, passkey) = found.ok_or_else(failed)?;
    let origin = trusted_origin(&response, request.project).ok_or_else(failed)?;
    let signed = check_signature(response, state, origin, passkey).map_err(|_| failed())?;
    let proof = FirstFactor::Passkey {
        credential_id: signed.credential_id.clone(),
    };
    app.execute::<User>(context, &user, &UserCommand::UsePasskey(signed))
        .await
        .map_err(|error| match error {
            // Removed, or replaced, or gone with the account, since it was looked up.
            LedgerError::User(UserError::PasskeyGone | UserError::NotFound) => failed(),
            error => error.into(),
        })?;
    let void = KnownError::passkey_authentication_failed;
    after_first_factor(request, user, proof, SessionOrigin::Passkey, void).await
}

fn require_enabled(project: &LoadedProject) -> Result<(), ApiError> {
    if project.config.auth.passkey.allow_sign_in {
        return Ok(());
    }
    Err(KnownError::passkey_authentication_not_enabled().into())
}

fn relying_party(id: &str, origins: Vec<Url>) -> WebauthnCore {
    let timeout = Duration::from_millis(TIMEOUT_MILLIS.unsigned_abs());
    WebauthnCore::new_unsafe_experts_only("", id, origins, timeout, None, None)
}

/// The state of a ceremony, and its challenge in base64url.
fn with_challenge(mut state: Value) -> (Value, Value) {
    if std::env::var_os(FIXED_CHALLENGE).is_some() {
        state["challenge"] = json!(BASE64URL_NOPAD.encode(b"MOCK"));
    }
    let challenge = state["challenge"].clone();
    (state, challenge)
}

/// The origin that the client says it has, if the project trusts it. What the client says is
/// signed; that is checked afterwards.
fn trusted_origin(response: &Value, project: &LoadedProject) -> Option<Url> {
    let encoded = response["response"]["clientDataJSON"].as_str()?;
    let bytes = BASE64URL_NOPAD
        .decode(encoded.trim_end_matches('=').as_bytes())
        .ok()?;
    let data: Value = serde_json::from_slice(&bytes).ok()?;
    let origin = data["origin"].as_str()?;
    redirects::is_trusted(origin, &project.config.domains)
        .then(|| Url::parse(origin).ok())
        .flatten()
}

fn check_registration(
    response: Value,
    state: &RegistrationState,
    origin: Url,
) -> Result<Passkey, WebauthnError> {
    let response: RegisterPublicKeyCredential =
        serde_json::from_value(response).map_err(WebauthnError::ParseJSONFailure)?;
    let host = origin.host_str().unwrap_or_default().to_owned();
    let webauthn = relying_party(&host, vec![origin]);
    let credential = webauthn.register_credential(&response, state, None)?;
    passkey(&credential)
}

fn check_signature(
    response: Value,
    mut state: AuthenticationState,
    origin: Url,
    passkey_before: Passkey,
) -> Result<Passkey, WebauthnError> {
    let response: PublicKeyCredential =
        serde_json::from_value(response).map_err(WebauthnError::ParseJSONFailure)?;
    let mut credential: Credential = serde_json::from_value(passkey_before.credential)
        .map_err(WebauthnError::ParseJSONFailure)?;
    state.set_allowed_credentials(vec![credential.clone()]);
    let host = origin.host_str().unwrap_or_default().to_owned();
    let webauthn = relying_party(&host, vec![origin]);
    let result = webauthn.authenticate_credential(&response, &state)?;
    credential.counter = result.counter();
    credential.backup_state = result.backup_state();
    passkey(&credential)
}

fn passkey(credential: &Credential) -> Result<Passkey, WebauthnError> {
    Ok(Passkey {
        credential_id: BASE64URL_NOPAD.encode(&credential.cred_id),
        credential: serde_json::to_value(credential).map_err(WebauthnError::ParseJSONFailure)?,
    })
}
