//! Contract 01 §1.3 and §1.4: every wrong caller, on every route.

use serde_json::{Value, json};

use crate::support::{Call, Project, TestServer, unique_email};

/// The weakest access that a route accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Public,
    Client,
    Server,
    Admin,
}
use Access::{Admin, Client, Public, Server};

const ID: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";

/// Every route of the API.
const ROUTES: [(&str, &str, Access); 41] = [
    ("GET", "/", Public),
    ("POST", "/check-version", Public),
    ("POST", "/check-feature-support", Public),
    (
        "GET",
        "/projects/{project_id}/.well-known/jwks.json",
        Public,
    ),
    (
        "GET",
        "/projects-anonymous-users/{project_id}/.well-known/{*rest}",
        Public,
    ),
    (
        "GET",
        "/projects-restricted-users/{project_id}/.well-known/{*rest}",
        Public,
    ),
    ("POST", "/auth/oauth/token", Public),
    ("GET", "/users/me", Client),
    ("PATCH", "/users/me", Client),
    ("DELETE", "/users/me", Client),
    ("GET", "/users", Server),
    ("POST", "/users", Server),
    ("GET", "/users/{user_id}", Server),
    ("PATCH", "/users/{user_id}", Server),
    ("DELETE", "/users/{user_id}", Server),
    ("GET", "/teams", Client),
    ("POST", "/teams", Client),
    ("GET", "/teams/{team_id}", Client),
    ("PATCH", "/teams/{team_id}", Client),
    ("DELETE", "/teams/{team_id}", Client),
    ("POST", "/team-memberships/{team_id}/{user_id}", Server),
    ("DELETE", "/team-memberships/{team_id}/{user_id}", Client),
    ("GET", "/auth/sessions", Client),
    ("POST", "/auth/sessions", Server),
    ("DELETE", "/auth/sessions/current", Client),
    ("POST", "/auth/sessions/current/refresh", Client),
    ("DELETE", "/auth/sessions/{id}", Client),
    ("POST", "/auth/password/sign-up", Client),
    ("POST", "/auth/password/sign-in", Client),
    ("POST", "/auth/anonymous/sign-up", Client),
    ("GET", "/projects/current", Client),
    ("GET", "/internal/projects", Client),
    ("POST", "/internal/projects", Client),
    ("POST", "/internal/projects/transfer", Client),
    ("GET", "/internal/projects/current", Admin),
    ("PATCH", "/internal/projects/current", Admin),
    ("DELETE", "/internal/projects/current", Admin),
    ("GET", "/internal/config/override/{level}", Server),
    ("PATCH", "/internal/config/override/{level}", Server),
    ("POST", "/internal/sign-up-rules-test", Admin),
    ("GET", "/internal/sign-up-rules-stats", Admin),
];
/// Those of analytics.
const ANALYTICS_ROUTES: [(&str, &str, Access); 2] = [
    ("POST", "/internal/analytics/query", Admin),
    ("POST", "/internal/analytics/query/timing", Server),
];
/// Those of signing in by other means than a password, and of what belongs to it.
const SIGN_IN_ROUTES: [(&str, &str, Access); 25] = [
    ("POST", "/auth/password/set", Client),
    ("POST", "/auth/password/update", Client),
    ("POST", "/auth/password/send-reset-code", Client),
    ("POST", "/auth/password/reset", Client),
    ("POST", "/auth/password/reset/check-code", Client),
    ("POST", "/auth/otp/send-sign-in-code", Client),
    ("POST", "/auth/otp/sign-in", Client),
    ("POST", "/auth/otp/sign-in/check-code", Client),
    ("POST", "/auth/mfa/sign-in", Client),
    (
        "POST",
        "/auth/passkey/initiate-passkey-registration",
        Client,
    ),
    ("POST", "/auth/passkey/register", Client),
    (
        "POST",
        "/auth/passkey/initiate-passkey-authentication",
        Client,
    ),
    ("POST", "/auth/passkey/sign-in", Client),
    ("POST", "/auth/cli", Client),
    ("POST", "/auth/cli/poll", Client),
    ("POST", "/auth/cli/complete", Client),
    ("GET", "/contact-channels", Client),
    ("POST", "/contact-channels", Client),
    (
        "GET",
        "/contact-channels/{user_id}/{contact_channel_id}",
        Client,
    ),
    (
        "PATCH",
        "/contact-channels/{user_id}/{contact_channel_id}",
        Client,
    ),
    (
        "DELETE",
        "/contact-channels/{user_id}/{contact_channel_id}",
        Client,
    ),
    (
        "POST",
        "/contact-channels/{user_id}/{contact_channel_id}/send-verification-code",
        Client,
    ),
    ("POST", "/contact-channels/send-verification-code", Client),
    ("POST", "/contact-channels/verify", Client),
    ("POST", "/contact-channels/verify/check-code", Client),
];
/// Those of the key sets.
const KEY_ROUTES: [(&str, &str, Access); 4] = [
    ("GET", "/internal/api-keys", Admin),
    ("POST", "/internal/api-keys", Admin),
    ("GET", "/internal/api-keys/{id}", Admin),
    ("PATCH", "/internal/api-keys/{id}", Admin),
];

