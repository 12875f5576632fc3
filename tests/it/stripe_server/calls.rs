//! HTTP: who calls, what is asked, and what was said before under the same idempotency key.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::answers::{Done, Refused, answer, refuse};
use super::values::{decode, list};
use super::world::World;
use super::{Asked, KEY, Trouble, accounts, billing, customers};

/// The version of the API that this server speaks.
const VERSION: &str = "2025-08-27.basil";

pub(super) fn serve(listener: TcpListener, world: Arc<Mutex<World>>) -> JoinHandle<()> {
    let routes = Router::new().fallback(take).with_state(world);
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() })
}

async fn take(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let header = |name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
    let encoded = if method == Method::POST {
        assert_eq!(
            header("content-type").as_deref(),
            Some("application/x-www-form-urlencoded")
        );
        String::from_utf8(bytes.to_vec()).unwrap()
    } else {
        uri.query().unwrap_or_default().to_owned()
    };
    let asked = Asked {
        method,
        path: uri.path().to_owned(),
        params: decode(&encoded),
        account: header("stripe-account"),
        key: header("idempotency-key"),
    };
    if header("authorization") != Some(format!("Bearer {KEY}")) {
        world.lock().unwrap().asked.push(asked);
        let message = "Invalid API Key provided: sk_test_*****************form";
        let refused: Done = refuse(401, "invalid_request_error", "", message, "");
        return answer(refused);
    }
    assert_eq!(header("stripe-version").as_deref(), Some(VERSION));
    let answer = respond(&mut world.lock().unwrap(), &asked, &encoded);
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

/// The answer, if there is to be one.
fn respond(world: &mut World, asked: &Asked, encoded: &str) -> Option<Response> {
    world.asked.push(asked.clone());
    let call = format!("{} {}", asked.method, asked.path);
    let mut trouble = world.trouble.iter();
    // A path alone befalls every method.
    let due = trouble.position(|(at, _)| call.starts_with(at) || asked.path.starts_with(at));
    let trouble = due.and_then(|due| world.trouble.remove(due));
    Some(match trouble.map(|(_, trouble)| trouble) {
        Some(Trouble::Status(status)) => {
            let kind = if status == 429 {
                "rate_limit_error"
            } else {
                "api_error"
            };
            let refused: Done = refuse(status, kind, "", "Trouble, as ordered.", "");
            answer(refused)
        }
        Some(Trouble::LostAnswer) => {
            once(world, asked, encoded);
            let refused: Done = refuse(503, "api_error", "", "The answer was lost.", "");
            answer(refused)
        }
        Some(Trouble::Garbage) => (StatusCode::OK, "<html>").into_response(),
        Some(Trouble::Answer(object)) => answer(Ok(object)),
        Some(Trouble::Deaf) => return None,
        Some(Trouble::Mute) => {
            once(world, asked, encoded);
            return None;
        }
        None => once(world, asked, encoded),
    })
}

/// Does what is asked, or says what was said before under the same idempotency key.
fn once(world: &mut World, asked: &Asked, encoded: &str) -> Response {
    let account = asked.account.clone().unwrap_or_default();
    let Some(key) = asked.key.clone().filter(|_| asked.method == Method::POST) else {
        return answer(perform(world, asked));
    };
    let fingerprint = format!("{} {encoded}", asked.path);
    if let Some((before, status, body)) = world.replays.get(&(account.clone(), key.clone())) {
        if *before != fingerprint {
            let message = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
            let refused: Done = refuse(400, "idempotency_error", "", message, "");
            return answer(refused);
        }
        let body = body.to_string();
        let status = StatusCode::from_u16(*status).unwrap();
        return (status, [("idempotent-replayed", "true")], body).into_response();
    }
    let done = perform(world, asked);
    let kept = match &done {
        Ok(body) => Some((fingerprint, 200, body.clone())),
        // Requests that fail validation are not remembered.
        Err(Refused(402, body)) => Some((fingerprint, 402, body.clone())),
        Err(_) => None,
    };
    if let Some(kept) = kept {
        world.replays.insert((account, key), kept);
    }
    answer(done)
}

fn perform(world: &mut World, asked: &Asked) -> Done {
    let account = asked.account.clone().unwrap_or_default();
    if !account.is_empty() && world.find("", "account", &account).is_err() {
        let message = format!(
            "The provided key 'sk_test_*****form' does not have access to account '{account}' (or that account does not exist)."
        );
        return refuse(
            403,
            "invalid_request_error",
            "account_invalid",
            &message,
            "",
        );
    }
    let path = asked.path.strip_prefix("/v1/").unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let params = &asked.params;
    match (asked.method.as_str(), segments.as_slice()) {
        ("POST", ["accounts"]) => accounts::new_account(world, params),
        ("GET", ["accounts", id]) => world.find("", "account", id),
        ("POST", ["account_links"]) => accounts::account_link(world, params),
        ("POST", ["account_sessions"]) => accounts::account_session(world, params),
        ("GET", ["payment_method_configurations"]) => Ok(list(
            world.all("payment_method_configuration", Some(&account)),
        )),
        ("POST", ["payment_method_configurations", id]) => {
            accounts::switch_methods(world, &account, id, params)
        }
        ("POST", ["customers"]) => Ok(customers::new_customer(world, &account, params)),
        ("GET", ["customers"]) => Ok(customers::customers(world, &account, params)),
        ("GET", ["customers", "search"]) => customers::search(world, &account, params),
        ("GET", ["customers", id]) => world.find(&account, "customer", id),
        ("POST", ["customers", id]) => customers::update_customer(world, &account, id, params),
        ("GET", ["customers", id, "payment_methods"]) => {
            customers::cards(world, &account, id, params)
        }
        ("POST", ["payment_methods"]) => customers::new_card(world, &account, params),
        ("POST", ["payment_methods", id, "attach"]) => {
            customers::attach_card(world, &account, id, params)
        }
        ("POST", ["setup_intents"]) => customers::new_setup_intent(world, &account, params),
        ("GET", ["setup_intents", id]) => world.find(&account, "setup_intent", id),
        ("POST", ["payment_intents"]) => billing::new_payment_intent(world, &account, params),
        ("POST", ["products"]) => billing::new_product(world, &account, params),
        ("POST", ["subscriptions"]) => billing::new_subscription(world, &account, params),
        ("GET", ["subscriptions"]) => Ok(billing::subscriptions(world, &account, params)),
        ("GET", ["subscriptions", id]) => world.find(&account, "subscription", id),
        ("POST", ["subscriptions", id]) => {
            billing::update_subscription(world, &account, id, params)
        }
        ("DELETE", ["subscriptions", id]) => {
            world.find(&account, "subscription", id)?;
            world.cancel(id)
        }
        ("GET", ["invoices", id]) => billing::invoice(world, &account, id, params),
        ("POST", ["refunds"]) => billing::new_refund(world, &account, params),
        ("GET", ["refunds"]) => Ok(billing::refunds(world, &account, params)),
        (method, _) => {
            let message = format!("Unrecognized request URL ({method}: {}).", asked.path);
            refuse(404, "invalid_request_error", "", &message, "")
        }
    }
}
