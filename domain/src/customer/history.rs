//! Computing an item's ledger again from its whole history.
//!
//! A ledger keeps only what still matters of a history. That is not enough when a purchase turns
//! out to have been another one since it was made: then the item's ledger is folded again from
//! every change by hand and every purchase. The changes are not part of the customer's state, which
//! stays small; a command that needs them brings them along.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::purchase::Purchase;
use crate::Millis;
use crate::customer::items::ledger::{ItemLedger, Source};
use crate::customer::items::quantity::Quantity;

/// A customer's changes by hand, by item, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(BTreeMap<String, Vec<PastChange>>);

/// A quantity that was granted or taken away by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastChange {
    /// When the quantity changed.
    pub at: Millis,
    /// The difference; negative if something was taken away.
    pub delta: i64,
    /// When the granted quantity is lost; never, if absent.
    pub expires_at: Option<Millis>,
}

impl History {
    /// Adds a change that is not older than the item's last.
    pub fn push(&mut self, item: String, change: PastChange) {
        self.0.entry(item).or_default().push(change);
    }

    /// An item's ledger, from all changes by hand and all purchases that grant it.
    pub(super) fn ledger<'p>(
        &self,
        item: &str,
        purchases: impl Iterator<Item = &'p Purchase>,
        now: Millis,
    ) -> ItemLedger {
        let mut sources: Vec<(Millis, Uuid, Source)> = purchases
            .flat_map(|purchase| {
                let sources = purchase.sources().filter(|(granted, _)| *granted == item);
                sources.map(|(_, source)| (purchase.created_at, purchase.id.0, source))
            })
            .collect();
        sources.sort_by_key(|(start, ..)| *start);
        let mut sources = sources.into_iter().peekable();
        let mut ledger = ItemLedger::default();
        for change in self.0.get(item).into_iter().flatten() {
            while let Some((_, id, source)) = sources.next_if(|(start, ..)| *start <= change.at) {
                ledger.add_source(id, source);
            }
            let quantity = Quantity::whole(change.delta);
            ledger.change(change.at, quantity, change.expires_at);
        }
        for (_, id, source) in sources {
            ledger.add_source(id, source);
        }
        ledger.settle(now);
        ledger
    }
}

/// The items that two states of a purchase grant differently.
pub(super) fn items_that_differ(before: &Purchase, after: &Purchase) -> Vec<String> {
    let before: BTreeMap<&String, Source> = before.sources().collect();
    let after: BTreeMap<&String, Source> = after.sources().collect();
    let items = before.keys().chain(after.keys()).copied();
    let mut differ: Vec<String> = items
        .filter(|item| before.get(item) != after.get(item))
        .cloned()
        .collect();
    differ.sort_unstable();
    differ.dedup();
    differ
}