/// Those of permissions, member profiles, and API keys of users and teams.
const PERMISSION_ROUTES: [(&str, &str, Access); 28] = [
    ("GET", "/team-permission-definitions", Admin),
    ("POST", "/team-permission-definitions", Admin),
    (
        "PATCH",
        "/team-permission-definitions/{permission_id}",
        Admin,
    ),
    (
        "DELETE",
        "/team-permission-definitions/{permission_id}",
        Admin,
    ),
    ("GET", "/project-permission-definitions", Admin),
    ("POST", "/project-permission-definitions", Admin),
    (
        "PATCH",
        "/project-permission-definitions/{permission_id}",
        Admin,
    ),
    (
        "DELETE",
        "/project-permission-definitions/{permission_id}",
        Admin,
    ),
    ("GET", "/team-permissions", Client),
    (
        "POST",
        "/team-permissions/{team_id}/{user_id}/{permission_id}",
        Server,
    ),
    (
        "DELETE",
        "/team-permissions/{team_id}/{user_id}/{permission_id}",
        Server,
    ),
    ("GET", "/project-permissions", Client),
    (
        "POST",
        "/project-permissions/{user_id}/{permission_id}",
        Server,
    ),
    (
        "DELETE",
        "/project-permissions/{user_id}/{permission_id}",
        Server,
    ),
    ("GET", "/team-member-profiles", Client),
    ("GET", "/team-member-profiles/{team_id}/{user_id}", Client),
    ("PATCH", "/team-member-profiles/{team_id}/{user_id}", Client),
    ("GET", "/user-api-keys", Client),
    ("POST", "/user-api-keys", Client),
    ("GET", "/user-api-keys/{api_key_id}", Client),
    ("PATCH", "/user-api-keys/{api_key_id}", Client),
    ("POST", "/user-api-keys/check", Server),
    ("GET", "/team-api-keys", Client),
    ("POST", "/team-api-keys", Client),
    ("GET", "/team-api-keys/{api_key_id}", Client),
    ("PATCH", "/team-api-keys/{api_key_id}", Client),
    ("POST", "/team-api-keys/check", Server),
    ("POST", "/integrations/credential-scanning/revoke", Public),
];
/// Those of the configuration as documents, and of what depends on it.
const CONFIG_ROUTES: [(&str, &str, Access); 8] = [
    ("POST", "/data-vault/stores/{id}/set", Server),
    ("POST", "/data-vault/stores/{id}/get", Server),
    ("POST", "/internal/onboarding/preview-affected-users", Admin),
    ("GET", "/internal/config", Admin),
    ("PUT", "/internal/config/override/{level}", Server),
    (
        "POST",
        "/internal/config/override/{level}/reset-keys",
        Admin,
    ),
    ("GET", "/internal/config/source", Admin),
    ("DELETE", "/internal/config/source", Admin),
];
/// Those of hosting platforms.
const INTEGRATION_ROUTES: [(&str, &str, Access); 32] = [
    (
        "POST",
        "/integrations/{integration}/projects/provision",
        Public,
    ),
    (
        "GET",
        "/integrations/{integration}/projects/transfer",
        Public,
    ),
    (
        "POST",
        "/integrations/{integration}/projects/transfer",
        Public,
    ),
    (
        "POST",
        "/integrations/{integration}/projects/transfer/initiate",
        Public,
    ),
    (
        "POST",
        "/integrations/{integration}/projects/transfer/confirm/check",
        Client,
    ),
    (
        "POST",
        "/integrations/{integration}/projects/transfer/confirm",
        Client,
    ),
    (
        "POST",
        "/integrations/{integration}/internal/confirm",
        Server,
    ),
    ("GET", "/integrations/{integration}/oauth", Public),
    ("GET", "/integrations/{integration}/oauth/authorize", Public),
    ("POST", "/integrations/{integration}/oauth/token", Public),
    (
        "GET",
        "/integrations/{integration}/oauth/idp/.well-known/openid-configuration",
        Public,
    ),
    (
        "GET",
        "/integrations/{integration}/oauth/idp/.well-known/jwks.json",
        Public,
    ),
    ("GET", "/integrations/{integration}/oauth/idp/auth", Public),
    (
        "POST",
        "/integrations/{integration}/oauth/idp/token",
        Public,
    ),
    (
        "GET",
        "/integrations/{integration}/oauth/idp/interaction/{uid}",
        Public,
    ),
    (
        "GET",
        "/integrations/{integration}/oauth/idp/interaction/{uid}/done",
        Public,
    ),
    (
        "POST",
        "/integrations/{integration}/oauth/idp/interaction/{uid}/done",
        Public,
    ),
    ("POST", "/integrations/neon/projects/connection", Public),
    ("POST", "/integrations/neon/webhooks", Client),
    ("GET", "/integrations/{integration}/domains", Admin),
    ("POST", "/integrations/{integration}/domains", Admin),
    (
        "DELETE",
        "/integrations/{integration}/domains/{domain}",
        Admin,
    ),
    ("GET", "/integrations/neon/projects/current", Admin),
    ("PATCH", "/integrations/neon/projects/current", Admin),
    ("GET", "/integrations/neon/api-keys", Admin),
    ("POST", "/integrations/neon/api-keys", Admin),
    ("GET", "/integrations/neon/api-keys/{id}", Admin),
    ("PATCH", "/integrations/neon/api-keys/{id}", Admin),
    ("GET", "/integrations/neon/oauth-providers", Admin),
    ("POST", "/integrations/neon/oauth-providers", Admin),
    ("PATCH", "/integrations/neon/oauth-providers/{id}", Admin),
    ("DELETE", "/integrations/neon/oauth-providers/{id}", Admin),
];
/// Those of notification preferences.
const PREFERENCE_ROUTES: [(&str, &str, Access); 2] = [
    ("GET", "/emails/notification-preference/{user_id}", Client),
    (
        "PATCH",
        "/emails/notification-preference/{user_id}/{notification_category_id}",
        Client,
    ),
];

