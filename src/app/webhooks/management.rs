//! Managing a project's endpoints and messages, whichever way it is asked for.

use muniment_domain::{Millis, ProjectId};
use muniment_event_store::LedgerError;
use muniment_projections::webhooks::endpoints::{self, Endpoint};
use muniment_projections::webhooks::queue::{self, Message};

use super::settings::EndpointChange;
use super::{OVERLAP_MILLIS, new_endpoint, new_secret};
use crate::app::App;
use crate::clients::delivery_client::DeliveryClient;

/// The most endpoints that a project may have.
pub const MAX_ENDPOINTS: usize = 50;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The project has too many endpoints.
    #[error("A project may have at most {MAX_ENDPOINTS} endpoints.")]
    TooManyEndpoints,
    /// Nothing is sent to endpoints that are disabled.
    #[error("The endpoint is disabled, so nothing is sent to it.")]
    Disabled,
    /// The database failed, or a name is taken.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Makes an endpoint. Without a secret, one is generated. Yields the endpoint with its secret.
///
/// # Errors
/// [`Refusal`].
pub async fn create(
    app: &App,
    project: &ProjectId,
    change: EndpointChange,
    secret: Option<String>,
) -> Result<(Endpoint, String), Refusal> {
    let present = endpoints::of_project(app.pool(), project).await?;
    if present.len() >= MAX_ENDPOINTS {
        return Err(Refusal::TooManyEndpoints);
    }
    let mut endpoint = new_endpoint(&app.random, project.as_str(), app.now());
    change.apply_to(&mut endpoint);
    let secret = secret.unwrap_or_else(|| new_secret(&app.random));
    endpoints::insert(app.pool(), app.log.sealer(), &endpoint, &secret).await?;
    Ok((endpoint, secret))
}

/// Changes an endpoint. One that is enabled again starts with a clean record.
///
/// # Errors
/// [`Refusal::Ledger`].
pub async fn change(
    app: &App,
    endpoint: Endpoint,
    change: EndpointChange,
) -> Result<Endpoint, Refusal> {
    edit(app, endpoint, |current| {
        change.apply_to(current);
        Ok(())
    })
    .await
}

/// Changes an endpoint by what it is now.
///
/// # Errors
/// What `change` refuses; [`Refusal::Ledger`].
pub async fn edit<E: From<LedgerError>>(
    app: &App,
    endpoint: Endpoint,
    change: impl FnOnce(&mut Endpoint) -> Result<(), E> + Send,
) -> Result<Endpoint, E> {
    let now = app.now().0;
    let changed = endpoints::update(app.pool(), &endpoint.id, |current| {
        current.updated_at = now;
        change(current)
    });
    Ok(changed.await?.unwrap_or(endpoint))
}

/// The endpoint of that id or uid, if the project has it.
pub async fn find(
    app: &App,
    project: &ProjectId,
    name: &str,
) -> Result<Option<Endpoint>, LedgerError> {
    endpoints::by_name(app.pool(), project, name).await
}

/// Replaces the secret, by one that is generated if none is given. For a day, messages are signed with
/// the old one as well.
///
/// # Errors
/// [`Refusal::Ledger`].
pub async fn rotate_secret(
    app: &App,
    endpoint: &Endpoint,
    secret: Option<String>,
) -> Result<String, Refusal> {
    let secret = secret.unwrap_or_else(|| new_secret(&app.random));
    let overlap = app.now().plus(OVERLAP_MILLIS);
    endpoints::rotate_secret(app.pool(), app.log.sealer(), endpoint, &secret, overlap).await?;
    Ok(secret)
}

/// The secret that messages to the endpoint are signed with from now on.
///
/// # Errors
/// [`Refusal::Ledger`].
pub async fn secret(app: &App, endpoint: &Endpoint) -> Result<Option<String>, Refusal> {
    let secrets = endpoints::secrets(app.pool(), app.log.sealer(), endpoint, app.now()).await?;
    Ok(secrets.into_iter().next())
}

/// Sends a message to an endpoint once more.
///
/// # Errors
/// [`Refusal`].
pub async fn resend(
    app: &App,
    delivery_client: &DeliveryClient,
    endpoint: &Endpoint,
    message: &Message,
) -> Result<(), Refusal> {
    if endpoint.is_disabled {
        return Err(Refusal::Disabled);
    }
    queue::resend(app.pool(), &endpoint.id, &message.id, app.now()).await?;
    delivery_client.wake();
    Ok(())
}

/// Sends again what failed, of the messages of a stretch of time. Returns how much that is.
///
/// # Errors
/// [`Refusal::Ledger`].
pub async fn recover(
    app: &App,
    delivery_client: &DeliveryClient,
    endpoint: &Endpoint,
    stretch: (Millis, Millis),
) -> Result<u64, Refusal> {
    let count = queue::recover(app.pool(), &endpoint.id, stretch, app.now()).await?;
    delivery_client.wake();
    Ok(count)
}

/// Sends what happened in a stretch of time and was never sent to the endpoint.
///
/// # Errors
/// [`Refusal::Ledger`].
pub async fn replay(
    app: &App,
    delivery_client: &DeliveryClient,
    endpoint: &Endpoint,
    stretch: (Millis, Millis),
) -> Result<(), Refusal> {
    queue::enqueue_missing(app.pool(), endpoint, stretch, app.now()).await?;
    queue::request_replay(app.pool(), &endpoint.id, stretch).await?;
    delivery_client.wake();
    Ok(())
}

/// Sends a message of the project's own making to all endpoints that want it.
///
/// # Errors
/// [`Refusal::Ledger`]; `Taken` when the project has a message of that event id.
pub async fn send(
    app: &App,
    delivery_client: &DeliveryClient,
    message: &Message,
) -> Result<(), Refusal> {
    let project = ProjectId::from_caller(&message.project_id);
    let endpoints = endpoints::of_project(app.pool(), &project).await?;
    let wanting = endpoints
        .iter()
        .filter(|endpoint| endpoint.wants(&message.event_type));
    let pairs: Vec<(String, String)> = wanting
        .map(|endpoint| (endpoint.id.clone(), message.id.clone()))
        .collect();
    let mut transaction = app.pool().begin().await.map_err(LedgerError::from)?;
    queue::add(&mut transaction, message).await?;
    queue::enqueue(&mut transaction, &pairs, Some(app.now())).await?;
    transaction.commit().await.map_err(LedgerError::from)?;
    delivery_client.wake();
    Ok(())
}
