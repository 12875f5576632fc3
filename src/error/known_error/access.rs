//! Access to a project: access types, project keys and admin tokens.

use muniment_domain::{Millis, ProjectId};
use muniment_event_store::AccessType;

use super::code::{Code, KnownError, codes};

codes! {
    /// A key without saying as what.
    ProjectKeyWithoutAccessType: BAD_REQUEST "PROJECT_KEY_WITHOUT_ACCESS_TYPE";

    /// An access type that does not exist.
    InvalidAccessType: BAD_REQUEST "INVALID_ACCESS_TYPE";

    /// An access type without a project.
    AccessTypeWithoutProjectId: BAD_REQUEST "ACCESS_TYPE_WITHOUT_PROJECT_ID" {
        /// The access type of the request: `client`, `server` or `admin`.
        request_type: &'static str,
    };

    /// No access type at all.
    AccessTypeRequired: BAD_REQUEST "ACCESS_TYPE_REQUIRED";

    /// An access type that may not do this.
    InsufficientAccessType: UNAUTHORIZED "INSUFFICIENT_ACCESS_TYPE" {
        /// The access type of the request: `client`, `server` or `admin`.
        actual_access_type: &'static str,
        /// The access types that may do this.
        allowed_access_types: Vec<&'static str>,
    };

    /// A publishable key that does not work.
    InvalidPublishableClientKey: UNAUTHORIZED "INVALID_PUBLISHABLE_CLIENT_KEY" {
        /// The project of the request.
        project_id: String,
    };

    /// A server key that does not work.
    InvalidSecretServerKey: UNAUTHORIZED "INVALID_SECRET_SERVER_KEY" {
        /// The project of the request.
        project_id: String,
    };

    /// An admin key that does not work.
    InvalidSuperSecretAdminKey: UNAUTHORIZED "INVALID_SUPER_SECRET_ADMIN_KEY" {
        /// The project of the request.
        project_id: String,
    };

    /// The project wants a publishable key.
    PublishableClientKeyRequiredForProject: UNAUTHORIZED "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT" {
        /// The project of the request, if it is known.
        #[schema(required)]
        project_id: Option<String>,
    };

    /// Server access without a key.
    ServerAuthenticationRequired: UNAUTHORIZED "SERVER_AUTHENTICATION_REQUIRED";

    /// Admin access without a key.
    AdminAuthenticationRequired: UNAUTHORIZED "ADMIN_AUTHENTICATION_REQUIRED";

    /// An admin access token that is none.
    UnparsableAdminAccessToken: UNAUTHORIZED "UNPARSABLE_ADMIN_ACCESS_TOKEN";

    /// An admin access token past its end.
    AdminAccessTokenExpired: UNAUTHORIZED "ADMIN_ACCESS_TOKEN_EXPIRED" {
        /// When it expired, in milliseconds since 1970.
        expired_at_millis: i64,
    };

    /// An admin access token of somebody without rights to the project.
    AdminAccessTokenIsNotAdmin: UNAUTHORIZED "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN";

    /// An endpoint of the `internal` project only.
    ExpectedInternalProject: UNAUTHORIZED "EXPECTED_INTERNAL_PROJECT";

    /// The project of the header does not exist.
    CurrentProjectNotFound: BAD_REQUEST "CURRENT_PROJECT_NOT_FOUND" {
        /// The id.
        project_id: String,
    };

    /// The project spoken of does not exist.
    ProjectNotFound: NOT_FOUND "PROJECT_NOT_FOUND" {
        /// The id.
        project_id: String,
    };

    /// The branch does not exist.
    BranchDoesNotExist: BAD_REQUEST "BRANCH_DOES_NOT_EXIST" {
        /// The id.
        branch_id: String,
    };
}

impl KnownError {
    /// A key without saying as what.
    #[must_use]
    pub fn project_key_without_access_type() -> Self {
        ProjectKeyWithoutAccessType.says(
            "A project key was sent, but no access type. Set x-stack-access-type to client, \
             server or admin.",
        )
    }

    /// An access type that does not exist.
    #[must_use]
    pub fn invalid_access_type() -> Self {
        InvalidAccessType.says(
            "The access type does not exist. Set x-stack-access-type to client, server or admin.",
        )
    }

    /// An access type without a project.
    #[must_use]
    pub fn access_type_without_project_id(access: AccessType) -> Self {
        let name = access.as_str();
        AccessTypeWithoutProjectId { request_type: name }.says(format!(
            "Access type {name} needs a project. Set x-stack-project-id to the project's id."
        ))
    }

