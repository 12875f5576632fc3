//! Invoices of subscriptions, as Stripe tells of them (contract 06 §9).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::money::Cents;
use crate::{Millis, PurchaseId};

/// Where an invoice stands. The names are Stripe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// It is being written.
    Draft,
    /// It waits to be paid.
    Open,
    /// Nobody expects it to be paid any more.
    Uncollectible,
    /// It does not count.
    Void,
    /// It was paid.
    Paid,
}

impl InvoiceStatus {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::Draft, "draft"),
        (Self::Open, "open"),
        (Self::Uncollectible, "uncollectible"),
        (Self::Void, "void"),
        (Self::Paid, "paid"),
    ];

    /// The status of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = Self::NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(status, _)| *status)
    }

    /// How far on the way from draft to done it is. There is no way back.
    fn stage(self) -> u8 {
        match self {
            Self::Draft => 0,
            Self::Open => 1,
            Self::Uncollectible => 2,
            Self::Void | Self::Paid => 3,
        }
    }
}

/// An invoice of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// Its id.
    pub id: Uuid,
    /// Of which subscription.
    pub subscription: PurchaseId,
    /// Its id at Stripe.
    pub stripe_id: String,
    /// The subscription's id at Stripe.
    pub stripe_subscription_id: String,
    /// Whether it is the subscription's first.
    pub is_creation: bool,
    /// Where it stands, if that is known.
    pub status: Option<InvoiceStatus>,
    /// How much it is over, in cents.
    pub amount_total: Option<Cents>,
    /// When it was first heard of.
    pub created_at: Millis,
    /// When Stripe said so, by its own clock.
    pub told_at: Millis,
}

/// An invoice, and where it can be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownInvoice {
    pub(super) invoice: Invoice,
    pub(super) hosted_invoice_url: Option<String>,
}

impl Invoice {
    /// Whether what Stripe said of an invoice at some time is no longer so, because it said
    /// something else later: what is told does not arrive in order.
    #[must_use]
    pub fn outdates(&self, status: Option<InvoiceStatus>, told_at: Millis) -> bool {
        let stage = |status: Option<InvoiceStatus>| status.map_or(0, InvoiceStatus::stage);
        (stage(status), told_at) < (stage(self.status), self.told_at)
    }
}