/// Those of invitations.
const INVITATION_ROUTES: [(&str, &str, Access); 7] = [
    ("GET", "/team-invitations", Client),
    ("POST", "/team-invitations/send-code", Client),
    ("DELETE", "/team-invitations/{id}", Client),
    ("POST", "/team-invitations/accept", Client),
    ("POST", "/team-invitations/accept/check-code", Client),
    ("POST", "/team-invitations/accept/details", Client),
    ("POST", "/team-invitations/{id}/accept", Client),
];

/// Those of webhooks.
const WEBHOOK_ROUTES: [(&str, &str, Access); 15] = [
    ("POST", "/webhooks/svix-token", Admin),
    ("POST", "/internal/send-test-webhook", Admin),
    ("GET", "/internal/webhooks/endpoints", Admin),
    ("POST", "/internal/webhooks/endpoints", Admin),
    ("GET", "/internal/webhooks/endpoints/{endpoint_id}", Admin),
    ("PATCH", "/internal/webhooks/endpoints/{endpoint_id}", Admin),
    (
        "DELETE",
        "/internal/webhooks/endpoints/{endpoint_id}",
        Admin,
    ),
    (
        "GET",
        "/internal/webhooks/endpoints/{endpoint_id}/secret",
        Admin,
    ),
    (
        "POST",
        "/internal/webhooks/endpoints/{endpoint_id}/secret/rotate",
        Admin,
    ),
    (
        "GET",
        "/internal/webhooks/endpoints/{endpoint_id}/stats",
        Admin,
    ),
    ("GET", "/internal/webhooks/attempts", Admin),
    (
        "POST",
        "/internal/webhooks/endpoints/{endpoint_id}/recover",
        Admin,
    ),
    (
        "POST",
        "/internal/webhooks/endpoints/{endpoint_id}/replay",
        Admin,
    ),
    ("GET", "/internal/webhooks/messages/{message_id}", Admin),
    (
        "POST",
        "/internal/webhooks/messages/{message_id}/endpoints/{endpoint_id}/resend",
        Admin,
    ),
];

