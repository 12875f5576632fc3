//! `/users`: accounts, by their owners and by servers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muniment_domain::user::{
    AdminRestriction, Method, NewPrimaryEmail, NewUser, OauthAccount, RiskScores, UserUpdate,
};
use muniment_domain::{ContactChannelId, EmailAddress, Patch, TeamId, UserId};
use muniment_projections::AccessType;
use muniment_projections::read_models::users::{self, Direction, Listing, UserRecord, Visibility};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::images::{self, ImageRule};
use crate::app::App;
use crate::app::projects::LoadedProject;
use crate::app::users::accounts::{self, NewAccount, SideEffects};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::{OwnUserAccess, ProjectAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::input::{
    Fields, Form, Input, base64, boolean, country, integer, json_value, lenient_email,
    non_empty_text, one_of, query_boolean, text, text_max, url_text, uuid,
};
use crate::security::passwords;
use crate::views::{CurrentUser, ServerUser};

/// The longest name, in UTF-16 code units.
const MAX_NAME: usize = 256;
/// The longest password, in UTF-16 code units.
const MAX_PASSWORD: usize = 70;

/// The routes of this file.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read_me, update_me, delete_me))
        .routes(routes!(read, update, delete))
}

/// The signed-in user.
#[utoipa::path(get, path = "/users/me", tag = "users",
    responses((status = 200, body = CurrentUser), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER")))]
async fn read_me(access: OwnUserAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    Ok(show(&access, &access.own))
}

/// Changes the signed-in user.
#[utoipa::path(patch, path = "/users/me", tag = "users", request_body = Value,
    responses((status = 200, body = CurrentUser), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER, SCHEMA_ERROR"),
        (status = 404, description = "TEAM_MEMBERSHIP_NOT_FOUND"), (status = 409, description = "USER_EMAIL_ALREADY_EXISTS")))]
async fn update_me(access: OwnUserAccess, input: Input) -> ApiResult {
    change(&access, access.own.user.user_id(), input).await
}

/// Deletes the signed-in user, if the project lets users do so.
#[utoipa::path(delete, path = "/users/me", tag = "users",
    responses((status = 200, description = "Deleted"), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER")))]
async fn delete_me(access: OwnUserAccess, input: Input) -> ApiResult {
    let id = access.own.user.user_id();
    access.form(&input).no_query().finish(Some(()))?;
    let allowed = access.project.config.users.allow_client_user_deletion;
    if access.access_type == AccessType::Client && !allowed {
        let refusal = "This project does not let users delete their own account. Ask its operator to delete it.";
        return Err(ApiError::text(StatusCode::BAD_REQUEST, refusal));
    }
    accounts::close(&access.app, access.event_context(), id).await?;
    Ok(success())
}

/// One user.
#[utoipa::path(get, path = "/users/{user_id}", tag = "users", params(("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, body = ServerUser), (status = 404, description = "USER_NOT_FOUND")))]
async fn read(access: ServerAccess, input: Input) -> ApiResult {
    let id = user_in_path(&access, &input)?;
    let record = find(&access, id).await?;
    Ok(Json(ServerUser::of(&access.app, &record, &access.project)).into_response())
}

/// Changes one user.
#[utoipa::path(patch, path = "/users/{user_id}", tag = "users", request_body = Value, params(("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, body = ServerUser), (status = 400, description = "SCHEMA_ERROR"),
        (status = 404, description = "USER_NOT_FOUND, TEAM_MEMBERSHIP_NOT_FOUND"), (status = 409, description = "USER_EMAIL_ALREADY_EXISTS")))]
async fn update(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let id = form.params().required_user_id_or_me("user_id");
    let id = match id {
        Some(id) => id,
        None => form.finish(None)?,
    };
    change(&access, id, input).await
}

/// Deletes one user, with everything that is theirs.
#[utoipa::path(delete, path = "/users/{user_id}", tag = "users", params(("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, description = "Deleted"), (status = 404, description = "USER_NOT_FOUND")))]
async fn delete(access: ServerAccess, input: Input) -> ApiResult {
    let id = user_in_path(&access, &input)?;
    find(&access, id).await?;
    accounts::close(&access.app, access.event_context(), id).await?;
    Ok(success())
}

