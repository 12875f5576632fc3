//! A project's settings: override documents, their merge, and the rendered configuration.
//!
//! Each level keeps one override document, a JSON object whose top-level keys may be dotted
//! (`"auth.password.allowSignIn": true`). Rendering chains the levels, lays them over the
//! defaults, and reads the result into [`ProjectConfig`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::payments::PaymentsConfig;
use crate::PermissionId;
use crate::permission::{DefinitionChanges, Definitions};
use crate::restriction::EmailVerification;
use crate::sign_up_rules::{DefaultAction, Rules};

/// The theme of a project that chose none.
pub const DEFAULT_EMAIL_THEME: &str = "1df07ae6-abf3-4a40-83a5-a1a2cbe336ac";

/// A level of configuration; later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Project-wide switches.
    Project,
    /// Configuration kept as code.
    Branch,
    /// What the dashboard edits, and secrets.
    Environment,
}

/// The override documents of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overrides(BTreeMap<Level, Map<String, Value>>);

impl Overrides {
    /// The document of a level; empty if nothing was overridden there.
    #[must_use]
    pub fn document(&self, level: Level) -> Map<String, Value> {
        self.0.get(&level).cloned().unwrap_or_default()
    }

    /// Whether merging `value` under `key` would change the document of `level`.
    #[must_use]
    pub fn would_change(&self, level: Level, key: &str, value: &Value) -> bool {
        let Some(document) = self.0.get(&level) else {
            return true;
        };
        let replaces = |known: &String| known != key && is_at_or_below(known, key);
        document.get(key) != Some(value) || document.keys().any(replaces)
    }

    /// Merges `changes` into the document of `level`.
    pub fn merge(&mut self, level: Level, changes: Map<String, Value>) {
        merge(self.0.entry(level).or_default(), changes);
    }

    /// Writes permission definitions where the dashboard writes settings; a removed one is hidden
    /// from there, whichever level defined it.
    pub fn redefine(&mut self, definitions: DefinitionChanges) {
        let changes = definitions
            .into_iter()
            .map(|(id, definition)| (format!("rbac.permissions.{id}"), json!(definition)));
        self.merge(Level::Environment, changes.collect());
    }

    /// The permission definitions in effect. None if the settings cannot be rendered, which no
    /// checked write leads to.
    #[must_use]
    pub fn definitions(&self) -> Definitions {
        let config = ProjectConfig::render(self);
        config.map_or_else(|_| Definitions::new(), |config| config.rbac.permissions)
    }

    /// All levels chained into one document.
    fn chained(&self) -> Map<String, Value> {
        let mut chained = Map::new();
        for document in self.0.values() {
            merge(&mut chained, document.clone());
        }
        chained
    }
}

/// The contract's merge, flat on literal keys: a key of `changes` replaces the entries equal to
/// it or below it.
fn merge(document: &mut Map<String, Value>, changes: Map<String, Value>) {
    for key in changes.keys() {
        document.retain(|known, _| !is_at_or_below(known, key));
    }
    document.extend(changes);
}

fn is_at_or_below(key: &str, ancestor: &str) -> bool {
    key.strip_prefix(ancestor)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Lays an override document over the defaults: keys in order of depth, each setting its path.
/// A path whose parent does not exist is dropped; `null` stands for the default.
fn lay_over(defaults: &Value, document: Map<String, Value>) -> Value {
    let mut config = defaults.clone();
    let mut entries: Vec<_> = document.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.matches('.').count());
    for (key, value) in entries {
        set_path(&mut config, defaults, &key, value);
    }
    config
}

fn set_path(config: &mut Value, defaults: &Value, key: &str, value: Value) {
    let (parents, last) = key
        .rsplit_once('.')
        .map_or((None, key), |(p, l)| (Some(p), l));
    let mut target = config;
    for segment in parents.into_iter().flat_map(|path| path.split('.')) {
        match target.get_mut(segment) {
            Some(inner) => target = inner,
            None => return,
        }
    }
    let Some(object) = target.as_object_mut() else {
        return;
    };
    let default = key
        .split('.')
        .try_fold(defaults, |inner, segment| inner.get(segment));
    match filled(default, value) {
        Some(value) => object.insert(last.to_owned(), value),
        // Entries of a record have no default: `null` deletes them.
        None => object.remove(last),
    };
}

