//! The projector of all read models: which model folds which event.

use muniment_event_store::projector::Projecting;
use muniment_event_store::{
    ConstraintMeaning, EventEnvelope, InlineProjector, LedgerError, LedgerEvent, Reservation,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::read_models::batch::Volume;
use crate::read_models::registry::{ReadModels, RowsToLoad};
use crate::read_models::{
    ai_conversations, api_keys, cli_logins, customers, outgoing_emails, projects, sessions,
    support_conversations, teams, users, verification_codes,
};

/// Folds every append into the read tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadModelProjector;

impl InlineProjector for ReadModelProjector {
    fn project<'c>(
        &'c self,
        connection: &'c mut PgConnection,
        events: Vec<EventEnvelope>,
    ) -> Projecting<'c> {
        Box::pin(project(connection, events, Volume::Units))
    }

    fn constraint(&self, name: &str) -> Option<ConstraintMeaning> {
        match name {
            "contact_channels_auth" => Some(ConstraintMeaning::Taken(Reservation::EmailForAuth)),
            "contact_channels_value" => Some(ConstraintMeaning::Taken(Reservation::ChannelValue)),
            "sessions_token" => Some(ConstraintMeaning::Taken(Reservation::RefreshToken)),
            "passkeys_credential" => Some(ConstraintMeaning::Taken(Reservation::PasskeyCredential)),
            // What Stripe knows of was noted for another customer in the same moment.
            "customer_subscriptions_stripe"
            | "one_time_purchases_stripe"
            | "subscription_invoices_stripe" => Some(ConstraintMeaning::Conflict),
            _ => None,
        }
    }
}

/// Folds events into the read tables that `connection`'s search path names.
pub(crate) async fn project(
    connection: &mut PgConnection,
    events: Vec<EventEnvelope>,
    volume: Volume,
) -> Result<(), LedgerError> {
    let mut models = ReadModels::default();
    let mut wanted = RowsToLoad::default();
    for envelope in &events {
        wanted.require(&envelope.aggregate_id, &envelope.event);
    }
    models.load(connection, wanted).await?;
    for envelope in events {
        models.fold(envelope);
    }
    models.write(connection, volume).await
}

impl RowsToLoad {
    /// An id that is no UUID occurs on projects' streams only.
    fn require(&mut self, id: &str, event: &LedgerEvent) {
        let uuid = Uuid::parse_str(id);
        match (event, uuid) {
            (LedgerEvent::Project(event), _) => projects::require(self, id, event),
            (LedgerEvent::User(event), Ok(id)) => users::require(self, id, event),
            (LedgerEvent::Team(event), Ok(id)) => teams::require(self, id, event),
            (LedgerEvent::Session(event), Ok(id)) => sessions::require(self, id, event),
            (LedgerEvent::VerificationCode(event), Ok(id)) => {
                verification_codes::require(self, id, event);
            }
            (LedgerEvent::OutgoingEmail(event), Ok(id)) => {
                outgoing_emails::require(self, id, event);
            }
            (LedgerEvent::CliLogin(event), Ok(id)) => cli_logins::require(self, id, event),
            (LedgerEvent::ApiKey(event), Ok(id)) => api_keys::require(self, id, event),
            (LedgerEvent::Customer(event), Ok(id)) => customers::require(self, id, event),
            (LedgerEvent::AiConversation(event), Ok(id)) => {
                ai_conversations::require(self, id, event);
            }
            (LedgerEvent::SupportConversation(event), Ok(id)) => {
                support_conversations::require(self, id, event);
            }
            // The vault is read from its streams alone.
            (LedgerEvent::VaultEntry(_), _) | (_, Err(_)) => {}
        }
    }
}

impl ReadModels {
    /// Folds one event in. An id that is no UUID occurs on projects' streams only; elsewhere it is
    /// skipped.
    pub(crate) fn fold(&mut self, envelope: EventEnvelope) {
        let EventEnvelope {
            project_id,
            aggregate_id,
            event,
        } = envelope;
        match (event, Uuid::parse_str(&aggregate_id)) {
            (LedgerEvent::Project(event), _) => projects::fold(self, &aggregate_id, event),
            (LedgerEvent::User(event), Ok(id)) => users::fold(self, id, event),
            (LedgerEvent::Team(event), Ok(id)) => teams::fold(self, &project_id, id, event),
            (LedgerEvent::Session(event), Ok(id)) => sessions::fold(self, id, event),
            (LedgerEvent::VerificationCode(event), Ok(id)) => {
                verification_codes::fold(self, id, event);
            }
            (LedgerEvent::OutgoingEmail(event), Ok(id)) => outgoing_emails::fold(self, id, event),
            (LedgerEvent::CliLogin(event), Ok(id)) => cli_logins::fold(self, id, event),
            (LedgerEvent::ApiKey(event), Ok(id)) => api_keys::fold(self, id, event),
            (LedgerEvent::Customer(event), Ok(id)) => customers::fold(self, id, event),
            (LedgerEvent::AiConversation(event), Ok(id)) => {
                ai_conversations::fold(self, id, event);
            }
            (LedgerEvent::SupportConversation(event), Ok(id)) => {
                support_conversations::fold(self, id, event);
            }
            (LedgerEvent::VaultEntry(_), _) | (_, Err(_)) => {}
        }
    }
}
