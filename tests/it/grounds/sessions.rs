//! Sessions and their access tokens, on the node that ends them and on others.

use muniment::server::Follow;
use serde_json::json;

use super::{another_session, delete_user, patch_user, sign_in};
use crate::support::{
    Call, PASSWORD, Project, TestServer, Tokens, database, eventually, unique_email,
};

const EXPIRED: &str = "ACCESS_TOKEN_EXPIRED";

/// Asks who the user is, without allowing for anybody in particular.
fn me(node: &TestServer, project: &Project, user: &Tokens) -> Call {
    let call = node.client_of(project, "GET", "/users/me");
    call.header("x-stack-access-token", &user.access)
}

/// Every node comes to refuse the token; `here`, which ended the session, does so at once.
async fn assert_ended(here: &TestServer, there: &TestServer, user: &Tokens) {
    let project = &here.project;
    let details = me(here, project, user).refused(401, EXPIRED).await;
    assert_eq!(details["user_id"], user.user_id.as_str());
    assert!(details["expired_at_millis"].is_i64() && details["refresh_token_id"].is_string());
    eventually("the other node knows", || async {
        me(there, project, user).send().await.known_error() == Some(EXPIRED)
    })
    .await;
    // With any access, and wherever it is sent.
    for call in [
        there.client_of(project, "GET", "/projects/current"),
        there.server_of(project, "GET", "/users"),
        there.admin_of(project, "GET", "/internal/projects/current"),
    ] {
        call.user(user).refused(401, EXPIRED).await;
    }
}

#[tokio::test]
async fn an_ended_session_is_known_on_every_node() {
    let url = database().await;
    let here = TestServer::start_on(&url, Follow::Everything).await;
    let there = TestServer::start_on(&url, Follow::Nothing).await;
    let email = unique_email();
    let user = here.sign_up(&email).await;
    for way in 0..4 {
        let ended = another_session(&here, &email).await;
        me(&there, &here.project, &ended).expect(200).await;
        match way {
            0 => {
                let call = here.client("DELETE", "/auth/sessions/current").user(&ended);
                call.expect(200).await;
            }
            1 => {
                let list = here.client("GET", "/auth/sessions?user_id=me").user(&ended);
                let list = list.expect(200).await;
                let mut sessions = list["items"].as_array().unwrap().iter();
                let own = sessions
                    .find(|it| it["is_current_session"] == true)
                    .unwrap();
                let path = format!("/auth/sessions/{}?user_id=me", own["id"].as_str().unwrap());
                here.client("DELETE", &path).user(&user).expect(200).await;
            }
            2 => {
                let body = json!({"old_password": PASSWORD, "new_password": PASSWORD});
                let call = here.client("POST", "/auth/password/update").user(&user);
                let call = call.header("x-stack-refresh-token", &user.refresh);
                call.body(body).expect(200).await;
            }
            _ => {
                patch_user(&here, &user, json!({"password": PASSWORD}))
                    .expect(200)
                    .await;
            }
        }
        assert_ended(&here, &there, &ended).await;
        // Signing out twice is no failure.
        let again = there.client_of(&here.project, "DELETE", "/auth/sessions/current");
        again
            .user(&ended)
            .refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
            .await;
    }
    // The last of the four ended all of them. Sessions of others go on.
    assert_ended(&here, &there, &user).await;
    let other = here.sign_up(&unique_email()).await;
    me(&there, &here.project, &other).expect(200).await;
    // A node that starts afterwards has read it in the log.
    let late = TestServer::start_on(&url, Follow::Nothing).await;
    me(&late, &here.project, &user).refused(401, EXPIRED).await;
    me(&late, &here.project, &other).expect(200).await;
    here.assert_verified().await;
}

#[tokio::test]
async fn a_session_ended_by_a_reset_is_known_on_every_node() {
    let url = database().await;
    let here = TestServer::start_on(&url, Follow::Everything).await;
    here.offer_everything().await;
    let there = TestServer::start_on(&url, Follow::Nothing).await;
    let email = unique_email();
    let user = here.sign_up(&email).await;
    let code = super::reset_code(&here, &email).await;
    super::with_code(&here, "/auth/password/reset", &code)
        .expect(200)
        .await;
    assert_ended(&here, &there, &user).await;
}

