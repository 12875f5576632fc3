//! `/payments/products/{type}/{id}/switch`: from one product of a line to another (contract 06
//! §5.4).

use axum::http::StatusCode;
use muniment_domain::customer::{
    CustomerRef, DayInterval, Price, Prices, Product, Purchase, StripeSubscription,
    SubscriptionStatus, derived_uuid, owned,
};
use muniment_projections::read_models::customers;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::billing::PAYERS;
use super::{Named, require_connected, require_open};
use crate::app::App;
use crate::app::payments::customers::{record_product_version, sync_subscription};
use crate::app::payments::stripe_customers;
use crate::app::payments::stripe_events::told;
use crate::clients::stripe::{
    ConnectedStripe, Metadata, PaymentBehavior, PaymentMethod, RecurringPrice, Subscription,
    SubscriptionTerms,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::ClientAccess;
use crate::http::request::caller::Auth;
use crate::http::request::input::{Input, integer, text};

/// What a product is called at Stripe if it has no name.
const UNNAMED: &str = "Subscription";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(switch))
}

/// Switches a subscription to another product of its line. The customer's card is charged.
#[utoipa::path(post, path = "/payments/products/{customer_type}/{customer_id}/switch", tag = "payments", request_body = serde_json::Value,
    params(("customer_type" = String, Path), ("customer_id" = String, Path)),
    responses((status = 200, description = "Switched"), (status = 400, description = "SCHEMA_ERROR, DEFAULT_PAYMENT_METHOD_REQUIRED; the products cannot be switched; payments are not set up; the card was declined"),
        (status = 403, description = "NEW_PURCHASES_BLOCKED; somebody else's"), (status = 404, description = "USER_NOT_FOUND, TEAM_NOT_FOUND"), (status = 503, description = "Stripe cannot be reached")))]
async fn switch(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let named = Named::read(&mut form.params(), &PAYERS);
    let mut body = form.body();
    let from = body.required("from_product_id", text);
    let to = body.required("to_product_id", text);
    let price = body.optional("price_id", text);
    let quantity = body.optional("quantity", integer(1..=i64::from(i32::MAX)));
    body.close();
    let (named, from, to, price, quantity) =
        form.finish((|| Some((named?, from?, to?, price?, quantity?)))())?;
    require_open(&access)?;
    named.check_client(&access).await?;
    let (from_product, to_product) = switchable(&access, &named, &from, &to)?;
    let customer = named.find(&access).await?;
    let stream = customer.stream(access.project_id());
    // One at a time: the second finds what the first has done.
    let turn = derived_uuid(&["plan-switch", &stream.to_string()]);
    let _turn = access.app.queues.wait(turn).await;
    let purchases = customers::purchases_of(access.app.pool(), stream).await?;
    let current = current(&access.app, &purchases, &from, &from_product)?;
    let (price_id, price) = chosen(&to_product, price.as_deref())?;
    if quantity.is_some_and(|quantity| quantity != 1) && !to_product.stackable {
        return Err(refuse(
            "The product is not stackable: its quantity can only be 1.",
        ));
    }
    let stripe = require_connected(&access.app, &access.project)?;
    let (payer, card) = payer(&stripe, &customer).await?;
    let order = Order {
        customer,
        product_id: to,
        product: to_product,
        price_id,
        price,
        quantity: quantity.unwrap_or_else(|| current.map_or(1, |purchase| purchase.quantity)),
    };
    let context = access.event_context();
    let (customer, product_id) = (&order.customer, Some(order.product_id.as_str()));
    let product = &order.product;
    let version =
        record_product_version(&access.app, context, customer, product_id, product).await?;
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
    sync_subscription(&access.app, context, customer, now).await?;
    Ok(success())
}

/// The two products, if one can be switched to the other.
fn switchable(auth: &Auth, named: &Named, from: &str, to: &str) -> ApiResult<(Product, Product)> {
    let payments = &auth.project.catalogue;
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
