//! The domains that a project trusts, as a platform sees them.

use serde_json::json;

use crate::support::TestServer;

#[tokio::test]
async fn domains_are_trusted_and_distrusted() {
    let server = TestServer::start().await;
    for integration in ["custom", "neon"] {
        let path = format!("/integrations/{integration}/domains");
        let add = |domain: &str| {
            let call = server.admin("POST", &path);
            call.body(json!({"domain": domain}))
        };
        for domain in [
            "https://b.example.com",
            "http://*.example.com:8080",
            "https://b.example.com",
        ] {
            assert_eq!(add(domain).expect(201).await, json!({"domain": domain}));
        }
        let listed = server.admin("GET", &path).expect(200).await;
        assert_eq!(
            listed,
            json!({"is_paginated": false, "items": [
                {"domain": "http://*.example.com:8080"},
                {"domain": "https://b.example.com"}, {"domain": "https://b.example.com"},
            ]})
        );
        let long = format!("https://{}.example.com", "a".repeat(300));
        for bad in [
            "b.example.com",
            "ftp://b.example.com",
            "https://b.example.com/path",
            "https://b.example.com?q",
            "https://b.example.com#h",
            &long,
        ] {
            add(bad).refused(400, "SCHEMA_ERROR").await;
        }
        let project = server
            .admin("GET", "/internal/projects/current")
            .expect(200)
            .await;
        assert_eq!(project["config"]["domains"][1]["handler_path"], "/handler");
        for domain in [
            "https%3A%2F%2Fb.example.com",
            "http%3A%2F%2F*.example.com%3A8080",
            "https%3A%2F%2Funknown",
        ] {
            let call = server.admin("DELETE", &format!("{path}/{domain}"));
            assert_eq!(call.expect(200).await, json!({"success": true}));
        }
        let listed = server.admin("GET", &path).expect(200).await;
        assert_eq!(listed["items"], json!([]));
    }
    server
        .admin("GET", "/integrations/elsewhere/domains")
        .refused_in_words(404)
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn there_is_an_end_to_domains() {
    let server = TestServer::start().await;
    let domain = |n: usize| {
        (
            format!("d{n}"),
            json!({"baseUrl": format!("https://{n}.example.com")}),
        )
    };
    let trusted: serde_json::Map<_, _> = (0..1001).map(domain).collect();
    server
        .override_settings(json!({"domains.trustedDomains": trusted}))
        .await;
    let call = server.admin("POST", "/integrations/custom/domains");
    call.body(json!({"domain": "https://one.example.com"}))
        .refused_in_words(400)
        .await;
}

#[tokio::test]
async fn one_projects_admin_sees_no_others_domains() {
    let server = TestServer::start().await;
    let other = server.new_project(json!({})).await;
    let path = "/integrations/custom/domains";
    let add = server.admin("POST", path);
    add.body(json!({"domain": "https://mine.example.com"}))
        .expect(201)
        .await;
    let remove = format!("{path}/https%3A%2F%2Fmine.example.com");
    server.admin_of(&other, "DELETE", &remove).expect(200).await;
    let listed = server.admin_of(&other, "GET", path).expect(200).await;
    assert_eq!(listed["items"], json!([]));
    let listed = server.admin("GET", path).expect(200).await;
    assert_eq!(listed["items"][0]["domain"], "https://mine.example.com");
}