/// Those of what browsers observe, and of figures.
const TELEMETRY_ROUTES: [(&str, &str, Access); 8] = [
    ("POST", "/analytics/events/batch", Client),
    ("POST", "/session-replays/batch", Client),
    ("GET", "/internal/session-replays", Admin),
    (
        "GET",
        "/internal/session-replays/{session_replay_id}",
        Admin,
    ),
    (
        "GET",
        "/internal/session-replays/{session_replay_id}/chunks",
        Admin,
    ),
    (
        "GET",
        "/internal/session-replays/{session_replay_id}/chunks/{chunk_id}/events",
        Admin,
    ),
    (
        "GET",
        "/internal/session-replays/{session_replay_id}/events",
        Admin,
    ),
    ("GET", "/internal/metrics", Admin),
];

/// Those of Svix's API, which take a token of their own.
const SVIX_ROUTES: [(&str, &str, Access); 21] = [
    ("POST", "/app", Public),
    ("POST", "/auth/app-portal-access/{app_id}", Public),
    ("GET", "/app/{app_id}/endpoint", Public),
    ("POST", "/app/{app_id}/endpoint", Public),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}", Public),
    ("PUT", "/app/{app_id}/endpoint/{endpoint_id}", Public),
    ("PATCH", "/app/{app_id}/endpoint/{endpoint_id}", Public),
    ("DELETE", "/app/{app_id}/endpoint/{endpoint_id}", Public),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/secret", Public),
    (
        "POST",
        "/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
        Public,
    ),
    (
        "GET",
        "/app/{app_id}/endpoint/{endpoint_id}/headers",
        Public,
    ),
    (
        "PUT",
        "/app/{app_id}/endpoint/{endpoint_id}/headers",
        Public,
    ),
    (
        "PATCH",
        "/app/{app_id}/endpoint/{endpoint_id}/headers",
        Public,
    ),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/stats", Public),
    (
        "POST",
        "/app/{app_id}/endpoint/{endpoint_id}/recover",
        Public,
    ),
    (
        "POST",
        "/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
        Public,
    ),
    ("POST", "/app/{app_id}/msg", Public),
    ("GET", "/app/{app_id}/msg/{msg_id}", Public),
    (
        "POST",
        "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
        Public,
    ),
    (
        "GET",
        "/app/{app_id}/attempt/endpoint/{endpoint_id}",
        Public,
    ),
    ("GET", "/app/{app_id}/attempt/msg/{msg_id}", Public),
];

