//! The families of known errors: client libraries catch a whole one by its name. Only their members
//! are ever sent.

/// The families by name, each with its members: codes, or other families.
pub(crate) const FAMILIES: &[(&str, &[&str])] = &[
    (
        "PROJECT_AUTHENTICATION_ERROR",
        &[
            "INVALID_PROJECT_AUTHENTICATION",
            "PROJECT_AUTHENTICATION_REQUIRED",
            "EXPECTED_INTERNAL_PROJECT",
        ],
    ),
    (
        "INVALID_PROJECT_AUTHENTICATION",
        &[
            "PROJECT_KEY_WITHOUT_ACCESS_TYPE",
            "INVALID_ACCESS_TYPE",
            "ACCESS_TYPE_WITHOUT_PROJECT_ID",
            "ACCESS_TYPE_REQUIRED",
            "INSUFFICIENT_ACCESS_TYPE",
            "INVALID_PUBLISHABLE_CLIENT_KEY",
            "INVALID_SECRET_SERVER_KEY",
            "INVALID_SUPER_SECRET_ADMIN_KEY",
            "INVALID_ADMIN_ACCESS_TOKEN",
        ],
    ),
    (
        "INVALID_ADMIN_ACCESS_TOKEN",
        &[
            "UNPARSABLE_ADMIN_ACCESS_TOKEN",
            "ADMIN_ACCESS_TOKEN_EXPIRED",
            "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN",
        ],
    ),
    (
        "PROJECT_AUTHENTICATION_REQUIRED",
        &[
            "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT",
            "SERVER_AUTHENTICATION_REQUIRED",
            "ADMIN_AUTHENTICATION_REQUIRED",
        ],
    ),
    (
        "SESSION_AUTHENTICATION_ERROR",
        &["INVALID_SESSION_AUTHENTICATION"],
    ),
    ("INVALID_SESSION_AUTHENTICATION", &["INVALID_ACCESS_TOKEN"]),
    (
        "INVALID_ACCESS_TOKEN",
        &[
            "UNPARSABLE_ACCESS_TOKEN",
            "ACCESS_TOKEN_EXPIRED",
            "INVALID_PROJECT_FOR_ACCESS_TOKEN",
        ],
    ),
    (
        "REFRESH_TOKEN_ERROR",
        &[
            "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED",
            "CANNOT_DELETE_CURRENT_SESSION",
        ],
    ),
    (
        "PASSWORD_REQUIREMENTS_NOT_MET",
        &["PASSWORD_TOO_SHORT", "PASSWORD_TOO_LONG"],
    ),
    (
        "VERIFICATION_ERROR",
        &[
            "VERIFICATION_CODE_NOT_FOUND",
            "VERIFICATION_CODE_EXPIRED",
            "VERIFICATION_CODE_ALREADY_USED",
            "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED",
        ],
    ),
    (
        "API_KEY_NOT_VALID",
        &[
            "API_KEY_EXPIRED",
            "API_KEY_REVOKED",
            "WRONG_API_KEY_TYPE",
            "API_KEY_NOT_FOUND",
            "PUBLIC_API_KEY_CANNOT_BE_REVOKED",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::FAMILIES;
    use crate::error::known_error::all_codes;

    #[test]
    fn members_are_codes_or_families() {
        let codes = all_codes().into_iter().map(|known| known.code);
        let families = FAMILIES.iter().map(|(family, _)| *family);
        let known: BTreeSet<&str> = codes.chain(families).collect();
        for (family, members) in FAMILIES {
            for member in *members {
                assert!(known.contains(member), "{member} of {family} is nothing");
            }
        }
    }

    #[test]
    fn families_are_never_sent() {
        for known in all_codes() {
            let is_family = FAMILIES.iter().any(|(family, _)| *family == known.code);
            assert!(!is_family, "{} is a code and a family", known.code);
        }
    }
}
