//! Refunds: money that is paid back, and products that are taken back with it. A purchase is
//! refunded once. Only the product itself can be taken back, not its items, and no more can be paid
//! back than was paid.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::purchase::Purchase;
use crate::Millis;
use crate::customer::products::money::Cents;
use crate::customer::products::product::Price;

/// The index of the entry that grants a purchase's product: the only one that can be taken back.
const PRODUCT_GRANT: i64 = 0;

/// The refund of a purchase. There is at most one per purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The products that were taken back, in the order in which that was asked for.
    pub revocations: Vec<Revocation>,
    /// The amount that was paid back, in cents of a US dollar.
    pub amount: Cents,
    /// When the purchase was refunded.
    pub refunded_at: Millis,
    /// The quantity that was left at Stripe, if Stripe was told. A report of Stripe with this
    /// quantity is about this refund, and not about another change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
}

/// A number of products that a refund takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The index of the purchase's entry that grants them.
    pub entry_index: i64,
    /// The number of products that are taken back.
    pub quantity: i64,
}

impl Refund {
    /// The number of products that were taken back.
    #[must_use]
    pub fn revoked(&self) -> i64 {
        revoked(&self.revocations)
    }
}

fn revoked(revocations: &[Revocation]) -> i64 {
    let quantities = revocations.iter().map(|it| it.quantity);
    quantities.fold(0, i64::saturating_add)
}

/// A refund that Stripe is being asked for. It is recorded before Stripe is asked: if the process
/// dies on the way, asking again asks for the same, and not for more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRefund {
    /// The refund's id, under which Stripe pays back only once.
    pub id: Uuid,
    /// The products and the amount to give back.
    pub plan: RefundPlan,
    /// The number of products that had been bought when the refund was begun.
    pub quantity: i64,
    /// The quantity that is to be left at Stripe. `None` if only money changes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
}

impl PendingRefund {
    /// Whether a subscription with that quantity at Stripe must still be reduced. If the quantity
    /// is neither the old one nor the one to be left, somebody else has changed it since, and that
    /// change stands.
    #[must_use]
    pub fn is_to_shrink(&self, quantity: i64) -> bool {
        let before = |left: i64| left.saturating_add(self.plan.revoked());
        self.left.is_some_and(|left| quantity == before(left))
    }
}

/// A part of a refund, as a caller asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundEntry {
    /// The products that are to be taken back.
    pub revocation: Revocation,
    /// The amount that is to be paid back for them, in cents of a US dollar.
    pub amount: Cents,
}

/// A refund that can be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPlan {
    /// The products that are taken back.
    pub revocations: Vec<Revocation>,
    /// The amount that is paid back, in cents of a US dollar.
    pub amount: Cents,
}

/// Why a refund cannot be made as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundProblem {
    /// A quantity is negative.
    #[error("a quantity must be at least 0")]
    NegativeQuantity,
    /// An entry occurs twice.
    #[error("an entry_index occurs more than once")]
    DuplicateEntry,
    /// The purchase has no such entry.
    #[error("an entry_index is beyond the purchase's entries")]
    UnknownEntry,
    /// The entry does not grant a product.
    #[error("only the entry that grants the product can be refunded: entry_index 0")]
    NotAProduct,
    /// A quantity is larger than what was bought.
    #[error("a quantity is larger than what was bought")]
    QuantityTooLarge,
    /// The purchase has no price in US dollars.
    #[error("the purchase has no price in US dollars")]
    NoUsdPrice,
    /// The amounts are more than what was paid.
    #[error("the amounts are more than what was paid")]
    AmountTooLarge,
}

impl RefundPlan {
    /// Adds up the parts of a refund, and checks that it can be made.
    ///
    /// # Errors
    /// A [`RefundProblem`]: what is wrong with the entries, then `NoUsdPrice`, then
    /// `AmountTooLarge`.
    pub fn of(purchase: &Purchase, entries: &[RefundEntry]) -> Result<Self, RefundProblem> {
        let plan = Self::sum(entries);
        check_entries(purchase, &plan.revocations)?;
        let price = purchase.price().and_then(Price::usd_cents);
        let price = price.ok_or(RefundProblem::NoUsdPrice)?;
        let paid = price.saturating_mul(purchase.quantity);
        if plan.amount > paid {
            return Err(RefundProblem::AmountTooLarge);
        }
        Ok(plan)
    }

    /// Whether the plan is the sum of these parts.
    #[must_use]
    pub fn is_of(&self, entries: &[RefundEntry]) -> bool {
        *self == Self::sum(entries)
    }

    fn sum(entries: &[RefundEntry]) -> Self {
        let amounts = entries.iter().map(|entry| entry.amount);
        Self {
            revocations: entries.iter().map(|it| it.revocation).collect(),
            amount: amounts.fold(0, Cents::saturating_add),
        }
    }

    /// The number of products that are taken back.
    #[must_use]
    pub fn revoked(&self) -> i64 {
        revoked(&self.revocations)
    }
}

fn check_entries(purchase: &Purchase, revocations: &[Revocation]) -> Result<(), RefundProblem> {
    if revocations.iter().any(|it| it.quantity < 0) {
        return Err(RefundProblem::NegativeQuantity);
    }
    let indexes: BTreeSet<i64> = revocations.iter().map(|it| it.entry_index).collect();
    if indexes.len() < revocations.len() {
        return Err(RefundProblem::DuplicateEntry);
    }
    let entries = i64::try_from(purchase.entry_count()).unwrap_or(i64::MAX);
    if indexes.iter().any(|index| !(0..entries).contains(index)) {
        return Err(RefundProblem::UnknownEntry);
    }
    if indexes.iter().any(|index| *index != PRODUCT_GRANT) {
        return Err(RefundProblem::NotAProduct);
    }
    if revocations.iter().any(|it| it.quantity > purchase.quantity) {
        return Err(RefundProblem::QuantityTooLarge);
    }
    Ok(())
}