/// Lists users by the time of their sign-up.
#[utoipa::path(get, path = "/users", tag = "users",
    params(("team_id" = Option<String>, Query), ("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query),
        ("order_by" = Option<String>, Query, description = "`signed_up_at`"), ("desc" = Option<bool>, Query),
        ("query" = Option<String>, Query, description = "Part of a name or an email address, or an id"),
        ("include_restricted" = Option<bool>, Query), ("include_anonymous" = Option<bool>, Query), ("only_anonymous" = Option<bool>, Query)),
    responses((status = 200, description = "A page of users")))]
async fn list(access: ServerAccess, input: Input) -> ApiResult {
    let listing = read_listing(access.form(&input))?;
    let verification = access.project.config.email_verification();
    let page = users::list(
        access.app.pool(),
        access.project_id(),
        &listing,
        verification,
    )
    .await?;
    let show = |record: &UserRecord| ServerUser::of(&access.app, record, &access.project);
    let items: Vec<ServerUser> = page.items.iter().map(show).collect();
    let pagination = json!({"next_cursor": page.next_cursor});
    Ok(
        Json(json!({"items": items, "is_paginated": true, "pagination": pagination}))
            .into_response(),
    )
}

fn read_listing(mut form: Form) -> Result<Listing, ApiError> {
    let mut query = form.query();
    let team = query.optional("team_id", uuid);
    let limit = query.optional("limit", integer(1..=i64::MAX));
    let cursor = query.optional("cursor", uuid);
    let order = query.optional("order_by", one_of(&["signed_up_at"]));
    let desc = query.or_default("desc", query_boolean, false);
    let search = query.optional("query", text);
    let restricted = query.or_default("include_restricted", query_boolean, false);
    let anonymous = query.or_default("include_anonymous", query_boolean, false);
    let only = query.or_default("only_anonymous", query_boolean, false);
    query.close();
    let (anonymous, only, listing) = form.finish((|| {
        order?;
        let visibility = match (restricted?, anonymous?, only?) {
            (_, true, true) => Visibility::Anonymous,
            (_, true, false) => Visibility::Everybody,
            (true, false, _) => Visibility::SignedUp,
            (false, false, _) => Visibility::Unrestricted,
        };
        let listing = Listing {
            team: team?.map(TeamId),
            visibility,
            query: search?,
            cursor: cursor?.map(UserId),
            limit: limit?,
            direction: if desc? {
                Direction::Descending
            } else {
                Direction::Ascending
            },
        };
        Some((anonymous?, only?, listing))
    })())?;
    if only && !anonymous {
        let refusal = "only_anonymous=true needs include_anonymous=true as well.";
        return Err(ApiError::text(StatusCode::BAD_REQUEST, refusal));
    }
    Ok(listing)
}

/// Creates a user.
#[utoipa::path(post, path = "/users", tag = "users", request_body = Value,
    responses((status = 201, body = ServerUser), (status = 400, description = "SCHEMA_ERROR"), (status = 409, description = "USER_EMAIL_ALREADY_EXISTS")))]
