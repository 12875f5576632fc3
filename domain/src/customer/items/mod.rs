//! Items: quantities, the ledger that they follow from, and the intervals at which they are renewed.

pub(crate) mod interval;
pub mod ledger;
pub(crate) mod quantity;
