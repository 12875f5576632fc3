//! Switching from one product of a line to another. The customer's card is charged.

use axum::http::StatusCode;
use muniment_domain::customer::{
    CustomerRef, DayInterval, Price, Prices, Product, Purchase, StripeSubscription,
    SubscriptionStatus, derived_uuid, owned,
};
use muniment_projections::read_models::customers;

use super::customers::{record_product_version, sync_subscription};
use super::named_customer::NamedCustomer;
use super::stripe_customers::{self, require_connected};
use super::stripe_events::told;
use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::app::request_context::RequestContext;
use crate::clients::stripe::{
    ConnectedStripe, Metadata, PaymentBehavior, PaymentMethod, RecurringPrice, Subscription,
    SubscriptionTerms,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};

/// What a product is called at Stripe if it has no name.
const UNNAMED: &str = "Subscription";

/// A switch that is asked for.
#[derive(Clone, Debug)]
pub struct Switch {
    /// The product that the customer has.
    pub from: String,
    /// The one that takes its place.
    pub to: String,
    /// At which price; else at the first that comes round.
    pub price_id: Option<String>,
    /// How many; else as many as before.
    pub quantity: Option<i64>,
}

/// Switches a subscription to another product of its line.
///
/// # Errors
/// `USER_NOT_FOUND`, `TEAM_NOT_FOUND`, `DEFAULT_PAYMENT_METHOD_REQUIRED`; text 400 when the products
/// cannot be switched; what Stripe refuses.
pub async fn switch(
    request: RequestContext<'_>,
    named: &NamedCustomer,
    wanted: Switch,
) -> ApiResult<()> {
    let RequestContext { app, project, .. } = request;
    let (from_product, to_product) = switchable(project, named, &wanted.from, &wanted.to)?;
    let customer = named.find(app, &project.id).await?;
    let stream = customer.stream(&project.id);
    // One at a time: the second finds what the first has done.
    let turn = derived_uuid(&["plan-switch", &stream.to_string()]);
    let _turn = app.customer_locks.lock(turn).await;
    let purchases = customers::purchases_of(app.pool(), stream).await?;
    let current = current(app, &purchases, &wanted.from, &from_product)?;
    let (price_id, price) = chosen(&to_product, wanted.price_id.as_deref())?;
    let quantity = wanted.quantity;
    if quantity.is_some_and(|quantity| quantity != 1) && !to_product.stackable {
        return Err(refuse(
            "The product is not stackable: its quantity can only be 1.",
        ));
    }
    let stripe = require_connected(app, project)?;
    let (payer, card) = payer(&stripe, &customer).await?;
    let order = Order {
        customer,
        product_id: wanted.to,
        product: to_product,
        price_id,
        price,
        quantity: quantity.unwrap_or_else(|| current.map_or(1, |purchase| purchase.quantity)),
    };
    let context = request.context_now();
    let (customer, product_id) = (&order.customer, Some(order.product_id.as_str()));
    let product = &order.product;
    let version = record_product_version(app, &context, customer, product_id, product).await?;
    let present = current.and_then(Purchase::stripe_subscription);
    let sale = Sale {
        stripe: &stripe,
        payer: &payer,
        card: &card.id,
        metadata: order.metadata(&version),
    };
    let now = match present {
        Some(id) => order.switch(&sale, id).await?,
        None => order.begin(&sale, &purchases).await?,
    };
    sync_subscription(app, &context, customer, now).await?;
    Ok(())
}