#[tokio::test]
async fn an_ended_owner_administers_nothing() {
    let url = database().await;
    let here = TestServer::start_on(&url, Follow::Everything).await;
    let there = TestServer::start_on(&url, Follow::Nothing).await;
    let internal = here.internal();
    let email = unique_email();
    let owner = here.sign_up_to(&internal, &email).await;
    let me = here
        .client_of(&internal, "GET", "/users/me")
        .user(&owner)
        .expect(200)
        .await;
    let body = json!({"display_name": "Mine", "owner_team_id": me["selected_team_id"]});
    let create = here
        .client_of(&internal, "POST", "/internal/projects")
        .user(&owner);
    let project = create.body(body).expect(201).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let act = |node: &TestServer, owner: &Tokens| {
        let call = node.call("GET", "/internal/projects/current");
        let call = call.header("x-stack-access-type", "admin");
        let call = call.header("x-stack-project-id", &project);
        call.header("x-stack-admin-access-token", &owner.access)
    };
    act(&there, &owner).expect(200).await;
    let out = here.client_of(&internal, "DELETE", "/auth/sessions/current");
    out.user(&owner).expect(200).await;
    act(&here, &owner)
        .refused(401, "ADMIN_ACCESS_TOKEN_EXPIRED")
        .await;
    eventually("the other node knows", || async {
        act(&there, &owner).send().await.known_error() == Some("ADMIN_ACCESS_TOKEN_EXPIRED")
    })
    .await;
    // A restricted owner is known at once, and what they are given next says so.
    let body = json!({"email": email, "password": PASSWORD});
    let call = here
        .client_of(&internal, "POST", "/auth/password/sign-in")
        .body(body);
    let owner = Tokens::of(&call.expect(200).await);
    act(&there, &owner).expect(200).await;
    let path = format!("/users/{}", owner.user_id);
    let restrict = here.server_of(&internal, "PATCH", &path);
    restrict
        .body(json!({"restricted_by_admin": true}))
        .expect(200)
        .await;
    for node in [&here, &there] {
        act(node, &owner)
            .refused(401, "ADMIN_ACCESS_TOKEN_EXPIRED")
            .await;
    }
    let refresh = here.client_of(&internal, "POST", "/auth/sessions/current/refresh");
    let refreshed = refresh
        .header("x-stack-refresh-token", &owner.refresh)
        .expect(200)
        .await;
    let owner = Tokens {
        access: refreshed["access_token"].as_str().unwrap().to_owned(),
        ..owner
    };
    act(&there, &owner)
        .refused(401, "UNPARSABLE_ADMIN_ACCESS_TOKEN")
        .await;
}

#[tokio::test]
async fn a_restricted_users_tokens_are_told_apart_at_once() {
    let url = database().await;
    let here = TestServer::start_on(&url, Follow::Everything).await;
    let there = TestServer::start_on(&url, Follow::Nothing).await;
    let user = here.sign_up(&unique_email()).await;
    me(&there, &here.project, &user).expect(200).await;
    patch_user(&here, &user, json!({"restricted_by_admin": true}))
        .expect(200)
        .await;
    for node in [&here, &there] {
        me(node, &here.project, &user).refused(401, EXPIRED).await;
        let allowed =
            me(node, &here.project, &user).header("x-stack-allow-restricted-user", "true");
        assert_eq!(allowed.expect(200).await["is_restricted"], true);
    }
    // The session goes on; the next token says what it is.
    let refresh = here.client("POST", "/auth/sessions/current/refresh");
    let refreshed = refresh
        .header("x-stack-refresh-token", &user.refresh)
        .expect(200)
        .await;
    let fresh = Tokens {
        access: refreshed["access_token"].as_str().unwrap().to_owned(),
        ..user.clone()
    };
    me(&there, &here.project, &fresh)
        .refused(403, "RESTRICTED_USER_NOT_ALLOWED")
        .await;
    // Once the restriction is lifted, the old token says the truth again.
    patch_user(&here, &user, json!({"restricted_by_admin": false}))
        .expect(200)
        .await;
    me(&there, &here.project, &user).expect(200).await;
}

#[tokio::test]
async fn tokens_of_a_deleted_user_are_nobodys() {
    let url = database().await;
    let here = TestServer::start_on(&url, Follow::Everything).await;
    let there = TestServer::start_on(&url, Follow::Nothing).await;
    let user = here.sign_up(&unique_email()).await;
    me(&there, &here.project, &user).expect(200).await;
    delete_user(&here, &user).expect(200).await;
    for node in [&here, &there] {
        me(node, &here.project, &user)
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await;
        let refresh = node.client_of(&here.project, "POST", "/auth/sessions/current/refresh");
        let refresh = refresh.header("x-stack-refresh-token", &user.refresh);
        refresh
            .refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")
            .await;
    }
    here.assert_verified().await;
}

#[tokio::test]
async fn a_program_is_handed_no_session_that_has_ended() {
    let server = TestServer::start().await;
    for deletes in [false, true] {
        let email = unique_email();
        let user = server.sign_up(&email).await;
        let begin = server.client("POST", "/auth/cli").body(json!({}));
        let begun = begin.expect(200).await;
        let complete = |begun: &serde_json::Value| {
            let body = json!({"login_code": begun["login_code"], "refresh_token": user.refresh});
            server.client("POST", "/auth/cli/complete").body(body)
        };
        complete(&begun).expect(200).await;
        let begin = server.client("POST", "/auth/cli").body(json!({}));
        let later = begin.expect(200).await;
        if deletes {
            delete_user(&server, &user).expect(200).await;
        } else {
            let out = server.client("DELETE", "/auth/sessions/current");
            out.user(&user).expect(200).await;
            sign_in(&server, &email, PASSWORD).expect(200).await;
        }
        let poll = server.client("POST", "/auth/cli/poll");
        let poll = poll.body(json!({"polling_code": begun["polling_code"]}));
        assert_eq!(poll.expect(200).await, json!({"status": "expired"}));
        complete(&later).refused_in_words(400).await;
    }
    server.assert_verified().await;
}
