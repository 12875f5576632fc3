//! Access to a project: access types, project keys and admin tokens.

use muniment_domain::{Millis, ProjectId};
use muniment_event_store::AccessType;
use serde_json::json;

use super::KnownError;

impl KnownError {
    /// A key without saying as what.
    #[must_use]
    pub fn project_key_without_access_type() -> Self {
        Self::bad_request(
            "PROJECT_KEY_WITHOUT_ACCESS_TYPE",
            "A project key was sent, but no access type. Set x-stack-access-type to client, server or admin.",
        )
    }

    /// An access type that does not exist.
    #[must_use]
    pub fn invalid_access_type() -> Self {
        Self::bad_request(
            "INVALID_ACCESS_TYPE",
            "The access type does not exist. Set x-stack-access-type to client, server or admin.",
        )
    }

    /// An access type without a project.
    #[must_use]
    pub fn access_type_without_project_id(access: AccessType) -> Self {
        let name = access.as_str();
        Self::bad_request(
            "ACCESS_TYPE_WITHOUT_PROJECT_ID",
            format!(
                "Access type {name} needs a project. Set x-stack-project-id to the project's id."
            ),
        )
        .with(json!({"request_type": name}))
    }

    /// No access type at all.
    #[must_use]
    pub fn access_type_required() -> Self {
        Self::bad_request(
            "ACCESS_TYPE_REQUIRED",
            "This endpoint needs access to a project. Set x-stack-access-type and x-stack-project-id.",
        )
    }

    /// An access type that may not do this.
    #[must_use]
    pub fn insufficient_access_type(actual: AccessType, allowed: &[AccessType]) -> Self {
        let allowed: Vec<&str> = allowed.iter().map(|access| access.as_str()).collect();
        let (actual, list) = (actual.as_str(), allowed.join(" or "));
        Self::unauthorized(
            "INSUFFICIENT_ACCESS_TYPE",
            format!("Access type {actual} may not do this; use {list} access with its key."),
        )
        .with(json!({"actual_access_type": actual, "allowed_access_types": allowed}))
    }

    /// A publishable key that does not work.
    #[must_use]
    pub fn invalid_publishable_client_key(project: &ProjectId) -> Self {
        Self::invalid_key(
            "INVALID_PUBLISHABLE_CLIENT_KEY",
            "publishable client key",
            project,
        )
    }

    /// A server key that does not work.
    #[must_use]
    pub fn invalid_secret_server_key(project: &ProjectId) -> Self {
        Self::invalid_key("INVALID_SECRET_SERVER_KEY", "secret server key", project)
    }

    /// An admin key that does not work.
    #[must_use]
    pub fn invalid_super_secret_admin_key(project: &ProjectId) -> Self {
        Self::invalid_key(
            "INVALID_SUPER_SECRET_ADMIN_KEY",
            "super secret admin key",
            project,
        )
    }

    fn invalid_key(code: &'static str, kind: &str, project: &ProjectId) -> Self {
        Self::unauthorized(
            code,
            format!("The {kind} is not valid for project {project}. It may be mistyped, revoked, expired or another project's."),
        )
        .with(json!({"project_id": project}))
    }

    /// The project wants a publishable key.
    #[must_use]
    pub fn publishable_client_key_required_for_project(project: Option<&ProjectId>) -> Self {
        Self::unauthorized(
            "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT",
            "This project demands a publishable client key. Send it as x-stack-publishable-client-key.",
        )
        .with(json!({"project_id": project}))
    }

    /// Server access without a key.
    #[must_use]
    pub fn server_authentication_required() -> Self {
        Self::unauthorized(
            "SERVER_AUTHENTICATION_REQUIRED",
            "Server access needs the secret server key. Send it as x-stack-secret-server-key.",
        )
    }

    /// Admin access without a key.
    #[must_use]
    pub fn admin_authentication_required() -> Self {
        Self::unauthorized(
            "ADMIN_AUTHENTICATION_REQUIRED",
            "Admin access needs the super secret admin key, or an admin access token.",
        )
    }

    /// An admin access token that is none.
    #[must_use]
    pub fn unparsable_admin_access_token() -> Self {
        Self::unauthorized(
            "UNPARSABLE_ADMIN_ACCESS_TOKEN",
            "The admin access token is not valid. Sign in to the internal project again.",
        )
    }

    /// An admin access token past its end.
    #[must_use]
    pub fn admin_access_token_expired(expired_at: Millis) -> Self {
        Self::unauthorized(
            "ADMIN_ACCESS_TOKEN_EXPIRED",
            "The admin access token has expired. Refresh it and try again.",
        )
        .with(json!({"expired_at_millis": expired_at}))
    }

    /// An admin access token of somebody without rights to the project.
    #[must_use]
    pub fn admin_access_token_is_not_admin() -> Self {
        Self::unauthorized(
            "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN",
            "The user of the admin access token does not belong to the team that owns this project.",
        )
    }

    /// An endpoint of the `internal` project only.
    #[must_use]
    pub fn expected_internal_project() -> Self {
        Self::unauthorized(
            "EXPECTED_INTERNAL_PROJECT",
            "This endpoint works in project `internal` only. Set x-stack-project-id to internal.",
        )
    }

    /// The project of the header does not exist.
    #[must_use]
    pub fn current_project_not_found(project: &ProjectId) -> Self {
        Self::bad_request(
            "CURRENT_PROJECT_NOT_FOUND",
            format!("There is no project {project}. Check x-stack-project-id."),
        )
        .with(json!({"project_id": project}))
    }

    /// The project spoken of does not exist.
    #[must_use]
    pub fn project_not_found(project: &ProjectId) -> Self {
        Self::not_found(
            "PROJECT_NOT_FOUND",
            format!("There is no project {project}."),
        )
        .with(json!({"project_id": project}))
    }

    /// The branch does not exist.
    #[must_use]
    pub fn branch_does_not_exist(branch: &str) -> Self {
        Self::bad_request(
            "BRANCH_DOES_NOT_EXIST",
            format!("There is no branch {branch}. Leave x-stack-branch-id out, or set it to main."),
        )
        .with(json!({"branch_id": branch}))
    }
}
