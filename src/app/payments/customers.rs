//! Customers: what changes their items and products.

use muniment_domain::customer::{
    Customer, CustomerCommand, CustomerError, CustomerRef, History, ItemChange, Product,
    StripeSubscription, SubscriptionSync, WantedPurchase, derived_uuid, product_version_id,
};
use muniment_domain::verification_code::{
    Purpose, VerificationCode, VerificationCodeCommand, VerificationCodeError,
};
use muniment_domain::{Millis, ProjectId, PurchaseId, SecretHash, VerificationCodeId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::customers;
use muniment_projections::read_models::verification_codes::{self, VerificationCodeRow};

use crate::app::App;
use crate::app::auth::code_grounds;
use crate::app::auth::codes::tail_hash;

/// How many times over a unit is tried when other processes change the same customer. Each time is
/// a dozen attempts.
const ROUNDS: usize = 20;
/// How often a change is tried that does not wait for those before it.
const ATTEMPTS: usize = 12 * ROUNDS;
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
    /// Once: its id was just generated.
    Single,
    /// Again and again, under the same id. It is made once.
    Repeatable,
}

/// Changes how much of an item a customer has, when it is the customer's turn. The next one has its
/// turn before this one has committed: so a hot item takes many changes per transaction.
///
/// # Errors
/// `Insufficient`.
pub async fn change_item(
    app: &App,
    context: &EventContext,
    change: ItemChange,
    delivery: Delivery,
) -> Result<(), LedgerError> {
    let changing = change_in_turn(app.clone(), context.clone(), change, delivery);
    match delivery {
        Delivery::Single => changing.await,
        // To its end, even if the caller hangs up: else who repeats the change might be faster
        // than its commit, and not find it.
        Delivery::Repeatable => tokio::spawn(changing)
            .await
            .map_err(|error| LedgerError::Store(Box::new(error)))?,
    }
}

async fn change_in_turn(
    app: App,
    context: EventContext,
    change: ItemChange,
    delivery: Delivery,
) -> Result<(), LedgerError> {
    let project = &context.project_id;
    let (change_id, id) = (change.id, change.customer.stream(project));
    let change = &change;
    // Who repeats the change waits until it is made or has failed, and then finds out which.
    let _repeats = match delivery {
        Delivery::Repeatable => Some(app.customer_locks.lock(change_id).await),
        Delivery::Single => None,
    };
    let mut done = Err(LedgerError::Conflict);
    for _ in 0..ATTEMPTS {
        let turn = app.customer_locks.lock(id.0).await;
        let submitted = app
            .log
            .submit(&context, &id, |unit| decide_change(unit, change, delivery));
        done = match submitted.await {
            Ok(pending) => {
                drop(turn);
                pending.committed().await
            }
            Err(refused) => Err(refused),
        };
        if !matches!(done, Err(LedgerError::Conflict)) {
            break;
        }
    }
    done
}

/// A change that is asked for again is made once: whether it is in the log is asked after the ledger
/// was looked at, so that nobody, on no node, has made it since when this one commits.
async fn decide_change(
    mut unit: UnitOfWork,
    change: &ItemChange,
    delivery: Delivery,
) -> Result<UnitOfWork, LedgerError> {
    let project = unit.context().project_id.clone();
    let id = change.customer.stream(&project);
    unit.look::<Customer>(&id).await?;
    if delivery == Delivery::Repeatable
        && customers::is_change_known(unit.log().pool(), change.id).await?
    {
        return Ok(unit);
    }
    require_owner(&mut unit, &change.customer).await?;
    let command = CustomerCommand::ChangeItem(Box::new(change.clone()));
    unit.execute::<Customer>(&id, (project, command)).await?;
    Ok(unit)
}

