//! The customer: a user, a team, or something that only the project's own servers know, with items
//! and products. Its stream is the ledger.

mod command;
mod error;
mod event;
mod history;
mod invoice;
pub mod items;
mod ownership;
mod payment;
pub mod products;
mod purchase;
mod refund;
mod subscription;

use std::collections::BTreeMap;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use crate::customer::items::interval::{DayInterval, Unit};
pub use crate::customer::items::ledger::ItemLedger;
pub use crate::customer::items::quantity::Quantity;
pub use crate::customer::products::catalogue::{Catalogue, Item, ProductLine};
pub use crate::customer::products::product::{
    Bases, Currency, CustomerType, Expiry, IncludedItem, Price, Prices, Product, Repeat,
};
pub use crate::customer::products::product_version::product_version_id;
pub use command::{
    CustomerCommand, Floor, InvoiceReport, ItemChange, Payment, RefundStep, Selection,
    SubscriptionSync, WantedPurchase,
};
pub use error::CustomerError;
pub use event::{
    CustomerEvent, CustomerRef, InvoicePage, InvoiceRecorded, ItemChangeReason,
    ItemQuantityChanged, ProductPurchased, ProductVersionRecorded, PurchaseChanged,
    SubscriptionEnded, derived_uuid,
};
pub use history::{History, PastChange};
pub use invoice::{Invoice, InvoiceStatus};
pub use ownership::{Owned, check, owned};
pub use purchase::{Purchase, PurchaseSource};
pub use refund::{PendingRefund, Refund, RefundEntry, RefundPlan, RefundProblem, Revocation};
pub use subscription::{Start, StripeSubscription, Subscription, SubscriptionStatus};

use invoice::KnownInvoice;

use crate::{Millis, ProjectId, PurchaseId};

/// The state that decisions about a customer need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Customer {
    items: BTreeMap<String, ItemLedger>,
    purchases: Vec<Purchase>,
    /// Invoices of subscriptions, by their ids at Stripe.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    invoices: BTreeMap<String, KnownInvoice>,
    /// The time of the last event. Servers' clocks differ, and a ledger's time must not run back.
    latest: Millis,
}

