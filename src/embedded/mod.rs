//! Parts that run beside the server when nothing else provides them: a private Postgres and the
//! analytics engine, and how they are fetched.

pub mod analytics_engine;
mod archive;
pub mod cache_folder;
pub mod postgres;
pub mod registry_package;
