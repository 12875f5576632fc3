//! Refunds: money that goes back, and products with it (contract 06 §11.2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::money::Cents;
use super::product::Price;
use super::purchase::Purchase;
use crate::Millis;

/// The entry of a purchase that grants its product; the only one that can be taken back.
const PRODUCT_GRANT: i64 = 0;

/// What was refunded of a purchase. There is one refund per purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// What was taken back, in the order in which that was asked for.
    pub revocations: Vec<Revocation>,
    /// How much went back, in cents of a US dollar.
    pub amount: Cents,
    /// When.
    pub refunded_at: Millis,
    /// The quantity that was left at Stripe, if that was told. When Stripe speaks of it, that is
    /// this refund, and not another change of the quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
}

/// So many products that a refund took back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The place among the purchase's entries.
    pub entry_index: i64,
    /// How many.
    pub quantity: i64,
}

impl Refund {
    /// How many products were taken back.
    #[must_use]
    pub fn revoked(&self) -> i64 {
        revoked(&self.revocations)
    }
}

fn revoked(revocations: &[Revocation]) -> i64 {
    let quantities = revocations.iter().map(|it| it.quantity);
    quantities.fold(0, i64::saturating_add)
}

/// A refund that Stripe is being asked for. It is noted before Stripe is: whoever asks again,
/// because a process died on the way, then asks for the same, and not for more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRefund {
    /// Its id, under which Stripe pays back once.
    pub id: Uuid,
    /// What is refunded.
    pub plan: RefundPlan,
    /// How many had been bought when it was begun.
    pub quantity: i64,
    /// The quantity that is to be left at Stripe; none if nothing changes there but money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
}

impl PendingRefund {
    /// Whether a subscription of that quantity is still to be made smaller. If it is neither as it
    /// was nor as it is to be, somebody else changed it since, and that stands.
    #[must_use]
    pub fn is_to_shrink(&self, quantity: i64) -> bool {
        let before = |left: i64| left.saturating_add(self.plan.revoked());
        self.left.is_some_and(|left| quantity == before(left))
    }
}

/// A part of a refund, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundEntry {
    /// What is taken back.
    pub revocation: Revocation,
    /// How much goes back for it, in cents of a US dollar.
    pub amount: Cents,
}

/// A refund that can be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPlan {
    /// What is taken back.
    pub revocations: Vec<Revocation>,
    /// How much goes back, in cents of a US dollar.
    pub amount: Cents,
}

/// Why a purchase cannot be refunded so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundProblem {
    /// Less than nothing.
    #[error("a quantity must be at least 0")]
    NegativeQuantity,
    /// One entry twice.
    #[error("an entry_index occurs more than once")]
    DuplicateEntry,
    /// No such entry.
    #[error("an entry_index is beyond the purchase's entries")]
    UnknownEntry,
    /// It does not grant a product.
    #[error("only the entry that grants the product can be refunded: entry_index 0")]
    NotAProduct,
    /// More than was bought.
    #[error("a quantity is larger than what was bought")]
    QuantityTooLarge,
    /// It was not paid in US dollars.
    #[error("the purchase has no price in US dollars")]
    NoUsdPrice,
    /// More than was paid.
    #[error("the amounts are more than what was paid")]
    AmountTooLarge,
}

impl RefundPlan {
    /// Adds up what is asked for.
    ///
    /// # Errors
    /// Why the purchase cannot be refunded so, in the contract's order.
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

    /// Whether it is what is asked for.
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

    /// How many products are taken back.
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
