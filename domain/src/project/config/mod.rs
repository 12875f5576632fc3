//! The rendered configuration: what the server acts on, and what operators may override.
//!
//! Every setting is one line here: at which level it can be written, its name in documents, its
//! type, its default. Validation, defaults, rendering and the JSON Schema all follow from these
//! lines; see [`super::schema`].

mod email_server;
mod initial;
mod onboarding;
mod render;
mod values;

use std::collections::BTreeMap;

use serde_json::Number;

use super::built_in_emails::{self, DEFAULT_THEME, EmailTemplate, EmailTheme};
use super::payments::PaymentsConfig;
use super::schema::{RecordKey, Shape, no_entries, settings};
use crate::PermissionId;
use crate::permission::{Definition, Definitions};
use crate::sign_up_rules::{DefaultAction, Rules};
use values::{by_uuid, in_order};

pub use initial::initial_settings;
pub use values::{AccountMergeStrategy, DataSource, MERGE_STRATEGIES, PROVIDERS};

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
