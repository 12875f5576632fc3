//! Subscriptions and their invoices.

use std::collections::BTreeSet;

use muniment_domain::PurchaseId;
use muniment_domain::customer::{
    Customer, CustomerCommand, CustomerRef, History, InvoiceReport, InvoiceStatus, Product,
    StripeSubscription, SubscriptionStatus, SubscriptionSync, derived_uuid,
};
use muniment_event_store::LedgerError;
use muniment_projections::read_models::customers as rows;

use super::emails::PaymentEmail;
use super::{EventError, News, customer_in, from_seconds, given};
use crate::app::payments::customers;
use crate::clients::stripe::Subscription;

/// How often Stripe is asked again, because others noted something while it was asked.
const ROUNDS: usize = 5;
/// What is subscribed to, if the invoice does not say.
const UNNAMED: &str = "Subscription";

/// Whether Stripe's answer was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    /// It was.
    Now,
    /// Others were faster.
    Outdated,
}

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

    /// Notes how the customer's subscriptions stand at Stripe. While it is asked, they may be noted
    /// by others, who may have asked later; then it is asked again.
    async fn sync(&self, payer: &str, customer: &CustomerRef) -> Result<(), EventError> {
        let stream = customer.stream(&self.context.project_id);
        // Those that ask take turns; those that change items need not wait for Stripe.
        let turn = derived_uuid(&["stripe-sync", &stream.to_string()]);
        let _turn = self.app.customer_locks.lock(turn).await;
        for _ in 0..ROUNDS {
            let before = self.app.state::<Customer>(&self.context, &stream);
            let before = before.await?;
            let answer = self.ask(payer).await?;
            if self.note(customer, &before, &answer).await? == Noted::Now {
                return Ok(());
            }
        }
        Err(LedgerError::Conflict.into())
    }

    async fn ask(&self, payer: &str) -> Result<Vec<StripeSubscription>, EventError> {
        let mut all = Vec::new();
        for subscription in self.stripe.list_subscriptions(payer).await? {
            let product = self.product(&subscription.metadata).await?;
            all.extend(told(&subscription, product)?);
        }
        Ok(all)
    }

    /// Notes what Stripe answered, if the customer's purchases are as they were before it was asked.
    async fn note(
        &self,
        customer: &CustomerRef,
        before: &Customer,
        answer: &[StripeSubscription],
    ) -> Result<Noted, EventError> {
        let stream = customer.stream(&self.context.project_id);
        let _turn = self.app.customer_locks.lock(stream.0).await;
        let log = &self.app.log;
        log.transact(&self.context, |mut unit| async move {
            let state = unit.state::<Customer>(&stream).await?;
            if state.purchases() != before.purchases() {
                return Ok::<_, EventError>((unit, Noted::Outdated));
            }
            for stripe in answer {
                let owner = self.owner_of(&stripe.id).await?;
                let owner = owner.as_ref().unwrap_or(customer);
                let sync = SubscriptionSync {
                    customer: owner.clone(),
                    id: PurchaseId(self.app.random.uuid()),
                    stripe: stripe.clone(),
                    history: History::default(),
                    now: self.context.now,
                };
                let command = CustomerCommand::SyncSubscription(Box::new(sync));
                customers::execute(&mut unit, owner, command).await?;
            }
            Ok((unit, Noted::Now))
        })
        .await
    }

    async fn owner_of(&self, subscription: &str) -> Result<Option<CustomerRef>, LedgerError> {
        let project = &self.context.project_id;
        rows::subscriber(self.app.pool(), project, subscription).await
    }

    async fn invoice_changed(&self, customer: &CustomerRef) -> Result<(), EventError> {
        let emails = match self.invoice_email() {
            Some(email) => self.emails_to(customer, &email).await?,
            None => Vec::new(),
        };
        let Some((owner, command)) = self.invoice_report().await? else {
            return self.enqueue(&emails).await;
        };
        let stream = owner.stream(&self.context.project_id);
        let _turn = self.app.customer_locks.lock(stream.0).await;
        let log = &self.app.log;
        log.transact(&self.context, |mut unit| async {
            customers::execute(&mut unit, &owner, command.clone()).await?;
            for email in &emails {
                email.request_once(&mut unit).await?;
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

    /// The email to send about an event of an invoice, if any.
    fn invoice_email(&self) -> Option<PaymentEmail> {
        let name = self.text("/lines/data/0/description");
        let name = name.as_deref().unwrap_or(UNNAMED);
        let page = self.text("/hosted_invoice_url");
        match self.event.kind.as_str() {
            "invoice.payment_succeeded" => Some(PaymentEmail::Receipt {
                bill: self.bill(name, "amount_paid"),
                quantity: self.object()["lines"]["data"][0]["quantity"]
                    .as_i64()
                    .unwrap_or(1),
                link: page.or_else(|| self.text("/invoice_pdf")),
            }),
            // As long as Stripe tries again, there is nothing to tell.
            "invoice.payment_failed" if self.object()["status"] == "uncollectible" => {
                Some(PaymentEmail::InvoiceFailed {
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
