//! Contract 03 §3.4: how members appear in their teams.

use muniment_projections::maintenance::replay::replay;
use serde_json::{Value, json};

use crate::support::{TestServer, Tokens, eventually, unique_email};

const GHOST: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
const LIST: &str = "/team-member-profiles";
const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A team of two: one who may do everything, and an ordinary member.
async fn team(server: &TestServer) -> (String, Tokens, Tokens) {
    let creator = server.sign_up(&unique_email()).await;
    let member = server.sign_up(&unique_email()).await;
    let team = server.create_team(&creator).await;
    server.clock.advance(1);
    server.add_member(&team, &member).await;
    (team, creator, member)
}

#[tokio::test]
async fn a_profile_shows_the_user_until_it_is_overridden() {
    let server = TestServer::start().await;
    let (team, _, member) = team(&server).await;
    let path = format!("{LIST}/{team}/me");
    let read = || server.client("GET", &path).user(&member);
    let mut shown = json!({"team_id": team, "user_id": member.user_id, "display_name": null, "profile_image_url": null});
    assert_eq!(read().expect(200).await, shown);
    let change_user = |body: Value| {
        let path = format!("/users/{}", member.user_id);
        server.server("PATCH", &path).body(body)
    };
    change_user(json!({"display_name": "Ada", "profile_image_url": "https://example.com/ada.png"}))
        .expect(200)
        .await;
    shown["display_name"] = json!("Ada");
    shown["profile_image_url"] = json!("https://example.com/ada.png");
    assert_eq!(read().expect(200).await, shown);
    let patch = |body: Value| server.client("PATCH", &path).user(&member).body(body);
    shown["display_name"] = json!("Countess");
    let changed = patch(json!({"display_name": "Countess"})).expect(200).await;
    assert_eq!(changed, shown);
    change_user(
        json!({"display_name": "Augusta", "profile_image_url": "https://example.com/2.png"}),
    )
    .expect(200)
    .await;
    shown["profile_image_url"] = json!("https://example.com/2.png");
    assert_eq!(read().expect(200).await, shown);
    // A link is accepted from clients here; an upload is kept.
    let link = patch(json!({"profile_image_url": "https://example.com/team.png"}));
    assert_eq!(
        link.expect(200).await["profile_image_url"],
        "https://example.com/team.png"
    );
    let upload = patch(json!({"profile_image_url": PNG})).expect(200).await;
    let url = upload["profile_image_url"].as_str().unwrap();
    assert!(url.contains("/images/team-member-profile-images/"), "{url}");
    let image = url.strip_prefix("http://localhost:8102").unwrap();
    assert_eq!(server.page("GET", image).send().await.status, 200);
    server.assert_verified().await;
    patch(json!({"profile_image_url": null})).expect(200).await;
    assert_eq!(read().expect(200).await, shown);
    assert_eq!(patch(json!({})).expect(200).await, shown);
    // Servers see the user as well.
    let path = format!("{LIST}/{team}/{}", member.user_id);
    let seen = server.server("GET", &path).expect(200).await;
    assert_eq!(seen["display_name"], "Countess");
    assert_eq!(seen["user"]["display_name"], "Augusta");
    let user = format!("/users/{}", member.user_id);
    assert_eq!(seen["user"], server.server("GET", &user).expect(200).await);
    let by_server = server.server("PATCH", &path);
    let by_server = by_server
        .body(json!({"display_name": ""}))
        .expect(200)
        .await;
    assert_eq!(by_server["display_name"], "");
    assert_eq!(by_server["user"]["id"], member.user_id);
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
    // Leaving ends the profile.
    let membership = format!("/team-memberships/{team}/{}", member.user_id);
    server.server("DELETE", &membership).expect(200).await;
    server.add_member(&team, &member).await;
    assert_eq!(read().expect(200).await["display_name"], "Augusta");
    server.assert_verified().await;
}

#[tokio::test]
async fn members_are_listed_in_the_order_in_which_they_joined() {
    let server = TestServer::start().await;
    let (team, creator, member) = team(&server).await;
    let stranger = server.sign_up(&unique_email()).await;
    let list = |query: &str| server.client("GET", &format!("{LIST}{query}"));
    let of_team = format!("?team_id={team}");
    let listed = list(&of_team).user(&member).expect(200).await;
    assert_eq!(listed["is_paginated"], false);
    let users: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["user_id"])
        .collect();
    assert_eq!(users, [&creator.user_id, &member.user_id]);
    assert_eq!(listed["items"][0].as_object().unwrap().len(), 4);
    let all = server.server("GET", LIST).expect(200).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    assert_eq!(all["items"][1]["user"]["id"], member.user_id);
    let of_both = format!("{LIST}?team_id={team}&user_id={}", member.user_id);
    let one = server.server("GET", &of_both).expect(200).await;
    assert_eq!(one["items"], json!([all["items"][1]]));
    let of_stranger = format!("{LIST}?user_id={}", stranger.user_id);
    let none = server.server("GET", &of_stranger).expect(200).await;
    assert_eq!(none, json!({"items": [], "is_paginated": false}));
}

