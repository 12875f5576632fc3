//! Teams, members, permissions and invitations.

use serde_json::json;

use super::{NOBODY, Scene};
use crate::support::{CALLBACK, Tokens};

/// A team of Ada's.
async fn team(scene: &mut Scene) -> (Tokens, String) {
    let ada = scene.sign_up("ada").await;
    scene.server.clock.advance(1000);
    let body = json!({"display_name": "Engines", "creator_user_id": ada.user_id,
                      "client_metadata": {"colour": "brass"}, "server_metadata": {"size": 2}});
    let call = scene.server.server("POST", "/teams");
    let team = scene.make("team", call, body).await;
    (ada, team)
}

#[tokio::test]
async fn teams_and_members() {
    let mut scene = Scene::open().await;
    let (ada, team) = team(&mut scene).await;
    let ben = scene.sign_up("ben").await;
    let server = &scene.server;
    let path = format!("/teams/{team}");
    let read = server.server("GET", &path);
    scene.shows("team_as_the_server_sees_it", read).await;
    let mine = server.client("GET", "/teams?user_id=me").user(&ada);
    scene.shows("teams_of_a_user", mine).await;
    let stranger = server.client("GET", &path).user(&ben);
    scene.shows("team_of_others", stranger).await;
    let membership = format!("/team-memberships/{team}/{}", ben.user_id);
    let join = || server.server("POST", &membership).body(json!({}));
    scene.shows("membership_added", join()).await;
    scene.shows("membership_exists", join()).await;
    let members = format!("/team-member-profiles?team_id={team}");
    let members = server.client("GET", &members).user(&ada);
    scene.shows("member_profiles", members).await;
    let nowhere = server.server("GET", &format!("/teams/{NOBODY}"));
    scene.shows("team_not_found", nowhere).await;
}

#[tokio::test]
async fn permissions() {
    let mut scene = Scene::open().await;
    let (ada, team) = team(&mut scene).await;
    let ben = scene.sign_up("ben").await;
    scene.server.add_member(&team, &ben).await;
    let server = &scene.server;
    let definitions = "/team-permission-definitions";
    let definition = json!({"id": "posts:write", "description": "May write posts",
                            "contained_permission_ids": ["$read_members"]});
    let define = || server.admin("POST", definitions).body(definition.clone());
    scene.shows("permission_defined", define()).await;
    scene.shows("permission_defined_twice", define()).await;
    let all = server.admin("GET", definitions);
    scene.shows("permission_definitions", all).await;
    let of = |user: &Tokens, id: &str| format!("/team-permissions/{team}/{}/{id}", user.user_id);
    let grant = |id| server.server("POST", &of(&ben, id)).body(json!({}));
    scene
        .shows("permission_granted", grant("posts:write"))
        .await;
    scene.shows("permission_unknown", grant("posts:eat")).await;
    let path = format!("/team-permissions?team_id={team}&user_id=me&recursive=true");
    let mine = server.client("GET", &path).user(&ben);
    scene.shows("permissions_of_a_member", mine).await;
    let path = format!("/team-memberships/{team}/{}", ada.user_id);
    let remove = server.client("DELETE", &path).user(&ben);
    scene.shows("permission_lacking", remove).await;
    let project = json!({"id": "beta"});
    let project = server
        .admin("POST", "/project-permission-definitions")
        .body(project);
    project.expect(201).await;
    let path = format!("/project-permissions/{}/beta", ben.user_id);
    server
        .server("POST", &path)
        .body(json!({}))
        .expect(201)
        .await;
    let mine = server.client("GET", "/project-permissions?user_id=me");
    scene.shows("project_permissions", mine.user(&ben)).await;
}

#[tokio::test]
async fn invitations() {
    let mut scene = Scene::open().await;
    let (_, team) = team(&mut scene).await;
    let server = &scene.server;
    server.offer_everything().await;
    let body = json!({"team_id": team, "email": "ben@example.com", "callback_url": CALLBACK});
    let send = server.server("POST", "/team-invitations/send-code");
    scene.shows("invitation_sent", send.body(body)).await;
    let list = server.server("GET", &format!("/team-invitations?team_id={team}"));
    scene.shows("invitations", list).await;
    let gone = server.server(
        "DELETE",
        &format!("/team-invitations/{NOBODY}?team_id={team}"),
    );
    scene.shows("invitation_not_found", gone).await;
}
