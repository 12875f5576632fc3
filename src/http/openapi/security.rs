//! Credentials, as security schemes of `OpenAPI`, and the headers that every operation takes.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whose credentials an operation takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Credentials {
    /// None are asked for.
    #[default]
    Nobody,
    /// Those of clients, servers or administrators.
    Client,
    /// Those of clients, servers or administrators, and a signed-in user's.
    ClientWithUser,
    /// Those of servers or administrators.
    Server,
    /// Those of administrators.
    Admin,
    /// The token of a project's webhooks.
    WebhooksToken,
    /// The id and secret of a registered hosting platform.
    Platform,
}

/// A header that stands for a credential: its scheme's name, its own, and what it is.
const HEADERS: [(&str, &str, &str); 8] = [
    (
        "accessType",
        "x-stack-access-type",
        "With which access: `client`, `server` or `admin`.",
    ),
    ("projectId", "x-stack-project-id", "The project's id."),
    (
        "publishableClientKey",
        "x-stack-publishable-client-key",
        "The publishable key of client access. Projects may do without.",
    ),
    (
        "secretServerKey",
        "x-stack-secret-server-key",
        "The secret key of server access.",
    ),
    (
        "superSecretAdminKey",
        "x-stack-super-secret-admin-key",
        "The secret key of admin access.",
    ),
    (
        "adminAccessToken",
        "x-stack-admin-access-token",
        "The access token of a user of the project `internal` whose team owns the project. It stands \
         for any of the keys.",
    ),
    (
        "accessToken",
        "x-stack-access-token",
        "The access token of the signed-in user.",
    ),
    (
        "refreshToken",
        "x-stack-refresh-token",
        "The refresh token of the signed-in user's session.",
    ),
];

/// Headers that every operation takes, and whoever likes may leave out. Not among them is
/// `x-stack-override-error-status`: with it, no answer has the status that is documented.
const OPTIONAL_HEADERS: [(&str, &str, &str); 4] = [
    (
        "BranchId",
        "x-stack-branch-id",
        "The project's branch. There is only `main`.",
    ),
    (
        "AllowRestrictedUser",
        "x-stack-allow-restricted-user",
        "`true` lets the access tokens of restricted users through.",
    ),
    (
        "AllowAnonymousUser",
        "x-stack-allow-anonymous-user",
        "`true` lets the access tokens of anonymous and restricted users through.",
    ),
    (
        "ClientVersion",
        "x-stack-client-version",
        "The calling library and its version, such as `js @stackframe/js@2.8.108`.",
    ),
];

/// The schemes, for the components of the document.
pub(super) fn schemes() -> Value {
    let mut schemes = json!({
        "webhooksToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `POST /webhooks/svix-token`.",
        },
        "platform": {
            "type": "http",
            "scheme": "basic",
            "description": "The client_id and client_secret of a registered hosting platform.",
        },
    });
    for (scheme, header, about) in HEADERS {
        schemes[scheme] =
            json!({"type": "apiKey", "in": "header", "name": header, "description": about});
    }
    schemes
}

/// The optional headers, for the components of the document.
pub(super) fn parameters() -> Value {
    let mut parameters = json!({});
    for (name, header, about) in OPTIONAL_HEADERS {
        parameters[name] = json!({
            "name": header,
            "in": "header",
            "required": false,
            "description": about,
            "schema": {"type": "string"},
        });
    }
    parameters
}

/// References to the optional headers.
pub(super) fn parameter_references() -> impl Iterator<Item = Value> {
    OPTIONAL_HEADERS
        .iter()
        .map(|(name, ..)| json!({"$ref": format!("#/components/parameters/{name}")}))
}

impl Credentials {
    /// The requirements of an operation: any one of them will do.
    pub(super) fn requirements(self) -> Value {
        let with = |schemes: &[&str]| {
            let project = ["projectId", "accessType"].iter().chain(schemes);
            project
                .map(|scheme| ((*scheme).to_owned(), json!([])))
                .collect::<Value>()
        };
        match self {
            Self::Nobody => json!([{}]),
            Self::Client => json!([
                with(&["publishableClientKey"]),
                with(&["publishableClientKey", "accessToken"]),
                with(&["secretServerKey"]),
                with(&["superSecretAdminKey"]),
                with(&["adminAccessToken"]),
            ]),
            Self::ClientWithUser => json!([
                with(&["publishableClientKey", "accessToken"]),
                with(&["secretServerKey", "accessToken"]),
                with(&["superSecretAdminKey", "accessToken"]),
            ]),
            Self::Server => json!([
                with(&["secretServerKey"]),
                with(&["superSecretAdminKey"]),
                with(&["adminAccessToken"]),
            ]),
            Self::Admin => json!([with(&["superSecretAdminKey"]), with(&["adminAccessToken"])]),
            Self::WebhooksToken => json!([{"webhooksToken": []}]),
            Self::Platform => json!([{"platform": []}]),
        }
    }

    /// Whether the caller says which project they mean, by headers.
    pub(super) fn names_a_project(self) -> bool {
        !matches!(self, Self::WebhooksToken | Self::Platform)
    }
}
