//! Invoices of subscriptions, as Stripe reports them. Reports may arrive twice, late, or in another
//! order, so an invoice never goes back to an earlier stage.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::customer::products::money::Cents;
use crate::{Millis, PurchaseId};

/// The status of an invoice. The names are Stripe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// The invoice is being written.
    Draft,
    /// The invoice waits to be paid.
    Open,
    /// The invoice is no longer expected to be paid.
    Uncollectible,
    /// The invoice was cancelled, and does not count.
    Void,
    /// The invoice was paid.
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

    /// The status with that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = Self::NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(status, _)| *status)
    }

    /// The stage on the way from draft to done. There is no way back.
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
    /// The invoice's own id.
    pub id: Uuid,
    /// The subscription that the invoice is for.
    pub subscription: PurchaseId,
    /// The invoice's id at Stripe.
    pub stripe_id: String,
    /// The subscription's id at Stripe.
    pub stripe_subscription_id: String,
    /// Whether the invoice is the subscription's first.
    pub is_creation: bool,
    /// The invoice's status, if it is known.
    pub status: Option<InvoiceStatus>,
    /// The total in cents, if it is known.
    pub amount_total: Option<Cents>,
    /// When the invoice was first reported.
    pub created_at: Millis,
    /// When Stripe made the last report, by its own clock.
    pub told_at: Millis,
}

/// An invoice, and the address of the page that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownInvoice {
    pub(super) invoice: Invoice,
    pub(super) hosted_invoice_url: Option<String>,
}

impl Invoice {
    /// Whether a report of Stripe is older than what is known of the invoice. Reports do not arrive
    /// in order.
    #[must_use]
    pub fn outdates(&self, status: Option<InvoiceStatus>, told_at: Millis) -> bool {
        let stage = |status: Option<InvoiceStatus>| status.map_or(0, InvoiceStatus::stage);
        (stage(status), told_at) < (stage(self.status), self.told_at)
    }
}
