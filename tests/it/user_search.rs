//! Contract 03 §1.4: searching among a hundred thousand users, page by page.

use muniment_domain::ProjectId;
use muniment_domain::restriction::EmailVerification;
use muniment_projections::read_models::users::{self, Listing};
use serde_json::{Value, json};
use sqlx::raw_sql;

use crate::support::{TestServer, unique_email};

/// Fills the read tables of the test project, past the log. Every name and address has its number
/// in it, and all addresses have the same domain.
async fn fill(server: &TestServer) {
    let sql = format!(
        "INSERT INTO users (id, project_id, signed_up_at, is_anonymous, display_name,
             primary_email, primary_email_verified, primary_email_auth_enabled, otp_enabled,
             totp_enabled, oauth_accounts, restricted_by_admin, risk_scores)
         SELECT gen_random_uuid(), '{project}', n, false, 'Person ' || md5(n::text),
             'u' || n || '@corp.example.com', true, true, false, false, '[]', false, '{{}}'
         FROM generate_series(1, 100000) n;
         INSERT INTO contact_channels (id, project_id, user_id, type, value, is_primary,
             is_verified, used_for_auth, created_at)
         SELECT gen_random_uuid(), project_id, id, 'email', primary_email, true, true, true,
             signed_up_at
         FROM users WHERE project_id = '{project}' AND primary_email LIKE '%@corp.example.com';
         ANALYZE users; ANALYZE contact_channels;",
        project = server.project.id
    );
    raw_sql(&sql).execute(server.pool()).await.unwrap();
}

async fn plan(server: &TestServer, query: &str) -> String {
    let listing = Listing {
        query: Some(query.to_owned()),
        limit: Some(50),
        ..Listing::default()
    };
    let project = ProjectId::from_caller(&server.project.id);
    users::explain(
        server.pool(),
        &project,
        &listing,
        EmailVerification::Optional,
    )
    .await
    .unwrap()
}

/// Small tables may be read whole, but not these.
fn assert_no_scan(plan: &str) {
    for table in ["users", "contact_channels"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
    }
}

async fn page(server: &TestServer, query: &str, more: &str) -> Value {
    let path = format!("/users?limit=50&query={query}{more}");
    server.server("GET", &path).expect(200).await
}

#[tokio::test]
async fn a_search_among_many_reads_an_index_whatever_is_searched_for() {
    let server = TestServer::start().await;
    fill(&server).await;

    // A term that one user has: in an address, in a name, and across the case.
    let name: String =
        sqlx::query_scalar("SELECT display_name FROM users WHERE primary_email LIKE 'u77777@%'")
            .fetch_one(server.pool())
            .await
            .unwrap();
    let name = name.trim_start_matches("Person ").to_uppercase();
    for term in ["u77777@", name.as_str()] {
        let plan = plan(&server, term).await;
        assert!(plan.contains("users_search"), "{plan}");
        assert!(plan.contains("contact_channels_search"), "{plan}");
        assert_no_scan(&plan);
        let found = page(&server, term, "").await;
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
        assert_eq!(
            found["items"][0]["primary_email"],
            "u77777@corp.example.com"
        );
        assert_eq!(found["pagination"]["next_cursor"], Value::Null);
    }

    // One that nobody has.
    let plan_of_none = plan(&server, "nobody-is-called-this").await;
    assert_no_scan(&plan_of_none);
    let none = page(&server, "nobody-is-called-this", "").await;
    assert_eq!(none["items"], json!([]));

    // One that everybody has: the pages follow each other in order, without a gap, and come from
    // the index of the order.
    let plan_of_all = plan(&server, "corp.example").await;
    assert!(plan_of_all.contains("users_by_sign_up"), "{plan_of_all}");
    let (mut cursor, mut seen) = (String::new(), 0);
    for _ in 0..3 {
        let found = page(&server, "CORP.example", &cursor).await;
        for user in found["items"].as_array().unwrap() {
            seen += 1;
            assert_eq!(user["signed_up_at_millis"], seen);
        }
        let next = found["pagination"]["next_cursor"].as_str().unwrap();
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, 150);

    // One that a few have; backwards.
    let found = page(&server, "u9999", "&desc=true").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 11);
    assert_eq!(found["items"][0]["signed_up_at_millis"], 99_999);
}

#[tokio::test]
async fn what_a_search_matches_does_not_depend_on_how_many_match() {
    let server = TestServer::start().await;
    let other = unique_email();
    let ada = server
        .server("POST", "/users")
        .body(json!({"display_name": "Ada 100%_\\ Lovelace", "primary_email": "first@one.example.org"}))
        .expect(201)
        .await;
    let id = ada["id"].as_str().unwrap();
    server
        .server("POST", "/contact-channels")
        .body(json!({"user_id": id, "type": "email", "value": other, "used_for_auth": false}))
        .expect(201)
        .await;
    let braced = format!("{{{id}}}");
    let found_by = [
        "lovelace",
        "ADA",
        "a",
        "0%25_%5C",
        "ONE.example",
        other.as_str(),
        id,
        braced.as_str(),
    ];
    let misses = ["lovelacf", "%25%25", "__", "0%25%5C", &id[..8]];
    // First with few users, who are all looked at; then among many, where most terms are rare.
    for _ in 0..2 {
        for term in found_by {
            let found = page(&server, term, "&order_by=signed_up_at&desc=false").await;
            let ids = found["items"].as_array().unwrap();
            assert!(ids.iter().any(|user| user["id"] == id), "{term}");
        }
        for term in misses {
            let found = page(&server, term, "").await;
            let ids = found["items"].as_array().unwrap();
            assert!(ids.iter().all(|user| user["id"] != id), "{term}");
        }
        // Later, so that the one user is on the first page of whatever many users match.
        raw_sql("UPDATE users SET signed_up_at = 0 WHERE display_name LIKE 'Ada%'")
            .execute(server.pool())
            .await
            .unwrap();
        if count(&server).await < 1000 {
            fill(&server).await;
        }
    }
}

async fn count(server: &TestServer) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM users")
        .fetch_one(server.pool())
        .await
        .unwrap()
}
