//! The fields and settings of a project in requests.

use muniment_domain::Patch;
use muniment_domain::project::config::{MERGE_STRATEGIES, PROVIDERS};
use muniment_domain::project::legacy_config::{LEGACY_FIELDS, LegacyField, LegacyShape};
use muniment_domain::project::{OnboardingStatus, ProjectUpdated};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::app::projects::ProjectChange;
use crate::http::internal::shapes::{by_type, named};
use crate::http::request::declare::{Audience, FieldDescription, Part, fields};
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::presence::{nullable, optional, required};
use crate::http::request::shape::scalars::{
    boolean, integer, lenient_email, non_empty_text, one_of, permission_id, text, url_text,
};
use crate::http::request::shape::{Place, Shape, list_of, object, scalar};
use crate::http::request::values;

/// The longest mail password, in UTF-16 code units.
const MAX_MAIL_PASSWORD: usize = 70;

/// Whose client or server is used: this server's, or the project's own.
const KINDS: [&str; 2] = ["shared", STANDARD];
const STANDARD: &str = "standard";

fields! {
    /// The fields that creating and changing a project have in common.
    pub(crate) struct ProjectFields {
        /// What the project is, in words.
        description: Patch<String> = nullable(text());
        /// The logo, as a link or, to upload it, as a `data:` URL of an image.
        logo_url: Patch<String> = nullable(url_text());
        /// The logo with the project's name, likewise.
        logo_full_url: Patch<String> = nullable(url_text());
        /// The logo for dark backgrounds, likewise.
        logo_dark_mode_url: Patch<String> = nullable(url_text());
        /// The logo with the project's name for dark backgrounds, likewise.
        logo_full_dark_mode_url: Patch<String> = nullable(url_text());
        /// Whether the project is in earnest, so that what only serves trying things out is off.
        is_production_mode: Option<bool> = optional(boolean());
        /// How far its owner has come in setting the project up.
        onboarding_status: Option<OnboardingStatus> = optional(named(&OnboardingStatus::NAMES));
        /// Settings, in their older shape. What is absent stays.
        config: Option<LegacySettings> = optional(object());
    }

    /// A permission that is named.
    struct PermissionFields {
        /// The permission's id.
        id: Value = required(permission_id().map(|id| json!(id)));
    }

    /// A domain to trust.
    struct DomainFields {
        /// Scheme and host, which may hold `*`, and perhaps a port.
        domain: String = required(scalar(web_address, web_address_schema));
        /// The path below which the SDK's own pages are.
        handler_path: String = required(absolute_path());
    }

    /// The project's own mail server.
    struct OwnEmailServer {
        /// Whose server it is.
        kind as "type": &'static str = required(one_of(&[STANDARD]));
        /// Its port.
        port: i64 = required(port());
        /// Its host.
        host: String = required(non_empty_text());
        /// With which name to log in.
        username: String = required(non_empty_text());
        /// With which password to log in. At most 70 characters.
        password: String = required(mail_password());
        /// The name that mail comes from.
        sender_name: String = required(non_empty_text());
        /// The address that mail comes from.
        sender_email: String = required(sender_address());
    }

    /// This server's mail server. What else is said is kept, but not used.
    struct SharedEmailServer {
        /// Whose server it is.
        kind as "type": &'static str = required(shared_kind());
        /// A port.
        port: Option<i64> = optional(port());
        /// A host.
        host: Option<String> = optional(non_empty_text());
        /// A name to log in with.
        username: Option<String> = optional(non_empty_text());
        /// A password to log in with. At most 70 characters.
        password: Option<String> = optional(mail_password());
        /// The name that mail comes from.
        sender_name: Option<String> = optional(non_empty_text());
        /// The address that mail comes from.
        sender_email: Option<String> = optional(sender_address());
    }

    /// An OAuth provider with a client of the project's own.
    struct OwnProvider {
        .. provider: ProviderFields;
        /// Whose client it is.
        kind as "type": &'static str = required(one_of(&[STANDARD]));
        /// The client's id.
        client_id: String = required(non_empty_text());
        /// The client's secret.
        client_secret: String = required(non_empty_text());
    }

    /// An OAuth provider with this server's client. What else is said of a client is kept, but not used.
    struct SharedProvider {
        .. provider: ProviderFields;
        /// Whose client it is.
        kind as "type": &'static str = required(shared_kind());
        /// A client's id.
        client_id: Option<String> = optional(text());
        /// A client's secret.
        client_secret: Option<String> = optional(text());
    }

    /// What goes with every OAuth provider.
    struct ProviderFields {
        /// Which provider it is.
        id: &'static str = required(one_of(&PROVIDERS));
        /// The configuration of Facebook's login for businesses.
        facebook_config_id: Option<String> = optional(text());
        /// The tenant at Microsoft whose accounts can sign in.
        microsoft_tenant_id: Option<String> = optional(text());
        /// The bundle ids of the project's apps on Apple's systems.
        apple_bundle_ids: Option<Vec<String>> = optional(list_of(text()));
    }
}

