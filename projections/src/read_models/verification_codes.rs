//! The read model of verification codes: projector and queries.

use muniment_domain::verification_code::{Purpose, VerificationCodeEvent};
use muniment_domain::{Millis, ProjectId, SecretHash, VerificationCodeId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::LedgerError;
use crate::read_models::table::{Table, TableRow};
use crate::read_models::{Demand, ReadModels};

/// A row of `verification_codes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromRow)]
#[allow(missing_docs, reason = "the columns are described in the migration")]
pub struct VerificationCodeRow {
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

impl TableRow for VerificationCodeRow {
    const TABLE: Table = Table {
        name: "verification_codes",
        key: &["id"],
        fields: &[
            "project_id",
            "purpose",
            "code_hash",
            "tail_hash",
            "issued_at",
            "expires_at",
            "redeemed_at",
            "attempts",
            "subject",
            "email",
            "redirect_url",
            "data",
        ],
    };
    type Key = Uuid;
    fn key(&self) -> Uuid {
        self.id
    }
}

/// The codes of a project that end like the one submitted: normally one, or none.
pub async fn by_tail(
    pool: &PgPool,
    project: &ProjectId,
    tail: SecretHash,
) -> Result<Vec<VerificationCodeRow>, LedgerError> {
    let rows = sqlx::query_as!(
        VerificationCodeRow,
        "SELECT * FROM verification_codes WHERE project_id = $1 AND tail_hash = $2",
        project.as_str(),
        tail.to_hex(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Codes that expired before `before`, at most `limit`: project and id.
pub async fn expired(
    pool: &PgPool,
    before: Millis,
    limit: i64,
) -> Result<Vec<(ProjectId, VerificationCodeId)>, LedgerError> {
    let rows = sqlx::query!(
        "SELECT project_id, id FROM verification_codes WHERE expires_at < $1
         ORDER BY expires_at LIMIT $2",
        before.0,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let of_row = |row: (String, Uuid)| (ProjectId::from_caller(&row.0), VerificationCodeId(row.1));
    Ok(rows
        .into_iter()
        .map(|row| of_row((row.project_id, row.id)))
        .collect())
}

pub(crate) async fn load(
    models: &mut ReadModels,
    connection: &mut PgConnection,
    demand: &Demand,
) -> Result<(), LedgerError> {
    if demand.codes.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = demand.codes.iter().copied().collect();
    let rows = sqlx::query_as!(
        VerificationCodeRow,
        "SELECT * FROM verification_codes WHERE id = ANY($1)",
        &ids
    )
    .fetch_all(connection)
    .await?;
    models.codes.load(rows);
    Ok(())
}

pub(crate) async fn delete(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), LedgerError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!("DELETE FROM verification_codes WHERE id = ANY($1)", ids)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) fn fold(models: &mut ReadModels, id: Uuid, event: VerificationCodeEvent) {
    match event {
        VerificationCodeEvent::CodeIssued(issued) => {
            let details = issued.personal.or_erased();
            models.codes.put(VerificationCodeRow {
                id,
                project_id: issued.project_id.to_string(),
                purpose: issued.purpose.as_str().to_owned(),
                code_hash: issued.code_hash.to_hex(),
                tail_hash: issued.tail_hash.to_hex(),
                issued_at: issued.issued_at.0,
                expires_at: issued.expires_at.0,
                redeemed_at: None,
                attempts: 0,
                subject: issued.subject.map(|user| user.0),
                email: details.email,
                redirect_url: details.redirect_url,
                // In JSON rows, `null` would be SQL's null.
                data: Some(details.data)
                    .filter(|data| !data.is_null())
                    .unwrap_or_else(|| json!({})),
            });
        }
        VerificationCodeEvent::CodeAttempted {} => {
            if let Some(row) = models.codes.change(&id) {
                row.attempts += 1;
            }
        }
        VerificationCodeEvent::CodeRedeemed { at } => {
            if let Some(row) = models.codes.change(&id) {
                row.redeemed_at = Some(at.0);
            }
        }
        VerificationCodeEvent::CodeDiscarded {} => models.codes.remove(id),
    }
}
