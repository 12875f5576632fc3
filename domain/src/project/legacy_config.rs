//! The legacy `project.config`: the fixed set of fields that the API had before settings were
//! dotted keys. Reads of a project still show them, and updates still accept them. One table says
//! which setting each field is kept as, and both directions follow from it.

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::config::{EmailServer, OauthProvider, ProjectConfig};
use super::default_permissions::DefaultsOf;
use crate::string_order;

/// A field of the legacy configuration and the setting that it is kept as.
pub struct LegacyField {
    /// The field's name.
    pub name: &'static str,
    /// The setting that the field is read from and, unless it is read-only, written to.
    pub setting: &'static str,
    /// The kind of value, and its form among the settings.
    pub shape: LegacyShape,
    /// The callers who see the field.
    pub audience: Audience,
}

/// The kind of value that a field holds.
#[derive(Clone, Copy)]
pub enum LegacyShape {
    /// A switch; the setting is the same.
    Switch(fn(&ProjectConfig) -> bool),
    /// The treatment of OAuth accounts whose email a user has already; the setting is the same.
    MergeStrategy,
    /// The id of an email theme; the setting is the same.
    Theme,
    /// Permissions as `[{id}]`; the setting is `{id: true}`.
    Permissions(DefaultsOf),
    /// Trusted domains as `[{domain, handler_path}]`; the setting is a record under random ids.
    Domains,
    /// The providers to sign in with; the setting is a record under their types.
    Providers,
    /// The types of these providers alone. The field is read-only.
    ProviderIds,
    /// The mail server; the setting has other names for its parts.
    EmailServer,
}

/// The callers who see a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Everybody sees the field.
    Clients,
    /// Administrators see the field.
    Admins,
    /// Nobody sees the field: it is only written.
    Nobody,
}

const fn switch(
    name: &'static str,
    setting: &'static str,
    audience: Audience,
    read: fn(&ProjectConfig) -> bool,
) -> LegacyField {
    field(name, setting, audience, LegacyShape::Switch(read))
}

const fn field(
    name: &'static str,
    setting: &'static str,
    audience: Audience,
    shape: LegacyShape,
) -> LegacyField {
    LegacyField {
        name,
        setting,
        shape,
        audience,
    }
}

use Audience::{Admins, Clients, Nobody};

/// The table of all fields.
#[rustfmt::skip]
pub const LEGACY_FIELDS: [LegacyField; 20] = [
    switch("sign_up_enabled", "auth.allowSignUp", Clients, |c| c.auth.allow_sign_up),
    switch("credential_enabled", "auth.password.allowSignIn", Clients, |c| c.auth.password.allow_sign_in),
    switch("magic_link_enabled", "auth.otp.allowSignIn", Clients, |c| c.auth.otp.allow_sign_in),
    switch("passkey_enabled", "auth.passkey.allowSignIn", Clients, |c| c.auth.passkey.allow_sign_in),
    switch("client_team_creation_enabled", "teams.allowClientTeamCreation", Clients, |c| c.teams.allow_client_team_creation),
    switch("client_user_deletion_enabled", "users.allowClientUserDeletion", Clients, |c| c.users.allow_client_user_deletion),
    switch("allow_user_api_keys", "apiKeys.enabled.user", Clients, |c| c.api_keys.enabled.user),
    switch("allow_team_api_keys", "apiKeys.enabled.team", Clients, |c| c.api_keys.enabled.team),
    switch("allow_localhost", "domains.allowLocalhost", Admins, |c| c.domains.allow_localhost),
    switch("create_team_on_sign_up", "teams.createPersonalTeamOnSignUp", Admins, |c| c.teams.create_personal_team_on_sign_up),
    switch("require_email_verification", "onboarding.requireEmailVerification", Nobody, |c| c.onboarding.require_email_verification),
    field("oauth_account_merge_strategy", "auth.oauth.accountMergeStrategy", Admins, LegacyShape::MergeStrategy),
    field("enabled_oauth_providers", "auth.oauth.providers", Clients, LegacyShape::ProviderIds),
    field("oauth_providers", "auth.oauth.providers", Admins, LegacyShape::Providers),
    field("domains", "domains.trustedDomains", Clients, LegacyShape::Domains),
    field("email_config", "emails.server", Admins, LegacyShape::EmailServer),
    field("email_theme", "emails.selectedThemeId", Admins, LegacyShape::Theme),
    field("team_creator_default_permissions", "rbac.defaultPermissions.teamCreator", Admins, LegacyShape::Permissions(DefaultsOf::TeamCreator)),
    field("team_member_default_permissions", "rbac.defaultPermissions.teamMember", Admins, LegacyShape::Permissions(DefaultsOf::TeamMember)),
    field("user_default_permissions", "rbac.defaultPermissions.signUp", Admins, LegacyShape::Permissions(DefaultsOf::SignUp)),
];

