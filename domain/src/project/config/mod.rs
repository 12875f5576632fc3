//! The rendered configuration: what the server acts on, and what operators may override.
//!
//! Every setting is one line here: at which level it can be written, its name in documents, its
//! type, its default (contract 04 §5). Validation, defaults, rendering and the JSON Schema all
//! follow from these lines; see [`super::schema`].

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Number, Value, json};

use super::built_in_emails::{self, DEFAULT_THEME, EmailTemplate, EmailTheme};
use super::overrides::Overrides;
use super::payments::PaymentsConfig;
use super::schema::{Field, RecordKey, Setting, Shape, default_of, lay_over, no_entries, settings};
use crate::PermissionId;
use crate::permission::{Definition, Definitions};
use crate::restriction::EmailVerification;
use crate::sign_up_rules::{self, DefaultAction, Rules, SignUpRule};

pub use super::overrides::Level;

/// The theme of a project that chose none.
pub const DEFAULT_EMAIL_THEME: &str = DEFAULT_THEME;
/// The host of mail servers that are managed.
const MANAGED_HOST: &str = "smtp.resend.com";
/// Its port.
const MANAGED_PORT: u16 = 465;
/// The account there.
const MANAGED_USERNAME: &str = "resend";

/// What is done with an OAuth account whose address a user has already.
pub const MERGE_STRATEGIES: [&str; 3] = ["link_method", "raise_error", "allow_duplicates"];

/// The OAuth providers that exist.
pub const PROVIDERS: [&str; 12] = [
    "google",
    "github",
    "microsoft",
    "spotify",
    "facebook",
    "discord",
    "gitlab",
    "bitbucket",
    "linkedin",
    "apple",
    "x",
    "twitch",
];

