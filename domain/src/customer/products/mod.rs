//! Products and their prices, as a project sells them.

pub(crate) mod catalogue;
pub mod money;
pub mod product;
pub(crate) mod product_version;
