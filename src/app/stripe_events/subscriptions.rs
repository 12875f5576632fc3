//! Subscriptions and their invoices.

use std::collections::BTreeSet;

use muniment_domain::PurchaseId;
use muniment_domain::customer::{
    Customer, CustomerCommand, CustomerRef, History, InvoiceReport, InvoiceStatus, Product,
    StripeSubscription, SubscriptionStatus, SubscriptionSync,
};
use muniment_projections::{LedgerError, customers as rows};

use super::letters::PaymentLetter;
use super::{EventError, News, customer_in, from_seconds, given};
use crate::app::customers;
use crate::stripe::Subscription;

/// What is subscribed to, if the invoice does not say.
const UNNAMED: &str = "Subscription";

impl News<'_> {
    /// Stripe is asked how things stand; then an invoice is noted, and the customer told of it.
    pub(super) async fn subscriptions_changed(&self) -> Result<(), EventError> {
        let payer = self.object()["customer"].as_str();
        let payer = payer.ok_or(EventError::Incomplete("customer"))?;
        let described = self.stripe.retrieve_customer(payer).await?;
        if described.deleted {
            return Ok(());
        }
        let customer = customer_in(&described.metadata)?;
        self.sync(payer, &customer).await?;
        if self.event.kind.starts_with("invoice.") {
            self.invoice_changed(&customer).await?;
        }
        Ok(())
    }

    /// The state is read before Stripe is asked. So when something else is noted in between, which
    /// may be newer than Stripe's answer, Stripe is asked again.
    async fn sync(&self, payer: &str, customer: &CustomerRef) -> Result<(), EventError> {
        let stream = customer.stream(&self.context.project_id);
        let _turn = self.app.queues.wait(stream.0).await;
        let log = &self.app.log;
        log.transact(&self.context, |mut unit| async move {
            unit.state::<Customer>(&stream).await?;
            for subscription in self.stripe.list_subscriptions(payer).await? {
                let product = self.product(&subscription.metadata).await?;
                let Some(stripe) = told(&subscription, product)? else {
                    continue;
                };
                let owner = self.owner_of(&subscription.id).await?;
                let owner = owner.as_ref().unwrap_or(customer);
                let sync = SubscriptionSync {
                    customer: owner.clone(),
                    id: PurchaseId(self.app.random.uuid()),
                    stripe,
                    history: History::default(),
                    now: self.context.now,
                };
                let command = CustomerCommand::SyncSubscription(Box::new(sync));
                customers::execute(&mut unit, owner, command).await?;
            }
            Ok::<_, EventError>((unit, ()))
        })
        .await
    }

    async fn owner_of(&self, subscription: &str) -> Result<Option<CustomerRef>, LedgerError> {
        let project = &self.context.project_id;
        rows::subscriber(self.app.pool(), project, subscription).await
    }

    async fn invoice_changed(&self, customer: &CustomerRef) -> Result<(), EventError> {
        let letters = match self.invoice_letter() {
            Some(letter) => self.letters(customer, &letter).await?,
            None => Vec::new(),
        };
        let Some((owner, command)) = self.invoice_report().await? else {
            return self.post(&letters).await;
        };
        let stream = owner.stream(&self.context.project_id);
        let _turn = self.app.queues.wait(stream.0).await;
        let log = &self.app.log;
        log.transact(&self.context, |mut unit| async {
            customers::execute(&mut unit, &owner, command.clone()).await?;
            for letter in &letters {
                letter.request_once(&mut unit).await?;
            }
            Ok::<_, LedgerError>((unit, ()))
        })
        .await?;
        Ok(())
    }

    /// What the event says of an invoice of a subscription, and whose that is.
    async fn invoice_report(&self) -> Result<Option<(CustomerRef, CustomerCommand)>, EventError> {
        let lines = self.object()["lines"]["data"].as_array();
        let named = lines.into_iter().flatten().filter_map(|line| {
            let path = "/parent/subscription_item_details/subscription";
            line.pointer(path)?.as_str()
        });
        let subscriptions: BTreeSet<&str> = named.collect();
        if subscriptions.len() > 1 {
            return Err(EventError::Incomplete(
                "a single subscription of the invoice",
            ));
        }
        let (Some(id), Some(subscription)) = (self.text("/id"), subscriptions.first()) else {
            return Ok(None);
        };
        let owner = self.owner_of(subscription).await?;
        let owner = owner.ok_or(EventError::Incomplete(
            "a known subscription of the invoice",
        ))?;
        let report = InvoiceReport {
            customer: owner.clone(),
            id: self.app.random.uuid(),
            stripe_id: id,
            stripe_subscription_id: (*subscription).to_owned(),
            is_creation: self.object()["billing_reason"] == "subscription_create",
            status: self
                .text("/status")
                .and_then(|it| InvoiceStatus::named(&it)),
            amount_total: self.object()["total"].as_i64(),
            hosted_invoice_url: self.text("/hosted_invoice_url"),
            told_at: self.told_at(),
            now: self.context.now,
        };
        Ok(Some((
            owner,
            CustomerCommand::RecordInvoice(Box::new(report)),
        )))
    }

    /// The letter that an event about an invoice is worth.
    fn invoice_letter(&self) -> Option<PaymentLetter> {
        let name = self.text("/lines/data/0/description");
        let name = name.as_deref().unwrap_or(UNNAMED);
        let page = self.text("/hosted_invoice_url");
        match self.event.kind.as_str() {
            "invoice.payment_succeeded" => Some(PaymentLetter::Receipt {
                bill: self.bill(name, "amount_paid"),
                quantity: self.object()["lines"]["data"][0]["quantity"]
                    .as_i64()
                    .unwrap_or(1),
                link: page.or_else(|| self.text("/invoice_pdf")),
            }),
            // As long as Stripe tries again, there is nothing to tell.
            "invoice.payment_failed" if self.object()["status"] == "uncollectible" => {
                Some(PaymentLetter::InvoiceFailed {
                    bill: self.bill(name, "amount_due"),
                    invoice_url: page,
                })
            }
            _ => None,
        }
    }
}

/// What Stripe says of a subscription, in the terms of the ledger. None if it is to nothing.
///
/// # Errors
/// When its status is none of Stripe's.
pub fn told(
    subscription: &Subscription,
    product: Product,
) -> Result<Option<StripeSubscription>, EventError> {
    let Some(item) = subscription.items.data.first() else {
        return Ok(None);
    };
    let status = SubscriptionStatus::named(&subscription.status);
    let metadata = &subscription.metadata;
    let product_id = given(metadata, "productId").or_else(|| given(metadata, "offerId"));
    Ok(Some(StripeSubscription {
        id: subscription.id.clone(),
        product_id: product_id.map(str::to_owned),
        price_id: given(metadata, "priceId").map(str::to_owned),
        product,
        quantity: item.quantity.unwrap_or(1),
        status: status.ok_or(EventError::Incomplete("a known status of the subscription"))?,
        period_start: from_seconds(item.current_period_start),
        period_end: from_seconds(item.current_period_end),
        cancel_at_period_end: subscription.cancel_at_period_end,
        canceled_at: subscription.canceled_at.map(from_seconds),
        ended_at: subscription.ended_at.map(from_seconds),
    }))
}