async fn create(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let fields = UserFields::read(&mut body, access.access_type);
    let is_anonymous = body.or_default("is_anonymous", boolean, false);
    let accounts = body.optional_list("oauth_providers", read_oauth_account);
    body.close();
    let (fields, is_anonymous, oauth) =
        form.finish((|| Some((fields?, is_anonymous?, accounts?)))())?;
    fields.check_restriction(&input)?;
    let user = fields
        .into_new_user(&access, is_anonymous, oauth.unwrap_or_default())
        .await?;
    let account = NewAccount::generate(&access.app, &access.project, user);
    accounts::open(
        &access.app,
        access.event_context(),
        &account,
        &SideEffects::default(),
    )
    .await?;
    let record = find(&access, account.id).await?;
    let view = ServerUser::of(&access.app, &record, &access.project).before_personal_team();
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

async fn change(access: &ProjectAccess, id: UserId, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let fields = UserFields::read(&mut body, access.access_type);
    let selected_team = body.nullable("selected_team_id", uuid);
    let sign_up = match access.access_type {
        AccessType::Client => Some(None),
        AccessType::Server | AccessType::Admin => body.optional("is_anonymous", only_false),
    };
    body.close();
    let (fields, selected_team, sign_up) =
        form.finish((|| Some((fields?, selected_team?, sign_up?)))())?;
    fields.check_restriction(&input)?;
    // The signed-in user was found before.
    if access.user_id() != Some(id) {
        find(access, id).await?;
    }
    let update = UserUpdate {
        selected_team_id: map_patch(selected_team, TeamId),
        sign_up: sign_up.is_some(),
        ..fields.into_update(access).await?
    };
    accounts::update(
        &access.app,
        access.event_context(),
        id,
        &update,
        &SideEffects::default(),
    )
    .await?;
    let record = find(access, id).await?;
    Ok(show(access, &record))
}

/// The fields that creating and changing a user have in common.
struct UserFields {
    display_name: Patch<String>,
    profile_image_url: Patch<String>,
    client_metadata: Patch<Value>,
    client_read_only_metadata: Patch<Value>,
    server_metadata: Patch<Value>,
    primary_email: Patch<EmailAddress>,
    primary_email_verified: Option<bool>,
    primary_email_auth_enabled: Option<bool>,
    password: Patch<String>,
    password_hash: Option<String>,
    otp_auth_enabled: Option<bool>,
    passkey_auth_enabled: Option<bool>,
    totp_secret: Patch<String>,
    restriction: AdminRestriction,
    country_code: Patch<String>,
    risk_scores: Option<RiskScores>,
}

impl UserFields {
    fn read(body: &mut Fields<'_>, access: AccessType) -> Option<Self> {
        let display_name = body.nullable("display_name", text_max(MAX_NAME));
        let profile_image_url = body.nullable("profile_image_url", url_text);
        let client_metadata = body.nullable("client_metadata", json_value);
        let primary_email = body.nullable("primary_email", lenient_email);
        let otp_auth_enabled = body.optional("otp_auth_enabled", boolean);
        let passkey_auth_enabled = body.optional("passkey_auth_enabled", boolean);
        let totp_secret = body.nullable("totp_secret_base64", base64);
        let trusted = match access {
            AccessType::Client => Some(TrustedFields::default()),
            AccessType::Server | AccessType::Admin => TrustedFields::read(body),
        };
        let trusted = trusted?;
        Some(Self {
            display_name: blank_is_null(display_name?),
            profile_image_url: profile_image_url?,
            client_metadata: client_metadata?,
            client_read_only_metadata: trusted.client_read_only_metadata,
            server_metadata: trusted.server_metadata,
            primary_email: primary_email?,
            primary_email_verified: trusted.primary_email_verified,
            primary_email_auth_enabled: trusted.primary_email_auth_enabled,
            password: trusted.password,
            password_hash: trusted.password_hash,
            otp_auth_enabled: otp_auth_enabled?,
            passkey_auth_enabled: passkey_auth_enabled?,
            totp_secret: map_patch(totp_secret?, |bytes| data_encoding::BASE64.encode(&bytes)),
            restriction: trusted.restriction,
            country_code: trusted.country_code,
            risk_scores: trusted.risk_scores,
        })
    }

    /// A note on a restriction goes with the restriction, in one and the same body.
    fn check_restriction(&self, input: &Input) -> Result<(), ApiError> {
        if self.restriction.restricted == Some(true) {
            return Ok(());
        }
        let mut form = input.form(None);
        if self.restriction.reason.is_set() {
            form.violation("body.restricted_by_admin_reason", NEEDS_FLAG);
        }
        if self.restriction.private_details.is_set() {
            form.violation("body.restricted_by_admin_private_details", NEEDS_FLAG);
        }
        form.finish(Some(()))
    }

    fn image_rule(auth: &Auth) -> ImageRule {
        match auth.access_type {
            AccessType::Client => ImageRule::UploadsOnly,
            AccessType::Server | AccessType::Admin => ImageRule::UploadsAndLinks,
        }
    }

    /// The hash to store: of a password given, or one computed elsewhere.
    async fn hash(&self, app: &App) -> Result<Patch<String>, ApiError> {
        match (&self.password, &self.password_hash) {
            (Patch::Keep, None) => Ok(Patch::Keep),
            (Patch::Clear, None) => Ok(Patch::Clear),
            (Patch::Keep, Some(hash)) => {
                passwords::check_imported_hash(hash)
                    .map_err(|error| bad_request(error.to_string()))?;
                Ok(Patch::Set(hash.clone()))
            }
            (Patch::Set(password), None) => {
                if passwords::strength(password) == passwords::Strength::TooLong {
                    return Err(KnownError::password_too_long().into());
                }
                let hash = app
                    .passwords
                    .hash(password)
                    .await
                    .map_err(ApiError::internal)?;
                Ok(Patch::Set(hash))
            }
            (Patch::Clear | Patch::Set(_), Some(_)) => Err(bad_request(
                "Send either password or password_hash, not both.",
            )),
        }
    }

    async fn into_new_user(
        self,
        access: &ProjectAccess,
        is_anonymous: bool,
        oauth_accounts: Vec<OauthAccount>,
    ) -> Result<NewUser, ApiError> {
        let config = &access.project.config;
        let password_hash = self.hash(&access.app).await?.into_value();
        if password_hash.is_some() && !config.auth.password.allow_sign_in {
            return Err(bad_request(
                "Password sign-in is switched off in this project, so no password can be set.",
            ));
        }
        let otp_enabled = self.otp_auth_enabled.unwrap_or(false);
        if otp_enabled && !config.auth.otp.allow_sign_in {
            return Err(bad_request(
                "Sign-in by email code is switched off in this project.",
            ));
        }
        check_providers(&access.project, &oauth_accounts)?;
        let is_verified = self.primary_email_verified.unwrap_or(false);
        let used_for_auth = self.primary_email_auth_enabled.unwrap_or(false);
        let address = self.primary_email.into_value();
        if address.is_none() && (is_verified || used_for_auth) {
            return Err(bad_request(
                "primary_email_verified and primary_email_auth_enabled need a primary_email.",
            ));
        }
        let oauth_accounts = oauth_accounts
            .into_iter()
            .map(|account| OauthAccount {
                id: access.app.random.uuid(),
                ..account
            })
            .collect();
        let primary_email = address.map(|address| NewPrimaryEmail {
            channel_id: ContactChannelId(access.app.random.uuid()),
            address,
            is_verified,
            used_for_auth,
        });
        let image = images::accept(
            &access.app,
            images::Folder::Users,
            UserFields::image_rule(access),
            self.profile_image_url,
        );
        Ok(NewUser {
            is_anonymous,
            display_name: self.display_name.into_value(),
            profile_image_url: image.await?.into_value(),
            client_metadata: self.client_metadata.into_value().unwrap_or_default(),
            client_read_only_metadata: self
                .client_read_only_metadata
                .into_value()
                .unwrap_or_default(),
            server_metadata: self.server_metadata.into_value().unwrap_or_default(),
            primary_email,
            password_hash,
            totp_secret: self.totp_secret.into_value(),
            otp_enabled,
            restriction: self.restriction,
            country_code: self.country_code.into_value(),
            risk_scores: self.risk_scores.unwrap_or_default(),
            oauth_accounts,
            ..NewUser::blank(access.project.id.clone(), access.app.now())
        })
    }

    async fn into_update(self, access: &ProjectAccess) -> Result<UserUpdate, ApiError> {
        if self.passkey_auth_enabled == Some(true) {
            return Err(bad_request(
                "A passkey is registered by its owner; it cannot be switched on here.",
            ));
        }
        let config = &access.project.config;
        let password_hash = self.hash(&access.app).await?;
        let image = images::accept(
            &access.app,
            images::Folder::Users,
            UserFields::image_rule(access),
            self.profile_image_url,
        );
        let profile_image_url = image.await?;
        Ok(UserUpdate {
            password_sign_in: Method::offered_if(config.auth.password.allow_sign_in),
            otp_sign_in: Method::offered_if(config.auth.otp.allow_sign_in),
            display_name: self.display_name,
            profile_image_url,
            client_metadata: self.client_metadata,
            client_read_only_metadata: self.client_read_only_metadata,
            server_metadata: self.server_metadata,
            primary_email: self.primary_email,
            primary_email_verified: self.primary_email_verified,
            primary_email_auth_enabled: self.primary_email_auth_enabled,
            password_hash,
            otp_enabled: self.otp_auth_enabled,
            totp_secret: self.totp_secret,
            restriction: self.restriction,
            country_code: self.country_code,
            risk_scores: self.risk_scores,
            remove_passkey: self.passkey_auth_enabled == Some(false),
            ..UserUpdate::nothing(access.app.now(), ContactChannelId(access.app.random.uuid()))
        })
    }
}

const NEEDS_FLAG: &str = "needs `restricted_by_admin: true` in the same request";

/// The fields that only servers and administrators may write.
#[derive(Default)]
struct TrustedFields {
    client_read_only_metadata: Patch<Value>,
    server_metadata: Patch<Value>,
    primary_email_verified: Option<bool>,
    primary_email_auth_enabled: Option<bool>,
    password: Patch<String>,
    password_hash: Option<String>,
    restriction: AdminRestriction,
    country_code: Patch<String>,
    risk_scores: Option<RiskScores>,
}

impl TrustedFields {
    fn read(body: &mut Fields<'_>) -> Option<Self> {
        let client_read_only_metadata = body.nullable("client_read_only_metadata", json_value);
        let server_metadata = body.nullable("server_metadata", json_value);
        let verified = body.optional("primary_email_verified", boolean);
        let auth_enabled = body.optional("primary_email_auth_enabled", boolean);
        let password = body.nullable("password", text_max(MAX_PASSWORD));
        let password_hash = body.optional("password_hash", non_empty_text);
        let restricted = body.optional("restricted_by_admin", boolean);
        let reason = body.nullable("restricted_by_admin_reason", text);
        let private_details = body.nullable("restricted_by_admin_private_details", text);
        let country_code = body.nullable("country_code", country);
        let risk_scores = body.optional_object("risk_scores", read_risk_scores);
        Some(Self {
            client_read_only_metadata: client_read_only_metadata?,
            server_metadata: server_metadata?,
            primary_email_verified: verified?,
            primary_email_auth_enabled: auth_enabled?,
            password: password?,
            password_hash: password_hash?,
            restriction: AdminRestriction {
                restricted: restricted?,
                reason: reason?,
                private_details: private_details?,
            },
            country_code: country_code?,
            risk_scores: risk_scores?,
        })
    }
}

fn read_risk_scores(fields: &mut Fields<'_>) -> Option<RiskScores> {
    fields.required_object("sign_up", |sign_up| {
        let bot = sign_up.required("bot", integer(0..=100));
        let abuse = sign_up.required("free_trial_abuse", integer(0..=100));
        Some(RiskScores {
            bot: u8::try_from(bot?).ok()?,
            free_trial_abuse: u8::try_from(abuse?).ok()?,
        })
    })
}

fn read_oauth_account(fields: &mut Fields<'_>) -> Option<OauthAccount> {
    let id = fields.required("id", text);
    let account_id = fields.required("account_id", text);
    let email = fields.nullable("email", text);
    Some(OauthAccount {
        id: uuid::Uuid::nil(),
        provider_config_id: id?,
        account_id: account_id?,
        email: email?.into_value(),
    })
}

fn check_providers(project: &LoadedProject, accounts: &[OauthAccount]) -> Result<(), ApiError> {
    let providers = &project.config.auth.oauth.providers;
    match accounts
        .iter()
        .find(|account| !providers.contains_key(&account.provider_config_id))
    {
        None => Ok(()),
        Some(account) => {
            let id = &account.provider_config_id;
            Err(bad_request(format!(
                "The project has no OAuth provider `{id}`. Configure it first."
            )))
        }
    }
}

fn only_false(value: &Value) -> Result<bool, String> {
    if boolean(value)? {
        return Err(
            "may only be false: an anonymous user can sign up, but not the reverse".to_owned(),
        );
    }
    Ok(false)
}

fn blank_is_null(name: Patch<String>) -> Patch<String> {
    match name {
        Patch::Set(name) if name.is_empty() => Patch::Clear,
        other => other,
    }
}

fn map_patch<T, U>(patch: Patch<T>, change: impl FnOnce(T) -> U) -> Patch<U> {
    match patch {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(value) => Patch::Set(change(value)),
    }
}

fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, message)
}

fn user_in_path(auth: &Auth, input: &Input) -> Result<UserId, ApiError> {
    let mut form = input.form(auth.user_id()).no_query();
    let id = form.params().required_user_id_or_me("user_id");
    form.finish(id)
}

/// The user of that id in the caller's project.
///
/// # Errors
/// `USER_NOT_FOUND`.
pub(super) async fn find(access: &ProjectAccess, id: UserId) -> Result<UserRecord, ApiError> {
    let record = access.app.users.by_id(access.project_id(), id).await?;
    record.ok_or_else(|| KnownError::user_not_found().into())
}

fn show(access: &ProjectAccess, record: &UserRecord) -> Response {
    match access.access_type {
        AccessType::Client => Json(CurrentUser::of(record, &access.project)).into_response(),
        AccessType::Server | AccessType::Admin => {
            Json(ServerUser::of(&access.app, record, &access.project)).into_response()
        }
    }
}
