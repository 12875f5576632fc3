//! Contract 02 §9 and §1.6: who may sign up, and who only restricted.

use serde_json::{Value, json};

use crate::support::{PASSWORD, TestServer, Tokens, eventually, unique_email};

/// Saves rules at the environment level, under dotted keys.
async fn save(server: &TestServer, document: Value) {
    let call = server.admin("PATCH", "/internal/config/override/environment");
    let body = json!({"config_override_string": document.to_string()});
    let answer = call.body(body).expect(200).await;
    assert_eq!(answer, json!({"success": true}));
}

fn rule(condition: &str, action: &str, priority: i64) -> Value {
    json!({
        "enabled": true, "displayName": format!("Rule to {action}"), "priority": priority,
        "condition": condition, "action": {"type": action, "message": "for the operator only"},
    })
}

async fn sign_up(server: &TestServer, email: &str) -> Tokens {
    Tokens::of(&attempt(server, email).expect(200).await)
}

fn attempt(server: &TestServer, email: &str) -> crate::support::Call {
    let call = server.client("POST", "/auth/password/sign-up");
    call.body(json!({"email": email, "password": PASSWORD}))
}

async fn stats(server: &TestServer) -> Value {
    let call = server.admin("GET", "/internal/sign-up-rules-stats");
    call.expect(200).await
}