/// The two products, if one can be switched to the other.
fn switchable(
    project: &LoadedProject,
    named: &NamedCustomer,
    from: &str,
    to: &str,
) -> ApiResult<(Product, Product)> {
    let payments = &project.catalogue;
    let (Some(from_product), Some(to_product)) = (payments.product(from), payments.product(to))
    else {
        return Err(refuse("One of the products does not exist."));
    };
    let problem =
        if from_product.customer_type != named.kind || to_product.customer_type != named.kind {
            "One of the products is for customers of another type."
        } else if from_product.product_line_id.is_none()
            || from_product.product_line_id != to_product.product_line_id
        {
            "The products are not in one product line."
        } else if from == to {
            "The products are the same."
        } else if !to_product.is_add_on_to.ids().is_empty() {
            "Nobody can switch to an add-on."
        } else if to_product.prices == Prices::IncludeByDefault {
            "Nobody can switch to a product that is included by default."
        } else if from_product.prices != Prices::IncludeByDefault
            && from_product.interval_prices().next().is_none()
        {
            "The present product is no subscription."
        } else {
            return Ok((from_product, to_product));
        };
    Err(refuse(problem))
}

/// The subscription that is switched. None if the present product is included by default.
fn current<'p>(
    app: &App,
    purchases: &'p [Purchase],
    from: &str,
    from_product: &Product,
) -> ApiResult<Option<&'p Purchase>> {
    let line = from_product.product_line_id.as_deref().unwrap_or_default();
    let owned = owned(purchases, app.now());
    let mut in_line = owned
        .values()
        .filter(|owned| owned.product.is_in_line(line))
        .peekable();
    let has_another = in_line.peek().is_some();
    if in_line.any(|owned| owned.subscription.is_none()) {
        return Err(refuse(
            "A product of the line is owned without an active subscription.",
        ));
    }
    if from_product.prices == Prices::IncludeByDefault {
        // Nobody shall pay for two products that exclude each other.
        if has_another {
            let problem = "Another product of the line is owned: switch from that one.";
            return Err(refuse(problem));
        }
        return Ok(None);
    }
    let paid = purchases.iter().find(|purchase| {
        let is_it = purchase.product_id.as_deref() == Some(from);
        is_it && purchase.is_active() && purchase.stripe_subscription().is_some()
    });
    match paid {
        Some(purchase) => Ok(Some(purchase)),
        None => Err(refuse("The product is not owned by a paid subscription.")),
    }
}

/// A price that comes round, in US cents.
#[derive(Clone, Copy)]
struct Recurring {
    amount: i64,
    interval: DayInterval,
}

fn chosen(product: &Product, id: Option<&str>) -> ApiResult<(String, Recurring)> {
    let mut prices = product.interval_prices();
    let chosen: Option<(&String, &Price)> = match id {
        Some(id) => prices.find(|(known, _)| *known == id),
        None => prices.next(),
    };
    let unknown = || refuse("The product has no such price that comes round.");
    let (id, price) = chosen.ok_or_else(unknown)?;
    let interval = price.interval.ok_or_else(unknown)?;
    let Some(amount) = price.usd_cents() else {
        let problem = "The price is not in US dollars, which is all that can be charged.";
        return Err(refuse(problem));
    };
    Ok((id.clone(), Recurring { amount, interval }))
}

/// Who pays at Stripe, and with which card.
async fn payer(
    stripe: &ConnectedStripe,
    customer: &CustomerRef,
) -> ApiResult<(String, PaymentMethod)> {
    let missing = || {
        let (kind, id) = (customer.customer_type(), customer.id_text());
        KnownError::default_payment_method_required(kind, &id)
    };
    let found = stripe_customers::find(stripe, customer).await?;
    let found = found.ok_or_else(missing)?;
    if stripe.retrieve_customer(&found.id).await?.deleted {
        return Err(missing().into());
    }
    let card = stripe.first_card(&found.id).await?;
    Ok((found.id, card.ok_or_else(missing)?))
}

/// What is switched to.
struct Order {
    customer: CustomerRef,
    product_id: String,
    product: Product,
    price_id: String,
    price: Recurring,
    quantity: i64,
}

/// Who sells it, to whom, and as what.
struct Sale<'s> {
    stripe: &'s ConnectedStripe,
    payer: &'s str,
    card: &'s str,
    metadata: Metadata,
}

