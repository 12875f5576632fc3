//! Attempts at delivering.

use axum::extract::State;
use muniment_projections::webhooks::queue::{self, AttemptListing, LoggedAttempt, Message, Place};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Access;
use super::error::SvixResult;
use super::messages::{self, Content, read_content};
use super::page::{self, Page, Position, Rest};
use super::values::{param, shown_time, time};
use crate::app::App;
use crate::http::request::fields::{Checked, Fields};
use crate::http::request::input::Input;
use crate::http::request::values::{integer, query_boolean, text};

/// The statuses of attempts, by their numbers. Those that are logged are over.
const STATUSES: [&str; 4] = ["success", "pending", "fail", "sending"];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(by_endpoint))
        .routes(routes!(by_message))
}

/// Attempts at an endpoint, newest first.
#[utoipa::path(get, path = "/app/{app_id}/attempt/endpoint/{endpoint_id}", tag = "svix",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path), ("limit" = Option<i64>, Query), ("iterator" = Option<String>, Query), ("status" = Option<i64>, Query),
        ("with_msg" = Option<bool>, Query), ("with_content" = Option<bool>, Query), ("event_types" = Option<String>, Query), ("before" = Option<String>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "`{data, iterator, prevIterator, done}`"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn by_endpoint(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let id = param(&mut form, "endpoint_id");
    let mut query = form.query();
    let wanted = read_wanted(&mut query);
    query.close_leniently();
    let (id, mut wanted) = form.check((|| Some((id?, wanted?)))())?;
    wanted.listing.endpoint = Some(access.endpoint(&app, &id).await?.id);
    wanted.list(&app, &access).await
}

/// Attempts at delivering a message, newest first.
#[utoipa::path(get, path = "/app/{app_id}/attempt/msg/{msg_id}", tag = "svix",
    params(("app_id" = String, Path), ("msg_id" = String, Path), ("limit" = Option<i64>, Query), ("iterator" = Option<String>, Query), ("status" = Option<i64>, Query), ("endpoint_id" = Option<String>, Query)),
    responses((status = 200, description = "`{data, iterator, prevIterator, done}`"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found"), (status = 422, description = "What is wrong, and where")))]
async fn by_message(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let id = param(&mut form, "msg_id");
    let mut query = form.query();
    let wanted = read_wanted(&mut query);
    let endpoint = query.optional("endpoint_id", text);
    query.close_leniently();
    let (id, mut wanted, endpoint) = form.check((|| Some((id?, wanted?, endpoint?)))())?;
    wanted.listing.message = Some(access.message(&app, &id).await?.id);
    if let Some(endpoint) = endpoint {
        wanted.listing.endpoint = Some(access.endpoint(&app, &endpoint).await?.id);
    }
    wanted.list(&app, &access).await
}

/// What is to be listed, and how much of it is shown.
struct Wanted {
    listing: AttemptListing,
    content: Content,
    message: Content,
}

fn read_wanted(query: &mut Fields<'_>) -> Checked<Wanted> {
    let page = Page::read(query);
    let status = query.optional("status", integer(0..=3));
    let event_types = query.optional("event_types", text);
    let before = query.optional("before", time);
    let after = query.optional("after", time);
    let content = read_content(query);
    let with_message = query.or_default("with_msg", query_boolean, false);
    let page = page?;
    let status = status?.and_then(|status| STATUSES.get(usize::try_from(status).ok()?));
    let types = event_types?.map(|types| types.split(',').map(str::to_owned).collect());
    Some(Wanted {
        listing: AttemptListing {
            status: status.map(|status| (*status).to_owned()),
            event_types: types,
            after: after?,
            before: before?,
            place: match page.position {
                Position::Start => Place::Newest,
                Position::After(id) => Place::After(id),
                Position::Before(id) => Place::Before(id),
            },
            limit: page.limit,
            ..AttemptListing::default()
        },
        content: content?,
        message: if with_message? {
            Content::Shown
        } else {
            Content::Hidden
        },
    })
}

impl Wanted {
    async fn list(self, app: &App, access: &Access) -> SvixResult {
        let listing = &self.listing;
        let mut found = queue::attempts(app.pool(), access.project(), listing).await?;
        let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
        let rest = if found.len() > limit {
            Rest::More
        } else {
            Rest::Nothing
        };
        // The one too many is at the end that the page leads to.
        match listing.place {
            Place::Before(_) if rest == Rest::More => drop(found.remove(0)),
            _ => found.truncate(limit),
        }
        let data = found.into_iter().map(|logged| self.view(logged));
        Ok(page::list(&data.collect::<Vec<_>>(), rest))
    }

    fn view(&self, logged: LoggedAttempt) -> Value {
        let attempt = logged.attempt;
        let status = STATUSES.iter().position(|name| *name == attempt.status);
        let mut shown = json!({
            "id": attempt.id,
            "msgId": attempt.message_id,
            "endpointId": attempt.endpoint_id,
            "url": attempt.url,
            "status": status,
            "statusText": attempt.status,
            "responseStatusCode": attempt.response_status_code,
            "response": match self.content {
                Content::Shown => attempt.response.as_str(),
                Content::Hidden => "",
            },
            "responseDurationMs": attempt.duration_millis,
            "triggerType": i32::from(attempt.is_manual),
            "timestamp": shown_time(attempt.created_at),
        });
        if self.message == Content::Shown {
            let message = Message {
                id: attempt.message_id,
                project_id: String::new(),
                event_type: logged.event_type,
                subject: String::new(),
                content: logged.content,
                created_at: logged.message_created_at,
                event_id: logged.event_id,
                channels: logged.channels,
            };
            shown["msg"] = messages::view(&message, self.content);
        }
        shown
    }
}