#[tokio::test]
async fn a_rejected_sign_up_creates_nothing_and_tells_nothing() {
    let server = TestServer::start().await;
    let condition = r#"emailDomain == "throwaway.example""#;
    save(
        &server,
        json!({"auth.signUpRules.no-throwaways": rule(condition, "reject", 0)}),
    )
    .await;
    let details = attempt(&server, "Eve@Throwaway.example")
        .refused(403, "SIGN_UP_REJECTED")
        .await;
    let message = details["message"].as_str().unwrap();
    assert!(!message.contains("operator only") && !message.contains("throwaways"));
    let users = server
        .server("GET", "/users?include_restricted=true")
        .expect(200)
        .await;
    assert_eq!(users["items"], json!([]));
    sign_up(&server, "eve@elsewhere.example").await;
    // Whoever has an account is not asked about again, nor whom the server makes.
    let body = json!({"primary_email": "mallory@throwaway.example"});
    server.server("POST", "/users").body(body).expect(201).await;
    server.anonymous().await;
    // A short password is found first, a taken address last.
    let call = server.client("POST", "/auth/password/sign-up");
    call.body(json!({"email": "eve@throwaway.example", "password": "short"}))
        .refused(400, "PASSWORD_TOO_SHORT")
        .await;
    save(
        &server,
        json!({"auth.signUpRules.all": rule("true", "reject", 0)}),
    )
    .await;
    attempt(&server, "eve@elsewhere.example")
        .refused(403, "SIGN_UP_REJECTED")
        .await;
    let body = json!({"email": "eve@elsewhere.example", "password": PASSWORD});
    server
        .client("POST", "/auth/password/sign-in")
        .body(body)
        .expect(200)
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn the_default_action_and_the_order_of_rules_decide() {
    let server = TestServer::start().await;
    save(
        &server,
        json!({
            "auth.signUpRulesDefaultAction": "reject",
            "auth.signUpRules": {
                "staff": rule(r#"email.endsWith("@staff.example")"#, "allow", 10),
                "nobody": rule("true", "reject", 1),
                "also": rule(r#"email.startsWith("also")"#, "allow", 1),
            },
        }),
    )
    .await;
    sign_up(&server, "a@staff.example").await;
    sign_up(&server, "also@guest.example").await;
    attempt(&server, "b@guest.example")
        .refused(403, "SIGN_UP_REJECTED")
        .await;
    // Without its entry, a rule is gone; a null entry deletes it from a record stored whole.
    save(
        &server,
        json!({"auth.signUpRules.nobody": null, "auth.signUpRules.staff": null}),
    )
    .await;
    attempt(&server, "c@staff.example")
        .refused(403, "SIGN_UP_REJECTED")
        .await;
    save(&server, json!({"auth.signUpRulesDefaultAction": "allow"})).await;
    sign_up(&server, "c@staff.example").await;
}

#[tokio::test]
async fn a_restricting_rule_restricts_new_users() {
    let server = TestServer::start().await;
    save(
        &server,
        json!({
            "auth.signUpRules.watch": rule(r#"email.matches("^(\w)\1+@")"#, "restrict", 5),
            "auth.signUpRules.second": rule("true", "restrict", 4),
            "auth.signUpRules.fine": rule("true", "allow", 3),
        }),
    )
    .await;
    let user = sign_up(&server, "aaaa@example.com").await;
    server
        .client("GET", "/users/me")
        .header("x-stack-access-token", &user.access)
        .refused(403, "RESTRICTED_USER_NOT_ALLOWED")
        .await;
    let record = server
        .server("GET", &format!("/users/{}", user.user_id))
        .expect(200)
        .await;
    assert_eq!(
        record["restricted_reason"],
        json!({"type": "restricted_by_administrator"})
    );
    assert_eq!(record["restricted_by_admin"], true);
    assert_eq!(record["restricted_by_admin_reason"], Value::Null);
    assert_eq!(
        record["restricted_by_admin_private_details"],
        "Restricted by the sign-up rule watch (Rule to restrict)."
    );
    let body = json!({"email": "aaaa@example.com", "password": PASSWORD});
    server
        .client("POST", "/auth/password/sign-in")
        .body(body)
        .expect(200)
        .await;
    server.assert_verified().await;
}

#[tokio::test]
async fn anonymous_users_are_asked_about_when_they_sign_up() {
    let server = TestServer::start().await;
    let rules = json!({
        "auth.signUpRules.no": rule(r#"email.contains("bad")"#, "reject", 1),
        "auth.signUpRules.watch": rule(r#"email.contains("odd")"#, "restrict", 0),
    });
    save(&server, rules).await;
    let user = server.anonymous().await;
    let path = format!("/users/{}", user.user_id);
    let note = json!({
        "restricted_by_admin": true, "restricted_by_admin_reason": "being checked",
        "restricted_by_admin_private_details": "seen before",
    });
    server.server("PATCH", &path).body(note).expect(200).await;
    attempt(&server, "bad@example.com")
        .user(&user)
        .refused(403, "SIGN_UP_REJECTED")
        .await;
    let record = server.server("GET", &path).expect(200).await;
    assert_eq!(record["is_anonymous"], true);
    assert_eq!(record["primary_email"], Value::Null);
    let body = attempt(&server, "odd@example.com")
        .user(&user)
        .header("user-agent", "Mozilla/5.0")
        .header("x-real-ip", "203.0.113.7")
        .header("x-vercel-ip-country", "nl")
        .expect(200)
        .await;
    assert_eq!(body["user_id"], user.user_id);
    let record = server.server("GET", &path).expect(200).await;
    assert_eq!(record["is_anonymous"], false);
    assert_eq!(record["country_code"], "NL");
    assert_eq!(record["restricted_by_admin_reason"], "being checked");
    assert_eq!(
        record["restricted_by_admin_private_details"],
        "seen before\n\nRestricted by the sign-up rule watch (Rule to restrict)."
    );
    server.assert_verified().await;
}

#[tokio::test]
async fn conditions_see_the_country_and_hostile_addresses_are_data() {
    let server = TestServer::start().await;
    let rules = json!({
        "auth.signUpRules.country": rule(r#"countryCode in ["NL"] && authMethod == "password""#, "reject", 0),
        "auth.signUpRules.injected": rule(r#"email == "nobody@example.com""#, "reject", 0),
        "auth.signUpRules.slow": rule(r#"email.matches("^(?=(a+)+$)(a|a|b\\1)+(?!c)$")"#, "reject", 0),
        "auth.signUpRules.broken": rule(r#"nothing == "x" "#, "reject", 0),
        "auth.signUpRules.off": {"condition": "true", "action": {"type": "reject"}},
    });
    save(&server, rules).await;
    let from = |country: &str| {
        attempt(&server, &unique_email())
            .header("user-agent", "Mozilla/5.0")
            .header("x-real-ip", "203.0.113.7")
            .header("x-vercel-ip-country", country)
    };
    from("NL").refused(403, "SIGN_UP_REJECTED").await;
    let user = Tokens::of(&from("DE").expect(200).await);
    let record = server
        .server("GET", &format!("/users/{}", user.user_id))
        .expect(200)
        .await;
    assert_eq!(record["country_code"], "DE");
    for email in [
        r#""||true||"@example.com"#,
        r"back\slash@example.com",
        "'quote'@example.com",
        "${true}@example.com",
    ] {
        let answer = attempt(&server, email).send().await;
        assert!(
            answer.status == 200 || answer.known_error() == Some("SCHEMA_ERROR"),
            "{email}: {}",
            answer.text
        );
    }
    sign_up(&server, &format!("{}b@example.com", "a".repeat(60))).await;
}

#[tokio::test]
async fn triggers_are_counted_by_rule_hour_and_action() {
    let server = TestServer::start().await;
    assert_eq!(
        stats(&server).await,
        json!({
            "rule_triggers": [], "analytics_hours": 48, "total_triggers": 0,
            "triggers_by_action": {"allow": 0, "reject": 0, "restrict": 0, "log": 0},
        })
    );
    let rules = json!({
        "auth.signUpRules.b-log": rule("true", "log", 3),
        "auth.signUpRules.a-reject": rule(r#"email.contains("bad")"#, "reject", 2),
        "auth.signUpRules.c-late": rule("true", "allow", 1),
        "auth.signUpRules.d-never": rule("true", "log", 0),
    });
    save(&server, rules).await;
    sign_up(&server, "good@example.com").await;
    attempt(&server, "bad@example.com")
        .refused(403, "SIGN_UP_REJECTED")
        .await;
    let found = stats(&server).await;
    let ids: Vec<&str> = found["rule_triggers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["rule_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["a-reject", "b-log", "c-late"]);
    assert_eq!(found["total_triggers"], 4);
    let by_action = json!({"allow": 1, "reject": 1, "restrict": 0, "log": 2});
    assert_eq!(found["triggers_by_action"], by_action);
    let log = &found["rule_triggers"][1];
    assert_eq!(
        (&log["total_count"], &log["all_time_count"]),
        (&json!(2), &json!(2))
    );
    let hours = log["hourly_counts"].as_array().unwrap();
    assert_eq!(hours.len(), 48);
    assert_eq!(hours[47]["count"], 2);
    assert!(hours[47]["hour"].as_str().unwrap().ends_with(":00:00.000Z"));
    // Old triggers leave the window, and deleted rules stay.
    server.clock.advance(47 * 3_600_000);
    save(&server, json!({"auth.signUpRules.b-log": null})).await;
    assert_eq!(
        stats(&server).await["rule_triggers"][1]["hourly_counts"][0]["count"],
        2
    );
    server.clock.advance(3_600_000);
    let found = stats(&server).await;
    assert_eq!(found["total_triggers"], 0);
    let log = &found["rule_triggers"][1];
    assert_eq!(
        (&log["total_count"], &log["all_time_count"]),
        (&json!(0), &json!(2))
    );
    // Nobody else's.
    let other = server.new_project(json!({})).await;
    let call = server.admin_of(&other, "GET", "/internal/sign-up-rules-stats");
    assert_eq!(call.expect(200).await["rule_triggers"], json!([]));
}

#[tokio::test]
async fn erased_people_leave_no_address_among_the_triggers() {
    let server = TestServer::start().await;
    save(
        &server,
        json!({"auth.signUpRules.log": rule("true", "log", 0)}),
    )
    .await;
    let user = sign_up(&server, "ada@example.com").await;
    sign_up(&server, "bob@example.com").await;
    let path = format!("/users/{}", user.user_id);
    server.server("DELETE", &path).expect(200).await;
    let emails = || async {
        let sql = "SELECT email FROM sign_up_rule_triggers ORDER BY position";
        let query = sqlx::query_scalar::<_, Option<String>>(sql);
        query.fetch_all(server.pool()).await.unwrap()
    };
    eventually("the address is gone", || async {
        emails().await == [None, Some("bob@example.com".to_owned())]
    })
    .await;
    assert_eq!(stats(&server).await["total_triggers"], 2);
    server
        .admin("DELETE", "/internal/projects/current")
        .expect(200)
        .await;
    eventually("the project's triggers are gone", || async {
        emails().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn rules_can_be_tried_out() {
    let server = TestServer::start().await;
    let rules = json!({
        "auth.signUpRules.watch": rule(r#"riskScores.bot > 50 && oauthProvider == "github""#, "restrict", 9),
        "auth.signUpRules.off": {"condition": "true", "priority": 8},
        "auth.signUpRules.empty": {"enabled": true, "priority": 7},
        "auth.signUpRules.broken": {"enabled": true, "priority": 6, "condition": "email > 5"},
        "auth.signUpRules.no": rule(r#"emailDomain == "bad.example""#, "reject", 5),
        "auth.signUpRules.after": rule("true", "log", 1),
    });
    save(&server, rules).await;
    let test = |body: Value| {
        server
            .admin("POST", "/internal/sign-up-rules-test")
            .body(body)
    };
    let answer = test(json!({
        "email": "Eve@x@Bad.example", "auth_method": "oauth", "oauth_provider": "github",
        "country_code": " de ", "turnstile_result": "ok",
        "risk_scores": {"bot": 51, "free_trial_abuse": 0},
    }))
    .expect(200)
    .await;
    assert_eq!(
        answer["context"],
        json!({
            "email": "eve@x@bad.example", "email_domain": "bad.example", "country_code": "DE",
            "auth_method": "oauth", "oauth_provider": "github", "turnstile_result": "ok",
            "risk_scores": {"bot": 51, "free_trial_abuse": 0},
        })
    );
    let evaluations = answer["evaluations"].as_array().unwrap();
    let statuses: Vec<(&str, &str)> = evaluations
        .iter()
        .map(|e| {
            (
                e["rule_id"].as_str().unwrap(),
                e["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        statuses,
        [
            ("watch", "matched"),
            ("off", "disabled"),
            ("empty", "missing_condition"),
            ("broken", "error"),
            ("no", "matched"),
        ]
    );
    assert!(evaluations[3]["error"].is_string() && evaluations[4].get("error").is_none());
    assert_eq!(
        evaluations[1],
        json!({
            "rule_id": "off", "display_name": "", "enabled": false, "condition": "true",
            "status": "disabled", "action": {"type": "allow"},
        })
    );
    assert_eq!(
        answer["outcome"],
        json!({
            "should_allow": false, "decision": "reject", "decision_rule_id": "no",
            "restricted_because_of_rule_id": "watch",
        })
    );
    let answer = test(json!({"email": null, "auth_method": "passkey", "oauth_provider": null, "country_code": null}))
        .header("user-agent", "Mozilla/5.0")
        .header("x-real-ip", "203.0.113.7")
        .header("cf-ipcountry", "nl")
        .expect(200)
        .await;
    assert_eq!(answer["context"]["country_code"], "NL");
    assert_eq!(answer["context"]["turnstile_result"], "invalid");
    assert_eq!(answer["context"]["email_domain"], "");
    assert_eq!(answer["outcome"]["decision"], "default-allow");
    assert_eq!(answer["outcome"]["decision_rule_id"], Value::Null);
    // It stays a trial.
    assert_eq!(stats(&server).await["rule_triggers"], json!([]));
    for body in [
        json!({"email": null, "auth_method": "passkey", "oauth_provider": null}),
        json!({"email": null, "auth_method": "magic", "oauth_provider": null, "country_code": null}),
        json!({"email": null, "auth_method": "otp", "oauth_provider": null, "country_code": "DEU"}),
        json!({"email": null, "auth_method": "otp", "oauth_provider": null, "country_code": null, "risk_scores": {"bot": 101, "free_trial_abuse": 0}}),
        json!({"email": null, "auth_method": "otp", "oauth_provider": null, "country_code": null, "risk_scores": {"bot": 1}}),
        json!({"email": null, "auth_method": "otp", "oauth_provider": null, "country_code": null, "extra": 1}),
    ] {
        test(body).refused(400, "SCHEMA_ERROR").await;
    }
}

#[tokio::test]
async fn settings_are_checked_before_they_are_kept() {
    let server = TestServer::start().await;
    let path = "/internal/config/override/environment";
    let patch = |text: &str| {
        let body = json!({"config_override_string": text});
        server.admin("PATCH", path).body(body)
    };
    for (document, named) in [
        (
            r#"{"auth.signUpRules.a": {"condition": "email =="}}"#,
            "auth.signUpRules.a.condition",
        ),
        (
            r#"{"auth": {"signUpRules": {"a": {"condition": "email.matches(\"(\")"}}}}"#,
            "auth.signUpRules.a.condition",
        ),
        (
            r#"{"auth.signUpRules.a.enabled": "true"}"#,
            "auth.signUpRules.a.enabled",
        ),
        (
            r#"{"auth.signUpRules.a.action.type": "ban"}"#,
            "auth.signUpRules.a.action.type",
        ),
        (r#"{"payments.nothing": true}"#, "payments.nothing"),
        (
            r#"{"auth.signUpRules.a": {"displayName": "\u0000"}}"#,
            "NUL",
        ),
        ("[]", "object"),
        ("null", "object"),
        ("nonsense", "JSON"),
    ] {
        let answer = patch(document).send().await;
        assert_eq!(answer.status, 400, "{document}: {}", answer.text);
        assert!(answer.text.contains(named), "{document}: {}", answer.text);
        assert_eq!(answer.known_error(), None);
    }
    let read = || server.admin("GET", path);
    let before = read().expect(200).await;
    patch(r#"{"auth.signUpRules.a": {"enabled": true, "priority": 1}}"#)
        .expect(200)
        .await;
    patch(r#"{"auth.signUpRules.a.priority": 2}"#)
        .expect(200)
        .await;
    let after: Value =
        serde_json::from_str(read().expect(200).await["config_string"].as_str().unwrap()).unwrap();
    assert_eq!(
        after["auth.signUpRules.a"],
        json!({"enabled": true, "priority": 1})
    );
    assert_eq!(after["auth.signUpRules.a.priority"], 2);
    // Storing the same again still replaces what lies below it.
    patch(r#"{"auth.signUpRules.a": {"enabled": true, "priority": 1}}"#)
        .expect(200)
        .await;
    let after = read().expect(200).await;
    assert!(
        !after["config_string"]
            .as_str()
            .unwrap()
            .contains("a.priority")
    );
    assert_ne!(before, after);
    // Servers have the level of configuration as code to themselves, and no other.
    let branch = "/internal/config/override/branch";
    let empty = server.server("GET", branch).expect(200).await;
    assert_eq!(empty, json!({"config_string": "{}"}));
    let body = json!({"config_override_string": "{\"auth.signUpRulesDefaultAction\": \"reject\"}"});
    server
        .server("PATCH", branch)
        .body(body.clone())
        .expect(200)
        .await;
    attempt(&server, &unique_email())
        .refused(403, "SIGN_UP_REJECTED")
        .await;
    server
        .server("PATCH", path)
        .body(body.clone())
        .refused_in_words(403)
        .await;
    server.server("GET", path).refused_in_words(403).await;
    let project = "/internal/config/override/project";
    server
        .admin("PATCH", project)
        .body(body.clone())
        .refused_in_words(400)
        .await;
    let nowhere = "/internal/config/override/organization";
    server
        .admin("PATCH", nowhere)
        .body(body)
        .refused(400, "SCHEMA_ERROR")
        .await;
    server
        .admin("PATCH", path)
        .body(json!({}))
        .refused(400, "SCHEMA_ERROR")
        .await;
    server.assert_verified().await;
}
