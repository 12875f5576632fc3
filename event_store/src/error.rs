//! What can go wrong between the domain and Postgres.

use cqrs_es::AggregateError;
use muniment_domain::ProjectId;
use muniment_domain::ai_conversation::AiConversationError;
use muniment_domain::api_key::ApiKeyError;
use muniment_domain::cli_login::CliLoginError;
use muniment_domain::customer::CustomerError;
use muniment_domain::outgoing_email::OutgoingEmailError;
use muniment_domain::permission::PermissionDenied;
use muniment_domain::project::ProjectError;
use muniment_domain::session::SessionError;
use muniment_domain::support_conversation::SupportConversationError;
use muniment_domain::team::TeamError;
use muniment_domain::user::UserError;
use muniment_domain::vault_entry::VaultEntryError;
use muniment_domain::verification_code::VerificationCodeError;

use crate::unreadable::Unreadable;

/// A value that must be unique and is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// An email address that another user of the project signs in with.
    EmailForAuth,
    /// An email address that the same user has in another channel.
    ChannelValue,
    /// A refresh token's hash.
    RefreshToken,
    /// A passkey's credential id.
    PasskeyCredential,
    /// A name that a project gave to one of its webhook endpoints.
    WebhookEndpointUid,
    /// A name that a project gave to a webhook message.
    WebhookEventId,
}

/// What the violation of a read table's unique constraint means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintMeaning {
    /// A value that must be unique across aggregates is in use: the unit of work is refused.
    Taken(Reservation),
    /// Another writer was faster: the unit of work is decided anew.
    Conflict,
}

