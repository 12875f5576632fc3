//! Customers: what changes their items and products.

use muniment_domain::customer::{
    Customer, CustomerCommand, CustomerRef, ItemChange, WantedPurchase, derived_uuid,
};
use muniment_domain::verification_code::{
    Purpose, VerificationCode, VerificationCodeCommand, VerificationCodeError,
};
use muniment_domain::{Millis, ProjectId, SecretHash, VerificationCodeId};
use muniment_projections::verification_codes::{self, VerificationCodeRow};
use muniment_projections::{EventContext, LedgerError, UnitOfWork, customers};

use super::App;
use super::codes::tail_hash;

/// How many times over a unit is tried when other processes change the same customer. Each time is
/// a dozen attempts.
const ROUNDS: usize = 20;
/// How long a purchase code works: a day.
pub const PURCHASE_CODE_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The id of a change that is made once, however often it is asked for.
#[must_use]
pub fn change_id(project: &ProjectId, customer: &CustomerRef, item: &str, key: &str) -> uuid::Uuid {
    let stream = customer.stream(project).to_string();
    derived_uuid(&["item-change", &stream, item, key])
}

/// How often a change may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Once: its id was just drawn.
    Single,
    /// Again and again, under the same id. It is made once.
    Repeatable,
}

/// Changes how much of an item a customer has.
///
/// # Errors
/// `Insufficient`.
pub async fn change_item(
    app: &App,
    context: &EventContext,
    change: ItemChange,
    delivery: Delivery,
) -> Result<(), LedgerError> {
    let once = (delivery == Delivery::Repeatable).then_some(change.id);
    let customer = change.customer.clone();
    let command = CustomerCommand::ChangeItem(Box::new(change));
    carry_out(app, context, &customer, &command, once, None).await
}

/// Gives a customer a product.
///
/// # Errors
/// Why the customer cannot have it.
pub async fn purchase(
    app: &App,
    context: &EventContext,
    wanted: WantedPurchase,
    code: Option<VerificationCodeId>,
) -> Result<(), LedgerError> {
    let customer = wanted.customer.clone();
    let command = CustomerCommand::Purchase(Box::new(wanted));
    carry_out(app, context, &customer, &command, None, code).await
}

/// Carries out a command when it is the customer's turn, with a code that is used up by it.
///
/// # Errors
/// What the customer or the code refuses.
pub async fn carry_out(
    app: &App,
    context: &EventContext,
    customer: &CustomerRef,
    command: &CustomerCommand,
    once: Option<uuid::Uuid>,
    code: Option<VerificationCodeId>,
) -> Result<(), LedgerError> {
    let id = customer.stream(&context.project_id);
    let _turn = app.queues.wait(id.0).await;
    let mut done = Err(LedgerError::Conflict);
    for _ in 0..ROUNDS {
        done = app
            .log
            .transact(context, |mut unit| async move {
                if let Some(change) = once
                    && customers::is_change_known(unit.log().pool(), change).await?
                {
                    return Ok((unit, ()));
                }
                if let Some(code) = code {
                    let redeem = VerificationCodeCommand::Redeem(context.now);
                    unit.execute::<VerificationCode>(&code, redeem).await?;
                }
                let command = (context.project_id.clone(), command.clone());
                unit.execute::<Customer>(&id, command).await?;
                Ok::<_, LedgerError>((unit, ()))
            })
            .await;
        if !matches!(done, Err(LedgerError::Conflict)) {
            break;
        }
    }
    done
}

/// Forgets a customer whose account is being deleted.
///
/// # Errors
/// When the database fails.
pub async fn close(unit: &mut UnitOfWork, customer: &CustomerRef) -> Result<(), LedgerError> {
    let project = unit.context().project_id.clone();
    let id = customer.stream(&project);
    let command = (project, CustomerCommand::Close);
    unit.execute::<Customer>(&id, command).await
}

/// The purchase code of that text, if it works now.
///
/// # Errors
/// When it does not; when the database fails.
pub async fn purchase_code(
    app: &App,
    project: &ProjectId,
    code: &str,
    now: Millis,
) -> Result<VerificationCodeRow, LedgerError> {
    let rows = verification_codes::by_tail(app.pool(), project, tail_hash(code)).await?;
    let hash = SecretHash::of(code);
    let mut meant = rows.into_iter();
    let row = meant.find(|row| row.is(Purpose::PurchaseUrl, hash));
    row.filter(|row| row.redeemed_at.is_none() && row.expires_at > now.0)
        .ok_or_else(|| VerificationCodeError::NotFound.into())
}
