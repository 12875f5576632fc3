//! The known errors: those that client libraries recognise by their code. A type per code, and a
//! constructor per occasion, in a file per subject.
//!
//! Codes, statuses and the names of details are Stack Auth's, and stay as its clients expect them.
//! The texts are ours: each says what is wrong and what the caller can do about it.

mod access;
mod accounts;
mod analytics;
mod api_keys;
mod auth;
mod code;
mod data_vault;
mod families;
mod payments;
mod permissions;
mod requests;
mod restriction;
mod teams;
mod telemetry;
mod tokens;

pub(crate) use access::*;
pub(crate) use accounts::*;
pub(crate) use analytics::*;
pub(crate) use api_keys::*;
pub(crate) use auth::*;
pub(crate) use code::KnownError;
pub(crate) use code::{Code, CodeDescription, Documented, ErrorSet};
pub(crate) use data_vault::*;
pub(crate) use families::FAMILIES;
pub(crate) use payments::*;
pub(crate) use permissions::*;
pub(crate) use requests::*;
pub(crate) use restriction::Restriction;
pub(crate) use teams::*;
pub(crate) use telemetry::*;
pub(crate) use tokens::*;

/// Every code there is.
pub(crate) fn all_codes() -> Vec<CodeDescription> {
    [
        access::describe(),
        accounts::describe(),
        analytics::describe(),
        api_keys::describe(),
        auth::describe(),
        data_vault::describe(),
        payments::describe(),
        permissions::describe(),
        requests::describe(),
        teams::describe(),
        telemetry::describe(),
        tokens::describe(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::{KnownError, all_codes};
    use crate::error::documented::camel_case;

    #[test]
    fn no_code_is_declared_twice() {
        let all = all_codes();
        let codes: BTreeSet<&str> = all.iter().map(|known| known.code).collect();
        assert_eq!(codes.len(), all.len());
    }

    #[test]
    fn types_are_named_after_their_codes() {
        for known in all_codes() {
            assert_eq!(known.type_name, camel_case(known.code));
        }
    }

    #[test]
    fn details_refer_to_no_component() {
        for known in all_codes() {
            let schema = known.details_schema().unwrap_or_default().to_string();
            assert!(!schema.contains("$ref"), "{}: {schema}", known.code);
        }
    }

    #[test]
    fn an_error_without_details_has_no_such_key() {
        let body = KnownError::user_not_found().body();
        assert_eq!(body.get("details"), None);
    }

    #[test]
    fn details_that_are_unknown_are_null() {
        let error = KnownError::email_is_not_primary_email("a@example.com", None);
        let details = json!({"email": "a@example.com", "primary_email": null});
        assert_eq!(error.details, Some(details));
    }
}
