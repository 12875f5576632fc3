//! What a payment provider reports, and what follows from it.
//!
//! A report may arrive twice, late, or in another order. So nothing here depends on earlier
//! reports, except for ids, and a report without news leaves no event.

use super::Customer;
use super::command::{CustomerCommand, InvoiceReport, Payment, RefundStep, SubscriptionSync};
use super::error::CustomerError;
use super::event::{
    CustomerEvent, CustomerRef, InvoicePage, InvoiceRecorded, ProductPurchased, PurchaseChanged,
};
use super::history::{History, items_that_differ};
use super::invoice::{Invoice, KnownInvoice};
use super::purchase::{Purchase, PurchaseSource};
use super::refund::Refund;
use crate::{Millis, Personal, ProjectId};

impl Customer {
    /// The items whose past a command must bring along, because it changes what a purchase has
    /// granted since it was made.
    #[must_use]
    pub fn retold_items(&self, command: &CustomerCommand) -> Vec<String> {
        let after = match command {
            CustomerCommand::SyncSubscription(sync) => self.after_sync(sync),
            CustomerCommand::RecordPayment(payment) => self.after_payment(payment),
            CustomerCommand::Refund(step) => match self.after_refund(step) {
                Ok(after) => after,
                Err(_) => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        let before = self.purchases.iter().find(|it| it.id == after.id);
        before.map_or_else(Vec::new, |before| items_that_differ(before, &after))
    }

    pub(super) fn synced(&self, project: &ProjectId, sync: SubscriptionSync) -> Vec<CustomerEvent> {
        let after = self.after_sync(&sync);
        let news = self.news(project, sync.customer, after, &sync.history, sync.now);
        news.into_iter().collect()
    }

    fn after_sync(&self, sync: &SubscriptionSync) -> Purchase {
        let stripe = &sync.stripe;
        let now = sync.now.max(self.latest);
        let is_meant = |it: &&Purchase| it.stripe_subscription() == Some(&stripe.id);
        let known = self.purchases.iter().find(is_meant);
        let before = known.and_then(|known| known.subscription.as_ref());
        let subscription = Some(stripe.periods(before, now));
        let Some(known) = known else {
            return Purchase {
                id: sync.id,
                product_id: stripe.product_id.clone(),
                price_id: stripe.price_id.clone(),
                product: stripe.product.clone(),
                quantity: stripe.quantity,
                source: PurchaseSource::PurchasePage,
                created_at: now,
                subscription,
                payment_intent_id: None,
                refund: None,
                pending_refund: None,
            };
        };
        let left = known.refund.as_ref().and_then(|refund| refund.left);
        Purchase {
            product_id: stripe.product_id.clone().or(known.product_id.clone()),
            price_id: stripe.price_id.clone(),
            product: stripe.product.clone(),
            // The quantity that a refund left is the bought one, less what was taken back.
            quantity: if left == Some(stripe.quantity) {
                known.quantity
            } else {
                stripe.quantity
            },
            subscription,
            ..known.clone()
        }
    }

    pub(super) fn paid(&self, project: &ProjectId, payment: Payment) -> Vec<CustomerEvent> {
        let after = self.after_payment(&payment);
        let (customer, now) = (payment.customer, payment.now);
        let news = self.news(project, customer, after, &payment.history, now);
        news.into_iter().collect()
    }

    fn after_payment(&self, payment: &Payment) -> Purchase {
        let intent = Some(&payment.payment_intent_id);
        let known = self
            .purchases
            .iter()
            .find(|it| it.payment_intent_id.as_ref() == intent);
        let base = known.cloned().unwrap_or_else(|| Purchase {
            id: payment.id,
            product_id: None,
            price_id: None,
            product: payment.product.clone(),
            quantity: payment.quantity,
            source: PurchaseSource::PurchasePage,
            created_at: payment.now.max(self.latest),
            subscription: None,
            payment_intent_id: intent.cloned(),
            refund: None,
            pending_refund: None,
        });
        Purchase {
            product_id: payment.product_id.clone(),
            price_id: payment.price_id.clone(),
            product: payment.product.clone(),
            quantity: payment.quantity,
            ..base
        }
    }

    pub(super) fn begun_refund(
        &self,
        project: &ProjectId,
        step: RefundStep,
    ) -> Result<Vec<CustomerEvent>, CustomerError> {
        let known = self.refundable(&step)?;
        if known.pending_refund.is_some() {
            return Ok(Vec::new());
        }
        let after = Purchase {
            pending_refund: Some(step.refund.clone()),
            ..known.clone()
        };
        let changed = self.after_step(project, step, after);
        Ok(vec![CustomerEvent::RefundBegun(Box::new(changed))])
    }

    pub(super) fn dropped_refund(
        &self,
        project: &ProjectId,
        step: RefundStep,
    ) -> Vec<CustomerEvent> {
        let mut purchases = self.purchases.iter();
        let known = purchases.find(|it| it.pending_refund.as_ref() == Some(&step.refund));
        let Some(known) = known else {
            return Vec::new();
        };
        let after = Purchase {
            pending_refund: None,
            ..known.clone()
        };
        let changed = self.after_step(project, step, after);
        vec![CustomerEvent::RefundDropped(Box::new(changed))]
    }

    pub(super) fn refunded(
        &self,
        project: &ProjectId,
        step: RefundStep,
    ) -> Result<Vec<CustomerEvent>, CustomerError> {
        let after = self.after_refund(&step)?;
        let changed = self.after_step(project, step, after);
        Ok(vec![CustomerEvent::PurchaseRefunded(Box::new(changed))])
    }

    fn after_step(
        &self,
        project: &ProjectId,
        step: RefundStep,
        after: Purchase,
    ) -> PurchaseChanged {
        self.changed_purchase(project, step.customer, after, &step.history, step.now)
    }

    /// The purchase of a refund, if it was not refunded yet.
    fn refundable(&self, step: &RefundStep) -> Result<&Purchase, CustomerError> {
        let known = self.purchases.iter().find(|it| it.id == step.purchase);
        let known = known.ok_or(CustomerError::PurchaseUnknown)?;
        match known.refund {
            Some(_) => Err(CustomerError::AlreadyRefunded),
            None => Ok(known),
        }
    }

    fn after_refund(&self, step: &RefundStep) -> Result<Purchase, CustomerError> {
        let mut after = self.refundable(step)?.clone();
        let made = &step.refund;
        if let (Some(left), Some(subscription)) = (made.left, &mut after.subscription) {
            // Stripe may have reported the quantity that is left before the refund was recorded.
            // Any other quantity is somebody else's doing.
            if [made.quantity, left].contains(&after.quantity) {
                subscription.cancel_at_period_end = left == 0;
                after.quantity = made.quantity;
            }
        }
        after.pending_refund = None;
        after.refund = Some(Refund {
            revocations: made.plan.revocations.clone(),
            amount: made.plan.amount,
            refunded_at: step.now.max(self.latest),
            left: made.left,
        });
        Ok(after)
    }

    /// The event by which a purchase becomes `after`. `None` if it is so already.
    fn news(
        &self,
        project: &ProjectId,
        customer: CustomerRef,
        after: Purchase,
        history: &History,
        now: Millis,
    ) -> Option<CustomerEvent> {
        match self.purchases.iter().find(|it| it.id == after.id) {
            Some(before) if *before == after => None,
            Some(_) => {
                let changed = self.changed_purchase(project, customer, after, history, now);
                Some(CustomerEvent::PurchaseChanged(Box::new(changed)))
            }
            None => Some(CustomerEvent::ProductPurchased(Box::new(
                ProductPurchased {
                    project_id: project.clone(),
                    customer,
                    purchase: after,
                },
            ))),
        }
    }

    fn changed_purchase(
        &self,
        project: &ProjectId,
        customer: CustomerRef,
        after: Purchase,
        history: &History,
        now: Millis,
    ) -> PurchaseChanged {
        let at = now.max(self.latest);
        let before = self.purchases.iter().find(|it| it.id == after.id);
        let items = before.map_or_else(Vec::new, |before| items_that_differ(before, &after));
        let ledgers = items.into_iter().map(|item| {
            let others = self.purchases.iter().filter(|it| it.id != after.id);
            let ledger = history.ledger(&item, others.chain([&after]), at);
            (item, ledger)
        });
        PurchaseChanged {
            project_id: project.clone(),
            customer,
            at,
            ledgers: ledgers.collect(),
            purchase: after,
        }
    }

    pub(super) fn invoiced(
        &self,
        project: &ProjectId,
        report: InvoiceReport,
    ) -> Result<Vec<CustomerEvent>, CustomerError> {
        let mut purchases = self.purchases.iter();
        let subscription = purchases
            .find(|it| it.stripe_subscription() == Some(&report.stripe_subscription_id))
            .ok_or(CustomerError::SubscriptionUnknown)?;
        let known = self.invoices.get(&report.stripe_id);
        let invoice = known.map(|known| &known.invoice);
        if invoice.is_some_and(|known| known.outdates(report.status, report.told_at)) {
            return Ok(Vec::new());
        }
        let url = report.hosted_invoice_url;
        let after = Invoice {
            id: invoice.map_or(report.id, |known| known.id),
            subscription: subscription.id,
            stripe_id: report.stripe_id,
            stripe_subscription_id: report.stripe_subscription_id,
            is_creation: report.is_creation,
            status: report.status,
            amount_total: report.amount_total,
            created_at: invoice.map_or(report.now.max(self.latest), |known| known.created_at),
            told_at: report.told_at,
        };
        let is_same =
            |known: &KnownInvoice| known.invoice == after && known.hosted_invoice_url == url;
        if known.is_some_and(is_same) {
            return Ok(Vec::new());
        }
        let page = url.map(|hosted_invoice_url| InvoicePage { hosted_invoice_url });
        let recorded = InvoiceRecorded {
            project_id: project.clone(),
            subject: report.customer.subject(project),
            customer: report.customer,
            invoice: after,
            personal: page.map(Personal::from),
        };
        Ok(vec![CustomerEvent::InvoiceRecorded(Box::new(recorded))])
    }

    pub(super) fn replace(&mut self, changed: PurchaseChanged) {
        self.latest = self.latest.max(changed.at);
        self.items.extend(changed.ledgers);
        let mut purchases = self.purchases.iter_mut();
        if let Some(known) = purchases.find(|it| it.id == changed.purchase.id) {
            *known = changed.purchase;
        }
    }

    pub(super) fn note_invoice(&mut self, recorded: InvoiceRecorded) {
        self.latest = self.latest.max(recorded.invoice.created_at);
        let url = recorded
            .personal
            .map(|page| page.or_erased().hosted_invoice_url);
        let known = KnownInvoice {
            hosted_invoice_url: url.filter(|url| !url.is_empty()),
            invoice: recorded.invoice,
        };
        self.invoices.insert(known.invoice.stripe_id.clone(), known);
    }
}
