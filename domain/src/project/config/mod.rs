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
        /// The database that holds the project's data.
        Project "sourceOfTruth" source_of_truth: SourceOfTruth = SourceOfTruth::default();
        /// Switches of the whole project.
        Project "project" project: ProjectSwitches = ProjectSwitches::default();
        /// Permissions: their definitions and defaults.
        Branch "rbac" rbac: RbacConfig = RbacConfig::default();
        /// API keys of users and teams.
        Branch "apiKeys" api_keys: ApiKeysConfig = ApiKeysConfig::default();
        /// The apps that the dashboard shows.
        Branch "apps" apps: AppsConfig = AppsConfig::default();
        /// What users may do with teams.
        Branch "teams" teams: TeamsConfig = TeamsConfig::default();
        /// What users may do with their accounts.
        Branch "users" users: UsersConfig = UsersConfig::default();
        /// What users must do before they are let in.
        Branch "onboarding" onboarding: OnboardingConfig = OnboardingConfig::default();
        /// The domains that users may be sent back to.
        Branch "domains" domains: DomainsConfig = DomainsConfig::default();
        /// The ways to sign up and in.
        Branch "auth" auth: AuthConfig = AuthConfig::default();
        /// Themes, templates and the mail server.
        Branch "emails" emails: EmailsConfig = EmailsConfig::default();
        /// Products and items.
        Branch "payments" payments: PaymentsConfig = PaymentsConfig::default();
        /// Databases that follow this one.
        Branch "dbSync" db_sync: DbSyncConfig = DbSyncConfig::default();
        /// Stores of sealed values.
        Branch "dataVault" data_vault: DataVaultConfig = DataVaultConfig::default();
        /// Queries that analysts keep.
        Environment "analytics" analytics: AnalyticsConfig = AnalyticsConfig::default();
        /// Dashboards that operators write, by their ids.
        Environment "customDashboards" custom_dashboards: BTreeMap<String, CustomDashboard> =
            BTreeMap::new(), by_uuid(&CustomDashboard::SHAPE);
        /// How conversations with users are led.
        Branch "support" support: SupportConfig = SupportConfig::default();
    }

    /// The project's database: `sourceOfTruth.*`.
    SourceOfTruth {
        /// The kind of database.
        Project "type" kind: DataSource = DataSource::Hosted;
    } + optional {
        /// The connection strings of Neon's branches.
        Project "connectionStrings" connection_strings: BTreeMap<String, String>;
        /// The connection string of another Postgres.
        Project "connectionString" connection_string: String;
    }

    /// Project-wide switches: `project.*`.
    ProjectSwitches {
        /// Whether client access needs a publishable key.
        Project "requirePublishableClientKey" require_publishable_client_key: bool = false;
    }

    /// Permissions: `rbac.*`.
    RbacConfig {
        /// The permission definitions, by their ids.
        Branch "permissions" permissions: Definitions = Definitions::new(), Shape::Record {
            key: RecordKey::CustomPermission,
            entry: &Definition::SHAPE,
            default: no_entries,
        };
        /// The permissions that are granted by default.
        Branch "defaultPermissions" default_permissions: DefaultPermissions =
            DefaultPermissions::default();
    }

    /// Permissions that are granted by default: `rbac.defaultPermissions.*`.
    DefaultPermissions {
        /// What a team's creator gets, in the team.
        Branch "teamCreator" team_creator: BTreeMap<PermissionId, bool> = BTreeMap::new();
        /// What a new member gets, in the team.
        Branch "teamMember" team_member: BTreeMap<PermissionId, bool> = BTreeMap::new();
        /// What a new user gets, in the project.
        Branch "signUp" sign_up: BTreeMap<PermissionId, bool> = BTreeMap::new();
    }

    /// API keys: `apiKeys.*`.
    ApiKeysConfig {
        /// The kinds of owners that may have API keys.
        Branch "enabled" enabled: ApiKeySwitches = ApiKeySwitches::default();
    }

    /// Owners of API keys: `apiKeys.enabled.*`.
    ApiKeySwitches {
        /// Whether teams may have API keys.
        Branch "team" team: bool = false;
        /// Whether users may have API keys.
        Branch "user" user: bool = false;
    }

    /// Apps: `apps.*`.
    AppsConfig {
        /// The apps that the dashboard shows. Nothing else depends on it.
        Branch "installed" installed: InstalledApps = InstalledApps::default();
    }

    /// An app: `apps.installed.{app}`.
    AppSwitch {
        /// Whether the dashboard shows the app.
        Branch "enabled" enabled: bool = false;
    }

    /// All apps, in the order in which they are shown: `apps.installed.*`.
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

    /// Teams: `teams.*`.
    TeamsConfig {
        /// Whether every new user gets a team of their own.
        Branch "createPersonalTeamOnSignUp" create_personal_team_on_sign_up: bool = false;
        /// Whether clients may create teams.
        Branch "allowClientTeamCreation" allow_client_team_creation: bool = false;
    }

    /// Users: `users.*`.
    UsersConfig {
        /// Whether users may delete their own account.
        Branch "allowClientUserDeletion" allow_client_user_deletion: bool = false;
    }

    /// Demands on users: `onboarding.*`.
    OnboardingConfig {
        /// Whether users without a verified primary email are restricted.
        Branch "requireEmailVerification" require_email_verification: bool = false;
    }

    /// Trusted domains: `domains.*`.
    DomainsConfig {
        /// Whether local hosts are trusted.
        Environment "allowLocalhost" allow_localhost: bool = false;
        /// The trusted domains, by ids that mean nothing.
        Environment "trustedDomains" trusted_domains: BTreeMap<String, TrustedDomain> =
            BTreeMap::new();
    }

    /// A trusted domain: `domains.trustedDomains.{id}`.
    TrustedDomain {
        /// The path of the SDK's own pages.
        Environment "handlerPath" handler_path: String = "/handler".to_owned();
    } + optional {
        /// The origin, possibly with `*` in the host; an entry without one is ignored.
        Environment "baseUrl" base_url: String;
    }

    /// A way to sign in that can be switched on and off.
    SignInSwitch {
        /// Whether users may sign in this way.
        Branch "allowSignIn" allow_sign_in: bool = false;
    }

    /// Ways to sign up and in: `auth.*`.
    AuthConfig {
        /// Whether strangers may sign up.
        Branch "allowSignUp" allow_sign_up: bool = true;
        /// Sign-in with email and password.
        Branch "password" password: SignInSwitch = SignInSwitch::default();
        /// Sign-in with codes by email.
        Branch "otp" otp: SignInSwitch = SignInSwitch::default();
        /// Sign-in with passkeys.
        Branch "passkey" passkey: SignInSwitch = SignInSwitch::default();
        /// Sign-in with accounts at OAuth providers.
        Branch "oauth" oauth: OauthConfig = OauthConfig::default();
        /// The rules that decide who may sign up.
        #[serde(serialize_with = "in_order")]
        Branch "signUpRules" sign_up_rules: Rules = Rules::new();
        /// What happens to a sign-up that no rule decides.
        Branch "signUpRulesDefaultAction" sign_up_rules_default_action: DefaultAction =
            DefaultAction::Allow;
    }

    /// OAuth: `auth.oauth.*`.
    OauthConfig {
        /// What happens when an OAuth account's email is a user's already.
        Branch "accountMergeStrategy" account_merge_strategy: AccountMergeStrategy =
            AccountMergeStrategy::LinkMethod;
        /// The providers, by their ids in this project.
        Branch "providers" providers: BTreeMap<String, OauthProvider> = BTreeMap::new(),
            Shape::Record {
                key: RecordKey::Permission,
                entry: &OauthProvider::SHAPE,
                default: no_entries,
            };
    }

    /// An OAuth provider: `auth.oauth.providers.{id}`.
    OauthProvider {
        /// Whether the server's own client at the provider is used.
        Environment "isShared" is_shared: bool = true;
        /// Whether users may sign in with the provider.
        Branch "allowSignIn" allow_sign_in: bool = false;
        /// Whether users may connect an account at the provider.
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

    /// An app bundle: `auth.oauth.providers.{id}.appleBundles.{id}`.
    AppleBundle {} + optional {
        /// The bundle's id.
        Environment "bundleId" bundle_id: String;
    }

    /// Mail: `emails.*`.
    EmailsConfig {
        /// The id of the theme that mails have.
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
        /// The mail server that mails are sent through.
        Branch "server" server: EmailServer = EmailServer::default();
    }

    /// A mail server: `emails.server.*`.
    EmailServer {
        /// Whether the server's own mail server is used.
        Environment "isShared" is_shared: bool = true;
        /// The kind of mail server: `smtp`, `resend` or `managed`.
        Environment "provider" provider: String = "smtp".to_owned(),
            Shape::OneOf(&["smtp", "resend", "managed"]);
    } + optional {
        /// The host to connect to.
        Environment "host" host: String;
        /// The port to connect to, which may be out of range: see [`EmailServer::port`].
        Environment "port" port: Number;
        /// The account to log in with.
        Environment "username" username: String;
        /// The account's password.
        Environment "password" password: String;
        /// The name that mails come from.
        Environment "senderName" sender_name: String;
        /// The address that mails come from.
        Environment "senderEmail" sender_email: String;
        /// The domain of the sender's address, if the server is managed.
        Environment "managedSubdomain" managed_subdomain: String;
        /// The part before the `@` of the sender's address, if the server is managed.
        Environment "managedSenderLocalPart" managed_sender_local_part: String;
    }

    /// Databases that follow this one: `dbSync.*`.
    DbSyncConfig {
        /// The databases, by their ids.
        Branch "externalDatabases" external_databases: BTreeMap<String, ExternalDatabase> =
            BTreeMap::new();
    }

    /// A database that follows this one: `dbSync.externalDatabases.{id}`.
    ExternalDatabase {} + optional {
        /// The kind of database: `postgres`.
        Branch "type" kind: String, Shape::OneOf(&["postgres"]);
        /// The database's connection string.
        Branch "connectionString" connection_string: String;
    }

    /// The data vault: `dataVault.*`.
    DataVaultConfig {
        /// The stores, by their ids.
        Branch "stores" stores: BTreeMap<String, VaultStore> = BTreeMap::new();
    }

    /// A store of sealed values: `dataVault.stores.{id}`.
    VaultStore {
        /// The store's name.
        Branch "displayName" display_name: String = "Unnamed Vault".to_owned();
    }

    /// Kept queries: `analytics.*`.
    AnalyticsConfig {
        /// The folders of queries, by their ids.
        Environment "queryFolders" query_folders: BTreeMap<String, QueryFolder> = BTreeMap::new();
    }

    /// A folder of queries: `analytics.queryFolders.{id}`.
    QueryFolder {
        /// The folder's name.
        Environment "displayName" display_name: String = "Unnamed Folder".to_owned();
        /// The folder's place among the others.
        Environment "sortOrder" sort_order: Number = Number::from(0);
        /// The queries in the folder, by their ids.
        Environment "queries" queries: BTreeMap<String, KeptQuery> = BTreeMap::new();
    }

    /// A kept query: `analytics.queryFolders.{id}.queries.{id}`.
    KeptQuery {
        /// The query's name.
        Environment "displayName" display_name: String = "Unnamed Query".to_owned();
        /// The query itself.
        Environment "sqlQuery" sql_query: String = String::new();
    } + optional {
        /// The query's purpose.
        Environment "description" description: String;
    }

    /// A dashboard: `customDashboards.{id}`.
    CustomDashboard {
        /// The dashboard's name.
        Environment "displayName" display_name: String = "Unnamed Dashboard".to_owned();
        /// The dashboard's source.
        Environment "tsxSource" tsx_source: String =
            "export const dashboard = () => <div>This dashboard is empty.</div>;".to_owned();
    }

    /// Conversations with users: `support.*`.
    SupportConfig {
        /// How fast users are to be answered.
        Branch "sla" sla: SupportSla = SupportSla::default();
    }

    /// Times to answer in: `support.sla.*`.
    SupportSla {
        /// Whether conversations have due times.
        Branch "enabled" enabled: bool = false;
    } + optional {
        /// Minutes until the first answer is due.
        Branch "firstResponseMinutes" first_response_minutes: Number;
        /// Minutes until each further answer is due.
        Branch "nextResponseMinutes" next_response_minutes: Number;
    }
}