settings! {
    /// The rendered configuration: what the server acts on.
    ProjectConfig {
        /// Where the project's data is.
        Project "sourceOfTruth" source_of_truth: SourceOfTruth = SourceOfTruth::default();
        /// Project-wide switches.
        Project "project" project: ProjectSwitches = ProjectSwitches::default();
        /// Permissions.
        Branch "rbac" rbac: RbacConfig = RbacConfig::default();
        /// API keys of users and teams.
        Branch "apiKeys" api_keys: ApiKeysConfig = ApiKeysConfig::default();
        /// What the dashboard shows.
        Branch "apps" apps: AppsConfig = AppsConfig::default();
        /// Teams.
        Branch "teams" teams: TeamsConfig = TeamsConfig::default();
        /// Users.
        Branch "users" users: UsersConfig = UsersConfig::default();
        /// What is demanded of new users.
        Branch "onboarding" onboarding: OnboardingConfig = OnboardingConfig::default();
        /// Where users may be sent back to.
        Branch "domains" domains: DomainsConfig = DomainsConfig::default();
        /// Ways to sign up and in.
        Branch "auth" auth: AuthConfig = AuthConfig::default();
        /// Outgoing mail.
        Branch "emails" emails: EmailsConfig = EmailsConfig::default();
        /// Products and items.
        Branch "payments" payments: PaymentsConfig = PaymentsConfig::default();
        /// Databases that are kept in step.
        Branch "dbSync" db_sync: DbSyncConfig = DbSyncConfig::default();
        /// Stores of sealed values.
        Branch "dataVault" data_vault: DataVaultConfig = DataVaultConfig::default();
        /// Queries kept for analysts.
        Environment "analytics" analytics: AnalyticsConfig = AnalyticsConfig::default();
        /// Dashboards of one's own, by their ids.
        Environment "customDashboards" custom_dashboards: BTreeMap<String, CustomDashboard> =
            BTreeMap::new(), by_uuid(&CustomDashboard::SHAPE);
        /// Conversations with users.
        Branch "support" support: SupportConfig = SupportConfig::default();
    }

    /// `sourceOfTruth.*`
    SourceOfTruth {
        /// What it is.
        Project "type" kind: DataSource = DataSource::Hosted;
    } + optional {
        /// Neon's branches.
        Project "connectionStrings" connection_strings: BTreeMap<String, String>;
        /// The database.
        Project "connectionString" connection_string: String;
    }

    /// `project.*`
    ProjectSwitches {
        /// Client access needs a publishable key.
        Project "requirePublishableClientKey" require_publishable_client_key: bool = false;
    }

    /// `rbac.*`
    RbacConfig {
        /// The definitions.
        Branch "permissions" permissions: Definitions = Definitions::new(), Shape::Record {
            key: RecordKey::CustomPermission,
            entry: &Definition::SHAPE,
            default: no_entries,
        };
        /// What is granted when.
        Branch "defaultPermissions" default_permissions: DefaultPermissions =
            DefaultPermissions::default();
    }

    /// `rbac.defaultPermissions.*`
    DefaultPermissions {
        /// To a team's creator, in the team.
        Branch "teamCreator" team_creator: BTreeMap<PermissionId, bool> = BTreeMap::new();
        /// To a new member, in the team.
        Branch "teamMember" team_member: BTreeMap<PermissionId, bool> = BTreeMap::new();
        /// To a new user, in the project.
        Branch "signUp" sign_up: BTreeMap<PermissionId, bool> = BTreeMap::new();
    }

    /// `apiKeys.*`
    ApiKeysConfig {
        /// Who may have them.
        Branch "enabled" enabled: ApiKeySwitches = ApiKeySwitches::default();
    }

    /// `apiKeys.enabled.*`
    ApiKeySwitches {
        /// Teams.
        Branch "team" team: bool = false;
        /// Users.
        Branch "user" user: bool = false;
    }

    /// `apps.*`
    AppsConfig {
        /// Which the dashboard shows. Nothing depends on it.
        Branch "installed" installed: InstalledApps = InstalledApps::default();
    }

    /// `apps.installed.{app}`
    AppSwitch {
        /// The dashboard shows it.
        Branch "enabled" enabled: bool = false;
    }

    /// `apps.installed.*`, in the order in which they are shown.
    #[allow(missing_docs, reason = "the names of apps")]
    InstalledApps {
        Branch "authentication" authentication: AppSwitch = AppSwitch::default();
        Branch "fraud-protection" fraud_protection: AppSwitch = AppSwitch::default();
        Branch "onboarding" onboarding: AppSwitch = AppSwitch::default();
        Branch "teams" teams: AppSwitch = AppSwitch::default();
        Branch "rbac" rbac: AppSwitch = AppSwitch::default();
        Branch "api-keys" api_keys: AppSwitch = AppSwitch::default();
        Branch "payments" payments: AppSwitch = AppSwitch::default();
        Branch "emails" emails: AppSwitch = AppSwitch::default();
        Branch "email-api" email_api: AppSwitch = AppSwitch::default();
        Branch "data-vault" data_vault: AppSwitch = AppSwitch::default();
        Branch "webhooks" webhooks: AppSwitch = AppSwitch::default();
        Branch "tv-mode" tv_mode: AppSwitch = AppSwitch::default();
        Branch "launch-checklist" launch_checklist: AppSwitch = AppSwitch::default();
        Branch "catalyst" catalyst: AppSwitch = AppSwitch::default();
        Branch "neon" neon: AppSwitch = AppSwitch::default();
        Branch "convex" convex: AppSwitch = AppSwitch::default();
        Branch "vercel" vercel: AppSwitch = AppSwitch::default();
        Branch "analytics" analytics: AppSwitch = AppSwitch::default();
    }

    /// `teams.*`
    TeamsConfig {
        /// Every new user gets a team of their own.
        Branch "createPersonalTeamOnSignUp" create_personal_team_on_sign_up: bool = false;
        /// Clients may found teams.
        Branch "allowClientTeamCreation" allow_client_team_creation: bool = false;
    }

    /// `users.*`
    UsersConfig {
        /// Users may delete their own account.
        Branch "allowClientUserDeletion" allow_client_user_deletion: bool = false;
    }

    /// `onboarding.*`
    OnboardingConfig {
        /// Users without a verified primary email are restricted.
        Branch "requireEmailVerification" require_email_verification: bool = false;
    }

    /// `domains.*`
    DomainsConfig {
        /// Local hosts are trusted.
        Environment "allowLocalhost" allow_localhost: bool = false;
        /// The trusted domains.
        Environment "trustedDomains" trusted_domains: BTreeMap<String, TrustedDomain> =
            BTreeMap::new();
    }

    /// `domains.trustedDomains.{id}`
    TrustedDomain {
        /// Where the SDK's own pages are.
        Environment "handlerPath" handler_path: String = "/handler".to_owned();
    } + optional {
        /// The origin, possibly with `*` in the host; an entry without one is ignored.
        Environment "baseUrl" base_url: String;
    }

    /// A way to sign in that can be switched.
    SignInSwitch {
        /// Users may sign in this way.
        Branch "allowSignIn" allow_sign_in: bool = false;
    }

    /// `auth.*`
    AuthConfig {
        /// Strangers may sign up.
        Branch "allowSignUp" allow_sign_up: bool = true;
        /// Email and password.
        Branch "password" password: SignInSwitch = SignInSwitch::default();
        /// Codes by email.
        Branch "otp" otp: SignInSwitch = SignInSwitch::default();
        /// Passkeys.
        Branch "passkey" passkey: SignInSwitch = SignInSwitch::default();
        /// OAuth.
        Branch "oauth" oauth: OauthConfig = OauthConfig::default();
        /// Who may sign up, by rules.
        #[serde(serialize_with = "in_order")]
        Branch "signUpRules" sign_up_rules: Rules = Rules::new();
        /// What happens when no rule settles it.
        Branch "signUpRulesDefaultAction" sign_up_rules_default_action: DefaultAction =
            DefaultAction::Allow;
    }

    /// `auth.oauth.*`
    OauthConfig {
        /// What happens when the email is known.
        Branch "accountMergeStrategy" account_merge_strategy: AccountMergeStrategy =
            AccountMergeStrategy::LinkMethod;
        /// Providers by their id in this project.
        Branch "providers" providers: BTreeMap<String, OauthProvider> = BTreeMap::new(),
            Shape::Record {
                key: RecordKey::Permission,
                entry: &OauthProvider::SHAPE,
                default: no_entries,
            };
    }

    /// `auth.oauth.providers.{id}`
    OauthProvider {
        /// The server's own client is used.
        Environment "isShared" is_shared: bool = true;
        /// Users may sign in with it.
        Branch "allowSignIn" allow_sign_in: bool = false;
        /// Users may connect an account.
        Branch "allowConnectedAccounts" allow_connected_accounts: bool = false;
        /// Apple's app bundles, for native sign-in.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        Environment "appleBundles" apple_bundles: BTreeMap<String, AppleBundle> = BTreeMap::new();
    } + optional {
        /// The provider's type; an entry without one is ignored.
        Branch "type" kind: String, Shape::OneOf(&PROVIDERS);
        /// The project's client id at the provider.
        Environment "clientId" client_id: String;
        /// The project's client secret at the provider.
        Environment "clientSecret" client_secret: String;
        /// Facebook's business configuration.
        Environment "facebookConfigId" facebook_config_id: String;
        /// Microsoft's tenant.
        Environment "microsoftTenantId" microsoft_tenant_id: String;
    }

    /// `auth.oauth.providers.{id}.appleBundles.{id}`
    AppleBundle {} + optional {
        /// The bundle's id.
        Environment "bundleId" bundle_id: String;
    }

    /// `emails.*`
    EmailsConfig {
        /// The theme of mails.
        Branch "selectedThemeId" selected_theme_id: String = DEFAULT_THEME.to_owned();
        /// The themes, by their ids.
        Branch "themes" themes: BTreeMap<String, EmailTheme> = built_in_emails::themes(),
            Shape::Record {
                key: RecordKey::Uuid,
                entry: &EmailTheme::SHAPE,
                default: built_in_emails::theme_entries,
            };
        /// The templates, by their ids.
        Branch "templates" templates: BTreeMap<String, EmailTemplate> =
            built_in_emails::templates(),
            Shape::Record {
                key: RecordKey::Uuid,
                entry: &EmailTemplate::SHAPE,
                default: built_in_emails::template_entries,
            };
        /// The mail server.
        Branch "server" server: EmailServer = EmailServer::default();
    }

    /// `emails.server.*`
    EmailServer {
        /// The server's own mail server is used.
        Environment "isShared" is_shared: bool = true;
        /// `smtp`, `resend` or `managed`.
        Environment "provider" provider: String = "smtp".to_owned(),
            Shape::OneOf(&["smtp", "resend", "managed"]);
    } + optional {
        /// The host's name.
        Environment "host" host: String;
        /// The port, which may be out of range: see [`EmailServer::port`].
        Environment "port" port: Number;
        /// The account.
        Environment "username" username: String;
        /// Its password.
        Environment "password" password: String;
        /// The name mails come from.
        Environment "senderName" sender_name: String;
        /// The address mails come from.
        Environment "senderEmail" sender_email: String;
        /// The domain of a managed server.
        Environment "managedSubdomain" managed_subdomain: String;
        /// The part of the sender's address before it.
        Environment "managedSenderLocalPart" managed_sender_local_part: String;
    }

    /// `dbSync.*`
    DbSyncConfig {
        /// The databases.
        Branch "externalDatabases" external_databases: BTreeMap<String, ExternalDatabase> =
            BTreeMap::new();
    }

    /// `dbSync.externalDatabases.{id}`
    ExternalDatabase {} + optional {
        /// `postgres`
        Branch "type" kind: String, Shape::OneOf(&["postgres"]);
        /// Where it is.
        Branch "connectionString" connection_string: String;
    }

    /// `dataVault.*`
    DataVaultConfig {
        /// The stores.
        Branch "stores" stores: BTreeMap<String, VaultStore> = BTreeMap::new();
    }

    /// `dataVault.stores.{id}`
    VaultStore {
        /// Its name.
        Branch "displayName" display_name: String = "Unnamed Vault".to_owned();
    }

    /// `analytics.*`
    AnalyticsConfig {
        /// The folders.
        Environment "queryFolders" query_folders: BTreeMap<String, QueryFolder> = BTreeMap::new();
    }

    /// `analytics.queryFolders.{id}`
    QueryFolder {
        /// Its name.
        Environment "displayName" display_name: String = "Unnamed Folder".to_owned();
        /// Its place among the others.
        Environment "sortOrder" sort_order: Number = Number::from(0);
        /// What is in it.
        Environment "queries" queries: BTreeMap<String, KeptQuery> = BTreeMap::new();
    }

    /// `analytics.queryFolders.{id}.queries.{id}`
    KeptQuery {
        /// Its name.
        Environment "displayName" display_name: String = "Unnamed Query".to_owned();
        /// What is asked.
        Environment "sqlQuery" sql_query: String = String::new();
    } + optional {
        /// What it is for.
        Environment "description" description: String;
    }

    /// `customDashboards.{id}`
    CustomDashboard {
        /// Its name.
        Environment "displayName" display_name: String = "Unnamed Dashboard".to_owned();
        /// Its source.
        Environment "tsxSource" tsx_source: String =
            "export const dashboard = () => <div>This dashboard is empty.</div>;".to_owned();
    }

    /// `support.*`
    SupportConfig {
        /// How fast users are to be answered.
        Branch "sla" sla: SupportSla = SupportSla::default();
    }

    /// `support.sla.*`
    SupportSla {
        /// Due times are kept.
        Branch "enabled" enabled: bool = false;
    } + optional {
        /// Until the first answer.
        Branch "firstResponseMinutes" first_response_minutes: Number;
        /// Until each further answer.
        Branch "nextResponseMinutes" next_response_minutes: Number;
    }
}