/// A process may die when Stripe has done what it was asked for, before that is noted here. So it is
/// always looked first whether it is done: nobody pays twice for one switch.
impl Order {
    /// Has Stripe switch the present subscription; yields how it stands then. The period stays, until
    /// Stripe tells of another.
    async fn switch(&self, sale: &Sale<'_>, id: &str) -> ApiResult<StripeSubscription> {
        let before = sale.stripe.retrieve_subscription(id).await?;
        if self.is_placed(sale, &before) {
            return self.told(&before);
        }
        let item = before.items.data.into_iter().next();
        let item = item.ok_or_else(|| ApiError::internal("the subscription is to nothing"))?;
        let product = self.name_at(sale.stripe).await?;
        let terms = self.terms(sale, &product);
        let update = sale.stripe.update_subscription(id, &item.id, terms);
        let mut after = update.await?;
        for changed in &mut after.items.data {
            changed.current_period_start = item.current_period_start;
            changed.current_period_end = item.current_period_end;
        }
        self.told(&after)
    }

    /// Has Stripe begin a subscription; yields how it stands then.
    async fn begin(&self, sale: &Sale<'_>, known: &[Purchase]) -> ApiResult<StripeSubscription> {
        let is_known = |id: &str| known.iter().any(|it| it.stripe_subscription() == Some(id));
        let all = sale.stripe.list_subscriptions(sale.payer).await?;
        let mut unknown = all.iter().filter(|it| !is_known(&it.id));
        if let Some(begun) = unknown.find(|it| self.is_placed(sale, it)) {
            return self.told(begun);
        }
        let product = self.name_at(sale.stripe).await?;
        let terms = self.terms(sale, &product);
        let made = sale.stripe.create_subscription(sale.payer, terms).await?;
        self.told(&made)
    }

    /// Whether a subscription runs and is what is ordered.
    fn is_placed(&self, sale: &Sale<'_>, subscription: &Subscription) -> bool {
        let status = SubscriptionStatus::named(&subscription.status);
        let said = |name: &String| subscription.metadata.get(name);
        let mut items = subscription.items.data.iter();
        status.is_some_and(SubscriptionStatus::is_active)
            && sale
                .metadata
                .iter()
                .all(|(name, value)| said(name) == Some(value))
            && items.next().and_then(|item| item.quantity) == Some(self.quantity)
    }

    /// Gives what is sold a name at Stripe; yields its id there.
    async fn name_at(&self, stripe: &ConnectedStripe) -> ApiResult<String> {
        let name = self.product.display_name.as_deref().unwrap_or(UNNAMED);
        Ok(stripe.create_product(name, None).await?.id)
    }

    fn terms<'t>(&self, sale: &'t Sale<'_>, product: &'t str) -> SubscriptionTerms<'t> {
        SubscriptionTerms {
            price: RecurringPrice {
                product,
                amount: self.price.amount,
                interval: self.price.interval,
            },
            quantity: self.quantity,
            behavior: PaymentBehavior::ErrorIfIncomplete,
            default_payment_method: Some(sale.card),
            metadata: &sale.metadata,
            key: None,
        }
    }

    fn metadata(&self, version: &str) -> Metadata {
        Metadata::from([
            ("productId".to_owned(), self.product_id.clone()),
            ("productVersionId".to_owned(), version.to_owned()),
            ("priceId".to_owned(), self.price_id.clone()),
        ])
    }

    fn told(&self, subscription: &Subscription) -> ApiResult<StripeSubscription> {
        let told = told(subscription, self.product.clone()).map_err(ApiError::internal)?;
        let told = told.ok_or_else(|| ApiError::internal("the subscription is to nothing"))?;
        Ok(StripeSubscription {
            product_id: Some(self.product_id.clone()),
            price_id: Some(self.price_id.clone()),
            quantity: self.quantity,
            ..told
        })
    }
}

fn refuse(text: &str) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, text)
}
