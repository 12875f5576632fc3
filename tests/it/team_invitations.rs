//! Contract 03 §3.5: invitations to teams, from the mail to the membership.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{CALLBACK, TestServer, Tokens, unique_email};

const SEND: &str = "/team-invitations/send-code";
const ACCEPT: &str = "/team-invitations/accept";
const CHECK: &str = "/team-invitations/accept/check-code";
const DETAILS: &str = "/team-invitations/accept/details";
const SEVEN_DAYS: i64 = 7 * 24 * 60 * 60 * 1000;

/// A server, a team and its creator.
async fn start() -> (TestServer, Tokens, String) {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let owner = server.sign_up(&unique_email()).await;
    let team = server.create_team(&owner).await;
    (server, owner, team)
}

fn invitation(team: &str, email: &str) -> Value {
    json!({"team_id": team, "email": email, "callback_url": CALLBACK})
}

/// Invites from the server and waits for the mail. Yields the invitation's id and its code.
async fn invite(server: &TestServer, team: &str, email: &str) -> (String, String) {
    let nth = server.mail.to(email).len() + 1;
    let sent = server.server("POST", SEND).body(invitation(team, email));
    let id = sent.expect(200).await["id"].as_str().unwrap().to_owned();
    (id, server.mail.nth(email, nth).await.code())
}

async fn of_team(server: &TestServer, team: &str) -> Vec<Value> {
    let path = format!("/team-invitations?team_id={team}");
    let list = server.server("GET", &path).expect(200).await;
    assert_eq!(list["is_paginated"], false);
    list["items"].as_array().unwrap().clone()
}

async fn to_user(server: &TestServer, user: &str) -> Vec<Value> {
    let path = format!("/team-invitations?user_id={user}");
    let list = server.server("GET", &path).expect(200).await;
    list["items"].as_array().unwrap().clone()
}

async fn is_member(server: &TestServer, team: &str, user: &Tokens) -> bool {
    let path = format!("/team-member-profiles/{team}/{}", user.user_id);
    server.server("GET", &path).send().await.status == 200
}

/// Somebody whose address is proven.
async fn proven(server: &TestServer, email: &str) -> Tokens {
    let user = server.sign_up(email).await;
    let path = format!("/users/{}", user.user_id);
    let call = server.server("PATCH", &path);
    call.body(json!({"primary_email_verified": true}))
        .expect(200)
        .await;
    user
}

