//! ClickHouse's configuration of users, grants and row policies.
//!
//! In this engine everybody is the user `default`. What differs is the role: a connection starts
//! with all rights and may put on the role `tenant`, which reads twelve views. The row policies
//! compare with a setting that has no effect of its own and that a read-only session cannot change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use muniment_projections::analytics::VIEWS;

/// The role of tenants' queries.
pub(super) const TENANT_ROLE: &str = "tenant";
/// The setting that says whose rows a session sees, as `project:branch`. Custom settings, such as
/// a server has, do not exist in this engine.
pub(super) const TENANCY_SETTING: &str = "log_comment";
/// What stands between project and branch; neither can contain it.
pub(super) const TENANCY_SEPARATOR: char = ':';

/// Where the engine keeps its data.
pub(super) fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// The main configuration file.
pub(super) fn main_file(dir: &Path) -> PathBuf {
    dir.join("config.xml")
}

/// Writes the configuration.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    let users_file = dir.join("users.xml");
    fs::write(&users_file, users())?;
    let path = escaped(&users_file.display().to_string());
    let main = format!(
        "<clickhouse>
    <timezone>UTC</timezone>
    <logger><level>none</level></logger>
    <users_config>{path}</users_config>
    <user_directories><users_xml><path>{path}</path></users_xml></user_directories>
</clickhouse>
"
    );
    fs::write(main_file(dir), main)
}

fn users() -> String {
    let grants: Vec<String> = VIEWS
        .iter()
        .map(|view| format!("<query>GRANT SELECT ON default.{view}</query>"))
        .collect();
    let filter = format!(
        "project_id = substringIndex(getSetting('{TENANCY_SETTING}'), '{TENANCY_SEPARATOR}', 1) \
         AND branch_id = substringIndex(getSetting('{TENANCY_SETTING}'), '{TENANCY_SEPARATOR}', -1)"
    );
    let policies: Vec<String> = VIEWS
        .iter()
        .map(|view| format!("<{view}><filter>{filter}</filter></{view}>"))
        .collect();
    format!(
        "<clickhouse>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <roles>
        <owner><grants><query>GRANT ALL ON *.* WITH GRANT OPTION</query></grants></owner>
        <{TENANT_ROLE}><grants>{}</grants></{TENANT_ROLE}>
    </roles>
    <users>
        <default>
            <password/>
            <networks><ip>::/0</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants><query>GRANT owner</query><query>GRANT {TENANT_ROLE}</query></grants>
            <databases><default>{}</default></databases>
        </default>
    </users>
</clickhouse>
",
        grants.concat(),
        policies.concat(),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
