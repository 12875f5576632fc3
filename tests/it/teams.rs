//! Contract 03 §3: teams and memberships.

use serde_json::{Value, json};

use crate::support::{TestServer, unique_email};

#[tokio::test]
async fn a_user_founds_changes_and_dissolves_a_team() {
    let server = TestServer::start().await;
    let user = server.sign_up(&unique_email()).await;
    let body =
        json!({"display_name": "Makers", "client_metadata": {"a": 1}, "creator_user_id": "me"});
    let team = server
        .client("POST", "/teams")
        .user(&user)
        .body(body)
        .expect(201)
        .await;
    let expected = json!({
        "id": team["id"], "display_name": "Makers", "profile_image_url": null,
        "client_metadata": {"a": 1}, "client_read_only_metadata": null,
    });
    assert_eq!(team, expected);
    let path = format!("/teams/{}", team["id"].as_str().unwrap());
    assert_eq!(
        server.client("GET", &path).user(&user).expect(200).await,
        expected
    );
    let call = server
        .client("PATCH", &path)
        .user(&user)
        .body(json!({"display_name": ""}));
    assert_eq!(call.expect(200).await["display_name"], "");
    let seen = server.server("GET", &path).expect(200).await;
    assert_eq!(seen["created_at_millis"], server.clock.now().0);
    assert_eq!(seen["server_metadata"], Value::Null);
    let selected = json!({"selected_team_id": team["id"]});
    let me = server
        .client("PATCH", "/users/me")
        .user(&user)
        .body(selected)
        .expect(200)
        .await;
    assert_eq!(me["selected_team"], seen_by_client(&seen));
    server.client("DELETE", &path).user(&user).expect(200).await;
    let me = server
        .client("GET", "/users/me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(
        (&me["selected_team_id"], &me["selected_team"]),
        (&Value::Null, &Value::Null)
    );
    server
        .server("GET", &path)
        .refused(404, "TEAM_NOT_FOUND")
        .await;
    let details = server
        .client("GET", &path)
        .user(&user)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    assert_eq!(
        details,
        json!({"team_id": team["id"], "user_id": user.user_id})
    );
    server.assert_verified().await;
}

fn seen_by_client(team: &Value) -> Value {
    let mut team = team.clone();
    team.as_object_mut()
        .unwrap()
        .retain(|key, _| key != "created_at_millis" && key != "server_metadata");
    team
}

#[tokio::test]
async fn founding_is_refused_where_the_contract_says_so() {
    let server = TestServer::start().await;
    let (user, other) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let body = json!({"display_name": "x"});
    server
        .client("POST", "/teams")
        .body(body.clone())
        .refused(401, "USER_AUTHENTICATION_REQUIRED")
        .await;
    let theirs = json!({"display_name": "x", "creator_user_id": other.user_id});
    server
        .client("POST", "/teams")
        .user(&user)
        .body(theirs)
        .refused_in_words(403)
        .await;
    for bad in [
        json!({}),
        json!({"display_name": null}),
        json!({"display_name": "x", "server_metadata": 1}),
    ] {
        server
            .client("POST", "/teams")
            .user(&user)
            .body(bad)
            .refused(400, "SCHEMA_ERROR")
            .await;
    }
    let ghost =
        json!({"display_name": "x", "creator_user_id": "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de"});
    server
        .server("POST", "/teams")
        .body(ghost)
        .refused(404, "USER_NOT_FOUND")
        .await;
    let both = json!({"display_name": "x", "creator_user_id": user.user_id});
    server
        .server("POST", "/teams?add_current_user=true")
        .body(both)
        .refused_in_words(400)
        .await;
    server
        .server("POST", "/teams?add_current_user=true")
        .body(body.clone())
        .refused_in_words(401)
        .await;
    let team = server
        .server("POST", "/teams")
        .body(body.clone())
        .expect(201)
        .await;
    let members = server.server(
        "GET",
        &format!("/users?team_id={}", team["id"].as_str().unwrap()),
    );
    assert_eq!(members.expect(200).await["items"], json!([]));
    server
        .configure(json!({"client_team_creation_enabled": false}))
        .await;
    server
        .client("POST", "/teams")
        .user(&user)
        .body(body)
        .refused_in_words(403)
        .await;
}