/// Where a project's data is: `sourceOfTruth.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// In this server's own database.
    #[default]
    Hosted,
    /// At Neon.
    Neon,
    /// In another Postgres.
    Postgres,
}

impl Setting for DataSource {
    const SHAPE: Shape = Shape::OneOf(&["hosted", "neon", "postgres"]);
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

impl Setting for AccountMergeStrategy {
    const SHAPE: Shape = Shape::OneOf(&MERGE_STRATEGIES);
}

impl Setting for DefaultAction {
    const SHAPE: Shape = Shape::OneOf(&["allow", "reject"]);
}

impl Setting for Definition {
    const SHAPE: Shape = Shape::Object {
        fields: &[
            branch("description", &Shape::Text),
            branch("scope", &Shape::OneOf(&["team", "project"])),
            branch(
                "containedPermissionIds",
                &<BTreeMap<PermissionId, bool>>::SHAPE,
            ),
        ],
        default: default_of::<Self>,
    };
}

impl Setting for SignUpRule {
    const SHAPE: Shape = Shape::Object {
        fields: &[
            branch("enabled", &Shape::Boolean),
            branch("displayName", &Shape::Text),
            branch("priority", &Shape::Number),
            branch("condition", &Shape::Condition),
            branch("action", &sign_up_rules::Action::SHAPE),
        ],
        default: default_of::<Self>,
    };
}

impl Setting for sign_up_rules::Action {
    const SHAPE: Shape = Shape::Object {
        fields: &[
            branch(
                "type",
                &Shape::OneOf(&["allow", "reject", "restrict", "log"]),
            ),
            branch("message", &Shape::Text),
        ],
        default: default_of::<Self>,
    };
}

const fn branch(name: &'static str, shape: &'static Shape) -> Field {
    Field {
        name,
        level: Level::Branch,
        shape,
    }
}

const fn by_uuid(entry: &'static Shape) -> Shape {
    Shape::Record {
        key: RecordKey::Uuid,
        entry,
        default: no_entries,
    }
}

/// Rules in the order in which they are asked.
fn in_order<S: Serializer>(rules: &Rules, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(rules.len()))?;
    for (id, rule) in sign_up_rules::in_order(rules) {
        map.serialize_entry(id, rule)?;
    }
    map.end()
}

