//! The rows of outgoing emails.

use crate::read_models::table::read_table;
use uuid::Uuid;

read_table! {
    /// A row of `outgoing_emails`.
    #[derive(sqlx::FromRow)]
    pub struct OutgoingEmailRow in "outgoing_emails" {
        pub id: Uuid,
        pub project_id: String,
        pub template: String,
        pub subject: Option<Uuid>,
        pub status: String,
        pub requested_at: i64,
        pub next_attempt_at: Option<i64>,
        pub finished_at: Option<i64>,
        pub failures: i32,
        pub last_failure: Option<String>,
    }
    key (id: Uuid);
    cleared (Project by project_id);
}