#[tokio::test]
async fn permissions_decide_what_members_may_do() {
    let server = TestServer::start().await;
    let (creator, member, stranger) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let team = server.create_team(&creator).await;
    let membership = |user: &str| format!("/team-memberships/{team}/{user}");
    let added = server
        .server("POST", &membership(&member.user_id))
        .body(json!({}))
        .expect(201)
        .await;
    assert_eq!(added, json!({"team_id": team, "user_id": member.user_id}));
    let again = server
        .server("POST", &membership(&member.user_id))
        .body(json!({}));
    assert_eq!(
        again.refused(409, "TEAM_MEMBERSHIP_ALREADY_EXISTS").await,
        Value::Null
    );
    server
        .server("POST", &membership(&stranger.user_id))
        .refused(400, "SCHEMA_ERROR")
        .await;
    let path = format!("/teams/{team}");
    server.client("GET", &path).user(&member).expect(200).await;
    for (method, permission) in [("PATCH", "$update_team"), ("DELETE", "$delete_team")] {
        let call = || server.client(method, &path).body(json!({}));
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
    server
        .client("GET", &path)
        .refused(401, "USER_AUTHENTICATION_REQUIRED")
        .await;
    let remove = |user: &str| server.client("DELETE", &membership(user));
    remove(&member.user_id)
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    remove(&creator.user_id)
        .user(&member)
        .refused(401, "TEAM_PERMISSION_REQUIRED")
        .await;
    remove(&creator.user_id)
        .user(&stranger)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    remove(&stranger.user_id)
        .user(&creator)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    let selected = json!({"selected_team_id": team});
    server
        .client("PATCH", "/users/me")
        .user(&member)
        .body(selected.clone())
        .expect(200)
        .await;
    let call = server
        .client("PATCH", "/users/me")
        .user(&stranger)
        .body(selected);
    let details = call.refused(404, "TEAM_MEMBERSHIP_NOT_FOUND").await;
    assert_eq!(
        details,
        json!({"team_id": team, "user_id": stranger.user_id})
    );
    remove(&member.user_id).user(&creator).expect(200).await;
    let me = server
        .client("GET", "/users/me")
        .user(&member)
        .expect(200)
        .await;
    assert_eq!(me["selected_team_id"], Value::Null);
    remove("me").user(&creator).expect(200).await;
    let ghost = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
    server
        .server("DELETE", &membership(ghost))
        .refused(404, "USER_NOT_FOUND")
        .await;
    server
        .server("POST", &membership(ghost))
        .body(json!({}))
        .refused(404, "USER_NOT_FOUND")
        .await;
    let nowhere = format!("/team-memberships/{ghost}/{}", creator.user_id);
    server
        .server("POST", &nowhere)
        .body(json!({}))
        .refused(404, "TEAM_NOT_FOUND")
        .await;
    server
        .server("DELETE", &nowhere)
        .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn listings_are_whole_unless_a_limit_is_given() {
    let server = TestServer::start().await;
    let (user, other) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let mut ids = Vec::new();
    for _ in 0..3 {
        server.clock.advance(1_000);
        ids.push(json!(server.create_team(&user).await));
    }
    let other_team = json!(server.create_team(&other).await);
    let ids_of = |body: &Value| -> Vec<Value> {
        body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|team| team["id"].clone())
            .collect()
    };
    let mine = server
        .client("GET", "/teams?user_id=me")
        .user(&user)
        .expect(200)
        .await;
    assert_eq!(
        (ids_of(&mine), &mine["is_paginated"]),
        (ids.clone(), &json!(false))
    );
    assert!(mine.get("pagination").is_none());
    server
        .client("GET", "/teams?user_id=me")
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    server
        .client("GET", "/teams")
        .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
        .await;
    server
        .client("GET", "/teams")
        .user(&user)
        .refused_in_words(403)
        .await;
    let theirs = format!("/teams?user_id={}", other.user_id);
    server
        .client("GET", &theirs)
        .user(&user)
        .refused_in_words(403)
        .await;
    assert_eq!(
        ids_of(&server.server("GET", &theirs).expect(200).await),
        [other_team]
    );
    let all = server.server("GET", "/teams").expect(200).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 4);
    let nobody = "/teams?user_id=6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
    assert_eq!(
        server.server("GET", nobody).expect(200).await["items"],
        json!([])
    );
    let page = server
        .server("GET", &format!("/teams?limit=2&user_id={}", user.user_id))
        .expect(200)
        .await;
    assert_eq!(
        (ids_of(&page), &page["pagination"]["next_cursor"]),
        (ids[..2].to_vec(), &ids[2])
    );
    let cursor = ids[1].as_str().unwrap();
    let page = server
        .server("GET", &format!("/teams?limit=1&desc=true&cursor={cursor}"))
        .expect(200)
        .await;
    assert_eq!(
        (ids_of(&page), &page["pagination"]["next_cursor"]),
        (vec![ids[1].clone()], &ids[0])
    );
    server
        .server("GET", &format!("/teams?cursor={cursor}"))
        .refused(400, "SCHEMA_ERROR")
        .await;
    let found = server
        .server("GET", &format!("/teams?query={cursor}"))
        .expect(200)
        .await;
    assert_eq!(ids_of(&found), [ids[1].clone()]);
}