/// Those of items, products and purchases.
const PAYMENT_ROUTES: [(&str, &str, Access); 23] = [
    ("POST", "/integrations/stripe/webhooks", Public),
    (
        "GET",
        "/payments/items/{customer_type}/{customer_id}/{item_id}",
        Client,
    ),
    (
        "POST",
        "/payments/items/{customer_type}/{customer_id}/{item_id}/update-quantity",
        Server,
    ),
    (
        "GET",
        "/payments/products/{customer_type}/{customer_id}",
        Client,
    ),
    (
        "POST",
        "/payments/products/{customer_type}/{customer_id}",
        Server,
    ),
    (
        "DELETE",
        "/payments/products/{customer_type}/{customer_id}/{product_id}",
        Client,
    ),
    (
        "POST",
        "/payments/products/{customer_type}/{customer_id}/switch",
        Client,
    ),
    ("POST", "/payments/purchases/create-purchase-url", Client),
    ("POST", "/payments/purchases/validate-code", Public),
    ("GET", "/payments/purchases/validate-code", Public),
    ("POST", "/payments/purchases/purchase-session", Public),
    (
        "POST",
        "/internal/payments/test-mode-purchase-session",
        Public,
    ),
    ("GET", "/internal/payments/transactions", Admin),
    ("POST", "/internal/payments/transactions/refund", Admin),
    ("POST", "/internal/payments/setup", Admin),
    ("GET", "/internal/payments/stripe/account-info", Admin),
    (
        "POST",
        "/internal/payments/stripe-widgets/account-session",
        Admin,
    ),
    ("GET", "/internal/payments/method-configs", Admin),
    ("PATCH", "/internal/payments/method-configs", Admin),
    (
        "GET",
        "/payments/billing/{customer_type}/{customer_id}",
        Client,
    ),
    (
        "GET",
        "/payments/invoices/{customer_type}/{customer_id}",
        Client,
    ),
    (
        "POST",
        "/payments/payment-method/{customer_type}/{customer_id}/setup-intent",
        Client,
    ),
    (
        "POST",
        "/payments/payment-method/{customer_type}/{customer_id}/set-default",
        Client,
    ),
];

/// Those of conversations.
const CONVERSATION_ROUTES: [(&str, &str, Access); 10] = [
    ("GET", "/internal/ai-conversations", Client),
    ("POST", "/internal/ai-conversations", Client),
    (
        "GET",
        "/internal/ai-conversations/{conversation_id}",
        Client,
    ),
    (
        "PATCH",
        "/internal/ai-conversations/{conversation_id}",
        Client,
    ),
    (
        "DELETE",
        "/internal/ai-conversations/{conversation_id}",
        Client,
    ),
    (
        "PUT",
        "/internal/ai-conversations/{conversation_id}/messages",
        Client,
    ),
    ("GET", "/internal/conversations", Client),
    ("POST", "/internal/conversations", Client),
    ("GET", "/internal/conversations/{conversation_id}", Client),
    ("PATCH", "/internal/conversations/{conversation_id}", Client),
];

fn table() -> impl Iterator<Item = (&'static str, &'static str, Access)> {
    let parts = ROUTES.into_iter().chain(KEY_ROUTES);
    parts
        .chain(SIGN_IN_ROUTES)
        .chain(PERMISSION_ROUTES)
        .chain(PREFERENCE_ROUTES)
        .chain(INVITATION_ROUTES)
        .chain(CONFIG_ROUTES)
        .chain(WEBHOOK_ROUTES)
        .chain(SVIX_ROUTES)
        .chain(INTEGRATION_ROUTES)
        .chain(PAYMENT_ROUTES)
        .chain(ANALYTICS_ROUTES)
        .chain(TELEMETRY_ROUTES)
        .chain(CONVERSATION_ROUTES)
}

fn routes() -> impl Iterator<Item = (&'static str, String, Access)> {
    table().map(|(method, template, access)| {
        let path = template
            .replace("{*rest}", "jwks.json")
            .split('/')
            .map(|part| if part.starts_with('{') { ID } else { part })
            .collect::<Vec<_>>()
            .join("/");
        (method, path, access)
    })
}

