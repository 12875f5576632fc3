//! The fields and settings of a project in requests.

use muniment_domain::Patch;
use muniment_domain::project::config::{MERGE_STRATEGIES, PROVIDERS};
use muniment_domain::project::legacy_config::{LEGACY_FIELDS, LegacyField, LegacyShape};
use muniment_domain::project::{OnboardingStatus, ProjectUpdated};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::app::projects::ProjectChange;
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::values::{
    boolean, integer, lenient_email, non_empty_text, one_of, permission_id, text, text_max,
    url_text,
};

/// The longest mail password, in UTF-16 code units.
const MAX_MAIL_PASSWORD: usize = 70;

/// Everything of `ProjectUpdate` but the name, which creation demands.
pub(super) fn read_change(app: &App, body: &mut Fields<'_>) -> Option<ProjectChange> {
    let description = body.nullable("description", text);
    let logo_url = body.nullable("logo_url", url_text);
    let logo_full_url = body.nullable("logo_full_url", url_text);
    let logo_dark_mode_url = body.nullable("logo_dark_mode_url", url_text);
    let logo_full_dark_mode_url = body.nullable("logo_full_dark_mode_url", url_text);
    let is_production_mode = body.optional("is_production_mode", boolean);
    let onboarding_status = body.optional("onboarding_status", one_of(&OnboardingStatus::NAMES));
    let settings = body.optional_object("config", |config| read_settings(app, config));
    let onboarding_status = match onboarding_status? {
        Some(name) => Some(serde_json::from_value(json!(name)).ok()?),
        None => None,
    };
    let description = match description? {
        Patch::Keep => None,
        Patch::Clear => Some(String::new()),
        Patch::Set(text) => Some(text),
    };
    Some(ProjectChange {
        profile: ProjectUpdated {
            display_name: None,
            description,
            logo_url: logo_url?,
            logo_full_url: logo_full_url?,
            logo_dark_mode_url: logo_dark_mode_url?,
            logo_full_dark_mode_url: logo_full_dark_mode_url?,
            is_production_mode: is_production_mode?,
            onboarding_status,
        },
        settings: settings?.unwrap_or_default(),
    })
}

fn read_settings(app: &App, config: &mut Fields<'_>) -> Option<Map<String, Value>> {
    let mut settings = Map::new();
    let mut complete = true;
    for field in LEGACY_FIELDS.iter().filter(|field| field.is_written()) {
        match read_field(field, config) {
            Some(Some(written)) => {
                let value = field.write(&written, || app.random.uuid());
                settings.insert(field.setting.to_owned(), value);
            }
            Some(None) => {}
            None => complete = false,
        }
    }
    complete.then_some(settings)
}

/// A field's value, in its own shape.
fn read_field(field: &LegacyField, config: &mut Fields<'_>) -> Checked<Option<Value>> {
    fn value<T: Into<Value>>(read: Checked<Option<T>>) -> Checked<Option<Value>> {
        Some(read?.map(Into::into))
    }
    let name = field.name;
    match field.shape {
        LegacyShape::Switch(_) => value(config.optional(name, boolean)),
        LegacyShape::MergeStrategy => value(config.optional(name, one_of(&MERGE_STRATEGIES))),
        LegacyShape::Theme => value(config.optional(name, text)),
        LegacyShape::Permissions(_) => value(config.optional_list(name, |item| {
            Some(json!({"id": item.required("id", permission_id)?}))
        })),
        LegacyShape::Domains => value(config.optional_list(name, read_domain)),
        LegacyShape::Providers | LegacyShape::ProviderIds => {
            value(config.optional_list(name, read_provider))
        }
        LegacyShape::EmailServer => value(config.optional_object(name, read_email_server)),
    }
}

fn read_domain(item: &mut Fields<'_>) -> Option<Value> {
    let domain = item.required("domain", web_address);
    let handler_path = item.required("handler_path", absolute_path);
    Some(json!({"domain": domain?, "handler_path": handler_path?}))
}

/// A web address, possibly with `*` in the host.
pub(crate) fn web_address(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    let parses = url::Url::parse(&text.replace('*', "wildcard")).is_ok()
        || url::Url::parse(&text.replace(":*", ":1").replace('*', "wildcard")).is_ok();
    if is_web && parses && !text.contains(' ') {
        Ok(text)
    } else {
        Err("must be a URL that starts with http:// or https://".to_owned())
    }
}

fn absolute_path(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.starts_with('/') {
        Ok(text)
    } else {
        Err("must start with /".to_owned())
    }
}

/// A shared server needs nothing else, though it is kept; one of one's own needs everything.
fn read_email_server(fields: &mut Fields<'_>) -> Option<Value> {
    let kind = fields.required("type", one_of(&["shared", "standard"]));
    let is_standard = kind == Some("standard");
    let mut server = json!({"type": kind});
    let mut complete = kind.is_some();
    let mut keep = |name: &str, value: Option<Option<Value>>| match value {
        Some(Some(value)) => server[name] = value,
        Some(None) => {}
        None => complete = false,
    };
    let port = if is_standard {
        fields.required("port", integer(0..=65_535)).map(Some)
    } else {
        fields.optional("port", integer(0..=65_535))
    };
    keep("port", port.map(|port| port.map(Value::from)));
    let texts: [(&str, TextParser); 5] = [
        ("host", non_empty_text),
        ("username", non_empty_text),
        ("password", mail_password),
        ("sender_name", non_empty_text),
        ("sender_email", sender_address),
    ];
    for (name, parser) in texts {
        let value = if is_standard {
            fields.required(name, parser).map(Some)
        } else {
            fields.optional(name, parser)
        };
        keep(name, value.map(|value| value.map(Value::from)));
    }
    complete.then_some(server)
}

/// Reads a text, or says what it must be.
type TextParser = fn(&Value) -> Result<String, String>;

fn sender_address(value: &Value) -> Result<String, String> {
    lenient_email(value).map(|address| address.to_string())
}

fn mail_password(value: &Value) -> Result<String, String> {
    non_empty_text(value)?;
    text_max(MAX_MAIL_PASSWORD)(value)
}

fn read_provider(item: &mut Fields<'_>) -> Option<Value> {
    let id = item.required("id", one_of(&PROVIDERS));
    let kind = item.required("type", one_of(&["shared", "standard"]));
    let (client_id, client_secret) = if kind == Some("standard") {
        let id = item.required("client_id", non_empty_text);
        let secret = item.required("client_secret", non_empty_text);
        (id.map(Some), secret.map(Some))
    } else {
        (
            item.optional("client_id", text),
            item.optional("client_secret", text),
        )
    };
    let facebook = item.optional("facebook_config_id", text);
    let tenant = item.optional("microsoft_tenant_id", text);
    let bundles = item.optional_values("apple_bundle_ids", text);
    let mut provider = json!({"id": id?, "type": kind?});
    let optional = [
        ("client_id", client_id?),
        ("client_secret", client_secret?),
        ("facebook_config_id", facebook?),
        ("microsoft_tenant_id", tenant?),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            provider[name] = json!(value);
        }
    }
    if let Some(bundles) = bundles? {
        provider["apple_bundle_ids"] = json!(bundles);
    }
    Some(provider)
}
