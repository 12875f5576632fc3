//! Guessing, and looking for secrets where they must not be.

use data_encoding::BASE64;
use futures_util::stream::{self, StreamExt};
use muniment::workers::housekeeping::Housekeeper;
use serde_json::json;
use sqlx::Row;

use crate::support::{CALLBACK, PASSWORD, TestServer, Tokens, unique_email};

const GUESSES: u32 = 10_000;
const AT_ONCE: usize = 32;

/// How many guesses got each answer: let in, refused by the API's error, refused for a while.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    in_: u32,
    refused: u32,
    limited: u32,
}

impl Tally {
    fn of(answers: impl IntoIterator<Item = crate::support::Answer>, errors: &[&str]) -> Self {
        let mut tally = Self::default();
        for answer in answers {
            match answer.status.as_u16() {
                200 => tally.in_ += 1,
                429 => {
                    let wait: u64 = answer.header("retry-after").parse().unwrap();
                    assert!(wait >= 1);
                    tally.limited += 1;
                }
                status => {
                    let code = answer.known_error().unwrap_or_default();
                    assert!(errors.contains(&code), "{status} {code} {}", answer.text);
                    tally.refused += 1;
                }
            }
        }
        tally
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_guesses_at_a_typed_code_never_succeed() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let email = unique_email();
    let code = server.sign_in_code(&email).await;
    let guesses = (0..GUESSES).map(|n| format!("{n:06}{}", &code[6..]));
    let guesses = guesses.filter(|guess| *guess != code);
    let answers: Vec<_> = stream::iter(guesses)
        .map(|guess| {
            let call = server.client("POST", "/auth/otp/sign-in");
            call.body(json!({"code": guess})).send()
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let tally = Tally::of(answers, &["VERIFICATION_CODE_NOT_FOUND"]);
    assert_eq!(tally.in_, 0);
    assert!(tally.limited > 0, "{tally:?}");
    // What was guessed at is lost to its owner as well.
    server
        .server("POST", "/auth/otp/sign-in")
        .body(json!({"code": code}))
        .refused(400, "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED")
        .await;
    let attempts: i64 =
        sqlx::query_scalar("SELECT count(*) FROM events WHERE event_type = 'CodeAttempted'")
            .fetch_one(server.pool())
            .await
            .unwrap();
    assert_eq!(attempts, 20, "guesses at a locked code do not fill the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_guesses_at_a_second_factor_never_succeed() {
    let server = TestServer::start().await;
    let email = unique_email();
    let user = server.sign_up(&email).await;
    server
        .client("PATCH", "/users/me")
        .user(&user)
        .body(json!({"totp_secret_base64": BASE64.encode(b"a secret of twenty b")}))
        .expect(200)
        .await;
    // A fresh attempt for every twenty guesses, as somebody who knows the password would have it.
    let rounds: Vec<Tally> = stream::iter(0..GUESSES / 20)
        .map(|round| {
            let (server, email) = (&server, &email);
            async move {
                let details = server
                    .server("POST", "/auth/password/sign-in")
                    .body(json!({"email": email, "password": PASSWORD}))
                    .refused(400, "MULTI_FACTOR_AUTHENTICATION_REQUIRED")
                    .await;
                let mut answers = Vec::new();
                for n in 0..20 {
                    let totp = format!("{:07}", round * 20 + n);
                    let body =
                        json!({"code": details["attempt_code"], "type": "totp", "totp": totp});
                    let call = server.server("POST", "/auth/mfa/sign-in").body(body);
                    answers.push(call.send().await);
                }
                Tally::of(answers, &["INVALID_TOTP_CODE"])
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let count = |of: fn(&Tally) -> u32| rounds.iter().map(of).sum::<u32>();
    assert_eq!(count(|tally| tally.in_), 0);
    assert_eq!(
        count(|tally| tally.refused),
        20,
        "the account's guesses, whatever the attempt"
    );
    assert_eq!(count(|tally| tally.limited), GUESSES - 20);
}

#[tokio::test]
async fn no_secret_is_in_the_log_in_the_clear() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let mut secrets = vec![PASSWORD.to_owned()];
    let mut note = |secret: &str| secrets.push(secret.to_owned());
    let email = unique_email();
    let sign_up =
        json!({"email": email, "password": PASSWORD, "verification_callback_url": CALLBACK});
    let signed_up = server
        .client("POST", "/auth/password/sign-up")
        .body(sign_up);
    let user = Tokens::of(&signed_up.expect(200).await);
    note(&user.refresh);
    note(&user.access);
    note(&server.mail.first(&email).await.code());
    note(&email);
    let stranger = unique_email();
    let code = server.sign_in_code(&stranger).await;
    note(&code);
    note(&code[..6]);
    note(&code[..6].to_uppercase());
    note(&code[6..]);
    note(&stranger);
    let call = server
        .client("POST", "/auth/otp/sign-in")
        .body(json!({"code": code}));
    note(&Tokens::of(&call.expect(200).await).refresh);
    server
        .client("POST", "/auth/password/send-reset-code")
        .body(json!({"email": email, "callback_url": CALLBACK}))
        .expect(200)
        .await;
    let code = server.mail.nth(&email, 2).await.code();
    note(&code);
    let chosen = "a password nobody guesses";
    note(chosen);
    server
        .client("POST", "/auth/password/reset")
        .body(json!({"code": code, "password": chosen}))
        .expect(200)
        .await;
    let totp = BASE64.encode(b"a secret of twenty b");
    note(&totp);
    server
        .server("PATCH", &format!("/users/{}", user.user_id))
        .body(json!({"totp_secret_base64": totp}))
        .expect(200)
        .await;
    let details = server
        .client("POST", "/auth/password/sign-in")
        .body(json!({"email": email, "password": chosen}))
        .refused(400, "MULTI_FACTOR_AUTHENTICATION_REQUIRED")
        .await;
    note(details["attempt_code"].as_str().unwrap());
    let anonymous = server.anonymous().await;
    note(&anonymous.refresh);
    let login = server
        .client("POST", "/auth/cli")
        .body(json!({"anon_refresh_token": anonymous.refresh}))
        .expect(200)
        .await;
    note(login["polling_code"].as_str().unwrap());
    note(login["login_code"].as_str().unwrap());
    let dump: Vec<String> = sqlx::query(
        "SELECT row_to_json(e)::text FROM events e UNION ALL SELECT row_to_json(s)::text FROM snapshots s",
    )
    .fetch_all(server.pool())
    .await
    .unwrap()
    .iter()
    .map(|row| row.get(0))
    .collect();
    assert!(dump.len() > 10);
    for secret in &secrets {
        assert!(
            !dump.iter().any(|row| row.contains(secret.as_str())),
            "{secret}"
        );
    }
}

#[tokio::test]
async fn codes_that_expired_are_forgotten() {
    let server = TestServer::start().await;
    server.offer_everything().await;
    let code = server.sign_in_code(&unique_email()).await;
    server.clock.advance(8 * 24 * 60 * 60 * 1000 + 1);
    let housekeeper = Housekeeper {
        log: server.app().log.clone(),
        clock: server.app().clock.clone(),
    };
    let discard = || housekeeper.discard_expired_codes();
    assert_eq!(discard().await.unwrap(), 1);
    assert_eq!(discard().await.unwrap(), 0);
    server
        .client("POST", "/auth/otp/sign-in")
        .body(json!({"code": code}))
        .refused(404, "VERIFICATION_CODE_NOT_FOUND")
        .await;
    crate::support::eventually("its key is destroyed", || async {
        let sql = "SELECT count(k.wrapped_key) FROM subject_keys k JOIN events e ON e.aggregate_id = k.subject
                   WHERE e.aggregate_type = 'verification_code'";
        sqlx::query_scalar::<_, i64>(sql)
            .fetch_one(server.pool())
            .await
            .unwrap()
            == 0
    })
    .await;
    server.assert_verified().await;
}
