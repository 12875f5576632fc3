//! `/auth/passkey`: registering a passkey and signing in with it.

use std::sync::Arc;

use axum::Json;
use muniment_projections::read_models::users::UserRecord;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;

use super::codes::{CodeErrors, SignInTokens};
use crate::app::App;
use crate::app::auth::passkeys::{self, Ceremony};
use crate::error::ApiResult;
use crate::error::codes::{
    Errors, MultiFactorAuthenticationRequired, PasskeyAuthenticationFailed,
    PasskeyAuthenticationNotEnabled, PasskeyRegistrationFailed, Text, UserAuthenticationRequired,
    UserNotFound,
};
use crate::http::answer::schema_of;
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::{request, signed_in};
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::{json_object, verification_code};
use crate::security::limits::Limit;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(begin_passkey_registration))
        .routes(operations!(register_passkey))
        .routes(operations!(begin_passkey_sign_in))
        .routes(operations!(sign_in_with_passkey))
}

request! {
    /// That the signed-in user wants to register a passkey.
    struct BeginPasskeyRegistration {
        caller {
            user: Arc<UserRecord> = signed_in();
        }
        query(open) {}
        body(optional) {}
    }

    /// What an authenticator made.
    struct RegisterPasskey {
        query(open) {}
        body {
            /// What the browser's `navigator.credentials.create()` yields, as
            /// `RegistrationResponseJSON` (Web Authentication Level 3, §5.1.8).
            credential: Value = required(json_object());
            /// The code that came with the options.
            code: String = required(verification_code());
        }
    }

    /// That somebody wants to sign in with a passkey.
    struct BeginPasskeySignIn {
        query(open) {}
        body(optional) {}
    }

    /// What an authenticator signed.
    struct SignInWithPasskey {
        query(open) {}
        body {
            /// What the browser's `navigator.credentials.get()` yields, as
            /// `AuthenticationResponseJSON` (Web Authentication Level 3, §5.1.8).
            authentication_response: Value = required(json_object());
            /// The code that came with the options.
            code: String = required(verification_code());
        }
    }
}

/// The beginning of a registration.
#[derive(Serialize, ToSchema)]
struct PasskeyRegistrationBegun {
    /// Comes back with what the authenticator made. It works for 65 seconds.
    code: String,
    /// What `navigator.credentials.create()` is to be called with, once the client has put its own
    /// host into `rp.id`.
    #[schema(schema_with = creation_options)]
    options_json: Value,
}

/// `PublicKeyCredentialCreationOptionsJSON` (Web Authentication Level 3, §5.1.9).
fn creation_options() -> RefOr<Schema> {
    let text = json!({"type": "string"});
    schema_of(&json!({
        "description": "`PublicKeyCredentialCreationOptionsJSON` of Web Authentication. `rp.id` is a placeholder, in whose place the client puts its own host.",
        "type": "object",
        "required": ["challenge", "pubKeyCredParams", "rp", "user"],
        "properties": {
            "attestation": text,
            "authenticatorSelection": {"type": "object"},
            "challenge": {"type": "string", "description": "In base64url."},
            "excludeCredentials": {"type": "array", "items": {"type": "object"}},
            "extensions": {"type": "object"},
            "pubKeyCredParams": {"type": "array", "items": {
                "type": "object",
                "required": ["alg", "type"],
                "properties": {"alg": {"type": "integer"}, "type": text},
            }},
            "rp": {"type": "object", "required": ["id", "name"], "properties": {"id": text, "name": text}},
            "timeout": {"type": "integer", "description": "In milliseconds."},
            "user": {
                "type": "object",
                "required": ["displayName", "id", "name"],
                "properties": {"displayName": text, "id": text, "name": text},
            },
        },
    }))
}

/// The beginning of a sign-in.
#[derive(Serialize, ToSchema)]
struct PasskeySignInBegun {
    /// Comes back with what the authenticator signed. It works for 65 seconds.
    code: String,
    /// What `navigator.credentials.get()` is to be called with, once the client has put its own host
    /// into `rpId`.
    #[schema(schema_with = request_options)]
    options_json: Value,
}

/// `PublicKeyCredentialRequestOptionsJSON` (Web Authentication Level 3, §5.1.10).
fn request_options() -> RefOr<Schema> {
    schema_of(&json!({
        "description": "`PublicKeyCredentialRequestOptionsJSON` of Web Authentication. `rpId` is a placeholder, in whose place the client puts its own host.",
        "type": "object",
        "required": ["challenge", "rpId"],
        "properties": {
            "allowCredentials": {"type": "array", "items": {"type": "object"}},
            "challenge": {"type": "string", "description": "In base64url."},
            "rpId": {"type": "string"},
            "timeout": {"type": "integer", "description": "In milliseconds."},
            "userVerification": {"type": "string"},
        },
    }))
}

/// A passkey that was registered.
#[derive(Serialize, ToSchema)]
struct PasskeyRegistered {
    /// The credential's id, in base64url.
    user_handle: String,
}

/// Begins to register a passkey for the signed-in user.
#[utoipa::path(post, path = "/auth/passkey/initiate-passkey-registration", tag = "passkeys",
    responses(Errors<PasskeyAuthenticationNotEnabled>))]
async fn begin_passkey_registration(
    access: ClientAccess,
    wanted: BeginPasskeyRegistration,
) -> ApiResult<Json<PasskeyRegistrationBegun>> {
    let request = access.request_context();
    let begun = passkeys::begin_registration(request, &wanted.user.user).await?;
    let Ceremony { options, code } = begun;
    Ok(Json(PasskeyRegistrationBegun {
        code,
        options_json: options,
    }))
}

/// Registers a passkey for the signed-in user, in place of the one before.
#[utoipa::path(post, path = "/auth/passkey/register", tag = "passkeys",
    responses(Errors<(CodeErrors, PasskeyAuthenticationNotEnabled, PasskeyRegistrationFailed,
        UserAuthenticationRequired, UserNotFound)>))]
async fn register_passkey(
    access: ClientAccess,
    made: RegisterPasskey,
) -> ApiResult<Json<PasskeyRegistered>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let (request, user) = (access.request_context(), access.user_id());
    let user_handle = passkeys::register(request, &made.code, made.credential, user).await?;
    Ok(Json(PasskeyRegistered { user_handle }))
}

/// Begins to sign in with a passkey, of whomever it may be.
#[utoipa::path(post, path = "/auth/passkey/initiate-passkey-authentication", tag = "passkeys",
    responses(Errors<(PasskeyAuthenticationNotEnabled, Text<429>)>))]
async fn begin_passkey_sign_in(
    access: ClientAccess,
    _: BeginPasskeySignIn,
) -> ApiResult<Json<PasskeySignInBegun>> {
    access.limit(Limit::SignInFromIp)?;
    let begun = passkeys::begin_sign_in(access.request_context()).await?;
    let Ceremony { options, code } = begun;
    Ok(Json(PasskeySignInBegun {
        code,
        options_json: options,
    }))
}

/// Signs in with what an authenticator signed.
#[utoipa::path(post, path = "/auth/passkey/sign-in", tag = "passkeys",
    responses(Errors<(CodeErrors, PasskeyAuthenticationNotEnabled, PasskeyAuthenticationFailed,
        MultiFactorAuthenticationRequired, UserNotFound)>))]
async fn sign_in_with_passkey(
    access: ClientAccess,
    signed: SignInWithPasskey,
) -> ApiResult<Json<SignInTokens>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let (request, response) = (access.request_context(), signed.authentication_response);
    let signed_in = passkeys::sign_in(request, &signed.code, response).await?;
    Ok(Json(signed_in.into()))
}
