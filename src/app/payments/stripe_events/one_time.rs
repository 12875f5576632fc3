//! Payments of one-time purchases.

use muniment_domain::PurchaseId;
use muniment_domain::customer::{CustomerCommand, History, Payment};
use muniment_event_store::LedgerError;

use super::emails::{Bill, PaymentEmail};
use super::{EventError, News, customer_in, given};
use crate::app::payments::customers;

/// What is bought, if the product has no name.
const UNNAMED: &str = "Purchase";

impl News<'_> {
    /// What was paid for is the customer's.
    pub(super) async fn one_time_paid(&self) -> Result<(), EventError> {
        let metadata = self.metadata();
        let customer = customer_in(&metadata)?;
        let product = self.product(&metadata).await?;
        let intent = self.object()["id"].as_str();
        let intent = intent.ok_or(EventError::Incomplete("id"))?;
        let quantity = given(&metadata, "purchaseQuantity").and_then(|text| text.parse().ok());
        let quantity = quantity.unwrap_or(1).max(1);
        let name = product.display_name.as_deref().unwrap_or(UNNAMED);
        let email = PaymentEmail::Receipt {
            bill: self.bill(name, "amount_received"),
            quantity,
            link: self.text("/charges/data/0/receipt_url"),
        };
        let emails = self.emails_to(&customer, &email).await?;
        let payment = Payment {
            customer: customer.clone(),
            id: PurchaseId(self.app.random.uuid()),
            payment_intent_id: intent.to_owned(),
            product_id: given(&metadata, "productId").map(str::to_owned),
            price_id: given(&metadata, "priceId").map(str::to_owned),
            product,
            quantity,
            history: History::default(),
            now: self.context.now,
        };
        let command = CustomerCommand::RecordPayment(Box::new(payment));
        let (log, stream) = (&self.app.log, customer.stream(&self.context.project_id));
        let _turn = self.app.customer_locks.lock(stream.0).await;
        log.transact(&self.context, |mut unit| async {
            customers::execute(&mut unit, &customer, command.clone()).await?;
            for email in &emails {
                email.request_once(&mut unit).await?;
            }
            Ok::<_, LedgerError>((unit, ()))
        })
        .await?;
        Ok(())
    }

    /// The customer is told.
    pub(super) async fn one_time_failed(&self) -> Result<(), EventError> {
        let metadata = self.metadata();
        let customer = customer_in(&metadata)?;
        let product = self.product(&metadata).await?;
        let name = product.display_name.as_deref().unwrap_or(UNNAMED);
        let email = PaymentEmail::Failed {
            bill: self.bill(name, "amount"),
            reason: self.text("/last_payment_error/message"),
        };
        let emails = self.emails_to(&customer, &email).await?;
        self.enqueue(&emails).await
    }

    pub(super) fn bill(&self, product: &str, amount: &str) -> Bill {
        Bill::new(
            product,
            self.object()[amount].as_i64(),
            self.text("/currency").as_deref(),
        )
    }

    /// A text in the event's object, if there is one at that JSON pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<String> {
        let text = self.object().pointer(pointer)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    }
}
