//! Customers of a connected account, and their cards.

use serde_json::{Value, json};

use super::objects::{Customer, List, Metadata, PaymentMethod, SetupIntent};
use super::{Call, ConnectedStripe, StripeError, path_of};

/// Stripe's card for tests that always works.
const TEST_CARD: &str = "tok_visa";
/// Customers on a page of the list.
const PAGE: u32 = 100;

impl ConnectedStripe {
    /// The customers whose metadata say `customerId`. The index behind it is usually a minute old,
    /// at bad times more (<https://docs.stripe.com/search#data-freshness>).
    pub async fn search_customers(&self, customer_id: &str) -> Result<Vec<Customer>, StripeError> {
        let quoted = customer_id.replace('\\', r"\\").replace('\'', r"\'");
        let query = format!("metadata['customerId']:'{quoted}'");
        let params = json!({"query": query});
        let call = Call::get("customers.search", "/v1/customers/search", params);
        let found: List<Customer> = self.call(call).await?;
        Ok(found.data)
    }

    /// A page of customers, newest first, after the one of that id.
    pub async fn list_customers(&self, after: Option<&str>) -> Result<List<Customer>, StripeError> {
        let params = json!({"limit": PAGE, "starting_after": after});
        self.call(Call::get("customers.list", "/v1/customers", params))
            .await
    }

    /// Makes a customer; one only under the same key.
    pub async fn create_customer(
        &self,
        metadata: &Metadata,
        key: Option<&str>,
    ) -> Result<Customer, StripeError> {
        let params = json!({"metadata": metadata});
        let call = Call::post("customers.create", "/v1/customers", params);
        self.call(call.once(key)).await
    }

    /// A customer, perhaps a deleted one.
    ///
    /// # Errors
    /// When there never was such a customer.
    pub async fn retrieve_customer(&self, id: &str) -> Result<Customer, StripeError> {
        let path = path_of("customers.retrieve", "customers", id)?;
        self.call(Call::get("customers.retrieve", path, Value::Null))
            .await
    }

    /// Adds to a customer's metadata.
    pub async fn update_customer_metadata(
        &self,
        id: &str,
        metadata: &Metadata,
    ) -> Result<Customer, StripeError> {
        self.update_customer(id, json!({"metadata": metadata}))
            .await
    }

    /// Makes a card the one that invoices are paid with.
    pub async fn set_default_payment_method(
        &self,
        id: &str,
        payment_method: &str,
    ) -> Result<Customer, StripeError> {
        let settings = json!({"default_payment_method": payment_method});
        self.update_customer(id, json!({"invoice_settings": settings}))
            .await
    }

    async fn update_customer(&self, id: &str, params: Value) -> Result<Customer, StripeError> {
        let path = path_of("customers.update", "customers", id)?;
        self.call(Call::post("customers.update", path, params))
            .await
    }

    /// A customer's first card.
    pub async fn first_card(&self, customer: &str) -> Result<Option<PaymentMethod>, StripeError> {
        let name = "customers.listPaymentMethods";
        let path = format!("{}/payment_methods", path_of(name, "customers", customer)?);
        let params = json!({"type": "card", "limit": 1});
        let cards: List<PaymentMethod> = self.call(Call::get(name, path, params)).await?;
        Ok(cards.data.into_iter().next())
    }

    /// Begins to save a card, to be charged later without the customer.
    pub async fn create_setup_intent(&self, customer: &str) -> Result<SetupIntent, StripeError> {
        let params = json!({
            "customer": customer,
            "usage": "off_session",
            "payment_method_types": ["card"],
        });
        self.call(Call::post(
            "setupIntents.create",
            "/v1/setup_intents",
            params,
        ))
        .await
    }

    /// The saving of a card.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn retrieve_setup_intent(&self, id: &str) -> Result<SetupIntent, StripeError> {
        let path = path_of("setupIntents.retrieve", "setup_intents", id)?;
        self.call(Call::get("setupIntents.retrieve", path, Value::Null))
            .await
    }

    /// Gives a customer a card that Stripe has for tests.
    ///
    /// # Errors
    /// What Stripe refuses, which outside test mode is this.
    pub async fn attach_test_card(&self, customer: &str) -> Result<PaymentMethod, StripeError> {
        let card = json!({"type": "card", "card": {"token": TEST_CARD}});
        let create = Call::post("paymentMethods.create", "/v1/payment_methods", card);
        let card: PaymentMethod = self.call(create).await?;
        let name = "paymentMethods.attach";
        let path = format!("{}/attach", path_of(name, "payment_methods", &card.id)?);
        self.call(Call::post(name, path, json!({"customer": customer})))
            .await
    }
}
