//! Plans of the makers' own dashboard: products of the `internal` project that its teams, the
//! owners of all other projects, subscribe to.

use muniment_domain::customer::{
    Customer, CustomerCommand, CustomerRef, PurchaseSource, Quantity, WantedPurchase,
};
use muniment_domain::team::Team;
use muniment_domain::{ProjectId, PurchaseId, TeamId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::customers;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// The product line of the plans.
const LINE: &str = "plans";
/// The plan that every team starts with.
const FREE: &str = "free";
/// The item that says how many members a team may have.
const SEATS: &str = "dashboard_admins";
/// As much as anybody wants.
const UNLIMITED: i64 = 1_000_000_000;
/// Teams that are given their plan together.
const BATCH: usize = 100;

/// What is counted: id, name, and how much of it the plans `free`, `team` and `growth` include.
const ITEMS: [(&str, &str, [i64; 3]); 5] = [
    (SEATS, "Dashboard admins", [1, 4, UNLIMITED]),
    ("auth_users", "Users", [10_000, 50_000, UNLIMITED]),
    (
        "emails_per_month",
        "Emails per month",
        [1_000, 25_000, 25_000],
    ),
    (
        "analytics_timeout_seconds",
        "Seconds per analytics query",
        [10, 60, 300],
    ),
    (
        "analytics_events",
        "Analytics events",
        [100_000, 500_000, 1_000_000],
    ),
];
/// The plans: id, name, price id, US dollars a month.
const PLANS: [(&str, &str, &str, &str); 3] = [
    (FREE, "Free", "free-monthly", "0"),
    ("team", "Team", "monthly", "49"),
    ("growth", "Growth", "monthly", "299"),
];

/// The settings that make the plans: dotted keys and their values.
#[must_use]
pub fn settings() -> Map<String, Value> {
    let line = json!({"displayName": "Plans", "customerType": "team"});
    let mut settings = Map::from_iter([(format!("payments.productLines.{LINE}"), line)]);
    for (id, name, _) in ITEMS {
        let item = json!({"displayName": name, "customerType": "team"});
        settings.insert(format!("payments.items.{id}"), item);
    }
    for (at, (id, name, price, dollars)) in PLANS.into_iter().enumerate() {
        let included = ITEMS.iter().map(|(item, _, amounts)| (*item, amounts[at]));
        let plan = product(name, &json!(false), [price, dollars], included);
        settings.insert(format!("payments.products.{id}"), plan);
    }
    let bases = json!({"team": true, "growth": true});
    let mut seats = product(
        "Extra seats",
        &bases,
        ["monthly", "29"],
        [(SEATS, 1)].into_iter(),
    );
    seats["stackable"] = json!(true);
    settings.insert("payments.products.extra-seats".to_owned(), seats);
    settings
}

fn product<'i>(
    name: &str,
    is_add_on_to: &Value,
    [price, dollars]: [&str; 2],
    included: impl Iterator<Item = (&'i str, i64)>,
) -> Value {
    let items: Map<String, Value> = included
        .map(|(id, quantity)| {
            let item = json!({"quantity": quantity, "repeat": "never", "expires": "when-purchase-expires"});
            (id.to_owned(), item)
        })
        .collect();
    json!({
        "displayName": name,
        "productLineId": LINE,
        "customerType": "team",
        "isAddOnTo": is_add_on_to,
        "prices": {price: {"USD": dollars, "interval": [1, "month"]}},
        "includedItems": items,
    })
}

/// The subscription that a new team of the project begins with, if teams there have plans.
#[must_use]
pub fn for_new_team(app: &App, project: &LoadedProject, team: TeamId) -> Option<WantedPurchase> {
    if !project.id.is_internal() {
        return None;
    }
    let product = project.catalogue.product(FREE)?;
    Some(WantedPurchase {
        customer: CustomerRef::Team { team_id: team },
        id: PurchaseId(app.random.uuid()),
        product_id: Some(FREE.to_owned()),
        price_id: product.prices.listed().keys().next().cloned(),
        product,
        quantity: 1,
        source: PurchaseSource::TestMode,
        now: app.now(),
    })
}

/// Subscribes a team that is being created.
///
/// # Errors
/// Never for a team whose id was just generated.
pub async fn begin(unit: &mut UnitOfWork, plan: &WantedPurchase) -> Result<(), LedgerError> {
    let project = unit.context().project_id.clone();
    let stream = plan.customer.stream(&project);
    let command = CustomerCommand::Purchase(Box::new(plan.clone()));
    unit.create::<Customer>(&stream, (project, command)).await
}

/// Gives the plan that teams begin with to those that were founded before there were plans. Who
/// ever had a plan gets none, so doing this again changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn make_up_for(app: &App, context: &EventContext) -> Result<(), LedgerError> {
    let id = ProjectId::internal();
    let Some(project) = app.projects.find_now(&id).await? else {
        return Ok(());
    };
    let teams = customers::teams_outside_line(app.pool(), &id, LINE).await?;
    for batch in teams.chunks(BATCH) {
        let plans = batch.iter().copied();
        let plans: Vec<(TeamId, WantedPurchase)> = plans
            .filter_map(|team| Some((team, for_new_team(app, &project, team)?)))
            .collect();
        let plans = &plans;
        app.log
            .transact(context, |mut unit| async move {
                for (team, plan) in plans {
                    give(&mut unit, *team, plan).await?;
                }
                Ok::<_, LedgerError>((unit, ()))
            })
            .await?;
    }
    Ok(())
}

/// Another node may have been faster, and the team may be gone.
async fn give(
    unit: &mut UnitOfWork,
    team: TeamId,
    plan: &WantedPurchase,
) -> Result<(), LedgerError> {
    let project = unit.context().project_id.clone();
    let stream = plan.customer.stream(&project);
    let customer = unit.state::<Customer>(&stream).await?;
    let mut bought = customer.purchases().iter();
    if bought.any(|purchase| purchase.product.is_in_line(LINE)) {
        return Ok(());
    }
    if !unit.state::<Team>(&team).await?.is_active() {
        return Ok(());
    }
    let command = CustomerCommand::Purchase(Box::new(plan.clone()));
    unit.execute::<Customer>(&stream, (project, command)).await
}

/// Makes sure that an owner team may have so many members. The seats are looked at, not used up.
///
/// # Errors
/// `ITEM_NOT_FOUND` if seats are not counted, `ITEM_QUANTITY_INSUFFICIENT_AMOUNT`.
pub async fn require_seats(
    app: &App,
    project: &LoadedProject,
    team: TeamId,
    members: usize,
) -> Result<(), ApiError> {
    if !project.id.is_internal() {
        return Ok(());
    }
    if !project.catalogue.items.contains_key(SEATS) {
        return Err(KnownError::item_not_found(SEATS).into());
    }
    let customer = CustomerRef::Team { team_id: team };
    let stream = customer.stream(&project.id);
    let seats = customers::quantity(app.pool(), stream, SEATS, app.now()).await?;
    let wanted = i64::try_from(members).unwrap_or(i64::MAX);
    if Quantity::whole(wanted) <= seats {
        return Ok(());
    }
    Err(KnownError::item_quantity_insufficient_amount(SEATS, &customer.id_text(), -1).into())
}
