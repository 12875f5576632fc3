//! Checking that the read tables say what the log says.

use serde_json::Value;
use sqlx::{Connection, PgConnection, QueryBuilder, Row};

use crate::maintenance::shadow_schema::{Progress, Schema, Shadow, enter, fold_visible, run};
use crate::read_models::ai_conversations::AiConversationRow;
use crate::read_models::api_keys::ApiKeyRow;
use crate::read_models::cli_logins::CliLoginRow;
use crate::read_models::customers::{
    InvoiceRow, ItemBalanceRow, ItemQuantityChangeRow, OneTimePurchaseRow, ProductVersionRow,
    RefundRow, SubscriptionRow,
};
use crate::read_models::notifications::NotificationPreferenceRow;
use crate::read_models::outgoing_emails::OutgoingEmailRow;
use crate::read_models::passkeys::PasskeyRow;
use crate::read_models::permissions::{ClosureRow, ProjectPermissionRow};
use crate::read_models::projects::{ProjectKeyRow, ProjectRow};
use crate::read_models::sessions::SessionRow;
use crate::read_models::support_conversations::{SupportConversationRow, SupportMessageRow};
use crate::read_models::table::TableRow;
use crate::read_models::teams::{MembershipRow, TeamRow};
use crate::read_models::users::{ContactChannelRow, UserRow};
use crate::read_models::verification_codes::VerificationCodeRow;
use crate::{EventLog, LedgerError};

const FRESH: Schema = Schema("muniment_verify");
/// Differences reported per table.
const REPORTED: i64 = 1_000;

/// A row that is not what the log says.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The read table.
    pub table: &'static str,
    /// The live row; absent if it is missing.
    pub live: Option<Value>,
    /// What the log says; absent if there should be no row.
    pub expected: Option<Value>,
}

/// Projects the log afresh and compares. Live traffic goes on meanwhile: the comparison sees one
/// snapshot of both the log and the tables.
///
/// # Errors
/// `Refused` when another verification is running; otherwise what the database fails with.
pub async fn verify(
    log: &EventLog,
    progress: impl FnMut(Progress),
) -> Result<Vec<Difference>, LedgerError> {
    let mut shadow = Shadow::create(log, FRESH).await?;
    shadow.catch_up(log, progress).await?;
    let cursor = shadow.cursor;
    let mut transaction = shadow.connection.begin().await?;
    run(
        &mut transaction,
        &["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"],
    )
    .await?;
    enter(&mut transaction, FRESH).await?;
    fold_visible(&mut transaction, log, cursor).await?;
    let differences = compare_all(&mut transaction).await?;
    transaction.commit().await?;
    shadow.remove().await?;
    Ok(differences)
}

async fn compare_all(connection: &mut PgConnection) -> Result<Vec<Difference>, LedgerError> {
    let mut found = compare::<ProjectRow>(connection).await?;
    found.extend(compare::<ProjectKeyRow>(connection).await?);
    found.extend(compare::<UserRow>(connection).await?);
    found.extend(compare::<ContactChannelRow>(connection).await?);
    found.extend(compare::<TeamRow>(connection).await?);
    found.extend(compare::<MembershipRow>(connection).await?);
    found.extend(compare::<ProjectPermissionRow>(connection).await?);
    found.extend(compare::<SessionRow>(connection).await?);
    found.extend(compare::<PasskeyRow>(connection).await?);
    found.extend(compare::<VerificationCodeRow>(connection).await?);
    found.extend(compare::<CliLoginRow>(connection).await?);
    found.extend(compare::<OutgoingEmailRow>(connection).await?);
    found.extend(compare::<ClosureRow>(connection).await?);
    found.extend(compare::<ApiKeyRow>(connection).await?);
    found.extend(compare::<NotificationPreferenceRow>(connection).await?);
    found.extend(compare::<ItemBalanceRow>(connection).await?);
    found.extend(compare::<ItemQuantityChangeRow>(connection).await?);
    found.extend(compare::<SubscriptionRow>(connection).await?);
    found.extend(compare::<OneTimePurchaseRow>(connection).await?);
    found.extend(compare::<InvoiceRow>(connection).await?);
    found.extend(compare::<RefundRow>(connection).await?);
    found.extend(compare::<ProductVersionRow>(connection).await?);
    found.extend(compare::<AiConversationRow>(connection).await?);
    found.extend(compare::<SupportConversationRow>(connection).await?);
    found.extend(compare::<SupportMessageRow>(connection).await?);
    Ok(found)
}

async fn compare<R: TableRow>(
    connection: &mut PgConnection,
) -> Result<Vec<Difference>, LedgerError> {
    let table = R::TABLE.name;
    let mut sql =
        QueryBuilder::new("SELECT to_jsonb(live) AS live, to_jsonb(fresh) AS fresh FROM public.");
    sql.push(table)
        .push(" live FULL JOIN ")
        .push(FRESH.0)
        .push(".")
        .push(table);
    sql.push(" fresh USING (");
    let mut key = sql.separated(", ");
    for column in R::TABLE.key {
        key.push(column);
    }
    sql.push(") WHERE to_jsonb(live) IS DISTINCT FROM to_jsonb(fresh) LIMIT ")
        .push_bind(REPORTED);
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Difference {
                table,
                live: row.try_get("live")?,
                expected: row.try_get("fresh")?,
            })
        })
        .collect()
}