    /// No access type at all.
    #[must_use]
    pub fn access_type_required() -> Self {
        AccessTypeRequired.says(
            "This endpoint needs access to a project. Set x-stack-access-type and \
             x-stack-project-id.",
        )
    }

    /// An access type that may not do this.
    #[must_use]
    pub fn insufficient_access_type(actual: AccessType, allowed: &[AccessType]) -> Self {
        let allowed: Vec<&str> = allowed.iter().map(|access| access.as_str()).collect();
        let (actual, list) = (actual.as_str(), allowed.join(" or "));
        InsufficientAccessType {
            actual_access_type: actual,
            allowed_access_types: allowed,
        }
        .says(format!(
            "Access type {actual} may not do this; use {list} access with its key."
        ))
    }

    /// A publishable key that does not work.
    #[must_use]
    pub fn invalid_publishable_client_key(project: &ProjectId) -> Self {
        let project_id = project.to_string();
        InvalidPublishableClientKey { project_id }
            .says(invalid_key("publishable client key", project))
    }

    /// A server key that does not work.
    #[must_use]
    pub fn invalid_secret_server_key(project: &ProjectId) -> Self {
        let project_id = project.to_string();
        InvalidSecretServerKey { project_id }.says(invalid_key("secret server key", project))
    }

    /// An admin key that does not work.
    #[must_use]
    pub fn invalid_super_secret_admin_key(project: &ProjectId) -> Self {
        let project_id = project.to_string();
        InvalidSuperSecretAdminKey { project_id }
            .says(invalid_key("super secret admin key", project))
    }

    /// The project wants a publishable key.
    #[must_use]
    pub fn publishable_client_key_required_for_project(project: Option<&ProjectId>) -> Self {
        PublishableClientKeyRequiredForProject {
            project_id: project.map(ToString::to_string),
        }
        .says(
            "This project demands a publishable client key. Send it as \
             x-stack-publishable-client-key.",
        )
    }

    /// Server access without a key.
    #[must_use]
    pub fn server_authentication_required() -> Self {
        ServerAuthenticationRequired.says(
            "Server access needs the secret server key. Send it as x-stack-secret-server-key.",
        )
    }

    /// Admin access without a key.
    #[must_use]
    pub fn admin_authentication_required() -> Self {
        AdminAuthenticationRequired
            .says("Admin access needs the super secret admin key, or an admin access token.")
    }

    /// An admin access token that is none.
    #[must_use]
    pub fn unparsable_admin_access_token() -> Self {
        UnparsableAdminAccessToken
            .says("The admin access token is not valid. Sign in to the internal project again.")
    }

    /// An admin access token past its end.
    #[must_use]
    pub fn admin_access_token_expired(expired_at: Millis) -> Self {
        AdminAccessTokenExpired {
            expired_at_millis: expired_at.0,
        }
        .says("The admin access token has expired. Refresh it and try again.")
    }

    /// An admin access token of somebody without rights to the project.
    #[must_use]
    pub fn admin_access_token_is_not_admin() -> Self {
        AdminAccessTokenIsNotAdmin.says(
            "The user of the admin access token does not belong to the team that owns this \
             project.",
        )
    }

    /// An endpoint of the `internal` project only.
    #[must_use]
    pub fn expected_internal_project() -> Self {
        ExpectedInternalProject.says(
            "This endpoint works in project `internal` only. Set x-stack-project-id to internal.",
        )
    }

    /// The project of the header does not exist.
    #[must_use]
    pub fn current_project_not_found(project: &ProjectId) -> Self {
        CurrentProjectNotFound {
            project_id: project.to_string(),
        }
        .says(format!(
            "There is no project {project}. Check x-stack-project-id."
        ))
    }

    /// The project spoken of does not exist.
    #[must_use]
    pub fn project_not_found(project: &ProjectId) -> Self {
        ProjectNotFound {
            project_id: project.to_string(),
        }
        .says(format!("There is no project {project}."))
    }

    /// The branch does not exist.
    #[must_use]
    pub fn branch_does_not_exist(branch: &str) -> Self {
        BranchDoesNotExist {
            branch_id: branch.to_owned(),
        }
        .says(format!(
            "There is no branch {branch}. Leave x-stack-branch-id out, or set it to main."
        ))
    }
}

fn invalid_key(kind: &str, project: &ProjectId) -> String {
    format!(
        "The {kind} is not valid for project {project}. It may be mistyped, revoked, expired or \
         another project's."
    )
}