/// A field of a provider or of the mail server, the setting that it is kept as, and how to read it.
type Part<T> = (&'static str, &'static str, fn(&T) -> Option<Value>);

/// The fields of a provider beside its id and type.
const PROVIDER_PARTS: [Part<OauthProvider>; 4] = [
    ("client_id", "clientId", |p| some(p.client_id.as_ref())),
    ("client_secret", "clientSecret", |p| {
        some(p.client_secret.as_ref())
    }),
    ("facebook_config_id", "facebookConfigId", |p| {
        some(p.facebook_config_id.as_ref())
    }),
    ("microsoft_tenant_id", "microsoftTenantId", |p| {
        some(p.microsoft_tenant_id.as_ref())
    }),
];

/// The fields of the mail server beside its type.
const SERVER_PARTS: [Part<EmailServer>; 6] = [
    ("host", "host", |s| some(s.host())),
    ("port", "port", |s| some(s.port())),
    ("username", "username", |s| some(s.username())),
    ("password", "password", |s| some(s.password.as_ref())),
    ("sender_name", "senderName", |s| {
        some(s.sender_name.as_ref())
    }),
    ("sender_email", "senderEmail", |s| some(s.sender())),
];

fn some(value: Option<impl Serialize>) -> Option<Value> {
    value.map(|value| json!(value))
}

/// All fields that `audience` sees of a project with these settings.
#[must_use]
pub fn shown(config: &ProjectConfig, audience: Audience) -> Map<String, Value> {
    let fields = LEGACY_FIELDS
        .iter()
        .filter(|field| field.audience <= audience);
    fields
        .map(|field| (field.name.to_owned(), field.read(config)))
        .collect()
}

impl LegacyField {
    /// Whether the field can be written.
    #[must_use]
    pub fn is_written(&self) -> bool {
        !matches!(self.shape, LegacyShape::ProviderIds)
    }

    /// The field's value for these settings.
    #[must_use]
    pub fn read(&self, config: &ProjectConfig) -> Value {
        match self.shape {
            LegacyShape::Switch(read) => json!(read(config)),
            LegacyShape::MergeStrategy => json!(config.auth.oauth.account_merge_strategy),
            LegacyShape::Theme => json!(config.emails.selected_theme_id),
            LegacyShape::Permissions(list) => {
                let ids = config.existing_defaults(list).into_iter();
                ids.map(|id| json!({"id": id})).collect()
            }
            LegacyShape::Domains => read_domains(config),
            LegacyShape::Providers => enabled_providers(config)
                .into_iter()
                .map(read_provider)
                .collect(),
            LegacyShape::ProviderIds => enabled_providers(config)
                .into_iter()
                .map(|(_, provider)| json!({"id": provider.kind}))
                .collect(),
            LegacyShape::EmailServer => read_server(&config.emails.server),
        }
    }

    /// The value of the setting after `written`, which was checked before, is written to the field.
    /// Entries of records get their ids from `new_id`.
    #[must_use]
    pub fn write(&self, written: &Value, mut new_id: impl FnMut() -> Uuid) -> Value {
        let items = || written.as_array().into_iter().flatten();
        match self.shape {
            LegacyShape::Switch(_) | LegacyShape::MergeStrategy | LegacyShape::Theme => {
                written.clone()
            }
            LegacyShape::Permissions(_) => items()
                .filter_map(|item| Some((item["id"].as_str()?.to_owned(), json!(true))))
                .collect(),
            LegacyShape::Domains => items()
                .map(|item| {
                    let entry =
                        json!({"baseUrl": item["domain"], "handlerPath": item["handler_path"]});
                    (new_id().to_string(), entry)
                })
                .collect(),
            LegacyShape::Providers | LegacyShape::ProviderIds => items()
                .filter_map(|item| {
                    let id = item["id"].as_str()?.to_owned();
                    Some((id, written_provider(item, &mut new_id)))
                })
                .collect(),
            LegacyShape::EmailServer => written_server(written),
        }
    }
}

