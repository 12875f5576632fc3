//! Checkout: what Stripe is asked for when somebody begins to pay.
//!
//! Nothing is theirs yet: that comes with the webhook that says it was paid. So what has to give way
//! to a purchase gives way only once Stripe has agreed to sell it.

use muniment_domain::customer::products::money::Cents;
use muniment_domain::customer::{CustomerRef, DayInterval, Price, Product, derived_uuid};
use muniment_domain::{Millis, ProjectId, VerificationCodeId};

use crate::clients::stripe::{
    ConnectedStripe, Metadata, NewPaymentIntent, PaymentBehavior, RecurringPrice, StripeError,
    Subscription, SubscriptionTerms,
};

/// The name of a product that has none, on receipts.
const UNNAMED: &str = "Subscription";
/// How long the same request is one request: within it, Stripe makes one payment only. Stripe
/// remembers refusals just as well, and an operator who mends what was wrong should not wait for long.
const SAME_REQUEST_MILLIS: i64 = 60 * 1000;

/// A purchase that somebody is about to pay for.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'s> {
    /// The project that sells.
    pub project: &'s ProjectId,
    /// Who gets it.
    pub customer: &'s CustomerRef,
    /// Who pays, at Stripe: `cus_…`.
    pub payer: &'s str,
    /// Which product of the settings, if it is one.
    pub product_id: Option<&'s str>,
    /// The product.
    pub product: &'s Product,
    /// The version under which the product is found again.
    pub version: &'s str,
    /// The price that was chosen.
    pub price_id: &'s str,
    /// How many.
    pub quantity: i64,
    /// The purchase code that it is paid by.
    pub code: VerificationCodeId,
    /// The time of the request.
    pub now: Millis,
}

/// What is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// So many US cents, once.
    Once(Cents),
    /// So many US cents for each, again and again.
    Recurring(Cents, DayInterval),
}

impl Charge {
    /// What is charged at that price. None if it is not in US dollars, or more than can be counted.
    #[must_use]
    pub fn of(price: &Price, quantity: i64) -> Option<Self> {
        let each = price.usd_cents()?;
        let total = each.checked_mul(quantity)?;
        Some(match price.interval {
            None => Self::Once(total),
            Some(interval) => Self::Recurring(each, interval),
        })
    }
}

/// Begins to sell, in the place of a running subscription at Stripe, if there is one. Yields the
/// secret with which a page confirms the payment; none if Stripe has none.
///
/// # Errors
/// What Stripe refuses. The subscription that was to give way is as it was.
pub async fn begin(
    stripe: &ConnectedStripe,
    sale: &Sale<'_>,
    charge: Charge,
    replaced: Option<&str>,
) -> Result<Option<String>, StripeError> {
    match charge {
        Charge::Once(total) => {
            let secret = sale.charge_once(stripe, total).await?;
            if let Some(replaced) = replaced {
                cancel(stripe, replaced).await?;
            }
            Ok(secret)
        }
        Charge::Recurring(each, interval) => sale.subscribe(stripe, each, interval, replaced).await,
    }
}

/// Ends a subscription now. If it has ended already, a webhook is on its way that says so.
///
/// # Errors
/// What Stripe refuses.
pub async fn cancel(stripe: &ConnectedStripe, id: &str) -> Result<(), StripeError> {
    match stripe.cancel_subscription(id).await {
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}

impl Sale<'_> {
    async fn charge_once(
        &self,
        stripe: &ConnectedStripe,
        total: Cents,
    ) -> Result<Option<String>, StripeError> {
        let wanted = NewPaymentIntent {
            amount: total,
            customer: self.payer,
            metadata: &self.payment_metadata(),
            key: Some(&self.key("payment")),
        };
        Ok(stripe.create_payment_intent(wanted).await?.client_secret)
    }

    async fn subscribe(
        &self,
        stripe: &ConnectedStripe,
        each: Cents,
        interval: DayInterval,
        replaced: Option<&str>,
    ) -> Result<Option<String>, StripeError> {
        let replaced = match replaced {
            Some(id) => running(stripe, id).await?,
            None => None,
        };
        let name = self.product.display_name.as_deref();
        let name = name.filter(|name| !name.is_empty()).unwrap_or(UNNAMED);
        let product = stripe
            .create_product(name, Some(&self.key("product")))
            .await?;
        let (metadata, key) = (self.subscription_metadata(), self.key("subscription"));
        let terms = SubscriptionTerms {
            price: RecurringPrice {
                product: &product.id,
                amount: each,
                interval,
            },
            quantity: self.quantity,
            behavior: PaymentBehavior::DefaultIncomplete,
            default_payment_method: None,
            metadata: &metadata,
            key: Some(&key),
        };
        let subscription = match &replaced {
            Some((id, item)) => stripe.update_subscription(id, item, terms).await?,
            None => stripe.create_subscription(self.payer, terms).await?,
        };
        Ok(subscription.client_secret().map(str::to_owned))
    }

    /// What a subscription says about what it is for.
    fn subscription_metadata(&self) -> Metadata {
        let mut fields = vec![
            ("productVersionId", self.version.to_owned()),
            ("priceId", self.price_id.to_owned()),
        ];
        if let Some(id) = self.product_id {
            fields.push(("productId", id.to_owned()));
        }
        metadata(fields)
    }

    /// What a payment says about what it is for.
    fn payment_metadata(&self) -> Metadata {
        metadata(vec![
            ("productId", self.product_id.unwrap_or_default().to_owned()),
            ("productVersionId", self.version.to_owned()),
            ("customerId", self.customer.id_text()),
            (
                "customerType",
                self.customer.customer_type().as_str().to_owned(),
            ),
            ("purchaseQuantity", self.quantity.to_string()),
            ("purchaseKind", "ONE_TIME".to_owned()),
            ("tenancyId", self.project.to_string()),
            ("priceId", self.price_id.to_owned()),
        ])
    }

    /// The key under which Stripe does a part of this request once.
    fn key(&self, part: &str) -> String {
        let minute = self.now.0.div_euclid(SAME_REQUEST_MILLIS).to_string();
        let (code, quantity) = (self.code.to_string(), self.quantity.to_string());
        let parts = ["checkout", part, &code, self.price_id, &quantity, &minute];
        derived_uuid(&parts).to_string()
    }
}

fn metadata(fields: Vec<(&str, String)>) -> Metadata {
    let pairs = fields.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A subscription and its item, if it still runs at Stripe: a webhook may be on its way that says
/// it does not.
async fn running(
    stripe: &ConnectedStripe,
    id: &str,
) -> Result<Option<(String, String)>, StripeError> {
    let found = match stripe.retrieve_subscription(id).await {
        Err(error) if error.is_missing() => return Ok(None),
        found => found?,
    };
    let has_ended = found.has_ended();
    let Subscription { id, items, .. } = found;
    let item = items.data.into_iter().next().filter(|_| !has_ended);
    Ok(item.map(|item| (id, item.id)))
}
