//! The rows of cli logins.

use crate::read_models::table::read_table;
use uuid::Uuid;

read_table! {
    /// A row of `cli_logins`: how a login is found. How far it has come, its stream says.
    pub(crate) struct CliLoginRow in "cli_logins" {
        pub(crate) id: Uuid,
        pub(crate) project_id: String,
        pub(crate) polling_hash: String,
        pub(crate) login_hash: String,
        pub(crate) started_at: i64,
        pub(crate) expires_at: i64,
    }
    key (id: Uuid);
    cleared (Project by project_id);
}
