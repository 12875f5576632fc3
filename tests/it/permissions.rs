//! Contract 03 §4 and §5: permission definitions, and who is granted what.

use futures_util::future::join_all;
use muniment_projections::maintenance::replay::replay;
use serde_json::{Value, json};

use crate::support::{TestServer, unique_email};

const GHOST: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
const TEAM: &str = "/team-permission-definitions";
const PROJECT: &str = "/project-permission-definitions";

async fn define(server: &TestServer, path: &str, id: &str, contained: Value) -> Value {
    let body = json!({"id": id, "contained_permission_ids": contained});
    server.admin("POST", path).body(body).expect(201).await
}

async fn definition(server: &TestServer, path: &str, id: &str) -> Value {
    let listed = server.admin("GET", path).expect(200).await;
    let items = listed["items"].as_array().unwrap();
    let found = items.iter().find(|item| item["id"] == id);
    found.cloned().unwrap_or(Value::Null)
}

/// The permission ids of a listing.
async fn ids(server: &TestServer, path: &str) -> Vec<String> {
    let listed = server.server("GET", path).expect(200).await;
    assert_eq!(listed["is_paginated"], false);
    let items = listed["items"].as_array().unwrap().clone();
    let id = |item: Value| item["id"].as_str().unwrap().to_owned();
    items.into_iter().map(id).collect()
}

#[tokio::test]
async fn new_projects_define_two_permissions_beside_the_systems() {
    let server = TestServer::start().await;
    let listed = server.admin("GET", TEAM).expect(200).await;
    let ids: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    let system = [
        "$delete_team",
        "$invite_members",
        "$manage_api_keys",
        "$read_members",
        "$remove_members",
        "$update_team",
    ];
    assert_eq!(ids[..6], system);
    assert_eq!(ids[6..], ["team_admin", "team_member"]);
    for item in listed["items"].as_array().unwrap() {
        assert!(!item["description"].as_str().unwrap().is_empty());
    }
    let admin = definition(&server, TEAM, "team_admin").await;
    assert_eq!(admin["contained_permission_ids"], json!(system));
    assert_eq!(
        definition(&server, TEAM, "$update_team").await["contained_permission_ids"],
        json!([])
    );
    let of_project = server.admin("GET", PROJECT).expect(200).await;
    assert_eq!(of_project, json!({"items": [], "is_paginated": false}));
    server.assert_verified().await;
}

#[tokio::test]
async fn definitions_are_made_replaced_and_removed() {
    let server = TestServer::start().await;
    let body = json!({"id": "posts:write", "description": "Write.", "contained_permission_ids": ["$update_team", "team_member", "$delete_team"]});
    let made = server.admin("POST", TEAM).body(body).expect(201).await;
    let expected = json!({"id": "posts:write", "description": "Write.", "contained_permission_ids": ["$delete_team", "$update_team", "team_member"]});
    assert_eq!(made, expected);
    assert_eq!(definition(&server, TEAM, "posts:write").await, expected);
    let made = server
        .admin("POST", PROJECT)
        .body(json!({"id": "p"}))
        .expect(201)
        .await;
    assert_eq!(made, json!({"id": "p", "contained_permission_ids": []}));
    // What is left out is removed.
    let path = format!("{TEAM}/posts:write");
    let changed = server
        .admin("PATCH", &path)
        .body(json!({}))
        .expect(200)
        .await;
    assert_eq!(
        changed,
        json!({"id": "posts:write", "contained_permission_ids": []})
    );
    let changed = server
        .admin("PATCH", &path)
        .body(json!({"id": "posts:write", "description": ""}))
        .expect(200)
        .await;
    assert_eq!(changed["description"], "");
    let removed = server.admin("DELETE", &path).expect(200).await;
    assert_eq!(removed, json!({"success": true}));
    let details = server
        .admin("DELETE", &path)
        .refused(404, "PERMISSION_NOT_FOUND")
        .await;
    assert_eq!(details, json!({"permission_id": "posts:write"}));
    assert_eq!(definition(&server, TEAM, "posts:write").await, Value::Null);
    server.assert_verified().await;
}

