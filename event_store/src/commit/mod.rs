//! How a unit of work gets into the log: prepared, appended, under load together with others.

pub(crate) mod append;
pub(crate) mod commit_outcome;
pub(crate) mod group_commit;
pub(crate) mod hold;
pub(crate) mod prepared_unit;
