//! Queries over analytics.

use serde_json::json;

use super::KnownError;

impl KnownError {
    /// The analytics store refused a query. The text is what the caller may know of why.
    #[must_use]
    pub fn analytics_query_error(text: String) -> Self {
        let details = json!({"error": text});
        Self::bad_request("ANALYTICS_QUERY_ERROR", text).with(details)
    }

    /// No query of that id has finished, or it is another project's.
    #[must_use]
    pub fn analytics_query_not_found(query_id: &str) -> Self {
        Self::not_found(
            "ITEM_NOT_FOUND",
            format!(
                "No query {query_id} of this project has finished. Use the query_id of an answer; \
                 queries that failed have no timing."
            ),
        )
        .with(json!({"item_id": query_id}))
    }
}
