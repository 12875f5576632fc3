//! What opens what, and what voids it: a test for each line of the table in
//! [`muniment_domain::grounds`].

mod accounts;
mod codes;
mod invitations;
mod owners;
mod sessions;

use std::path::Path;

use muniment_domain::grounds::{Credential, Ground, Siblings};
use muniment_domain::verification_code::Purpose;
use serde_json::{Value, json};

use crate::support::{CALLBACK, Call, PASSWORD, TestServer, Tokens};

/// The name of the test of each line, and the file that it is in.
fn test_of(credential: Credential, ground: Ground) -> (&'static str, &'static str) {
    use Credential as C;
    use Ground as G;
    match (credential, ground) {
        (C::Password, _) => (
            "grounds/accounts.rs",
            "a_password_opens_what_it_still_is_of",
        ),
        (
            C::Passkey | C::Code(Purpose::PasskeyRegistration | Purpose::PasskeyAuthentication),
            _,
        ) => ("grounds/accounts.rs", "a_passkey_goes_with_its_account"),
        (C::Code(Purpose::SignIn), G::SomebodysSignInAddress) => (
            "grounds/codes.rs",
            "a_sign_in_code_is_void_once_nobody_signs_in_with_its_address",
        ),
        (C::Code(Purpose::SignIn), _) => {
            ("grounds/codes.rs", "of_sign_in_codes_one_voids_the_others")
        }
        (C::Code(Purpose::PasswordReset), G::SignInAddress | G::Account) => (
            "grounds/codes.rs",
            "a_reset_code_is_void_once_its_address_opens_the_account_no_longer",
        ),
        (C::Code(Purpose::PasswordReset), G::Password) => (
            "grounds/codes.rs",
            "a_password_changed_by_other_means_voids_reset_codes",
        ),
        (C::Code(Purpose::PasswordReset), _) => {
            ("grounds/codes.rs", "one_reset_code_voids_the_others")
        }
        (C::Code(Purpose::ContactChannelVerification), G::NoSiblingUsed(_)) => {
            ("grounds/codes.rs", "one_verification_code_voids_the_others")
        }
        (C::Code(Purpose::ContactChannelVerification), _) => (
            "grounds/codes.rs",
            "a_verification_code_is_void_once_the_address_left_the_account",
        ),
        (C::Code(Purpose::TeamInvitation), G::Team) => {
            ("grounds/invitations.rs", "invitations_go_with_their_team")
        }
        (C::Code(Purpose::TeamInvitation), G::NotRemoved) => (
            "grounds/invitations.rs",
            "whoever_left_a_team_comes_back_by_no_old_invitation",
        ),
        (C::Code(Purpose::TeamInvitation), _) => (
            "grounds/invitations.rs",
            "an_accepted_invitation_voids_its_siblings",
        ),
        (C::Code(Purpose::MfaAttempt), _) => (
            "grounds/accounts.rs",
            "an_attempt_goes_with_its_first_factor",
        ),
        (C::Code(Purpose::PurchaseUrl), _) => (
            "grounds/owners.rs",
            "a_purchase_link_goes_with_its_customer",
        ),
        (C::Code(Purpose::ProjectTransfer), _) => {
            ("grounds/owners.rs", "a_transfer_code_goes_with_its_project")
        }
        (C::Code(Purpose::IntegrationConfirmation | Purpose::IntegrationLogin), _) => (
            "integrations/login.rs",
            "codes_go_with_the_project_and_whoever_agreed",
        ),
        (C::RefreshToken | C::AccessToken, G::Account) => (
            "grounds/sessions.rs",
            "tokens_of_a_deleted_user_are_nobodys",
        ),
        (C::RefreshToken | C::AccessToken, G::Unrestricted) => (
            "grounds/sessions.rs",
            "a_restricted_users_tokens_are_told_apart_at_once",
        ),
        (C::RefreshToken | C::AccessToken, _) => (
            "grounds/sessions.rs",
            "an_ended_session_is_known_on_every_node",
        ),
        (C::CliLogin, _) => (
            "grounds/sessions.rs",
            "a_program_is_handed_no_session_that_has_ended",
        ),
        (C::UserApiKey | C::TeamApiKey, _) => (
            "grounds/owners.rs",
            "api_keys_go_with_their_owner_and_not_with_a_member",
        ),
    }
}

#[test]
fn every_line_of_the_table_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for credential in Credential::ALL {
        for ground in credential.grounds() {
            let (file, test) = test_of(credential, *ground);
            let source = std::fs::read_to_string(folder.join(file)).unwrap();
            let declared = format!("#[tokio::test]\nasync fn {test}()");
            assert!(
                source.contains(&declared),
                "{credential:?} rests on {ground:?}: {test}"
            );
        }
    }
}

#[test]
fn a_purpose_without_siblings_says_so() {
    assert_eq!(Purpose::PasswordReset.siblings(), Some(Siblings::OfAccount));
    assert_eq!(Purpose::PurchaseUrl.siblings(), None);
}

const NOT_FOUND: (u16, &str) = (404, "VERIFICATION_CODE_NOT_FOUND");

/// A server on which everything can be signed in with.
async fn start() -> TestServer {
    let server = TestServer::start().await;
    server.offer_everything().await;
    server
}

fn patch_user(server: &TestServer, user: &Tokens, change: Value) -> Call {
    let path = format!("/users/{}", user.user_id);
    server.server("PATCH", &path).body(change)
}

fn delete_user(server: &TestServer, user: &Tokens) -> Call {
    server.server("DELETE", &format!("/users/{}", user.user_id))
}

fn sign_in(server: &TestServer, email: &str, password: &str) -> Call {
    let call = server.client("POST", "/auth/password/sign-in");
    call.body(json!({"email": email, "password": password}))
}

/// Opens another session of a user with the usual password.
async fn another_session(server: &TestServer, email: &str) -> Tokens {
    Tokens::of(&sign_in(server, email, PASSWORD).expect(200).await)
}

/// Asks for a code at that path and waits for its mail.
async fn mailed(server: &TestServer, call: Call, email: &str) -> String {
    let nth = server.mail.to(email).len() + 1;
    call.expect(200).await;
    server.mail.nth(email, nth).await.code()
}

async fn reset_code(server: &TestServer, email: &str) -> String {
    let call = server.client("POST", "/auth/password/send-reset-code");
    let call = call.body(json!({"email": email, "callback_url": CALLBACK}));
    mailed(server, call, email).await
}

/// The paths at which codes are looked at, or used.
fn with_code(server: &TestServer, path: &str, code: &str) -> Call {
    let body = if path == "/auth/password/reset" {
        json!({"code": code, "password": "a new password"})
    } else {
        json!({"code": code})
    };
    server.client("POST", path).body(body)
}

/// A code that is void is so for whoever looks at it, and for whoever uses it, however often.
async fn assert_void(server: &TestServer, path: &str, check: &str, code: &str) {
    for path in [check, path, check, path] {
        let (status, known) = NOT_FOUND;
        with_code(server, path, code).refused(status, known).await;
    }
}

async fn primary_channel(server: &TestServer, user: &Tokens) -> String {
    let path = format!("/contact-channels?user_id={}", user.user_id);
    let channels = server.server("GET", &path).expect(200).await;
    let id = channels["items"][0]["id"].as_str().unwrap();
    format!("/contact-channels/{}/{id}", user.user_id)
}
