//! The endpoints and messages that requests name.

use muniment_domain::ProjectId;
use muniment_projections::webhooks::endpoints::Endpoint;
use muniment_projections::webhooks::queue::{self, Message};

use super::{
    GetWebhookStats, RecoverWebhooks, ReplayWebhooks, RotateWebhookSecret, UpdateWebhookEndpoint,
    delivery_client,
};
use crate::app::App;
use crate::app::webhooks::management;
use crate::error::codes::Text;
use crate::error::{ApiError, ApiResult};
use crate::http::request::declare::request;
use crate::http::request::found::NamesThing;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::text;

request! {
    /// An endpoint that is named.
    pub(super) struct NamedEndpoint {
        path {
            /// The endpoint's id, or its uid.
            endpoint_id: String = required(text());
        }
    }

    /// A message that is named.
    pub(super) struct NamedMessage {
        path {
            /// The message's id.
            message_id: String = required(text());
        }
    }

    /// A message and an endpoint that are named.
    pub(super) struct NamedMessageAndEndpoint {
        path {
            /// The message's id.
            message_id: String = required(text());
            /// The endpoint's id, or its uid.
            endpoint_id: String = required(text());
        }
        body(optional) {}
    }
}

/// That a Svix server delivers, or that there is none of that id.
type Missing = (Text<400>, Text<404>);

macro_rules! name_endpoints {
    ($($request:ident),+ $(,)?) => {$(
        impl NamesThing for $request {
            type Thing = Endpoint;
            type Missing = Missing;

            async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<Endpoint> {
                delivery_client(app)?;
                find_endpoint(app, project, &self.endpoint_id).await
            }
        }
    )+};
}

name_endpoints!(
    NamedEndpoint,
    UpdateWebhookEndpoint,
    RotateWebhookSecret,
    GetWebhookStats,
    RecoverWebhooks,
    ReplayWebhooks,
);

impl NamesThing for NamedMessage {
    type Thing = Message;
    type Missing = Missing;

    async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<Message> {
        delivery_client(app)?;
        find_message(app, project, &self.message_id).await
    }
}

impl NamesThing for NamedMessageAndEndpoint {
    type Thing = (Message, Endpoint);
    type Missing = Missing;

    async fn find(&self, app: &App, project: &ProjectId) -> ApiResult<(Message, Endpoint)> {
        delivery_client(app)?;
        let message = find_message(app, project, &self.message_id).await?;
        let endpoint = find_endpoint(app, project, &self.endpoint_id).await?;
        Ok((message, endpoint))
    }
}

async fn find_endpoint(app: &App, project: &ProjectId, id: &str) -> ApiResult<Endpoint> {
    let endpoint = management::find(app, project, id).await?;
    endpoint.ok_or_else(|| ApiError::not_found("There is no such endpoint."))
}

async fn find_message(app: &App, project: &ProjectId, id: &str) -> ApiResult<Message> {
    let message = queue::message(app.pool(), project, id).await?;
    message.ok_or_else(|| ApiError::not_found("There is no such message."))
}
