//! Many changes of one item at once: they share transactions, each decided on the outcome of the
//! one before; and what was decided on something that came to nothing is decided again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, TestServer};

/// A change by so much fails in Postgres, for a reason that no decision could foresee.
const JINX: i64 = 13;
/// A change by so much takes Postgres half a second.
const SLUGGISH: i64 = 7;

async fn start() -> Arc<TestServer> {
    let server = TestServer::start().await;
    let settings = json!({"payments.items.units": {"customerType": "custom"}});
    let call = server.admin("PATCH", "/internal/config/override/branch");
    let body = json!({"config_override_string": settings.to_string()});
    call.body(body).expect(200).await;
    sqlx::raw_sql(&format!(
        "CREATE FUNCTION jinxed() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'bad luck'; END $$;
         CREATE TRIGGER jinxed BEFORE INSERT ON item_quantity_changes
         FOR EACH ROW WHEN (NEW.delta = {JINX}) EXECUTE FUNCTION jinxed();
         CREATE FUNCTION sluggish() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$;
         CREATE TRIGGER sluggish BEFORE INSERT ON item_quantity_changes
         FOR EACH ROW WHEN (NEW.delta = {SLUGGISH}) EXECUTE FUNCTION sluggish();"
    ))
    .execute(server.pool())
    .await
    .unwrap();
    Arc::new(server)
}

async fn change(server: &TestServer, delta: i64) -> Answer {
    let path = "/payments/items/custom/hot/units/update-quantity?allow_negative=false";
    let call = server.server("POST", path);
    call.body(json!({"delta": delta})).send().await
}

/// All at once; the answers in the order of the changes.
async fn change_at_once(
    server: &Arc<TestServer>,
    deltas: impl Iterator<Item = i64>,
) -> Vec<Answer> {
    let calls = deltas.map(|delta| {
        let server = Arc::clone(server);
        tokio::spawn(async move { change(&server, delta).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

async fn quantity(server: &TestServer) -> i64 {
    let call = server.server("GET", "/payments/items/custom/hot/units");
    call.expect(200).await["quantity"].as_i64().unwrap()
}

/// The number of changes in the log, and of transactions that appended them.
async fn appended(server: &TestServer) -> (usize, usize) {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT sequence, transaction::text FROM events
         WHERE event_type = 'ItemQuantityChanged' ORDER BY sequence",
    )
    .fetch_all(server.pool())
    .await
    .unwrap();
    let sequences = rows.iter().map(|(sequence, _)| *sequence);
    assert!(
        sequences.eq(1..=i64::try_from(rows.len()).unwrap()),
        "no gap"
    );
    let transactions: HashSet<&String> = rows.iter().map(|(_, transaction)| transaction).collect();
    (rows.len(), transactions.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_item_share_transactions() {
    let server = start().await;
    let answers = change_at_once(&server, std::iter::repeat_n(2, 500)).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(quantity(&server).await, 1000);
    let (events, transactions) = appended(&server).await;
    assert_eq!(events, 500);
    // Each for itself, there would be as many as changes.
    assert!(transactions < 450, "{transactions} transactions");
    server.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_takes_no_other_along() {
    let server = start().await;
    let deltas = (0..200).map(|n| if n % 20 == 7 { JINX } else { 1 });
    let answers = change_at_once(&server, deltas.clone()).await;
    for (answer, delta) in answers.iter().zip(deltas) {
        let expected = if delta == JINX { 500 } else { 200 };
        assert_eq!(answer.status.as_u16(), expected, "{}", answer.text);
    }
    assert_eq!(quantity(&server).await, 190);
    assert_eq!(appended(&server).await.0, 190);
    server.assert_verified().await;
}

/// Whoever hangs up and asks again is faster here than the commit of what was begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_once_although_its_caller_hung_up() {
    let server = start().await;
    for n in 0..4 {
        let change = || {
            let path = "/payments/items/custom/hot/units/update-quantity?allow_negative=false";
            let call = server.server("POST", path).body(json!({"delta": SLUGGISH}));
            call.header("Idempotency-Key", &format!("order-{n}"))
        };
        let hung_up = tokio::time::timeout(Duration::from_millis(200), change().send()).await;
        assert!(hung_up.is_err(), "it was not committed by then");
        change().expect(200).await;
    }
    assert_eq!(quantity(&server).await, 4 * SLUGGISH);
    assert_eq!(appended(&server).await.0, 4);
    server.assert_verified().await;
}

/// What is taken on the strength of a grant that fails is not there; and what is refused although
/// a take before it fails, is refused for want of items that truly are gone.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_that_was_never_given() {
    let server = start().await;
    assert_eq!(change(&server, 5).await.status, 200);
    let deltas = (0..120).map(|n| if n % 2 == 0 { JINX } else { -1 });
    let answers = change_at_once(&server, deltas.clone()).await;
    let takes = answers.iter().zip(deltas).filter(|(_, delta)| *delta == -1);
    let (taken, refused): (Vec<_>, Vec<_>) = takes
        .map(|(answer, _)| answer)
        .partition(|answer| answer.status == 200);
    assert_eq!(taken.len(), 5);
    for answer in refused {
        let code = answer.known_error();
        assert_eq!(
            code,
            Some("ITEM_QUANTITY_INSUFFICIENT_AMOUNT"),
            "{}",
            answer.text
        );
    }
    assert_eq!(quantity(&server).await, 0);
    server.assert_verified().await;
}