impl Customer {
    /// Whether nothing is known of the customer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.purchases.is_empty()
    }

    /// The quantity of an item that the customer has at that time.
    #[must_use]
    pub fn quantity(&self, item: &str, now: Millis) -> Quantity {
        let ledger = self.items.get(item);
        ledger.map_or(Quantity::ZERO, |ledger| ledger.quantity(now))
    }

    /// The customer's purchases, in the order in which they were made.
    #[must_use]
    pub fn purchases(&self) -> &[Purchase] {
        &self.purchases
    }

    fn decide(
        &self,
        project: &ProjectId,
        command: CustomerCommand,
    ) -> Result<Vec<CustomerEvent>, CustomerError> {
        match command {
            CustomerCommand::ChangeItem(change) => self.changed(project, *change),
            CustomerCommand::Purchase(wanted) => self.purchased(project, *wanted),
            CustomerCommand::Cancel { selection, now } => self.canceled(&selection, now),
            CustomerCommand::EndNow { subscription, now } => Ok(self.ended_now(subscription, now)),
            CustomerCommand::SyncSubscription(sync) => Ok(self.synced(project, *sync)),
            CustomerCommand::RecordPayment(payment) => Ok(self.paid(project, *payment)),
            CustomerCommand::RecordInvoice(report) => self.invoiced(project, *report),
            CustomerCommand::BeginRefund(step) => self.begun_refund(project, *step),
            CustomerCommand::DropRefund(step) => Ok(self.dropped_refund(project, *step)),
            CustomerCommand::Refund(step) => self.refunded(project, *step),
            CustomerCommand::RecordProductVersion {
                product_id,
                product,
            } => Ok(vec![offered(project, product_id, *product)]),
            CustomerCommand::Close if self.is_empty() => Ok(Vec::new()),
            CustomerCommand::Close => Ok(vec![CustomerEvent::CustomerClosed {}]),
        }
    }

    fn changed(
        &self,
        project: &ProjectId,
        change: ItemChange,
    ) -> Result<Vec<CustomerEvent>, CustomerError> {
        let at = change.now.max(self.latest);
        let after = self.quantity(&change.item_id, at) + Quantity::whole(change.delta);
        if change.floor == Floor::Zero && after.is_negative() {
            return Err(CustomerError::Insufficient);
        }
        let reason = change
            .description
            .map(|description| ItemChangeReason { description }.into());
        let changed = ItemQuantityChanged {
            project_id: project.clone(),
            subject: change.customer.subject(project),
            customer: change.customer,
            change_id: change.id,
            item_id: change.item_id,
            delta: change.delta,
            expires_at: change.expires_at,
            at,
            personal: reason,
        };
        Ok(vec![CustomerEvent::ItemQuantityChanged(Box::new(changed))])
    }

    /// Decides on a purchase. Nothing happens for a product without prices, which nobody can buy.
    fn purchased(
        &self,
        project: &ProjectId,
        wanted: WantedPurchase,
    ) -> Result<Vec<CustomerEvent>, CustomerError> {
        let now = wanted.now.max(self.latest);
        let replaced = check(&self.purchases, &wanted, now)?;
        let Some(price) = wanted.price()? else {
            return Ok(Vec::new());
        };
        let mut events = replaced.map_or_else(Vec::new, |replaced| self.ended_now(replaced, now));
        let subscription = price
            .interval
            .map(|interval| Subscription::local(now, interval.after(now)));
        let purchased = ProductPurchased {
            project_id: project.clone(),
            customer: wanted.customer,
            purchase: Purchase {
                id: wanted.id,
                product_id: wanted.product_id,
                price_id: wanted.price_id,
                product: wanted.product,
                quantity: wanted.quantity,
                source: wanted.source,
                created_at: now,
                subscription,
                payment_intent_id: None,
                refund: None,
                pending_refund: None,
            },
        };
        events.push(CustomerEvent::ProductPurchased(Box::new(purchased)));
        Ok(events)
    }

    /// Ends a subscription now, unless it is Stripe's to end.
    fn ended_now(&self, subscription: PurchaseId, now: Millis) -> Vec<CustomerEvent> {
        let now = now.max(self.latest);
        let meant = self.purchases.iter().filter(|purchase| {
            let is_local = purchase.stripe_subscription().is_none();
            purchase.id == subscription && purchase.is_active() && is_local
        });
        meant.map(|purchase| ended(purchase, now, now)).collect()
    }

    /// Ends the selected subscriptions with their period, except those that are Stripe's to end.
    fn canceled(
        &self,
        selection: &Selection,
        now: Millis,
    ) -> Result<Vec<CustomerEvent>, CustomerError> {
        let now = now.max(self.latest);
        let is_owned = |id: &str| owned(&self.purchases, now).contains_key(&Some(id));
        if let Selection::Product(id) = selection
            && !is_owned(id)
        {
            return Err(CustomerError::NotOwned);
        }
        let active = self
            .purchases
            .iter()
            .filter(|purchase| purchase.is_active());
        let meant = active.filter(|purchase| selection.means(purchase));
        let mut meant = meant.peekable();
        if meant.peek().is_some() {
            let local = meant.filter(|purchase| purchase.stripe_subscription().is_none());
            let events = local.filter_map(|purchase| {
                let paid_until = purchase.subscription.as_ref()?.period_end;
                Some(ended(purchase, now, paid_until))
            });
            return Ok(events.collect());
        }
        match selection {
            Selection::Subscription(_) => Err(CustomerError::SubscriptionUnknown),
            Selection::Product(_) => Err(CustomerError::NothingToCancel),
        }
    }

    fn add(&mut self, purchase: Purchase) {
        self.latest = self.latest.max(purchase.created_at);
        for (item, source) in purchase.sources() {
            let ledger = self.items.entry(item.clone()).or_default();
            ledger.add_source(purchase.id.0, source);
        }
        self.purchases.push(purchase);
    }

    fn end(&mut self, ended: &SubscriptionEnded) {
        self.latest = self.latest.max(ended.canceled_at);
        for item in &ended.item_ids {
            if let Some(ledger) = self.items.get_mut(item) {
                ledger.end_source(ended.purchase_id.0, ended.ended_at, ended.canceled_at);
            }
        }
        let purchases = self.purchases.iter_mut();
        for purchase in purchases.filter(|purchase| purchase.id == ended.purchase_id) {
            purchase.end(ended.canceled_at, ended.ended_at);
        }
    }
}

fn offered(project: &ProjectId, product_id: Option<String>, product: Product) -> CustomerEvent {
    CustomerEvent::ProductVersionRecorded(Box::new(ProductVersionRecorded {
        project_id: project.clone(),
        version_id: product_version_id(product_id.as_deref(), &product),
        product_id,
        product,
    }))
}

fn ended(purchase: &Purchase, canceled_at: Millis, ended_at: Millis) -> CustomerEvent {
    CustomerEvent::SubscriptionEnded(SubscriptionEnded {
        purchase_id: purchase.id,
        item_ids: purchase.product.included_items.keys().cloned().collect(),
        canceled_at,
        ended_at,
    })
}

impl Aggregate for Customer {
    const TYPE: &'static str = "customer";
    type Command = (ProjectId, CustomerCommand);
    type Event = CustomerEvent;
    type Error = CustomerError;
    type Services = ();

    async fn handle(
        &mut self,
        (project, command): (ProjectId, CustomerCommand),
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), CustomerError> {
        for event in self.decide(&project, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: CustomerEvent) {
        match event {
            CustomerEvent::ItemQuantityChanged(changed) => {
                self.latest = self.latest.max(changed.at);
                let ledger = self.items.entry(changed.item_id).or_default();
                ledger.change(
                    changed.at,
                    Quantity::whole(changed.delta),
                    changed.expires_at,
                );
            }
            CustomerEvent::ProductPurchased(purchased) => self.add(purchased.purchase),
            CustomerEvent::SubscriptionEnded(ended) => self.end(&ended),
            CustomerEvent::PurchaseChanged(changed)
            | CustomerEvent::RefundBegun(changed)
            | CustomerEvent::RefundDropped(changed)
            | CustomerEvent::PurchaseRefunded(changed) => self.replace(*changed),
            CustomerEvent::InvoiceRecorded(recorded) => self.note_invoice(*recorded),
            // Versions are looked up by their ids, in the read table.
            CustomerEvent::ProductVersionRecorded(_) => {}
            CustomerEvent::CustomerClosed {} => *self = Self::default(),
        }
    }
}
