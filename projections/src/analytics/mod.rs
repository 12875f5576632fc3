//! The analytics store: a ClickHouse server, or the embedded engine, which speaks
//! the same protocol.
//!
//! Tables live in the database `analytics_internal`, which only the owner may read. Tenants see
//! twelve views in `default`, and of them only the rows of their project and branch, whatever they
//! ask: [`AnalyticsStore::tenant_query`].
//!
//! Inserting and reading as the owner:
//!
//! ```ignore
//! let mut insert = store.owner().insert::<EventRow>("events").await?;
//! insert = insert.with_setting("insert_deduplication_token", batch_id);
//! insert.write(&row).await?;
//! insert.end().await?;
//! ```

mod access;
mod error;
mod migrations;
pub mod sync;
mod tenant;
mod timing;

use std::fmt;
use std::sync::Arc;

use clickhouse::Client;

pub use access::{TENANT_USER, VIEWS};
pub use error::AnalyticsError;
pub use tenant::{TenantAnswer, TenantQuery};
pub use timing::QueryTiming;

/// The database of the tables, which tenants may not read.
pub const OWNER_DATABASE: &str = "analytics_internal";
/// The database of the views, in which tenants' queries run.
pub const TENANT_DATABASE: &str = "default";

/// What keeps the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A ClickHouse server: users, grants and row policies are made by statements.
    Server,
    /// The embedded engine: the same things stand in the configuration it was started with.
    Embedded,
}

/// Where a store is, and how to be let in.
#[derive(Clone)]
pub struct Endpoint {
    /// What listens there.
    pub engine: Engine,
    /// The HTTP interface, as `http://host:8123`, without user, path and query.
    pub url: String,
    /// A user with all rights.
    pub owner: String,
    /// The owner's password.
    pub owner_password: String,
    /// The password of the user that tenants' queries run as. On a server, the migration sets it.
    pub tenant_password: String,
}

impl fmt::Debug for Endpoint {
    /// Without the passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("engine", &self.engine)
            .field("url", &self.url)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// The analytics store: a ClickHouse server, or the embedded engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AnalyticsStore {
    endpoint: Arc<Endpoint>,
    /// As the owner, without a database.
    owner: Client,
    tenant: Client,
}

impl AnalyticsStore {
    /// A store at that endpoint. Nothing is sent yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let client = Client::default().with_url(&endpoint.url);
        Self {
            owner: client
                .clone()
                .with_user(&endpoint.owner)
                .with_password(&endpoint.owner_password),
            tenant: client
                .with_user(TENANT_USER)
                .with_password(&endpoint.tenant_password)
                .with_database(TENANT_DATABASE),
            endpoint: Arc::new(endpoint),
        }
    }

    /// Where it is, and how to be let in.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The same store over connections of its own: a connection belongs to the runtime that opened
    /// it, and ends with it.
    #[must_use]
    pub fn reconnected(&self) -> Self {
        Self::new((*self.endpoint).clone())
    }

    /// All rights, with the tables' database as the default one: inserts and the server's own
    /// reads.
    #[must_use]
    pub fn owner(&self) -> Client {
        self.owner.clone().with_database(OWNER_DATABASE)
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`AnalyticsError::Unreachable`] if it does not.
    pub async fn ping(&self) -> Result<(), AnalyticsError> {
        self.owner.query_raw("SELECT 1").execute().await?;
        Ok(())
    }
}
