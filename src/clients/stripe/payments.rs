//! Payments and refunds on a connected account.

use muniment_domain::customer::products::money::Cents;
use serde_json::json;

use super::objects::{Invoice, List, Metadata, PaymentIntent, Product, Refund};
use super::{Call, ConnectedStripe, StripeError, path_of};

/// Refunds that are asked for at once, which is as many as Stripe shows.
const PAGE: u32 = 100;

/// A payment that is to be made.
#[derive(Clone, Debug)]
pub struct NewPaymentIntent<'p> {
    /// How much.
    pub amount: Cents,
    /// Whose: `cus_…`.
    pub customer: &'p str,
    /// Metadata that Stripe keeps with it and sends back: the product and price that are paid for.
    pub metadata: &'p Metadata,
    /// Under the same key, there is one payment only.
    pub key: Option<&'p str>,
}

impl ConnectedStripe {
    /// Begins a payment in US dollars, by whatever way the account offers.
    pub async fn create_payment_intent(
        &self,
        wanted: NewPaymentIntent<'_>,
    ) -> Result<PaymentIntent, StripeError> {
        let params = json!({
            "amount": wanted.amount,
            "currency": "usd",
            "customer": wanted.customer,
            "automatic_payment_methods": {"enabled": true},
            "metadata": wanted.metadata,
        });
        let call = Call::post("paymentIntents.create", "/v1/payment_intents", params);
        self.call(call.once(wanted.key)).await
    }

    /// Makes a product, which gives what is sold a name; one only under the same key.
    pub async fn create_product(
        &self,
        name: &str,
        key: Option<&str>,
    ) -> Result<Product, StripeError> {
        let params = json!({"name": name});
        let call = Call::post("products.create", "/v1/products", params);
        self.call(call.once(key)).await
    }

    /// An invoice, with its payments.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn retrieve_invoice(&self, id: &str) -> Result<Invoice, StripeError> {
        let path = path_of("invoices.retrieve", "invoices", id)?;
        let params = json!({"expand": ["payments"]});
        self.call(Call::get("invoices.retrieve", path, params))
            .await
    }

    /// Pays back some of a payment; once only under the same key.
    pub async fn create_refund(
        &self,
        payment_intent: &str,
        amount: Cents,
        metadata: &Metadata,
        key: Option<&str>,
    ) -> Result<Refund, StripeError> {
        let params = json!({
            "payment_intent": payment_intent,
            "amount": amount,
            "metadata": metadata,
        });
        let call = Call::post("refunds.create", "/v1/refunds", params);
        self.call(call.once(key)).await
    }

    /// What was paid back of a payment: the newest hundred times.
    pub async fn list_refunds(&self, payment_intent: &str) -> Result<Vec<Refund>, StripeError> {
        let params = json!({"payment_intent": payment_intent, "limit": PAGE});
        let call = Call::get("refunds.list", "/v1/refunds", params);
        let page: List<Refund> = self.call(call).await?;
        Ok(page.data)
    }
}
