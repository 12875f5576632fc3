//! API keys of users and teams.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use muniment_domain::api_key::{
    ApiKey, ApiKeyCommand, ApiKeyDeletion, ApiKeyDescription, ApiKeyError, ApiKeyIssued,
    ApiKeyKind, ApiKeyOwner, ApiKeyRevocation,
};
use muniment_domain::permission::MANAGE_API_KEYS;
use muniment_domain::project::StoredKey;
use muniment_domain::team::Team;
use muniment_domain::{ApiKeyId, Millis, UserId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::api_keys::{self, ApiKeyRow};
use muniment_projections::read_models::users;

use super::App;
use super::permissions::members_with;
use crate::app::emails::NewEmail;
use crate::app::users::require_living;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// What somebody wants a key for.
#[derive(Clone, Debug)]
pub struct WantedApiKey {
    /// Whose it shall be.
    pub owner: ApiKeyOwner,
    /// Who may see it.
    pub kind: ApiKeyKind,
    /// What it is for.
    pub description: String,
    /// When it stops working; never, if absent.
    pub expires_at: Option<Millis>,
}

/// Issues a key. Returns its id and the key itself, which nobody can read again.
///
/// # Errors
/// `USER_NOT_FOUND` or `TEAM_NOT_FOUND` for an owner who does not exist.
pub async fn issue(
    app: &App,
    context: &EventContext,
    wanted: WantedApiKey,
) -> Result<(ApiKeyId, String), ApiError> {
    let id = ApiKeyId(app.random.uuid());
    let secret = app.random.api_key(id, wanted.owner, wanted.kind);
    let owner = wanted.owner;
    let issued = &ApiKeyIssued {
        project_id: context.project_id.clone(),
        owner,
        kind: wanted.kind,
        created_at: context.now,
        expires_at: wanted.expires_at,
        key: StoredKey::of(&secret),
        subject: owner.id(),
        personal: ApiKeyDescription {
            description: wanted.description,
        }
        .into(),
    };
    app.log
        .transact(context, |mut unit| async move {
            require_owner(&mut unit, owner).await?;
            let issue = ApiKeyCommand::Issue(Box::new(issued.clone()));
            unit.create::<ApiKey>(&id, issue).await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await?;
    Ok((id, secret))
}

async fn require_owner(unit: &mut UnitOfWork, owner: ApiKeyOwner) -> Result<(), ApiError> {
    match owner {
        ApiKeyOwner::User { user_id } => Ok(require_living(unit, user_id).await?),
        ApiKeyOwner::Team { team_id } if !unit.look::<Team>(&team_id).await?.is_active() => {
            Err(KnownError::team_not_found(team_id).into())
        }
        ApiKeyOwner::Team { .. } => Ok(()),
    }
}

/// A change of a key. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyChange {
    /// What it is for.
    pub description: Option<String>,
    /// It shall not work any more.
    pub revocation: Option<ApiKeyRevocation>,
}

/// Describes or revokes a key.
///
/// # Errors
/// `API_KEY_NOT_FOUND`.
pub async fn update(
    app: &App,
    context: &EventContext,
    id: ApiKeyId,
    change: &ApiKeyChange,
) -> Result<(), LedgerError> {
    app.log
        .transact(context, |mut unit| async move {
            if let Some(description) = &change.description {
                let describe = ApiKeyCommand::Describe(description.clone());
                unit.execute::<ApiKey>(&id, describe).await?;
            }
            if let Some(cause) = change.revocation {
                let now = context.now;
                unit.execute::<ApiKey>(&id, ApiKeyCommand::Revoke { now, cause })
                    .await?;
            }
            Ok::<_, LedgerError>((unit, ()))
        })
        .await
}

/// Revokes a key that others can read, and tells those who may manage it. One that was revoked before
/// stays as it is, and nobody is told again.
///
/// # Errors
/// `API_KEY_NOT_FOUND` for a key that was deleted in the meantime.
pub async fn revoke_leaked(
    app: &App,
    context: &EventContext,
    key: &ApiKeyRow,
) -> Result<(), LedgerError> {
    let id = key.api_key_id();
    app.log
        .transact(context, |mut unit| async move {
            if let ApiKey::Issued(_) = unit.state::<ApiKey>(&id).await? {
                for (address, user) in managers(app, context, key).await? {
                    NewEmail::api_key_leaked(app, &key.description, user, &address)
                        .request(&mut unit)
                        .await?;
                }
            }
            let revoke = ApiKeyCommand::Revoke {
                now: context.now,
                cause: ApiKeyRevocation::Leaked,
            };
            unit.execute::<ApiKey>(&id, revoke).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await
}

/// Who may manage a key: its user, or those members of its team who have the permission. By
/// address, each once; who has no primary address is left out.
async fn managers(
    app: &App,
    context: &EventContext,
    key: &ApiKeyRow,
) -> Result<BTreeMap<String, UserId>, LedgerError> {
    let project = &context.project_id;
    let users = match key.owner() {
        Some(ApiKeyOwner::User { user_id }) => vec![user_id],
        Some(ApiKeyOwner::Team { team_id }) => {
            members_with(app, project, team_id, MANAGE_API_KEYS).await?
        }
        None => Vec::new(),
    };
    let addresses = users::primary_emails(app.pool(), project, &users).await?;
    Ok(addresses.into_iter().collect())
}

/// Deletes all keys of an owner who is being deleted.
///
/// # Errors
/// When the database fails.
pub async fn delete_all(
    unit: &mut UnitOfWork,
    owner: ApiKeyOwner,
    cause: ApiKeyDeletion,
) -> Result<(), LedgerError> {
    let project = unit.context().project_id.clone();
    let all = unit.list(move |db| {
        let project = project.clone();
        async move {
            let keys = api_keys::of_owner(db, &project, owner).await?;
            Ok(keys.iter().map(ApiKeyRow::api_key_id).collect())
        }
        .boxed()
    });
    for id in all.await? {
        let delete = ApiKeyCommand::Delete(cause);
        match unit.execute::<ApiKey>(&id, delete).await {
            // Deleted in the same moment.
            Ok(()) | Err(LedgerError::ApiKey(ApiKeyError::NotFound)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
