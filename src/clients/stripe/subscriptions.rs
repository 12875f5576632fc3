//! Subscriptions on a connected account.

use muniment_domain::customer::DayInterval;
use muniment_domain::customer::products::money::Cents;
use serde_json::{Value, json};

use super::objects::{List, Metadata, Subscription};
use super::{Call, ConnectedStripe, StripeError, path_of};

/// What an answer must show so that a page can pay: the newest invoice's secret.
const EXPANDED: [&str; 1] = ["latest_invoice.confirmation_secret"];
/// Subscriptions on a page of the list.
const PAGE: u32 = 100;

/// What becomes of a subscription whose first payment does not succeed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentBehavior {
    /// It waits for a page to confirm the payment.
    DefaultIncomplete,
    /// Nothing changes, and the call fails.
    ErrorIfIncomplete,
}

impl PaymentBehavior {
    fn as_str(self) -> &'static str {
        match self {
            Self::DefaultIncomplete => "default_incomplete",
            Self::ErrorIfIncomplete => "error_if_incomplete",
        }
    }
}

/// A price in US dollars that comes round.
#[derive(Clone, Copy, Debug)]
pub struct RecurringPrice<'p> {
    /// `prod_…`
    pub product: &'p str,
    /// How much for one.
    pub amount: Cents,
    /// How often.
    pub interval: DayInterval,
}

/// What is subscribed to, and how it is paid.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionTerms<'p> {
    /// The price of one.
    pub price: RecurringPrice<'p>,
    /// How many.
    pub quantity: i64,
    /// What happens if it is not paid at once.
    pub behavior: PaymentBehavior,
    /// The card it is paid with; none if the payer is yet to be asked.
    pub default_payment_method: Option<&'p str>,
    /// Metadata that Stripe keeps with it and sends back: the product and price it is for.
    pub metadata: &'p Metadata,
    /// Under the same key, it is done once.
    pub key: Option<&'p str>,
}

impl SubscriptionTerms<'_> {
    /// The parameters, with the item that is replaced.
    fn params(&self, item: Option<&str>) -> Value {
        let DayInterval(count, unit) = self.price.interval;
        json!({
            "payment_behavior": self.behavior.as_str(),
            "payment_settings": {"save_default_payment_method": "on_subscription"},
            "default_payment_method": self.default_payment_method,
            "expand": EXPANDED,
            "items": [{
                "id": item,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": self.price.amount,
                    "product": self.price.product,
                    "recurring": {"interval": unit, "interval_count": count},
                },
                "quantity": self.quantity,
            }],
            "metadata": self.metadata,
        })
    }
}

impl ConnectedStripe {
    /// Subscribes a customer.
    ///
    /// # Errors
    /// What Stripe refuses; with [`PaymentBehavior::ErrorIfIncomplete`], the card's refusal.
    pub async fn create_subscription(
        &self,
        customer: &str,
        terms: SubscriptionTerms<'_>,
    ) -> Result<Subscription, StripeError> {
        let mut params = terms.params(None);
        params["customer"] = json!(customer);
        let call = Call::post("subscriptions.create", "/v1/subscriptions", params);
        self.call(call.once(terms.key)).await
    }

    /// A subscription.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn retrieve_subscription(&self, id: &str) -> Result<Subscription, StripeError> {
        let path = path_of("subscriptions.retrieve", "subscriptions", id)?;
        self.call(Call::get("subscriptions.retrieve", path, Value::Null))
            .await
    }

    /// Puts other terms in the place of those of a subscription's item.
    ///
    /// # Errors
    /// What Stripe refuses; with [`PaymentBehavior::ErrorIfIncomplete`], the card's refusal.
    pub async fn update_subscription(
        &self,
        id: &str,
        item: &str,
        terms: SubscriptionTerms<'_>,
    ) -> Result<Subscription, StripeError> {
        let path = path_of("subscriptions.update", "subscriptions", id)?;
        let call = Call::post("subscriptions.update", path, terms.params(Some(item)));
        self.call(call.once(terms.key)).await
    }

    /// Changes how many of its item a subscription is for; once only under the same key. Without
    /// any, it ends with its period.
    pub async fn update_subscription_quantity(
        &self,
        id: &str,
        item: &str,
        quantity: i64,
        key: Option<&str>,
    ) -> Result<Subscription, StripeError> {
        let path = path_of("subscriptions.update", "subscriptions", id)?;
        let params = json!({
            "items": [{"id": item, "quantity": quantity}],
            "cancel_at_period_end": quantity == 0,
        });
        let call = Call::post("subscriptions.update", path, params);
        self.call(call.once(key)).await
    }

    /// Ends a subscription now.
    ///
    /// # Errors
    /// When it does not exist, or has ended already.
    pub async fn cancel_subscription(&self, id: &str) -> Result<Subscription, StripeError> {
        let path = path_of("subscriptions.cancel", "subscriptions", id)?;
        self.call(Call::delete("subscriptions.cancel", path)).await
    }

    /// All subscriptions of a customer, those that ended included, newest first.
    pub async fn list_subscriptions(
        &self,
        customer: &str,
    ) -> Result<Vec<Subscription>, StripeError> {
        let mut all: Vec<Subscription> = Vec::new();
        loop {
            let after = all.last().map(|subscription| subscription.id.as_str());
            let params = json!({
                "customer": customer,
                "status": "all",
                "limit": PAGE,
                "starting_after": after,
            });
            let call = Call::get("subscriptions.list", "/v1/subscriptions", params);
            let page: List<Subscription> = self.call(call).await?;
            let ends = !page.has_more || page.data.is_empty();
            all.extend(page.data);
            if ends {
                return Ok(all);
            }
        }
    }
}