#[tokio::test]
async fn the_table_names_every_documented_route() {
    let server = TestServer::start().await;
    let document = server.page("GET", "/openapi.json").expect(200).await;
    let mut documented = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented.push((method.to_uppercase(), path.clone()));
        }
    }
    let tabled: Vec<(String, String)> = table()
        .map(|(method, path, _)| (method.to_owned(), path.replace("{*", "{")))
        .collect();
    for route in &documented {
        assert!(tabled.contains(route), "not in the table: {route:?}");
    }
    for route in &tabled {
        assert!(documented.contains(route), "not documented: {route:?}");
    }
}

#[tokio::test]
async fn callers_without_the_right_credentials_are_refused_on_every_route() {
    let server = TestServer::start().await;
    let other = server.new_project(json!({})).await;
    let project = server.project.clone();
    for (method, path, access) in routes() {
        let call = || server.call(method, &path);
        let typed = |kind: &str| call().header("x-stack-access-type", kind);
        let placed = |kind: &str| typed(kind).header("x-stack-project-id", &project.id);
        call()
            .header("x-stack-secret-server-key", &project.server)
            .refused(400, "PROJECT_KEY_WITHOUT_ACCESS_TYPE")
            .await;
        typed("owner").refused(400, "INVALID_ACCESS_TYPE").await;
        let details = typed("server")
            .refused(400, "ACCESS_TYPE_WITHOUT_PROJECT_ID")
            .await;
        assert_eq!(details, json!({"request_type": "server"}));
        let details = typed("client")
            .header("x-stack-project-id", "nowhere")
            .refused(400, "CURRENT_PROJECT_NOT_FOUND")
            .await;
        assert_eq!(details, json!({"project_id": "nowhere"}));
        let details = placed("client")
            .header("x-stack-publishable-client-key", &other.client)
            .refused(401, "INVALID_PUBLISHABLE_CLIENT_KEY")
            .await;
        assert_eq!(details, json!({"project_id": project.id}));
        placed("server")
            .refused(401, "SERVER_AUTHENTICATION_REQUIRED")
            .await;
        // A key of another kind is not even looked at.
        placed("server")
            .header("x-stack-super-secret-admin-key", &project.admin)
            .refused(401, "SERVER_AUTHENTICATION_REQUIRED")
            .await;
        placed("server")
            .header("x-stack-secret-server-key", &other.server)
            .refused(401, "INVALID_SECRET_SERVER_KEY")
            .await;
        placed("admin")
            .refused(401, "ADMIN_AUTHENTICATION_REQUIRED")
            .await;
        placed("admin")
            .header("x-stack-super-secret-admin-key", &other.admin)
            .refused(401, "INVALID_SUPER_SECRET_ADMIN_KEY")
            .await;
        placed("admin")
            .header("x-stack-admin-access-token", "nonsense")
            .refused(401, "UNPARSABLE_ADMIN_ACCESS_TOKEN")
            .await;
        server
            .client_of(&project, method, &path)
            .header("x-stack-branch-id", "feature")
            .refused(400, "BRANCH_DOES_NOT_EXIST")
            .await;
        if access != Public {
            call().refused(400, "ACCESS_TYPE_REQUIRED").await;
        }
        if access == Server || access == Admin {
            let details = server
                .client(method, &path)
                .refused(401, "INSUFFICIENT_ACCESS_TYPE")
                .await;
            assert_eq!(details["actual_access_type"], "client");
        }
        if access == Admin {
            let details = server
                .server(method, &path)
                .refused(401, "INSUFFICIENT_ACCESS_TYPE")
                .await;
            assert_eq!(details["allowed_access_types"], json!(["admin"]));
        }
    }
}