#[tokio::test]
async fn definitions_are_refused_where_the_contract_says_so() {
    let server = TestServer::start().await;
    define(&server, PROJECT, "p", json!([])).await;
    define(&server, TEAM, "t", json!([])).await;
    for (path, taken) in [
        (TEAM, "t"),
        (TEAM, "p"),
        (PROJECT, "t"),
        (PROJECT, "team_admin"),
    ] {
        // Existence is checked before containment.
        let body = json!({"id": taken, "contained_permission_ids": ["nothing"]});
        let call = server.admin("POST", path).body(body);
        let details = call.refused(400, "PERMISSION_ID_ALREADY_EXISTS").await;
        assert_eq!(details, json!({"permission_id": taken}));
    }
    for (path, contained, missing) in [
        (TEAM, json!(["t", "no", "nope"]), "no"),
        (TEAM, json!(["p"]), "p"),
        (TEAM, json!(["x"]), "x"),
        (PROJECT, json!(["t"]), "t"),
        (PROJECT, json!(["$update_team"]), "$update_team"),
    ] {
        let body = json!({"id": "x", "contained_permission_ids": contained});
        let call = server.admin("POST", path).body(body);
        let details = call.refused(400, "CONTAINED_PERMISSION_NOT_FOUND").await;
        assert_eq!(details, json!({"permission_id": missing}));
    }
    for bad in [
        json!({}),
        json!({"id": ""}),
        json!({"id": "$mine"}),
        json!({"id": "$update_team"}),
        json!({"id": "Upper"}),
        json!({"id": "with-dash"}),
        json!({"id": "dot.ted"}),
        json!({"id": "x", "description": null}),
        json!({"id": "x", "contained_permission_ids": "t"}),
        json!({"id": "x", "contained_permission_ids": ["$unknown"]}),
        json!({"id": "x", "contained_permission_ids": [{}]}),
        json!({"id": "x", "scope": "team"}),
    ] {
        for path in [TEAM, PROJECT] {
            let call = server.admin("POST", path).body(bad.clone());
            call.refused(400, "SCHEMA_ERROR").await;
        }
    }
    for (path, id) in [
        (TEAM, "gone"),
        (TEAM, "p"),
        (TEAM, "$update_team"),
        (PROJECT, "t"),
    ] {
        let path = format!("{path}/{id}");
        for method in ["PATCH", "DELETE"] {
            let call = server.admin(method, &path).body(json!({"id": "free"}));
            let details = call.refused(404, "PERMISSION_NOT_FOUND").await;
            assert_eq!(details, json!({"permission_id": id}));
        }
    }
    let patch = |body: Value| server.admin("PATCH", &format!("{TEAM}/t")).body(body);
    let details = patch(json!({"id": "p"}))
        .refused(400, "PERMISSION_ID_ALREADY_EXISTS")
        .await;
    assert_eq!(details, json!({"permission_id": "p"}));
    patch(json!({"contained_permission_ids": ["p"]}))
        .refused(400, "CONTAINED_PERMISSION_NOT_FOUND")
        .await;
    patch(json!({"id": "$t"}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .admin("DELETE", &format!("{TEAM}/$unknown"))
        .refused(400, "SCHEMA_ERROR")
        .await;
}

#[tokio::test]
async fn a_permission_cannot_contain_itself() {
    let server = TestServer::start().await;
    define(&server, TEAM, "a", json!([])).await;
    define(&server, TEAM, "b", json!(["a"])).await;
    define(&server, TEAM, "c", json!(["b"])).await;
    let patch = |id: &str, body: Value| server.admin("PATCH", &format!("{TEAM}/{id}")).body(body);
    for through in ["a", "b", "c"] {
        patch("a", json!({"contained_permission_ids": [through]}))
            .refused_in_words(400)
            .await;
    }
    let renamed = json!({"id": "z", "contained_permission_ids": ["c"]});
    patch("a", renamed).refused_in_words(400).await;
    let kept = definition(&server, TEAM, "c").await;
    assert_eq!(kept["contained_permission_ids"], json!(["b"]));
    patch("c", json!({"contained_permission_ids": ["a", "b"]}))
        .expect(200)
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn renames_and_removals_are_followed() {
    let server = TestServer::start().await;
    define(&server, TEAM, "inner", json!(["$update_team"])).await;
    define(&server, TEAM, "outer", json!(["inner"])).await;
    define(&server, PROJECT, "p_inner", json!([])).await;
    define(&server, PROJECT, "p_outer", json!(["p_inner"])).await;
    server
        .configure(json!({
            "team_member_default_permissions": [{"id": "inner"}, {"id": "team_member"}],
            "user_default_permissions": [{"id": "p_inner"}],
        }))
        .await;
    let (creator, user) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let team = server.create_team(&creator).await;
    server.add_member(&team, &user).await;
    let of_team = format!("/team-permissions?team_id={team}&user_id={}", user.user_id);
    let of_project = format!("/project-permissions?user_id={}", user.user_id);
    assert_eq!(ids(&server, &of_team).await, ["inner", "team_member"]);
    assert_eq!(ids(&server, &of_project).await, ["p_inner"]);
    let rename = |path: &str, id: &str, body: Value| {
        server.admin("PATCH", &format!("{path}/{id}")).body(body)
    };
    let renamed = rename(
        TEAM,
        "inner",
        json!({"id": "core", "contained_permission_ids": ["$update_team"]}),
    )
    .expect(200)
    .await;
    assert_eq!(renamed["id"], "core");
    rename(PROJECT, "p_inner", json!({"id": "p_core"}))
        .expect(200)
        .await;
    let outer = definition(&server, TEAM, "outer").await;
    assert_eq!(outer["contained_permission_ids"], json!(["core"]));
    assert_eq!(definition(&server, TEAM, "inner").await, Value::Null);
    assert_eq!(ids(&server, &of_team).await, ["core", "team_member"]);
    assert_eq!(ids(&server, &of_project).await, ["p_core"]);
    server
        .client("PATCH", &format!("/teams/{team}"))
        .user(&user)
        .body(json!({}))
        .expect(200)
        .await;
    // The defaults keep the old id, which dangles: it is not shown, and not granted.
    let project = server
        .admin("GET", "/internal/projects/current")
        .expect(200)
        .await;
    assert_eq!(
        project["config"]["team_member_default_permissions"],
        json!([{"id": "team_member"}])
    );
    assert_eq!(project["config"]["user_default_permissions"], json!([]));
    let late = server.sign_up(&unique_email()).await;
    server.add_member(&team, &late).await;
    let of_late = format!("/team-permissions?user_id={}&recursive=false", late.user_id);
    assert_eq!(ids(&server, &of_late).await, ["team_member"]);
    server
        .admin("DELETE", &format!("{TEAM}/core"))
        .expect(200)
        .await;
    server
        .admin("DELETE", &format!("{PROJECT}/p_core"))
        .expect(200)
        .await;
    let outer = definition(&server, TEAM, "outer").await;
    assert_eq!(outer["contained_permission_ids"], json!([]));
    assert_eq!(ids(&server, &of_team).await, ["team_member"]);
    // A permission of the old name is another one, granted to nobody.
    define(&server, TEAM, "core", json!([])).await;
    define(&server, PROJECT, "p_core", json!([])).await;
    assert_eq!(ids(&server, &of_team).await, ["team_member"]);
    assert_eq!(ids(&server, &of_project).await, [""; 0]);
    let call = server.client("PATCH", &format!("/teams/{team}"));
    call.user(&user)
        .body(json!({}))
        .refused(401, "TEAM_PERMISSION_REQUIRED")
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn checks_reach_through_any_depth() {
    let server = TestServer::start().await;
    define(&server, TEAM, "level_0", json!(["$delete_team"])).await;
    for level in 1..=12 {
        let contained = json!([format!("level_{}", level - 1)]);
        define(&server, TEAM, &format!("level_{level}"), contained).await;
    }
    let (creator, user) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let team = server.create_team(&creator).await;
    server.add_member(&team, &user).await;
    let grant = format!("/team-permissions/{team}/{}/level_12", user.user_id);
    let granted = server.server("POST", &grant).body(json!({}));
    let expected = json!({"id": "level_12", "user_id": user.user_id, "team_id": team});
    assert_eq!(granted.expect(201).await, expected);
    let of_user = format!("/team-permissions?user_id={}", user.user_id);
    assert_eq!(ids(&server, &of_user).await, ["level_12", "team_member"]);
    let deep = ids(&server, &format!("{of_user}&recursive=true")).await;
    assert_eq!(
        deep[..4],
        [
            "$delete_team",
            "$invite_members",
            "$read_members",
            "level_0"
        ]
    );
    assert_eq!(deep.len(), 3 + 13 + 1);
    let filtered = format!("{of_user}&recursive=true&permission_id=level_3");
    assert_eq!(ids(&server, &filtered).await, ["level_3"]);
    let direct = format!("{of_user}&permission_id=level_3");
    assert_eq!(ids(&server, &direct).await, [""; 0]);
    // What the closure says can be rebuilt from the log.
    replay(server.log(), &["permission_closure".to_owned()], |_| ())
        .await
        .unwrap();
    server.assert_verified().await;
    // Taking one link out takes away everything below it.
    server
        .admin("DELETE", &format!("{TEAM}/level_6"))
        .expect(200)
        .await;
    let call = server
        .client("DELETE", &format!("/teams/{team}"))
        .user(&user);
    call.refused(401, "TEAM_PERMISSION_REQUIRED").await;
    let direct = json!({"contained_permission_ids": ["level_5"]});
    server
        .admin("PATCH", &format!("{TEAM}/level_7"))
        .body(direct)
        .expect(200)
        .await;
    let call = server
        .client("DELETE", &format!("/teams/{team}"))
        .user(&user);
    call.expect(200).await;
    server.assert_verified().await;
}

#[tokio::test]
async fn team_permissions_are_granted_and_revoked() {
    let server = TestServer::start().await;
    define(&server, PROJECT, "p", json!([])).await;
    let (creator, user) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let team = server.create_team(&creator).await;
    let call = |method: &str, team: &str, user: &str, permission: &str| {
        let path = format!("/team-permissions/{team}/{user}/{permission}");
        server.server(method, &path).body(json!({}))
    };
    for method in ["POST", "DELETE"] {
        call(method, GHOST, GHOST, "gone")
            .refused(404, "USER_NOT_FOUND")
            .await;
        for unknown in [GHOST, &team] {
            let details = call(method, unknown, &user.user_id, "gone")
                .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
                .await;
            assert_eq!(
                details,
                json!({"team_id": unknown, "user_id": user.user_id})
            );
        }
        call(method, &team, "me", "team_member")
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await;
        for (team, user, permission) in [
            ("nonsense", GHOST, "team_member"),
            (GHOST, "nonsense", "team_member"),
            (GHOST, GHOST, "$unknown"),
            (GHOST, GHOST, "UPPER"),
        ] {
            call(method, team, user, permission)
                .refused(400, "SCHEMA_ERROR")
                .await;
        }
    }
    server.add_member(&team, &user).await;
    let details = call("POST", &team, &user.user_id, "gone")
        .refused(404, "PERMISSION_NOT_FOUND")
        .await;
    assert_eq!(details, json!({"permission_id": "gone"}));
    let details = call("POST", &team, &user.user_id, "p")
        .refused(404, "WRONG_PERMISSION_SCOPE")
        .await;
    let expected =
        json!({"permission_id": "p", "expected_scope": "team", "actual_scope": "project"});
    assert_eq!(details, expected);
    let path = format!("/team-permissions/{team}/{}/$update_team", user.user_id);
    server
        .server("POST", &path)
        .refused(400, "SCHEMA_ERROR")
        .await;
    // Granting again is no error.
    for _ in 0..2 {
        let granted = call("POST", &team, &user.user_id, "$update_team")
            .expect(201)
            .await;
        let expected = json!({"id": "$update_team", "user_id": user.user_id, "team_id": team});
        assert_eq!(granted, expected);
    }
    // `me` is the user of the token.
    let path = format!("/team-permissions/{team}/me/team_admin");
    let call_as_user = server.server("POST", &path).user(&user).body(json!({}));
    assert_eq!(call_as_user.expect(201).await["user_id"], user.user_id);
    let of_user = format!("/team-permissions?user_id={}", user.user_id);
    assert_eq!(
        ids(&server, &of_user).await,
        ["$update_team", "team_admin", "team_member"]
    );
    let revoked = call("DELETE", &team, &user.user_id, "team_admin");
    assert_eq!(revoked.expect(200).await, json!({"success": true}));
    // What is held through another permission cannot be revoked by itself.
    for held_otherwise in ["team_admin", "$read_members", "gone"] {
        let details = call("DELETE", &team, &user.user_id, held_otherwise)
            .refused(401, "TEAM_PERMISSION_NOT_FOUND")
            .await;
        let expected =
            json!({"team_id": team, "user_id": user.user_id, "permission_id": held_otherwise});
        assert_eq!(details, expected);
    }
    assert_eq!(
        ids(&server, &of_user).await,
        ["$update_team", "team_member"]
    );
    // Leaving ends the grants.
    let membership = format!("/team-memberships/{team}/{}", user.user_id);
    server.server("DELETE", &membership).expect(200).await;
    server.add_member(&team, &user).await;
    assert_eq!(ids(&server, &of_user).await, ["team_member"]);
    server.assert_verified().await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
}

#[tokio::test]
async fn project_permissions_are_granted_and_revoked() {
    let server = TestServer::start().await;
    define(&server, PROJECT, "reader", json!([])).await;
    define(&server, PROJECT, "writer", json!(["reader"])).await;
    let user = server.sign_up(&unique_email()).await;
    let call = |method: &str, user: &str, permission: &str| {
        let path = format!("/project-permissions/{user}/{permission}");
        server.server(method, &path).body(json!({}))
    };
    for method in ["POST", "DELETE"] {
        call(method, GHOST, "writer")
            .refused(404, "USER_NOT_FOUND")
            .await;
        call(method, "nonsense", "writer")
            .refused(400, "SCHEMA_ERROR")
            .await;
        call(method, &user.user_id, "$unknown")
            .refused(400, "SCHEMA_ERROR")
            .await;
        for unknown in ["gone", "$update_team"] {
            let details = call(method, &user.user_id, unknown)
                .refused(404, "PERMISSION_NOT_FOUND")
                .await;
            assert_eq!(details, json!({"permission_id": unknown}));
        }
    }
    let details = call("POST", &user.user_id, "team_admin")
        .refused(404, "WRONG_PERMISSION_SCOPE")
        .await;
    let expected =
        json!({"permission_id": "team_admin", "expected_scope": "project", "actual_scope": "team"});
    assert_eq!(details, expected);
    for _ in 0..2 {
        let granted = call("POST", &user.user_id, "writer").expect(201).await;
        assert_eq!(granted, json!({"id": "writer", "user_id": user.user_id}));
    }
    let of_user = format!("/project-permissions?user_id={}", user.user_id);
    assert_eq!(ids(&server, &of_user).await, ["writer"]);
    assert_eq!(
        ids(&server, &format!("{of_user}&recursive=true")).await,
        ["reader", "writer"]
    );
    assert_eq!(
        ids(
            &server,
            "/project-permissions?recursive=true&permission_id=reader"
        )
        .await,
        ["reader"]
    );
    call("DELETE", &user.user_id, "reader")
        .refused(404, "PERMISSION_NOT_FOUND")
        .await;
    call("DELETE", &user.user_id, "writer").expect(200).await;
    call("DELETE", &user.user_id, "writer")
        .refused(404, "PERMISSION_NOT_FOUND")
        .await;
    assert_eq!(ids(&server, &of_user).await, [""; 0]);
    server.assert_verified().await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
}

#[tokio::test]
async fn every_new_user_gets_the_default_project_permissions() {
    let server = TestServer::start().await;
    define(&server, PROJECT, "hello", json!([])).await;
    server
        .configure(json!({"user_default_permissions": [{"id": "hello"}]}))
        .await;
    let (signed_up, anonymous) = (
        server.sign_up(&unique_email()).await,
        server.anonymous().await,
    );
    let made = server.server("POST", "/users").body(json!({}));
    let made = made.expect(201).await["id"].as_str().unwrap().to_owned();
    for user in [signed_up.user_id, anonymous.user_id, made] {
        let of_user = format!("/project-permissions?user_id={user}");
        assert_eq!(ids(&server, &of_user).await, ["hello"]);
    }
    // Later edits of the list change nobody.
    server
        .configure(json!({"user_default_permissions": []}))
        .await;
    assert_eq!(ids(&server, "/project-permissions").await, ["hello"; 3]);
}

#[tokio::test]
async fn clients_list_their_own_permissions_only() {
    let server = TestServer::start().await;
    let (user, other) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let team = server.create_team(&user).await;
    for path in ["/team-permissions", "/project-permissions"] {
        let list = |query: &str| server.client("GET", &format!("{path}{query}"));
        list("")
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await;
        list("?user_id=me")
            .refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER")
            .await;
        list("").user(&user).refused_in_words(403).await;
        let others = format!("?user_id={}", other.user_id);
        list(&others).user(&user).refused_in_words(403).await;
        list("?user_id=me").user(&user).expect(200).await;
        for bad in [
            "?user_id=x",
            "?recursive=1",
            "?permission_id=X",
            "?permission_id=$unknown",
            "?cursor=x",
        ] {
            server
                .server("GET", &format!("{path}{bad}"))
                .refused(400, "SCHEMA_ERROR")
                .await;
        }
        let nobodys = format!("{path}?user_id={GHOST}");
        let empty = json!({"items": [], "is_paginated": false});
        assert_eq!(server.server("GET", &nobodys).expect(200).await, empty);
    }
    server
        .server(
            "GET",
            "/project-permissions?team_id=6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        )
        .refused(400, "SCHEMA_ERROR")
        .await;
    let own = format!("/team-permissions?team_id={team}&user_id=me&recursive=true");
    let own = server.client("GET", &own).user(&user).expect(200).await;
    assert_eq!(own["items"].as_array().unwrap().len(), 7);
    let item = json!({"id": "team_admin", "user_id": user.user_id, "team_id": team});
    assert_eq!(own["items"][6], item);
}

#[tokio::test]
async fn settings_may_define_permissions_as_well() {
    let server = TestServer::start().await;
    let (creator, user) = (
        server.sign_up(&unique_email()).await,
        server.sign_up(&unique_email()).await,
    );
    let team = server.create_team(&creator).await;
    server.add_member(&team, &user).await;
    // Settings are not checked for loops, mixed scopes and dangling ids: none of them does harm.
    server
        .override_settings(json!({
            "rbac.permissions.a": {"scope": "team", "containedPermissionIds": {"b": true, "p": true}},
            "rbac.permissions.b": {"scope": "team", "containedPermissionIds": {"a": true, "$update_team": true, "gone": true}},
            "rbac.permissions.p": {"scope": "project", "containedPermissionIds": {"a": true}},
            "rbac.permissions.half": {"description": "Without a scope."},
        }))
        .await;
    let a = definition(&server, TEAM, "a").await;
    assert_eq!(a["contained_permission_ids"], json!(["b", "p"]));
    assert_eq!(definition(&server, TEAM, "half").await, Value::Null);
    let grant = format!("/team-permissions/{team}/{}/a", user.user_id);
    let call = server.server("POST", &grant).body(json!({}));
    call.expect(201).await;
    let half = format!("/team-permissions/{team}/{}/half", user.user_id);
    let call = server.server("POST", &half).body(json!({}));
    call.refused(404, "PERMISSION_NOT_FOUND").await;
    let recursive = format!("/team-permissions?user_id={}&recursive=true", user.user_id);
    let held = ids(&server, &recursive).await;
    let expected = [
        "$invite_members",
        "$read_members",
        "$update_team",
        "a",
        "b",
        "team_member",
    ];
    assert_eq!(held, expected);
    let path = format!("/teams/{team}");
    let update = || server.client("PATCH", &path).user(&user).body(json!({}));
    update().expect(200).await;
    server.assert_verified().await;
    // A definition that vanished from the settings counts for nothing, though the grant is there.
    server
        .override_settings(json!({"rbac.permissions.a": null}))
        .await;
    let direct = format!("/team-permissions?user_id={}", user.user_id);
    assert_eq!(ids(&server, &direct).await, ["team_member"]);
    update().refused(401, "TEAM_PERMISSION_REQUIRED").await;
    // Another level may come to define it.
    server
        .override_settings(json!({"rbac.permissions.a": {"scope": "team", "containedPermissionIds": {"$update_team": true}}}))
        .await;
    update().expect(200).await;
    server.assert_verified().await;
    replay(server.log(), &[], |_| ()).await.unwrap();
    server.assert_verified().await;
}

#[tokio::test]
async fn of_rival_definitions_one_wins() {
    let server = TestServer::start().await;
    let rivals = (0..8).map(|n| {
        let path = if n % 2 == 0 { TEAM } else { PROJECT };
        let call = server.admin("POST", path).body(json!({"id": "rival"}));
        call.send()
    });
    let answers = join_all(rivals).await;
    let won = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(won.count(), 1);
    for lost in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(lost.known_error(), Some("PERMISSION_ID_ALREADY_EXISTS"));
    }
    server.assert_verified().await;
}

#[tokio::test]
async fn a_new_permission_is_granted_to_nobody() {
    let server = TestServer::start().await;
    define(&server, TEAM, "spare", json!([])).await;
    let creator = server.sign_up(&unique_email()).await;
    let team = server.create_team(&creator).await;
    let grant = |permission: &str| {
        let path = format!("/team-permissions/{team}/{}/{permission}", creator.user_id);
        server.server("POST", &path).body(json!({}))
    };
    // Grants that race with the removal may be left over.
    for round in 0..6 {
        define(&server, TEAM, "risky", json!([])).await;
        let path = format!("{TEAM}/risky");
        let removal = server.admin("DELETE", &path).send();
        let grants = join_all((0..4).map(|_| grant("risky").send()));
        let (removed, _) = tokio::join!(removal, grants);
        assert_eq!(removed.status, 200, "{}", removed.text);
        // The name comes back, by a definition of its own or by renaming another one.
        if round % 2 == 0 {
            define(&server, TEAM, "risky", json!([])).await;
        } else {
            let path = format!("{TEAM}/spare");
            let call = server.admin("PATCH", &path).body(json!({"id": "risky"}));
            call.expect(200).await;
            define(&server, TEAM, "spare", json!([])).await;
        }
        let held = ids(&server, "/team-permissions?permission_id=risky").await;
        assert_eq!(held, [""; 0], "round {round}");
        server.admin("DELETE", &path).expect(200).await;
    }
    server.assert_verified().await;
}

#[tokio::test]
async fn verification_finds_a_closure_that_was_tampered_with() {
    let server = TestServer::start().await;
    sqlx::raw_sql(
        "INSERT INTO permission_closure
         SELECT project_id, 'team_member', '$delete_team', 'team' FROM permission_closure
         WHERE permission_id = 'team_member' AND contained_id = 'team_member';
         DELETE FROM permission_closure WHERE contained_id = '$read_members'
           AND permission_id = 'team_admin'",
    )
    .execute(server.pool())
    .await
    .unwrap();
    let found = muniment_projections::maintenance::verify::verify(server.log(), |_| ())
        .await
        .unwrap()
        .differences;
    // One row too many and one missing, in each of the two projects.
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found.iter().all(|row| row.table == "permission_closure"));
    replay(server.log(), &["permission_closure".to_owned()], |_| ())
        .await
        .unwrap();
    server.assert_verified().await;
}

#[tokio::test]
async fn listings_of_everything_are_ordered() {
    let server = TestServer::start().await;
    let mut expected = Vec::new();
    for _ in 0..3 {
        let user = server.sign_up(&unique_email()).await;
        let team = server.create_team(&user).await;
        expected.push((team, user.user_id));
    }
    expected.sort();
    let all = server.server("GET", "/team-permissions").expect(200).await;
    let listed: Vec<(String, String)> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let text = |name: &str| item[name].as_str().unwrap().to_owned();
            (text("team_id"), text("user_id"))
        })
        .collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn the_history_tells_who_was_granted_what() {
    let server = TestServer::start().await;
    define(&server, TEAM, "a", json!([])).await;
    let user = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    let path = format!("/team-permissions/{team}/{}/a", user.user_id);
    server
        .server("POST", &path)
        .body(json!({}))
        .expect(201)
        .await;
    server
        .admin("PATCH", &format!("{TEAM}/a"))
        .body(json!({"id": "b"}))
        .expect(200)
        .await;
    server
        .admin("DELETE", &format!("{TEAM}/b"))
        .expect(200)
        .await;
    let id = user.user_id.parse().unwrap();
    let events = muniment_projections::maintenance::history::timeline(server.log(), id)
        .await
        .unwrap()
        .events;
    let types: Vec<&str> = events
        .iter()
        .map(|event| event.event_type.as_str())
        .skip_while(|kind| *kind != "MemberAdded")
        .collect();
    let expected = [
        "MemberAdded",
        "TeamPermissionGranted",
        "TeamPermissionRenamed",
        "TeamPermissionRevoked",
    ];
    assert_eq!(types, expected);
}

#[tokio::test]
async fn one_projects_server_cannot_touch_anothers_permissions() {
    let server = TestServer::start().await;
    let other = server.new_project(json!({})).await;
    define(&server, TEAM, "mine", json!([])).await;
    let user = server.sign_up(&unique_email()).await;
    let team = server.create_team(&user).await;
    let stranger = server.sign_up_to(&other, &unique_email()).await;
    let path = format!("/team-permissions/{team}/{}/team_admin", user.user_id);
    for method in ["POST", "DELETE"] {
        server
            .server_of(&other, method, &path)
            .body(json!({}))
            .refused(404, "USER_NOT_FOUND")
            .await;
        let theirs = format!("/team-permissions/{team}/{}/team_admin", stranger.user_id);
        server
            .server_of(&other, method, &theirs)
            .body(json!({}))
            .refused(404, "TEAM_MEMBERSHIP_NOT_FOUND")
            .await;
        server
            .admin_of(
                &other,
                if method == "POST" { "PATCH" } else { method },
                &format!("{TEAM}/mine"),
            )
            .body(json!({}))
            .refused(404, "PERMISSION_NOT_FOUND")
            .await;
    }
    let listed = format!("/team-permissions?team_id={team}");
    let listed = server.server_of(&other, "GET", &listed).expect(200).await;
    assert_eq!(listed["items"], json!([]));
    // The same name in another project is another permission.
    let body = json!({"id": "mine"});
    server
        .admin_of(&other, "POST", TEAM)
        .body(body)
        .expect(201)
        .await;
    server
        .admin_of(&other, "DELETE", &format!("{TEAM}/mine"))
        .expect(200)
        .await;
    assert_eq!(definition(&server, TEAM, "mine").await["id"], "mine");
}