/// A value with the defaults that it does not mention.
fn filled(default: Option<&Value>, value: Value) -> Option<Value> {
    match (default, value) {
        (default, Value::Null) => default.cloned(),
        (Some(Value::Object(known)), Value::Object(given)) => {
            let mut object = known.clone();
            for (key, value) in given {
                match filled(known.get(&key), value) {
                    Some(value) => object.insert(key, value),
                    None => object.remove(&key),
                };
            }
            Some(Value::Object(object))
        }
        (_, value) => Some(without_nulls(value)),
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .filter(|(_, inner)| !inner.is_null())
                .map(|(key, inner)| (key, without_nulls(inner)))
                .collect(),
        ),
        other => other,
    }
}

/// The rendered configuration: what the server acts on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectConfig {
    /// Project-wide switches.
    pub project: ProjectSwitches,
    /// Ways to sign up and in.
    pub auth: AuthConfig,
    /// Teams.
    pub teams: TeamsConfig,
    /// Users.
    pub users: UsersConfig,
    /// What is demanded of new users.
    pub onboarding: OnboardingConfig,
    /// Where users may be sent back to.
    pub domains: DomainsConfig,
    /// API keys of users and teams.
    pub api_keys: ApiKeysConfig,
    /// Permissions.
    pub rbac: RbacConfig,
    /// Outgoing mail.
    pub emails: EmailsConfig,
    /// Items, products and purchases.
    pub payments: PaymentsConfig,
}

/// `project.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectSwitches {
    /// Client access needs a publishable key.
    pub require_publishable_client_key: bool,
}

/// A way to sign in that can be switched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignInSwitch {
    /// Users may sign in this way.
    pub allow_sign_in: bool,
}

/// `auth.*`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthConfig {
    /// Strangers may sign up.
    pub allow_sign_up: bool,
    /// Email and password.
    pub password: SignInSwitch,
    /// Codes by email.
    pub otp: SignInSwitch,
    /// Passkeys.
    pub passkey: SignInSwitch,
    /// OAuth.
    pub oauth: OauthConfig,
    /// Who may sign up, by rules.
    pub sign_up_rules: Rules,
    /// What happens when no rule settles it.
    pub sign_up_rules_default_action: DefaultAction,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            allow_sign_up: true,
            password: SignInSwitch::default(),
            otp: SignInSwitch::default(),
            passkey: SignInSwitch::default(),
            oauth: OauthConfig::default(),
            sign_up_rules: Rules::new(),
            sign_up_rules_default_action: DefaultAction::default(),
        }
    }
}

/// What happens when an OAuth sign-in brings an email that an account has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountMergeStrategy {
    /// The OAuth account is linked to it, if both emails are verified.
    #[default]
    LinkMethod,
    /// The sign-in is refused.
    RaiseError,
    /// A second account is made.
    AllowDuplicates,
}

/// `auth.oauth.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OauthConfig {
    /// What happens when the email is known.
    pub account_merge_strategy: AccountMergeStrategy,
    /// Providers by their id in this project.
    pub providers: BTreeMap<String, OauthProvider>,
}

/// `auth.oauth.providers.{id}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OauthProvider {
    /// The provider's type; an entry without one is ignored.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The server's own client is used.
    pub is_shared: bool,
    /// Users may sign in with it.
    pub allow_sign_in: bool,
    /// Users may connect an account.
    pub allow_connected_accounts: bool,
    /// The project's client id at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The project's client secret at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Facebook's business configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facebook_config_id: Option<String>,
    /// Microsoft's tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsoft_tenant_id: Option<String>,
    /// Apple's app bundles, for native sign-in.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub apple_bundles: BTreeMap<String, AppleBundle>,
}

impl Default for OauthProvider {
    fn default() -> Self {
        Self {
            kind: None,
            is_shared: true,
            allow_sign_in: false,
            allow_connected_accounts: false,
            client_id: None,
            client_secret: None,
            facebook_config_id: None,
            microsoft_tenant_id: None,
            apple_bundles: BTreeMap::new(),
        }
    }
}