#[tokio::test]
async fn tokens_that_are_not_accepted_are_refused_on_every_route() {
    let server = TestServer::start().await;
    let other = server.new_project(json!({})).await;
    let stranger = server.sign_up_to(&other, &unique_email()).await;
    let anonymous = server.anonymous().await;
    server
        .configure(json!({"require_email_verification": true}))
        .await;
    let restricted = server.sign_up(&unique_email()).await;
    server
        .configure(json!({"require_email_verification": false}))
        .await;
    let expired = server.sign_up(&unique_email()).await;
    let forged = forge(&expired.access);
    let present: Vec<_> = routes().collect();
    let with = |call: Call, token: &str| call.header("x-stack-access-token", token);
    for (method, path, _) in &present {
        for call in [server.client(method, path), server.server(method, path)] {
            with(call, &forged)
                .refused(401, "UNPARSABLE_ACCESS_TOKEN")
                .await;
        }
        with(server.client(method, path), "garbage")
            .refused(401, "UNPARSABLE_ACCESS_TOKEN")
            .await;
        let details = with(server.client(method, path), &stranger.access)
            .refused(401, "INVALID_PROJECT_FOR_ACCESS_TOKEN")
            .await;
        assert_eq!(details["actual_project_id"], other.id);
        for call in [
            server.client(method, path),
            server
                .client(method, path)
                .header("x-stack-allow-restricted-user", "true"),
            server
                .client(method, path)
                .header("x-stack-allow-anonymous-user", "yes"),
        ] {
            with(call, &anonymous.access)
                .refused(401, "ANONYMOUS_AUTHENTICATION_NOT_ALLOWED")
                .await;
        }
        let details = with(server.client(method, path), &restricted.access)
            .refused(403, "RESTRICTED_USER_NOT_ALLOWED")
            .await;
        assert_eq!(
            details,
            json!({"restricted_reason": {"type": "email_not_verified"}})
        );
    }
    server.clock.advance(600_000);
    for (method, path, _) in &present {
        let details = with(server.client(method, path), &expired.access)
            .refused(401, "ACCESS_TOKEN_EXPIRED")
            .await;
        assert_eq!(details["user_id"], expired.user_id);
        assert!(details["expired_at_millis"].is_i64());
    }
}

/// The same claims with another signature.
fn forge(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", signature.chars().rev().collect::<String>())
}

#[tokio::test]
async fn one_projects_server_cannot_touch_anothers_users() {
    let server = TestServer::start().await;
    let other = server.new_project(json!({})).await;
    let victim = server.sign_up(&unique_email()).await;
    let team = server.create_team(&victim).await;
    let sessions = format!("/auth/sessions?user_id={}", victim.user_id);
    let listed = server.server("GET", &sessions).expect(200).await;
    let session = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let call = |method: &str, path: &str| server.server_of(&other, method, path);
    let user = format!("/users/{}", victim.user_id);
    call("GET", &user).refused(404, "USER_NOT_FOUND").await;
    call("PATCH", &user)
        .body(json!({"display_name": "x"}))
        .refused(404, "USER_NOT_FOUND")
        .await;
    call("DELETE", &user).refused(404, "USER_NOT_FOUND").await;
    let path = format!("/teams/{team}");
    call("GET", &path).refused(404, "TEAM_NOT_FOUND").await;
    call("PATCH", &path)
        .body(json!({"display_name": "x"}))
        .refused(404, "TEAM_NOT_FOUND")
        .await;
    call("DELETE", &path).refused(404, "TEAM_NOT_FOUND").await;
    let membership = format!("/team-memberships/{team}/{}", victim.user_id);
    call("POST", &membership)
        .body(json!({}))
        .refused(404, "USER_NOT_FOUND")
        .await;
    call("DELETE", &membership)
        .refused(404, "USER_NOT_FOUND")
        .await;
    let own = server.sign_up_to(&other, &unique_email()).await;
    let membership = format!("/team-memberships/{team}/{}", own.user_id);
    call("POST", &membership)
        .body(json!({}))
        .refused(404, "TEAM_NOT_FOUND")
        .await;
    call("DELETE", &membership)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    call("GET", &sessions).expect(200).await["items"]
        .as_array()
        .unwrap()
        .is_empty()
        .then_some(())
        .unwrap();
    call("DELETE", &format!("/auth/sessions/{session}"))
        .refused_in_words(404)
        .await;
    call("POST", "/auth/sessions")
        .body(json!({"user_id": victim.user_id}))
        .refused(400, "USER_ID_DOES_NOT_EXIST")
        .await;
    call("POST", "/teams")
        .body(json!({"display_name": "x", "creator_user_id": victim.user_id}))
        .refused(404, "USER_NOT_FOUND")
        .await;
    assert!(
        call("GET", "/users").expect(200).await["items"]
            .as_array()
            .unwrap()
            .len()
            == 1
    );
    let listed = call("GET", &format!("/users?team_id={team}"))
        .expect(200)
        .await;
    assert_eq!(listed["items"], json!([]));
    server
        .client_of(&other, "POST", "/auth/sessions/current/refresh")
        .header("x-stack-refresh-token", &victim.refresh)
        .refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
        .await;
}