impl EmailServer {
    /// Where to connect to, if that is known.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        if self.is_managed() {
            return Some(MANAGED_HOST);
        }
        self.host.as_deref()
    }

    /// The port, if it is one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        if self.is_managed() {
            return Some(MANAGED_PORT);
        }
        u16::try_from(self.port.as_ref()?.as_u64()?).ok()
    }

    /// The account.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        if self.is_managed() {
            return Some(MANAGED_USERNAME);
        }
        self.username.as_deref()
    }

    /// The address mails come from.
    #[must_use]
    pub fn sender(&self) -> Option<String> {
        let local = self.managed_sender_local_part.as_ref();
        match local.zip(self.managed_subdomain.as_ref()) {
            Some((local, domain)) if self.is_managed() => Some(format!("{local}@{domain}")),
            _ => self.sender_email.clone(),
        }
    }

    fn is_managed(&self) -> bool {
        self.provider == "managed"
    }
}

impl ProjectConfig {
    /// Renders the overrides over the defaults.
    ///
    /// # Errors
    /// When a stored override has the wrong type. Writes are checked, so that is a damaged row.
    pub fn render(overrides: &Overrides) -> Result<Self, serde_json::Error> {
        let document = lay_over(&Self::SHAPE, overrides.chained());
        let mut config: Self = serde_json::from_value(document)?;
        config.sanitize();
        Ok(config)
    }

    /// What no single setting says (contract 04 §4.4, step 4).
    fn sanitize(&mut self) {
        self.source_of_truth.sanitize();
        self.auth
            .oauth
            .providers
            .retain(|_, provider| provider.kind.is_some());
        self.emails.sanitize();
        self.payments.sanitize();
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

impl SourceOfTruth {
    /// What is not complete does not count.
    fn sanitize(&mut self) {
        let given = std::mem::take(self);
        *self = match given.kind {
            DataSource::Neon if given.connection_strings.is_some() => Self {
                connection_string: None,
                ..given
            },
            DataSource::Postgres if given.connection_string.is_some() => Self {
                connection_strings: None,
                ..given
            },
            _ => Self::default(),
        };
    }
}

impl EmailsConfig {
    fn sanitize(&mut self) {
        if !self.themes.contains_key(&self.selected_theme_id) {
            DEFAULT_THEME.clone_into(&mut self.selected_theme_id);
        }
        // What a project wrote itself is not sent from an address that is not its own.
        if self.server.is_shared {
            self.templates = built_in_emails::templates();
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
    use crate::permission::{DefinitionChanges, Scope};

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
}