/// `auth.oauth.providers.{id}.appleBundles.{uid}`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AppleBundle {
    /// The bundle's id.
    pub bundle_id: String,
}

/// `teams.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TeamsConfig {
    /// Every new user gets a team of their own.
    pub create_personal_team_on_sign_up: bool,
    /// Clients may found teams.
    pub allow_client_team_creation: bool,
}

/// `users.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsersConfig {
    /// Users may delete their own account.
    pub allow_client_user_deletion: bool,
}

/// `onboarding.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnboardingConfig {
    /// Users without a verified primary email are restricted.
    pub require_email_verification: bool,
}

/// `domains.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DomainsConfig {
    /// Local hosts are trusted.
    pub allow_localhost: bool,
    /// The trusted domains.
    pub trusted_domains: BTreeMap<String, TrustedDomain>,
}

/// `domains.trustedDomains.{uid}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrustedDomain {
    /// The origin, possibly with `*` in the host; an entry without one is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Where the SDK's own pages are.
    pub handler_path: String,
}

impl Default for TrustedDomain {
    fn default() -> Self {
        Self {
            base_url: None,
            handler_path: "/handler".to_owned(),
        }
    }
}

/// `apiKeys.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiKeysConfig {
    /// Who may have them.
    pub enabled: ApiKeySwitches,
}

/// `apiKeys.enabled.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiKeySwitches {
    /// Teams.
    pub team: bool,
    /// Users.
    pub user: bool,
}

/// `rbac.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RbacConfig {
    /// The definitions.
    pub permissions: Definitions,
    /// What is granted when.
    pub default_permissions: DefaultPermissions,
}

/// `rbac.defaultPermissions.*`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DefaultPermissions {
    /// To a team's creator, in the team.
    pub team_creator: BTreeMap<PermissionId, bool>,
    /// To a new member, in the team.
    pub team_member: BTreeMap<PermissionId, bool>,
    /// To a new user, in the project.
    pub sign_up: BTreeMap<PermissionId, bool>,
}

/// `emails.*`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmailsConfig {
    /// The theme of mails.
    pub selected_theme_id: String,
    /// The mail server.
    pub server: EmailServer,
}

impl Default for EmailsConfig {
    fn default() -> Self {
        Self {
            selected_theme_id: DEFAULT_EMAIL_THEME.to_owned(),
            server: EmailServer::default(),
        }
    }
}

/// `emails.server.*`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmailServer {
    /// The server's own mail server is used.
    pub is_shared: bool,
    /// `smtp`, `resend` or `managed`.
    pub provider: String,
    /// The host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The name mails come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_name: Option<String>,
    /// The address mails come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_email: Option<String>,
}

impl Default for EmailServer {
    fn default() -> Self {
        Self {
            is_shared: true,
            provider: "smtp".to_owned(),
            host: None,
            port: None,
            username: None,
            password: None,
            sender_name: None,
            sender_email: None,
        }
    }
}

impl ProjectConfig {
    /// Renders the overrides over the defaults.
    ///
    /// # Errors
    /// When a stored override has the wrong type. Writes are checked, so that is a damaged row.
    pub fn render(overrides: &Overrides) -> Result<Self, serde_json::Error> {
        let defaults = serde_json::to_value(Self::default())?;
        let mut config: Self = serde_json::from_value(lay_over(&defaults, overrides.chained()))?;
        config
            .auth
            .oauth
            .providers
            .retain(|_, provider| provider.kind.is_some());
        Ok(config)
    }

    /// Whether users need a verified primary email.
    #[must_use]
    pub fn email_verification(&self) -> EmailVerification {
        if self.onboarding.require_email_verification {
            EmailVerification::Required
        } else {
            EmailVerification::Optional
        }
    }
}