/// An error of the log, a unit of work or a read model.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another writer was faster. Retried by [`crate::EventLog::transact`] before it is seen.
    #[error("the state changed while the command was decided; try again")]
    Conflict,
    /// A unique value is taken.
    #[error("a value that must be unique is taken already: {0:?}")]
    Taken(Reservation),
    /// The project that a unit of work belongs to was deleted.
    #[error("the project {0} was deleted")]
    ProjectDeleted(ProjectId),
    /// Something personal was to be written about a subject whose key was destroyed.
    #[error("the subject {0} was erased, so nothing personal can be written about it any more")]
    SubjectErased(String),
    /// What the request was let in for is not so any more.
    #[error(transparent)]
    PermissionDenied(#[from] PermissionDenied),
    /// A user refused the command.
    #[error(transparent)]
    User(#[from] UserError),
    /// A team refused the command.
    #[error(transparent)]
    Team(#[from] TeamError),
    /// A session refused the command.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A project refused the command.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// A verification code refused the command.
    #[error(transparent)]
    VerificationCode(#[from] VerificationCodeError),
    /// An outgoing email refused the command.
    #[error(transparent)]
    OutgoingEmail(#[from] OutgoingEmailError),
    /// A command-line login refused the command.
    #[error(transparent)]
    CliLogin(#[from] CliLoginError),
    /// A rule of entries of the data vault.
    #[error(transparent)]
    VaultEntry(#[from] VaultEntryError),
    /// An API key refused the command.
    #[error(transparent)]
    ApiKey(#[from] ApiKeyError),
    /// A customer refused the command.
    #[error(transparent)]
    Customer(#[from] CustomerError),
    /// A conversation with the assistant refused the command.
    #[error(transparent)]
    AiConversation(#[from] AiConversationError),
    /// A support conversation refused the command.
    #[error(transparent)]
    SupportConversation(#[from] SupportConversationError),
    /// Another process leads what this one led: it had not been heard of for some seconds.
    #[error("another process took over `{0}`, because this one had not been heard of")]
    LeadershipLost(String),
    /// Postgres failed.
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
    /// Schema migration failed.
    #[error("migrating the database failed: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A stored event, row or snapshot could not be read or written as JSON.
    #[error("stored data could not be read: {0}")]
    Codec(#[from] serde_json::Error),
    /// The log holds an event of an aggregate that this version does not know.
    #[error("the log holds events of an unknown aggregate type `{0}`; is this binary too old?")]
    UnknownAggregate(String),
    /// Sealed data could not be opened although its key exists: a wrong server secret, or damage.
    #[error("sealed data could not be opened; is the server secret the one it was sealed with?")]
    Unsealing,
    /// A stream holds an event that this version cannot read, so nothing can be decided about it.
    #[error("the log holds an event that cannot be read: {0}")]
    UnreadableStream(Box<Unreadable>),
    /// The log was moved to another cluster of Postgres, and cannot go on there.
    #[error(
        "the database was moved to another cluster of Postgres ({reason}), and the log cannot be \
         carried over there: {error}"
    )]
    StrangeCluster {
        /// How it was noticed.
        reason: String,
        /// What keeps the log from going on.
        error: Box<LedgerError>,
    },
    /// Something else, from the event-sourcing framework.
    #[error("the event store failed: {0}")]
    Store(Box<dyn std::error::Error + Send + Sync>),
    /// An operator's request that cannot be carried out.
    #[error("{0}")]
    Refused(String),
    /// What a subscriber writes to cannot take anything at the moment, whatever it is.
    #[error("what the events go to is away: {0}")]
    SinkAway(Box<dyn std::error::Error + Send + Sync>),
    /// What a subscriber writes to refused rows for what is in them.
    #[error("what the events go to refused them: {0}")]
    SinkRefused(Box<dyn std::error::Error + Send + Sync>),
}

impl LedgerError {
    /// Whether it is the sink that failed, so that no event is to blame and waiting helps.
    #[must_use]
    pub fn is_sink_away(&self) -> bool {
        matches!(self, Self::SinkAway(_))
    }

    /// Whether the database is away, or takes no changes, for the moment: it restarts, a replica is being
    /// promoted, or it has no connection left. The same request may succeed a little later.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
            // Read-only; shutting down, starting, crashed; too many connections; connection lost.
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                matches!(&*code, "25006" | "57P01" | "57P02" | "57P03" | "53300")
                    || code.starts_with("08")
            }),
            _ => false,
        }
    }

    /// Replaces a violated unique constraint by what it means, where `meaning` knows it.
    #[must_use]
    pub fn explained(self, meaning: impl Fn(&str) -> Option<ConstraintMeaning>) -> Self {
        let known = match &self {
            Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                error.constraint().and_then(meaning)
            }
            _ => None,
        };
        match known {
            Some(ConstraintMeaning::Taken(reservation)) => Self::Taken(reservation),
            Some(ConstraintMeaning::Conflict) => Self::Conflict,
            None => self,
        }
    }
}

impl From<sqlx::Error> for LedgerError {
    /// Reads what a violated constraint of the log means; those of read models are left to
    /// [`LedgerError::explained`]. Foreign keys guard against the other side being
    /// deleted in the same moment: a retry decides on the new state.
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return Self::Database(error);
        };
        match (database.code().as_deref(), database.constraint()) {
            // Unique sequence, foreign key, serialization failure, deadlock, a lock that was not had
            // in time.
            (Some("23505"), Some("events_sequence" | "snapshots_pkey" | "subject_keys_pkey"))
            | (Some("23503" | "40001" | "40P01" | "55P03"), _) => Self::Conflict,
            _ => Self::Database(error),
        }
    }
}

impl<E> From<AggregateError<E>> for LedgerError
where
    E: std::error::Error + Into<LedgerError>,
{
    fn from(error: AggregateError<E>) -> Self {
        match error {
            AggregateError::UserError(refusal) => refusal.into(),
            AggregateError::AggregateConflict => Self::Conflict,
            AggregateError::DatabaseConnectionError(inner)
            | AggregateError::DeserializationError(inner)
            | AggregateError::UnexpectedError(inner) => Self::Store(inner),
        }
    }
}