/// Makes sure that the user or team that is the customer was not deleted, now and when the unit takes
/// effect. Whether there ever was one is asked elsewhere.
///
/// # Errors
/// `Customer(Gone)`: `USER_NOT_FOUND`, `TEAM_NOT_FOUND`.
async fn require_owner(unit: &mut UnitOfWork, customer: &CustomerRef) -> Result<(), LedgerError> {
    if code_grounds::is_not_deleted(unit, customer).await? {
        return Ok(());
    }
    let id = customer.subject(&unit.context().project_id);
    Err(CustomerError::Gone(customer.customer_type(), id).into())
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
    carry_out(app, context, &customer, &command, code).await
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
    code: Option<VerificationCodeId>,
) -> Result<(), LedgerError> {
    let id = customer.stream(&context.project_id);
    let _turn = app.customer_locks.lock(id.0).await;
    let mut done = Err(LedgerError::Conflict);
    for _ in 0..ROUNDS {
        done = app
            .log
            .transact(context, |mut unit| async move {
                if let Some(code) = code {
                    require_not_deleted(&mut unit, customer).await?;
                    let redeem = VerificationCodeCommand::Redeem(context.now);
                    unit.execute::<VerificationCode>(&code, redeem).await?;
                }
                execute(&mut unit, customer, command.clone()).await?;
                Ok::<_, LedgerError>((unit, ()))
            })
            .await;
        if !matches!(done, Err(LedgerError::Conflict)) {
            break;
        }
    }
    done
}

/// Uses up a code that sells to a customer.
///
/// # Errors
/// What is wrong with the code; `NotFound` also when the customer is gone.
pub async fn redeem(
    app: &App,
    context: &EventContext,
    customer: &CustomerRef,
    code: VerificationCodeId,
) -> Result<(), LedgerError> {
    app.log
        .transact(context, |mut unit| async move {
            require_not_deleted(&mut unit, customer).await?;
            let redeem = VerificationCodeCommand::Redeem(context.now);
            unit.execute::<VerificationCode>(&code, redeem).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await
}

/// A code that sells to a customer is void once the customer was deleted.
async fn require_not_deleted(
    unit: &mut UnitOfWork,
    customer: &CustomerRef,
) -> Result<(), LedgerError> {
    if code_grounds::is_not_deleted(unit, customer).await? {
        return Ok(());
    }
    Err(VerificationCodeError::NotFound.into())
}

/// Carries out a command within a unit of work, with the past that it may need.
///
/// # Errors
/// What the customer refuses.
pub async fn execute(
    unit: &mut UnitOfWork,
    customer: &CustomerRef,
    command: CustomerCommand,
) -> Result<(), LedgerError> {
    let project = unit.context().project_id.clone();
    let id = customer.stream(&project);
    // What is offered is the project's business.
    if !matches!(command, CustomerCommand::RecordProductVersion { .. }) {
        require_owner(unit, customer).await?;
    }
    let command = if command.may_retell() {
        let items = unit.state::<Customer>(&id).await?.retold_items(&command);
        command.with(customers::history(unit.log().pool(), id, &items).await?)
    } else {
        command
    };
    unit.execute::<Customer>(&id, (project, command)).await
}

/// Notes what Stripe says of one of the customer's subscriptions, known or new. It becomes so at
/// once, without waiting for a webhook.
///
/// # Errors
/// When the database fails.
pub async fn sync_subscription(
    app: &App,
    context: &EventContext,
    customer: &CustomerRef,
    stripe: StripeSubscription,
) -> Result<(), LedgerError> {
    let sync = SubscriptionSync {
        customer: customer.clone(),
        id: PurchaseId(app.random.uuid()),
        stripe,
        history: History::default(),
        now: context.now,
    };
    let command = CustomerCommand::SyncSubscription(Box::new(sync));
    carry_out(app, context, customer, &command, None).await
}

/// Keeps a product that is offered to a customer, and says under which version it is found.
///
/// # Errors
/// When the database fails.
pub async fn record_product_version(
    app: &App,
    context: &EventContext,
    customer: &CustomerRef,
    product_id: Option<&str>,
    product: &Product,
) -> Result<String, LedgerError> {
    let version = product_version_id(product_id, product);
    let known = customers::product_version(app.pool(), &context.project_id, &version).await?;
    if known.is_none() {
        let command = &CustomerCommand::RecordProductVersion {
            product_id: product_id.map(str::to_owned),
            product: Box::new(product.clone()),
        };
        let _turn = app
            .customer_locks
            .lock(customer.stream(&context.project_id).0)
            .await;
        app.log
            .transact(context, |mut unit| async move {
                require_not_deleted(&mut unit, customer).await?;
                execute(&mut unit, customer, command.clone()).await?;
                Ok::<_, LedgerError>((unit, ()))
            })
            .await?;
    }
    Ok(version)
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