/// The settings that every newly created project starts with, beside the defaults.
#[must_use]
pub fn initial_settings() -> Map<String, Value> {
    let settings = json!({
        "rbac.permissions.team_member": {
            "scope": "team",
            "description": "What every member of a team may do.",
            "containedPermissionIds": {"$read_members": true, "$invite_members": true},
        },
        "rbac.permissions.team_admin": {
            "scope": "team",
            "description": "What the creator of a team may do.",
            "containedPermissionIds": {
                "$update_team": true, "$delete_team": true, "$read_members": true,
                "$remove_members": true, "$invite_members": true, "$manage_api_keys": true,
            },
        },
        "rbac.defaultPermissions.teamCreator": {"team_admin": true},
        "rbac.defaultPermissions.teamMember": {"team_member": true},
        "auth.password.allowSignIn": true,
        "apps.installed.authentication.enabled": true,
        "apps.installed.emails.enabled": true,
    });
    match settings {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::{Definition, Scope};

    fn overrides(level: Level, document: Value) -> Overrides {
        let mut overrides = Overrides::default();
        overrides.merge(level, serde_json::from_value(document).unwrap());
        overrides
    }

    #[test]
    fn an_empty_project_renders_the_defaults() {
        let config = ProjectConfig::render(&Overrides::default()).unwrap();
        assert_eq!(config, ProjectConfig::default());
        assert!(config.auth.allow_sign_up);
    }

    #[test]
    fn later_levels_win_and_nested_objects_keep_defaults() {
        let mut overrides = overrides(Level::Branch, json!({"auth.password.allowSignIn": true}));
        overrides.merge(
            Level::Environment,
            serde_json::from_value(json!({"auth": {"allowSignUp": false}})).unwrap(),
        );
        let config = ProjectConfig::render(&overrides).unwrap();
        assert!(!config.auth.allow_sign_up);
        assert_eq!(config.auth.oauth, OauthConfig::default());
    }

    #[test]
    fn a_dotted_key_without_its_parent_is_dropped() {
        let with_parent = json!({"domains.trustedDomains.a": {"baseUrl": "https://a.example"}});
        let without = json!({"domains.trustedDomains.a.baseUrl": "https://a.example"});
        let rendered =
            |document| ProjectConfig::render(&overrides(Level::Environment, document)).unwrap();
        assert_eq!(
            rendered(with_parent).domains.trusted_domains["a"].handler_path,
            "/handler"
        );
        assert!(rendered(without).domains.trusted_domains.is_empty());
    }

    #[test]
    fn null_is_the_default_and_deletes_entries() {
        let document = json!({
            "auth.signUpRules": {"a": {"enabled": true}, "b": {"enabled": true, "condition": null}},
            "auth.signUpRules.a": null,
            "auth.allowSignUp": null,
        });
        let config = ProjectConfig::render(&overrides(Level::Environment, document)).unwrap();
        let rules: Vec<_> = config.auth.sign_up_rules.keys().collect();
        assert_eq!(rules, ["b"]);
        assert!(config.auth.allow_sign_up);
    }

    #[test]
    fn a_deeper_key_sets_its_path_whole() {
        let document = json!({
            "auth": {"signUpRules": {"a": {}}, "allowSignUp": false},
            "auth.signUpRules": {"b": {"priority": 1}},
        });
        let config = ProjectConfig::render(&overrides(Level::Environment, document)).unwrap();
        let rules: Vec<_> = config.auth.sign_up_rules.keys().collect();
        assert_eq!(rules, ["b"]);
        assert!(!config.auth.allow_sign_up);
    }

    #[test]
    fn a_record_entry_is_replaced_or_removed_as_a_whole() {
        let nested = json!({"rbac": {"permissions": {
            "a": {"scope": "team", "description": "Old."}, "b": {"scope": "team"},
        }}});
        let mut overrides = overrides(Level::Branch, nested);
        let replaced = Definition {
            scope: Some(Scope::Team),
            ..Definition::default()
        };
        overrides.redefine(DefinitionChanges::from([
            (PermissionId::new("a"), Some(replaced.clone())),
            (PermissionId::new("b"), None),
        ]));
        let expected = Definitions::from([(PermissionId::new("a"), replaced)]);
        assert_eq!(overrides.definitions(), expected);
    }

    #[test]
    fn merging_replaces_what_lies_below_the_key() {
        let mut document = json!({"a.b": 1, "ab": 2}).as_object().unwrap().clone();
        merge(
            &mut document,
            json!({"a": {"c": 1}}).as_object().unwrap().clone(),
        );
        assert_eq!(Value::Object(document), json!({"a": {"c": 1}, "ab": 2}));
    }
}