impl ProjectFields {
    /// The change that they ask for. The name, which creation demands, is not among them.
    pub(super) fn into_change(self, app: &App, display_name: Option<String>) -> ProjectChange {
        let description = match self.description {
            Patch::Keep => None,
            Patch::Clear => Some(String::new()),
            Patch::Set(text) => Some(text),
        };
        ProjectChange {
            profile: ProjectUpdated {
                display_name,
                description,
                logo_url: self.logo_url,
                logo_full_url: self.logo_full_url,
                logo_dark_mode_url: self.logo_dark_mode_url,
                logo_full_dark_mode_url: self.logo_full_dark_mode_url,
                is_production_mode: self.is_production_mode,
                onboarding_status: self.onboarding_status,
            },
            settings: self.config.unwrap_or_default().into_settings(app),
        }
    }
}

/// Settings as they are sent: those of [`LEGACY_FIELDS`] that are there.
#[derive(Default)]
pub(crate) struct LegacySettings(Vec<(&'static LegacyField, Value)>);

impl LegacySettings {
    fn into_settings(self, app: &App) -> Map<String, Value> {
        let written = |(field, value): (&LegacyField, Value)| {
            let value = field.write(&value, || app.random.uuid());
            (field.setting.to_owned(), value)
        };
        self.0.into_iter().map(written).collect()
    }
}

fn written_fields() -> impl Iterator<Item = &'static LegacyField> {
    let all: &'static [LegacyField] = &LEGACY_FIELDS;
    all.iter().filter(|field| field.is_written())
}

impl Part for LegacySettings {
    fn read(fields: &mut Fields<'_>) -> Checked<Self> {
        // All of them are read, so that all that is wrong is noted.
        let read: Vec<_> = written_fields()
            .map(|field| {
                let presence = optional(LegacyValue(field.shape));
                let value = fields.field(field.name, Audience::Everybody, &presence)?;
                Some(value.map(|value| (field, value)))
            })
            .collect();
        let read: Option<Vec<_>> = read.into_iter().collect();
        Some(Self(read?.into_iter().flatten().collect()))
    }

    fn describe() -> Vec<FieldDescription> {
        let described = |field: &LegacyField| {
            let about = format!("Kept as `{}`.", field.setting);
            let presence = optional(LegacyValue(field.shape));
            FieldDescription::of(field.name, &about, Audience::Everybody, &presence)
        };
        written_fields().map(described).collect()
    }
}

/// A value of a setting, in its older shape.
struct LegacyValue(LegacyShape);

impl LegacyValue {
    fn shape(&self) -> Box<dyn Shape<Value = Value>> {
        match self.0 {
            LegacyShape::Switch(_) => Box::new(boolean().map(Value::from)),
            LegacyShape::MergeStrategy => Box::new(one_of(&MERGE_STRATEGIES).map(Value::from)),
            LegacyShape::Theme => Box::new(text().map(Value::from)),
            LegacyShape::Permissions(_) => Box::new(
                list_of(object().map(|it: PermissionFields| json!({"id": it.id}))).map(Value::from),
            ),
            LegacyShape::Domains => Box::new(list_of(object().map(domain)).map(Value::from)),
            LegacyShape::Providers | LegacyShape::ProviderIds => Box::new(
                list_of(by_type(STANDARD, (own_provider, shared_provider))).map(Value::from),
            ),
            LegacyShape::EmailServer => Box::new(by_type(STANDARD, (own_server, shared_server))),
        }
    }
}

impl Shape for LegacyValue {
    type Value = Value;

    fn read(&self, value: &Value, place: &mut Place<'_>) -> Checked<Value> {
        self.shape().read(value, place)
    }

    fn schema(&self) -> Value {
        self.shape().schema()
    }
}

/// An object with what is there of these members.
fn object_of<const N: usize>(members: [(&str, Value); N]) -> Value {
    let there = members.into_iter().filter(|(_, value)| !value.is_null());
    there
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[allow(clippy::needless_pass_by_value, reason = "it converts what was read")]
fn domain(fields: DomainFields) -> Value {
    json!({"domain": fields.domain, "handler_path": fields.handler_path})
}

#[allow(clippy::needless_pass_by_value, reason = "it converts what was read")]
fn own_server(server: OwnEmailServer) -> Value {
    json!({
        "type": server.kind,
        "port": server.port,
        "host": server.host,
        "username": server.username,
        "password": server.password,
        "sender_name": server.sender_name,
        "sender_email": server.sender_email,
    })
}

#[allow(clippy::needless_pass_by_value, reason = "it converts what was read")]
fn shared_server(server: SharedEmailServer) -> Value {
    object_of([
        ("type", json!(server.kind)),
        ("port", json!(server.port)),
        ("host", json!(server.host)),
        ("username", json!(server.username)),
        ("password", json!(server.password)),
        ("sender_name", json!(server.sender_name)),
        ("sender_email", json!(server.sender_email)),
    ])
}

fn own_provider(own: OwnProvider) -> Value {
    let client = (Some(own.client_id), Some(own.client_secret));
    own.provider.shown(own.kind, client)
}

fn shared_provider(shared: SharedProvider) -> Value {
    let client = (shared.client_id, shared.client_secret);
    shared.provider.shown(shared.kind, client)
}

impl ProviderFields {
    fn shown(
        self,
        kind: &str,
        (client_id, client_secret): (Option<String>, Option<String>),
    ) -> Value {
        object_of([
            ("id", json!(self.id)),
            ("type", json!(kind)),
            ("client_id", json!(client_id)),
            ("client_secret", json!(client_secret)),
            ("facebook_config_id", json!(self.facebook_config_id)),
            ("microsoft_tenant_id", json!(self.microsoft_tenant_id)),
            ("apple_bundle_ids", json!(self.apple_bundle_ids)),
        ])
    }
}

/// A web address, possibly with `*` in the host.
pub(crate) fn web_address(value: &Value) -> Result<String, String> {
    let text = values::text(value)?;
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    let parses = url::Url::parse(&text.replace('*', "wildcard")).is_ok()
        || url::Url::parse(&text.replace(":*", ":1").replace('*', "wildcard")).is_ok();
    if is_web && parses && !text.contains(' ') {
        Ok(text)
    } else {
        Err("must be a URL that starts with http:// or https://".to_owned())
    }
}

fn web_address_schema() -> Value {
    json!({"type": "string", "pattern": "^https?://"})
}

fn absolute_path() -> impl Shape<Value = String> {
    let is_absolute = |path: String| {
        if path.starts_with('/') {
            Ok(path)
        } else {
            Err("must start with /".to_owned())
        }
    };
    text()
        .refine(is_absolute)
        .described(|| json!({"pattern": "^/"}))
}

/// Read where what is not shared was told apart already; all that may be said is told of what is neither.
fn shared_kind() -> impl Shape<Value = &'static str> {
    one_of(&KINDS).described(|| json!({"enum": ["shared"]}))
}

fn port() -> impl Shape<Value = i64> {
    integer(0..=65_535)
}

fn sender_address() -> impl Shape<Value = String> {
    lenient_email().map(|address| address.to_string())
}

fn mail_password() -> impl Shape<Value = String> {
    let read = |value: &Value| {
        values::non_empty_text(value)?;
        values::text_max(MAX_MAIL_PASSWORD)(value)
    };
    let schema = || json!({"type": "string", "minLength": 1, "maxLength": MAX_MAIL_PASSWORD});
    scalar(read, schema)
}