#[tokio::test]
async fn profiles_are_refused_where_the_contract_says_so() {
    let server = TestServer::start().await;
    let (team, creator, member) = team(&server).await;
    let stranger = server.sign_up(&unique_email()).await;
    server
        .admin("PATCH", "/team-permission-definitions/team_member")
        .body(json!({}))
        .expect(200)
        .await;
    let list = |query: &str| server.client("GET", &format!("{LIST}{query}"));
    let of_team = format!("?team_id={team}");
    list(&of_team)
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    list("").user(&member).refused_in_words(400).await;
    list("?user_id=me")
        .user(&member)
        .refused_in_words(400)
        .await;
    for team in [GHOST, &team] {
        for query in ["", "&user_id=me"] {
            let details = list(&format!("?team_id={team}{query}"))
                .user(&stranger)
                .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
                .await;
            assert_eq!(
                details,
                json!({"team_id": team, "user_id": stranger.user_id})
            );
        }
    }
    let details = list(&of_team)
        .user(&member)
        .refused(401, "TEAM_PERMISSION_REQUIRED")
        .await;
    assert_eq!(details["permission_id"], "$read_members");
    let own = list(&format!("{of_team}&user_id=me"));
    let own = own.user(&member).expect(200).await;
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    list(&of_team).user(&creator).expect(200).await;
    let unknown_team = format!("{LIST}?team_id={GHOST}");
    let call = server.server("GET", &unknown_team);
    call.refused(404, "TEAM_NOT_FOUND").await;
    let unknown_user = format!("{LIST}?user_id={GHOST}");
    let call = server.server("GET", &unknown_user);
    call.refused(404, "USER_NOT_FOUND").await;
    for bad in ["?team_id=x", "?user_id=x", "?limit=1"] {
        let call = server.server("GET", &format!("{LIST}{bad}"));
        call.refused(400, "SCHEMA_ERROR").await;
    }
    let one = |team: &str, user: &str| format!("{LIST}/{team}/{user}");
    for method in ["GET", "PATCH"] {
        let client = |path: String| server.client(method, &path).body(json!({}));
        let by_server = |path: String| server.server(method, &path).body(json!({}));
        client(one(&team, &member.user_id))
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await;
        client(one(&team, "me"))
            .user(&stranger)
            .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
            .await;
        by_server(one(&team, GHOST))
            .refused(404, "USER_NOT_FOUND")
            .await;
        for team in [GHOST, &team] {
            by_server(one(team, &stranger.user_id))
                .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
                .await;
        }
        by_server(one("x", "me"))
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await;
        by_server(one("x", GHOST))
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let others = one(&team, &creator.user_id);
    let call = server.client("GET", &others).user(&member);
    call.refused(401, "TEAM_PERMISSION_REQUIRED").await;
    let call = server.client("GET", &others).user(&stranger);
    call.refused(404, "TEAM_MEMBERSHIP_NOT_FOUND").await;
    let call = server.client("GET", &one(&team, GHOST)).user(&creator);
    call.refused(404, "USER_NOT_FOUND").await;
    let call = server.client("PATCH", &one(&team, &member.user_id));
    call.user(&creator)
        .body(json!({"display_name": "x"}))
        .refused_in_words(403)
        .await;
    let mine = one(&team, "me");
    let patch = |body: Value| server.client("PATCH", &mine).user(&member).body(body);
    for bad in [
        json!({"display_name": null}),
        json!({"profile_image_url": ""}),
        json!({"profile_image_url": "no url"}),
        json!({"user": {}}),
    ] {
        patch(bad).refused(400, "SCHEMA_ERROR").await;
    }
    patch(json!({"profile_image_url": "ftp://example.com/x.png"}))
        .refused_in_words(400)
        .await;
    let other = server.new_project(json!({})).await;
    let call = server.server_of(&other, "GET", &one(&team, &member.user_id));
    call.refused(404, "USER_NOT_FOUND").await;
    let call = server.server_of(&other, "GET", &format!("{LIST}?team_id={team}"));
    call.refused(404, "TEAM_NOT_FOUND").await;
    let none = server.server_of(&other, "GET", LIST).expect(200).await;
    assert_eq!(none["items"], json!([]));
}

#[tokio::test]
async fn erasing_a_user_erases_their_profiles() {
    let server = TestServer::start().await;
    let (team, _, member) = team(&server).await;
    let path = format!("{LIST}/{team}/me");
    let body = json!({"display_name": "Countess", "profile_image_url": PNG});
    let changed = server.client("PATCH", &path).user(&member).body(body);
    let changed = changed.expect(200).await;
    let url = changed["profile_image_url"].as_str().unwrap();
    let image = url.strip_prefix("http://localhost:8102").unwrap();
    let user = format!("/users/{}", member.user_id);
    server.server("DELETE", &user).expect(200).await;
    eventually("the image is gone", || async {
        server.page("GET", image).send().await.status == 404
    })
    .await;
    eventually("the name is sealed for good", || async {
        let stream = server.log().stream("team", &team).await.unwrap().events;
        !format!("{stream:?}").contains("Countess")
    })
    .await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
}
