//! Invitations to teams.

use serde_json::json;

use super::{delete_user, start};
use crate::support::{CALLBACK, Call, TestServer, Tokens, unique_email};

const ACCEPT: &str = "/team-invitations/accept";
const CHECK: &str = "/team-invitations/accept/check-code";

async fn invite(server: &TestServer, team: &str, email: &str) -> String {
    let nth = server.mail.to(email).len() + 1;
    let body = json!({"team_id": team, "email": email, "callback_url": CALLBACK});
    let send = server
        .server("POST", "/team-invitations/send-code")
        .body(body);
    send.expect(200).await;
    server.mail.nth(email, nth).await.code()
}

fn accept(server: &TestServer, user: &Tokens, code: &str) -> Call {
    let call = server.client("POST", ACCEPT).user(user);
    call.body(json!({"code": code}))
}

async fn assert_void(server: &TestServer, user: &Tokens, code: &str) {
    for _ in 0..2 {
        let check = server.client("POST", CHECK).body(json!({"code": code}));
        check.refused(404, "VERIFICATION_CODE_NOT_FOUND").await;
        accept(server, user, code)
            .refused(404, "VERIFICATION_CODE_NOT_FOUND")
            .await;
    }
}

/// A server, a team, somebody, and their address.
async fn guest() -> (TestServer, String, Tokens, String) {
    let server = start().await;
    let owner = server.sign_up(&unique_email()).await;
    let team = server.create_team(&owner).await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    (server, team, user, email)
}

fn membership(team: &str, user: &Tokens) -> String {
    format!("/team-memberships/{team}/{}", user.user_id)
}

#[tokio::test]
async fn an_accepted_invitation_voids_its_siblings() {
    let (server, team, user, email) = guest().await;
    let elsewhere = server.create_team(&user).await;
    let first = invite(&server, &team, &email).await;
    let second = invite(&server, &team, &email).await;
    let another_team = invite(&server, &elsewhere, &email).await;
    let somebody_else = invite(&server, &team, &unique_email()).await;
    accept(&server, &user, &first).expect(200).await;
    assert_void(&server, &user, &second).await;
    server
        .server("DELETE", &membership(&team, &user))
        .expect(200)
        .await;
    assert_void(&server, &user, &second).await;
    accept(&server, &user, &another_team).expect(200).await;
    let stranger = server.sign_up(&unique_email()).await;
    accept(&server, &stranger, &somebody_else).expect(200).await;

    // One that is accepted by its id does the same.
    let third = invite(&server, &team, &email).await;
    server.clock.advance(1);
    let fourth = invite(&server, &team, &email).await;
    super::patch_user(&server, &user, json!({"primary_email_verified": true}))
        .expect(200)
        .await;
    let list = server
        .client("GET", "/team-invitations?user_id=me")
        .user(&user);
    let id = list.expect(200).await["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/team-invitations/{id}/accept?user_id=me");
    server.client("POST", &path).user(&user).expect(200).await;
    assert_void(&server, &user, &fourth).await;
    accept(&server, &user, &third)
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn whoever_left_a_team_comes_back_by_no_old_invitation() {
    let (server, team, user, email) = guest().await;
    // Invited again while they are in it, at any address of theirs, however it was written.
    let second = unique_email();
    let body =
        json!({"user_id": user.user_id, "type": "email", "value": second, "used_for_auth": false});
    let add = server.server("POST", "/contact-channels").body(body);
    add.expect(201).await;
    for by_themselves in [false, true] {
        let joining = invite(&server, &team, &email).await;
        accept(&server, &user, &joining).expect(200).await;
        let open = [
            invite(&server, &team, &email).await,
            invite(&server, &team, &second).await,
        ];
        let leave = if by_themselves {
            server
                .client("DELETE", &membership(&team, &user))
                .user(&user)
        } else {
            server.server("DELETE", &membership(&team, &user))
        };
        leave.expect(200).await;
        for code in &open {
            assert_void(&server, &user, code).await;
        }
    }
    // Nor do they come back by one that was sent to somebody else, who still may.
    let joining = invite(&server, &team, &email).await;
    accept(&server, &user, &joining).expect(200).await;
    let passed_on = invite(&server, &team, &unique_email()).await;
    server
        .server("DELETE", &membership(&team, &user))
        .expect(200)
        .await;
    accept(&server, &user, &passed_on)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let stranger = server.sign_up(&unique_email()).await;
    accept(&server, &stranger, &passed_on).expect(200).await;
    // A new invitation is the team's will.
    let fresh = invite(&server, &team, &email).await;
    accept(&server, &user, &fresh).expect(200).await;
    // Neither does another account with the same address.
    let open = invite(&server, &team, &email).await;
    delete_user(&server, &user).expect(200).await;
    let heir = server.sign_up(&email).await;
    assert_void(&server, &heir, &open).await;
    server.assert_verified().await;
}

#[tokio::test]
async fn invitations_go_with_their_team() {
    let (server, team, user, email) = guest().await;
    let code = invite(&server, &team, &email).await;
    server
        .server("DELETE", &format!("/teams/{team}"))
        .expect(200)
        .await;
    let check = server.client("POST", CHECK).body(json!({"code": code}));
    check.refused(404, "TEAM_NOT_FOUND").await;
    accept(&server, &user, &code)
        .refused(404, "TEAM_NOT_FOUND")
        .await;
    server.assert_verified().await;
}
