//! Who may read what: the user of tenants' queries, its grants and its row policies.
//!
//! On a server they are made by these statements. The embedded engine has the same in the
//! configuration it is started with.

/// The user that tenants' queries run as.
pub const TENANT_USER: &str = "limited_user";
/// The query setting that names the project whose rows may be seen.
pub(super) const PROJECT_SETTING: &str = "SQL_project_id";
/// The query setting that names the branch whose rows may be seen.
pub(super) const BRANCH_SETTING: &str = "SQL_branch_id";

/// What tenants may read, in alphabetical order.
pub const VIEWS: [&str; 12] = [
    "connected_accounts",
    "contact_channels",
    "email_outboxes",
    "events",
    "notification_preferences",
    "project_permissions",
    "refresh_tokens",
    "team_invitations",
    "team_member_profiles",
    "team_permissions",
    "teams",
    "users",
];

/// Makes the user, or corrects it; each statement may be repeated, also by several nodes at once.
/// Nothing is granted before the policies stand.
pub(super) fn statements(tenant_password: &str) -> Vec<String> {
    let identified = format!(
        "IDENTIFIED WITH sha256_password BY '{}'",
        tenant_password.replace('\\', "\\\\").replace('\'', "\\'")
    );
    let mut statements = vec![
        format!("CREATE USER IF NOT EXISTS {TENANT_USER} {identified}"),
        format!("ALTER USER {TENANT_USER} {identified} DEFAULT ROLE NONE"),
    ];
    statements.extend(VIEWS.map(|view| {
        format!(
            "CREATE ROW POLICY OR REPLACE tenant ON default.{view} FOR SELECT \
             USING project_id = getSetting('{PROJECT_SETTING}') \
             AND branch_id = getSetting('{BRANCH_SETTING}') TO {TENANT_USER}"
        )
    }));
    let grants = VIEWS.map(|view| format!("SELECT ON default.{view}"));
    statements.push(format!(
        "GRANT {} TO {TENANT_USER} WITH REPLACE OPTION",
        grants.join(", ")
    ));
    statements
}
