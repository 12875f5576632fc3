//! The rows of verification codes.

use crate::read_models::table::read_table;
use muniment_domain::verification_code::Purpose;
use muniment_domain::{SecretHash, VerificationCodeId};
use serde_json::Value;
use uuid::Uuid;

read_table! {
    /// A row of `verification_codes`.
    #[derive(sqlx::FromRow)]
    pub struct VerificationCodeRow in "verification_codes" {
        pub id: Uuid,
        pub project_id: String,
        pub purpose: String,
        pub code_hash: String,
        pub tail_hash: String,
        pub issued_at: i64,
        pub expires_at: i64,
        pub redeemed_at: Option<i64>,
        pub attempts: i32,
        pub subject: Option<Uuid>,
        pub email: Option<String>,
        pub redirect_url: Option<String>,
        pub data: Value,
    }
    key (id: Uuid);
    cleared (User by subject, Project by project_id);
}

impl VerificationCodeRow {
    /// The code's id.
    #[must_use]
    pub fn code_id(&self) -> VerificationCodeId {
        VerificationCodeId(self.id)
    }

    /// Whether this is the code with that hash, for that purpose.
    #[must_use]
    pub fn is(&self, purpose: Purpose, code: SecretHash) -> bool {
        self.purpose == purpose.as_str() && self.code_hash == code.to_hex()
    }
}