/// A provider with its key in the configuration.
pub type Provider<'c> = (&'c String, &'c OauthProvider);

/// The providers that users may sign in with, in order of their types.
#[must_use]
pub fn enabled_providers(config: &ProjectConfig) -> Vec<Provider<'_>> {
    let providers = config.auth.oauth.providers.iter();
    let mut enabled: Vec<Provider> = providers
        .filter(|(_, provider)| provider.allow_sign_in && provider.kind.is_some())
        .collect();
    let kind = |provider: &Provider| provider.1.kind.clone().unwrap_or_default();
    enabled.sort_by(|a, b| string_order(&kind(a), &kind(b)));
    enabled
}

/// The settings of a provider that uses the server's own client.
#[must_use]
pub fn shared_provider(kind: &str) -> Value {
    json!({"type": kind, "isShared": true, "allowSignIn": true, "allowConnectedAccounts": true})
}

fn type_name(is_shared: bool) -> &'static str {
    if is_shared { "shared" } else { "standard" }
}

fn read_provider((key, provider): Provider<'_>) -> Value {
    let mut shown = json!({
        "provider_config_id": key,
        "id": provider.kind,
        "type": type_name(provider.is_shared),
    });
    for (name, _, read) in PROVIDER_PARTS {
        if let Some(value) = read(provider) {
            shown[name] = value;
        }
    }
    if !provider.apple_bundles.is_empty() {
        let bundles = provider.apple_bundles.values();
        let ids = bundles.filter_map(|bundle| bundle.bundle_id.as_ref());
        shown["apple_bundle_ids"] = ids.map(|id| json!(id)).collect();
    }
    shown
}

fn written_provider(item: &Value, new_id: &mut impl FnMut() -> Uuid) -> Value {
    let mut provider = shared_provider(item["id"].as_str().unwrap_or_default());
    provider["isShared"] = json!(item["type"] == type_name(true));
    for (name, setting, _) in PROVIDER_PARTS {
        if let Some(value) = item.get(name) {
            provider[setting] = value.clone();
        }
    }
    if let Some(bundles) = item.get("apple_bundle_ids").and_then(Value::as_array) {
        // Records are read in the order of their keys, so sorted keys keep the order of the list.
        let mut keys: Vec<String> = bundles.iter().map(|_| new_id().to_string()).collect();
        keys.sort_unstable();
        let entries = bundles.iter().map(|id| json!({"bundleId": id}));
        provider["appleBundles"] = keys.into_iter().zip(entries).collect();
    }
    provider
}

fn read_domains(config: &ProjectConfig) -> Value {
    let trusted = config.domains.trusted_domains.values();
    let mut domains: Vec<(&String, &String)> = trusted
        .filter_map(|entry| Some((entry.base_url.as_ref()?, &entry.handler_path)))
        .collect();
    domains.sort_by(|(a, _), (b, _)| string_order(a, b));
    let shown = domains.into_iter();
    shown
        .map(|(domain, path)| json!({"domain": domain, "handler_path": path}))
        .collect()
}

fn read_server(server: &EmailServer) -> Value {
    let mut shown = json!({"type": type_name(server.is_shared)});
    if !server.is_shared {
        for (name, _, read) in SERVER_PARTS {
            shown[name] = read(server).unwrap_or(Value::Null);
        }
    }
    shown
}

fn written_server(written: &Value) -> Value {
    let is_shared = written["type"] == type_name(true);
    let mut server = json!({"isShared": is_shared, "provider": "smtp"});
    for (name, setting, _) in SERVER_PARTS {
        if let Some(value) = written.get(name) {
            server[setting] = value.clone();
        }
    }
    server
}
