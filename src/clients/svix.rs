//! The client for a Svix server.
//!
//! A project is an application there, under the project's id. Messages are submitted under their
//! own id as idempotency key and as event id: a message that is submitted again after a crash is
//! known to Svix already.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use muniment_domain::ProjectId;
use muniment_projections::webhooks::event_types::{CATALOGUE, TEST};
use muniment_projections::webhooks::submissions::Submission;
use serde_json::{Value, json};
use svix::api::{MessageAttemptListByMsgOptions, MessageCreateOptions, Svix, SvixOptions};
use svix::error::Error;
use svix::models::{
    AppPortalAccessIn, ApplicationIn, EndpointIn, EventTypeIn, MessageIn, MessageStatus,
};

/// When to look whether a test message arrived.
const LOOKS: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// A Svix server.
#[derive(Clone)]
pub struct SvixServer {
    address: Arc<str>,
    client: Arc<Svix>,
    applications: Arc<Mutex<BTreeSet<String>>>,
}

/// Why a Svix server did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("the Svix server refused: {0}")]
pub struct SvixError(#[from] Error);

impl SvixError {
    fn is(&self, status: u16) -> bool {
        matches!(&self.0, Error::Http(content) if content.status.as_u16() == status)
    }
}

/// How the test of an endpoint went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestOutcome {
    /// The message arrived.
    Arrived,
    /// There is no such endpoint.
    UnknownEndpoint,
    /// It did not arrive in time.
    NotArrived,
}

impl SvixServer {
    /// The server at that address.
    #[must_use]
    pub fn new(server_url: &str, api_key: &str) -> Self {
        let options = SvixOptions {
            server_url: Some(server_url.to_owned()),
            ..SvixOptions::default()
        };
        Self {
            address: server_url.into(),
            client: Arc::new(Svix::new(api_key.to_owned(), Some(options))),
            applications: Arc::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Declares what messages there are. Those that Svix knows stay as they are there.
    pub async fn declare_event_types(&self) -> Result<(), SvixError> {
        for (name, description) in CATALOGUE {
            let event_type = EventTypeIn::new(name.to_owned(), description.to_owned());
            let created = self.client.event_type().create(event_type, None).await;
            match created.map_err(SvixError) {
                Err(error) if !error.is(409) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    async fn ensure_application(&self, project: &str) -> Result<(), SvixError> {
        if self.known().contains(project) {
            return Ok(());
        }
        let mut application = ApplicationIn::new(project.to_owned());
        application.uid = Some(project.to_owned());
        let applications = self.client.application();
        applications.get_or_create(application, None).await?;
        self.known().insert(project.to_owned());
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.applications
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits a message. One that Svix has already is fine.
    pub(crate) async fn submit(&self, submission: &Submission) -> Result<(), SvixError> {
        let Submission {
            message_id,
            project_id,
            event_type,
            content,
            ..
        } = submission;
        let payload = serde_json::from_str(content).unwrap_or(Value::Null);
        let outcome = self
            .create_message(project_id, message_id, event_type, payload)
            .await;
        match outcome {
            Err(error) if error.is(409) => Ok(()),
            Err(error) => {
                // It may have been deleted over there.
                self.known().remove(project_id);
                Err(error)
            }
            Ok(_) => Ok(()),
        }
    }

    async fn create_message(
        &self,
        project: &str,
        id: &str,
        event_type: &str,
        payload: Value,
    ) -> Result<String, SvixError> {
        self.ensure_application(project).await?;
        let mut message = MessageIn::new(event_type.to_owned(), payload);
        message.event_id = Some(id.to_owned());
        let options = MessageCreateOptions {
            idempotency_key: Some(id.to_owned()),
            ..MessageCreateOptions::default()
        };
        let messages = self.client.message();
        let created = messages.create(project.to_owned(), message, Some(options));
        Ok(created.await?.id)
    }

    /// Makes an endpoint of the project's application. Messages to it are signed with that secret.
    pub async fn create_endpoint(
        &self,
        project: &ProjectId,
        url: String,
        description: Option<String>,
        secret: &str,
    ) -> Result<(), SvixError> {
        self.ensure_application(project.as_str()).await?;
        let mut endpoint = EndpointIn::new(url);
        endpoint.description = description;
        endpoint.secret = Some(secret.to_owned());
        let endpoints = self.client.endpoint();
        let created = endpoints.create(project.to_string(), endpoint, None);
        created.await?;
        Ok(())
    }

    /// A token for the project's application, with which its endpoints are managed over there.
    pub async fn portal_token(&self, project: &ProjectId) -> Result<String, SvixError> {
        self.ensure_application(project.as_str()).await?;
        let authentication = self.client.authentication();
        let asked = AppPortalAccessIn::new();
        let access = authentication.app_portal_access(project.to_string(), asked, None);
        Ok(access.await?.token)
    }

    /// Sends a message that tests an endpoint, and looks whether it arrives.
    pub async fn test(
        &self,
        project: &ProjectId,
        endpoint: &str,
        message_id: &str,
    ) -> Result<TestOutcome, SvixError> {
        self.ensure_application(project.as_str()).await?;
        let endpoints = self.client.endpoint();
        let found = endpoints.get(project.to_string(), endpoint.to_owned());
        let url = match found.await.map_err(SvixError) {
            Ok(found) => found.url,
            Err(error) if error.is(404) => return Ok(TestOutcome::UnknownEndpoint),
            Err(error) => return Err(error),
        };
        let text = "This message tests a webhook endpoint. Nothing happened.";
        let payload = json!({"type": TEST, "data": {"message": text, "endpointUrl": url}});
        let id = self
            .create_message(project.as_str(), message_id, TEST, payload)
            .await?;
        for pause in LOOKS {
            tokio::time::sleep(pause).await;
            if self.has_arrived(project, endpoint, &id).await? {
                return Ok(TestOutcome::Arrived);
            }
        }
        Ok(TestOutcome::NotArrived)
    }

    async fn has_arrived(
        &self,
        project: &ProjectId,
        endpoint: &str,
        message: &str,
    ) -> Result<bool, SvixError> {
        let options = MessageAttemptListByMsgOptions {
            status: Some(MessageStatus::Success),
            endpoint_id: Some(endpoint.to_owned()),
            ..MessageAttemptListByMsgOptions::default()
        };
        let attempts = self.client.message_attempt();
        let listed = attempts.list_by_msg(project.to_string(), message.to_owned(), Some(options));
        Ok(!listed.await?.data.is_empty())
    }
}