#[tokio::test]
async fn an_invitation_leads_from_the_mail_into_the_team() {
    let (server, owner, team) = start().await;
    let address = format!("Invited-{}", unique_email());
    let sent = server
        .client("POST", SEND)
        .user(&owner)
        .body(invitation(&team, &address))
        .expect(200)
        .await;
    assert_eq!(sent["success"], true);
    let mail = server.mail.first(&address).await;
    assert!(mail.subject.contains("Team"), "{}", mail.subject);
    assert!(
        mail.link()
            .starts_with("http://localhost:3000/handler?after=x&code=")
    );
    let expected = json!({
        "id": sent["id"], "team_id": team, "team_display_name": "Team",
        "expires_at_millis": server.clock.now().0 + SEVEN_DAYS, "recipient_email": address,
    });
    assert_eq!(of_team(&server, &team).await, vec![expected]);

    // Whoever holds the code may accept, whatever their address.
    let guest = server.sign_up(&unique_email()).await;
    let body = json!({"code": mail.code().to_uppercase()});
    let checked = server.client("POST", CHECK).body(body.clone());
    assert_eq!(checked.expect(200).await, json!({"is_code_valid": true}));
    let details = server.client("POST", DETAILS).user(&guest);
    assert_eq!(
        details.body(body.clone()).expect(200).await,
        json!({"team_id": team, "team_display_name": "Team"})
    );
    let accept = || {
        server
            .client("POST", ACCEPT)
            .user(&guest)
            .body(body.clone())
    };
    assert_eq!(accept().expect(200).await, json!({}));
    assert!(is_member(&server, &team, &guest).await);
    let path = format!("/team-permissions?team_id={team}&user_id={}", guest.user_id);
    let held = server.server("GET", &path).expect(200).await;
    assert_eq!(held["items"][0]["id"], "team_member");
    assert!(of_team(&server, &team).await.is_empty());
    accept()
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn clients_need_to_be_members_with_the_permission() {
    let (server, owner, team) = start().await;
    let (member, stranger) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    server.add_member(&team, &member).await;
    // Members may read and invite by default.
    let grants = format!("/team-permissions/{team}/{}", member.user_id);
    let grant = |permission: &str| {
        let call = server.server("POST", &format!("{grants}/{permission}"));
        call.body(json!({})).expect(201)
    };
    let revoke = |permission: &str| {
        let call = server.server("DELETE", &format!("{grants}/{permission}"));
        call.expect(200)
    };
    revoke("team_member").await;
    grant("$read_members").await;
    let (id, _) = invite(&server, &team, &unique_email()).await;
    let listing = format!("/team-invitations?team_id={team}");
    let deletion = format!("/team-invitations/{id}?team_id={team}");
    let body = invitation(&team, &unique_email());
    for (method, path, permission) in [
        ("POST", SEND, "$invite_members"),
        ("GET", listing.as_str(), "$invite_members"),
        ("DELETE", deletion.as_str(), "$remove_members"),
    ] {
        let call = || server.client(method, path).body(body.clone());
        call().refused(401, "USER_AUTHENTICATION_REQUIRED").await;
        call()
            .user(&stranger)
            .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
            .await;
        let details = call()
            .user(&member)
            .refused(401, "TEAM_PERMISSION_REQUIRED")
            .await;
        let expected =
            json!({"team_id": team, "user_id": member.user_id, "permission_id": permission});
        assert_eq!(details, expected);
    }
    // To read comes before to invite.
    revoke("$read_members").await;
    let list = || server.client("GET", &listing).user(&member);
    let details = list().refused(401, "TEAM_PERMISSION_REQUIRED").await;
    assert_eq!(details["permission_id"], "$read_members");
    grant("$read_members").await;
    grant("$invite_members").await;
    assert_eq!(list().expect(200).await["items"][0]["id"], json!(id));
    let send = server.client("POST", SEND).user(&member);
    send.body(body.clone()).expect(200).await;
    let delete = server.client("DELETE", &deletion).user(&owner);
    assert_eq!(delete.expect(200).await, json!({"success": true}));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let (server, _, team) = start().await;
    let nowhere = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
    let email = unique_email();
    let send = |body: Value| server.server("POST", SEND).body(body);
    send(invitation(nowhere, &email))
        .refused(404, "TEAM_NOT_FOUND")
        .await;
    let elsewhere =
        json!({"team_id": team, "email": email, "callback_url": "https://evil.example.org/"});
    send(elsewhere)
        .refused(400, "REDIRECT_URL_NOT_WHITELISTED")
        .await;
    for body in [
        json!({"team_id": team, "email": email}),
        json!({"team_id": team, "callback_url": CALLBACK}),
        json!({"email": email, "callback_url": CALLBACK}),
        json!({"team_id": "x", "email": email, "callback_url": CALLBACK}),
        json!({"team_id": team, "email": "nobody", "callback_url": CALLBACK}),
        json!({"team_id": team, "email": email, "callback_url": CALLBACK, "role": "x"}),
    ] {
        send(body).refused(400, "SCHEMA_ERROR").await;
    }
    let list = |query: String| server.server("GET", &format!("/team-invitations{query}"));
    list(String::new()).refused_in_words(400).await;
    list(format!("?team_id={team}&user_id={nowhere}"))
        .refused_in_words(400)
        .await;
    list(format!("?team_id={nowhere}"))
        .refused(404, "TEAM_NOT_FOUND")
        .await;
    list("?user_id=me".to_owned())
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    assert!(to_user(&server, nowhere).await.is_empty());
    for path in [ACCEPT, CHECK, DETAILS] {
        let call = |code: &str| server.server("POST", path).body(json!({"code": code}));
        call(&"a".repeat(45))
            .refused(404, "VERIFICATION_CODE_NOT_FOUND")
            .await;
        call("short").refused(400, "SCHEMA_ERROR").await;
    }
    let accept = format!("/team-invitations/{nowhere}/accept");
    server
        .server("POST", &accept)
        .refused(400, "SCHEMA_ERROR")
        .await;
    assert!(server.mail.to(&email).is_empty());
}

#[tokio::test]
async fn one_taken_back_works_no_more() {
    let (server, owner, team) = start().await;
    let other = server.create_team(&owner).await;
    let (id, code) = invite(&server, &team, &unique_email()).await;
    let delete = |query: &str| server.server("DELETE", &format!("/team-invitations/{id}{query}"));
    delete("").refused_in_words(400).await;
    delete(&format!("?team_id={other}"))
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let nowhere = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
    delete(&format!("?team_id={nowhere}"))
        .refused(404, "TEAM_NOT_FOUND")
        .await;
    assert_eq!(of_team(&server, &team).await.len(), 1);
    delete(&format!("?team_id={team}")).expect(200).await;
    delete(&format!("?team_id={team}"))
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    assert!(of_team(&server, &team).await.is_empty());
    let guest = server.sign_up(&unique_email()).await;
    for path in [CHECK, DETAILS, ACCEPT] {
        let call = server.client("POST", path).user(&guest);
        call.body(json!({"code": code}))
            .refused(404, "VERIFICATION_CODE_NOT_FOUND")
            .await;
    }
    server.assert_verified().await;
}

#[tokio::test]
async fn the_invited_see_and_accept_what_was_sent_to_their_proven_addresses() {
    let (server, _, team) = start().await;
    let email = unique_email();
    let (first, code) = invite(&server, &team, &email).await;
    server.clock.advance(1);
    let (second, _) = invite(&server, &team, &email).await;
    // Another case is another address, by the contract.
    invite(&server, &team, &email.to_uppercase()).await;
    let user = server.sign_up(&email).await;
    let stranger = server.sign_up(&unique_email()).await;
    let mine = || {
        server
            .client("GET", "/team-invitations?user_id=me")
            .user(&user)
    };
    let accept = |id: &str, of: &str| {
        server.client(
            "POST",
            &format!("/team-invitations/{id}/accept?user_id={of}"),
        )
    };
    // The address is not proven yet.
    assert_eq!(mine().expect(200).await["items"], json!([]));
    accept(&first, "me")
        .user(&user)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let path = format!("/users/{}", user.user_id);
    let prove = server.server("PATCH", &path);
    prove
        .body(json!({"primary_email_verified": true}))
        .expect(200)
        .await;
    let items = mine().expect(200).await["items"].clone();
    let ids: Vec<&Value> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(ids, [&json!(first), &json!(second)]);

    // Clients act for themselves only.
    accept(&first, "me")
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    for call in [
        accept(&first, &user.user_id),
        server.client(
            "GET",
            &format!("/team-invitations?user_id={}", user.user_id),
        ),
    ] {
        call.user(&stranger)
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await;
    }
    accept(&first, "me")
        .user(&stranger)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    assert_eq!(
        accept(&first, "me").user(&user).expect(200).await,
        json!({})
    );
    assert!(is_member(&server, &team, &user).await);
    accept(&first, "me")
        .user(&user)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    let by_code = server.client("POST", ACCEPT).user(&user);
    by_code
        .body(json!({"code": code}))
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    // What else was sent to the address is void.
    let path = format!("/team-invitations/{second}/accept?user_id={}", user.user_id);
    server
        .server("POST", &path)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    assert!(to_user(&server, &user.user_id).await.is_empty());
    // A member who accepts again stays one, and the invitation is used up.
    let (id, _) = invite(&server, &team, &email).await;
    let path = format!("/team-invitations/{id}/accept?user_id={}", user.user_id);
    server.server("POST", &path).expect(200).await;
    assert!(to_user(&server, &user.user_id).await.is_empty());
    server.assert_verified().await;
}

#[tokio::test]
async fn the_restricted_burn_the_code_without_getting_in() {
    let (server, _, team) = start().await;
    let (_, code) = invite(&server, &team, &unique_email()).await;
    let anonymous = server.anonymous().await;
    let reason = json!({"restricted_reason": {"type": "anonymous"}});
    let body = json!({"code": code});
    let refused = "TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED";
    let details = server.client("POST", DETAILS).body(body.clone());
    details.refused(401, "USER_AUTHENTICATION_REQUIRED").await;
    for path in [DETAILS, ACCEPT] {
        let call = server.client("POST", path).user(&anonymous);
        assert_eq!(call.body(body.clone()).refused(403, refused).await, reason);
    }
    let check = server.client("POST", CHECK).body(body.clone());
    check.refused(409, "VERIFICATION_CODE_ALREADY_USED").await;
    let (_, code) = invite(&server, &team, &unique_email()).await;
    let nobody = || server.server("POST", ACCEPT).body(json!({"code": code}));
    nobody().refused(401, "USER_AUTHENTICATION_REQUIRED").await;
    nobody()
        .refused(409, "VERIFICATION_CODE_ALREADY_USED")
        .await;
    assert!(!is_member(&server, &team, &anonymous).await);

    // By the id, only clients are held to it.
    let email = unique_email();
    let (id, _) = invite(&server, &team, &email).await;
    let user = proven(&server, &email).await;
    let path = format!("/users/{}", user.user_id);
    let restrict = server.server("PATCH", &path);
    restrict
        .body(json!({"restricted_by_admin": true}))
        .expect(200)
        .await;
    let path = format!("/team-invitations/{id}/accept?user_id={}", user.user_id);
    let details = server
        .client("POST", &path)
        .user(&user)
        .refused(403, refused)
        .await;
    assert_eq!(
        details,
        json!({"restricted_reason": {"type": "restricted_by_administrator"}})
    );
    server.server("POST", &path).expect(200).await;
    assert!(is_member(&server, &team, &user).await);
}

#[tokio::test]
async fn they_end_with_time_guesses_and_the_team() {
    let (server, _, team) = start().await;
    let guest = server.sign_up(&unique_email()).await;
    let email = unique_email();
    let (_, late) = invite(&server, &team, &email).await;
    server.clock.advance(SEVEN_DAYS);
    assert!(of_team(&server, &team).await.is_empty());
    let check = |code: &str| server.client("POST", CHECK).body(json!({"code": code}));
    check(&late).refused(400, "VERIFICATION_CODE_EXPIRED").await;
    let (locked, guessed) = invite(&server, &team, &email).await;
    for _ in 0..20 {
        check(&guessed).expect(200).await;
    }
    let many = "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED";
    check(&guessed).refused(400, many).await;
    let owner = proven(&server, &email).await;
    let path = format!(
        "/team-invitations/{locked}/accept?user_id={}",
        owner.user_id
    );
    server.server("POST", &path).refused(400, many).await;
    let (open, code) = invite(&server, &team, &email).await;
    server
        .server("DELETE", &format!("/teams/{team}"))
        .expect(200)
        .await;
    assert!(to_user(&server, &owner.user_id).await.is_empty());
    let path = format!("/team-invitations/{open}/accept?user_id={}", owner.user_id);
    server
        .server("POST", &path)
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    for path in [DETAILS, ACCEPT] {
        // The clock was moved past the life of the access token.
        let guest = fresh(&server, &guest).await;
        let call = server.client("POST", path).user(&guest);
        let details = call
            .body(json!({"code": code}))
            .refused(404, "TEAM_NOT_FOUND");
        assert_eq!(details.await, json!({"team_id": team}));
    }
    server.assert_verified().await;
}

async fn fresh(server: &TestServer, tokens: &Tokens) -> Tokens {
    let call = server
        .client("POST", "/auth/sessions/current/refresh")
        .header("x-stack-refresh-token", &tokens.refresh);
    let body = call.expect(200).await;
    Tokens {
        access: body["access_token"].as_str().unwrap().to_owned(),
        ..tokens.clone()
    }
}

#[tokio::test]
async fn of_concurrent_acceptances_exactly_one_wins() {
    let (server, _, team) = start().await;
    let (_, code) = invite(&server, &team, &unique_email()).await;
    let guests = join_all((0..6).map(|_| async { server.sign_up(&unique_email()).await })).await;
    let attempts = guests.iter().map(|guest| {
        let call = server.client("POST", ACCEPT).user(guest);
        call.body(json!({"code": code})).send()
    });
    let answers = join_all(attempts).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    let lost = answers
        .iter()
        .filter(|answer| answer.known_error() == Some("VERIFICATION_CODE_ALREADY_USED"));
    assert_eq!((won, lost.count()), (1, 5));

    let email = unique_email();
    let (id, _) = invite(&server, &team, &email).await;
    let user = proven(&server, &email).await;
    let path = format!("/team-invitations/{id}/accept?user_id={}", user.user_id);
    let answers = join_all((0..6).map(|_| server.server("POST", &path).send())).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    let lost = answers
        .iter()
        .filter(|answer| answer.known_error() == Some("VERIFICATION_CODE_NOT_FOUND"));
    assert_eq!((won, lost.count()), (1, 5));
    let members = server.server("GET", &format!("/team-member-profiles?team_id={team}"));
    assert_eq!(
        members.expect(200).await["items"].as_array().unwrap().len(),
        3
    );
    server.assert_verified().await;
}
