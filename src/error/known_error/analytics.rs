//! Queries over analytics.

use super::code::{Code, KnownError, codes};
use super::payments::ItemNotFound;

codes! {
    /// The analytics store refused a query. The text is what the caller may know of why.
    AnalyticsQueryError: BAD_REQUEST "ANALYTICS_QUERY_ERROR" {
        /// What the analytics store said, as far as the caller may know.
        error: String,
    };
}

impl KnownError {
    /// The analytics store refused a query. The text is what the caller may know of why.
    #[must_use]
    pub fn analytics_query_error(text: String) -> Self {
        AnalyticsQueryError {
            error: text.clone(),
        }
        .says(text)
    }

    /// No query of that id has finished, or it is another project's.
    #[must_use]
    pub fn analytics_query_not_found(query_id: &str) -> Self {
        ItemNotFound {
            item_id: query_id.to_owned(),
        }
        .says(format!(
            "No query {query_id} of this project has finished. Use the query_id of an answer; \
                 queries that failed have no timing."
        ))
    }
}