#[tokio::test]
async fn publishable_keys_are_optional_unless_demanded() {
    let server = TestServer::start().await;
    let keyless = Project {
        client: String::new(),
        ..server.project.clone()
    };
    server
        .client_of(&keyless, "GET", "/projects/current")
        .expect(200)
        .await;
    let public = Project {
        client: "__stack_public_client__".to_owned(),
        ..keyless
    };
    server
        .client_of(&public, "GET", "/projects/current")
        .expect(200)
        .await;
    let call = server.client("GET", "/projects/current");
    call.header("x-stack-branch-id", "main").expect(200).await;
    let revoked = server.admin("GET", "/internal/api-keys").expect(200).await;
    let id = revoked["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/internal/api-keys/{id}");
    server
        .admin("PATCH", &path)
        .body(json!({"revoked": true}))
        .expect(200)
        .await;
    let call = server.client("GET", "/projects/current");
    call.refused(401, "INVALID_PUBLISHABLE_CLIENT_KEY").await;
}

#[tokio::test]
async fn owners_administrate_with_their_own_token() {
    let server = TestServer::start().await;
    let owner = server.sign_up_to(&server.internal(), &unique_email()).await;
    let stranger = server.sign_up_to(&server.internal(), &unique_email()).await;
    let internal = server.internal();
    let me = server
        .client_of(&internal, "GET", "/users/me")
        .user(&owner)
        .expect(200)
        .await;
    let body = json!({"display_name": "Mine", "owner_team_id": me["selected_team_id"]});
    let call = server
        .client_of(&internal, "POST", "/internal/projects")
        .user(&owner);
    let project = call.body(body).expect(201).await;
    let id = project["id"].as_str().unwrap();
    let call = |kind: &str, token: &str| {
        server
            .call("GET", "/projects/current")
            .header("x-stack-access-type", kind)
            .header("x-stack-project-id", id)
            .header("x-stack-admin-access-token", token)
    };
    for kind in ["client", "server", "admin"] {
        call(kind, &owner.access).expect(200).await;
        call(kind, &stranger.access)
            .refused(401, "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN")
            .await;
    }
    let outsider = server.sign_up(&unique_email()).await;
    call("admin", &outsider.access)
        .refused(401, "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN")
        .await;
    let anonymous = server
        .client_of(&internal, "POST", "/auth/anonymous/sign-up")
        .expect(200)
        .await;
    let token = anonymous["access_token"].as_str().unwrap();
    call("admin", token)
        .refused(401, "UNPARSABLE_ADMIN_ACCESS_TOKEN")
        .await;
    server
        .client_of(&internal, "GET", "/users/me")
        .user(&stranger)
        .expect(200)
        .await;
    let path = format!("/users/{}", stranger.user_id);
    server
        .server_of(&internal, "DELETE", &path)
        .expect(200)
        .await;
    call("admin", &stranger.access).refused_in_words(401).await;
    server.clock.advance(600_000);
    let details = call("admin", &owner.access)
        .refused(401, "ADMIN_ACCESS_TOKEN_EXPIRED")
        .await;
    assert!(details["expired_at_millis"].is_i64());
}

#[tokio::test]
async fn the_user_of_a_token_may_be_gone() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    server
        .server("DELETE", &format!("/users/{}", user.user_id))
        .expect(200)
        .await;
    server
        .client("GET", "/projects/current")
        .user(&user)
        .expect(200)
        .await;
    let call = server.client("GET", "/users/me").user(&user);
    let details = call.refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER").await;
    assert_eq!(details, Value::Null);
}
