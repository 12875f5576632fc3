//! Conversations with the assistant and with support: beginning them, and what becomes of them when
//! those whom they are with, or about, go.

use futures_util::FutureExt as _;
use muniment_domain::ai_conversation::{
    AiConversation, AiConversationAction, AiConversationCommand, AiConversationError,
};
use muniment_domain::support_conversation::{
    NewConversation, SupportConversation, SupportConversationCommand,
};
use muniment_domain::user::User;
use muniment_domain::{AiConversationId, ProjectId, SupportConversationId, UserId};
use muniment_event_store::{EventContext, LedgerError, UnitOfWork};
use muniment_projections::read_models::{ai_conversations, support_conversations, users};

use super::App;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};

/// Begins a conversation with the assistant about a project.
///
/// # Errors
/// `PROJECT_NOT_FOUND`.
pub async fn start(
    app: &App,
    context: &EventContext,
    id: AiConversationId,
    about: &ProjectId,
    command: &AiConversationCommand,
) -> ApiResult<()> {
    app.log
        .transact(context, |mut unit| async move {
            if app.projects.find_now(about).await?.is_none() {
                return Err(KnownError::project_not_found(about).into());
            }
            unit.create::<AiConversation>(&id, command.clone()).await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

/// Begins a conversation between an agent and a user of the project.
///
/// # Errors
/// `USER_ID_DOES_NOT_EXIST`.
pub async fn open(
    app: &App,
    context: &EventContext,
    id: SupportConversationId,
    opening: &NewConversation,
) -> ApiResult<()> {
    app.log
        .transact(context, |mut unit| async move {
            let (project, customer) = (&opening.project_id, opening.customer);
            let is_deleted = unit.look::<User>(&customer).await?.is_deleted();
            let pool = unit.log().pool();
            if is_deleted || users::by_id(pool, project, customer).await?.is_none() {
                return Err(KnownError::user_id_does_not_exist(customer).into());
            }
            let command = SupportConversationCommand::Open(Box::new(opening.clone()));
            unit.create::<SupportConversation>(&id, command).await?;
            Ok::<_, ApiError>((unit, ()))
        })
        .await
}

/// Removes what a dashboard user and the assistant said to each other.
///
/// # Errors
/// When the database fails.
pub async fn delete_of_user(unit: &mut UnitOfWork, user: UserId) -> Result<(), LedgerError> {
    let all = unit.list(move |db| ai_conversations::of_user(db, user).boxed());
    for id in all.await? {
        delete(unit, id, user).await?;
    }
    Ok(())
}

/// Removes what anybody and the assistant said to each other about a project.
///
/// # Errors
/// When the database fails.
pub async fn delete_about(unit: &mut UnitOfWork, project: &ProjectId) -> Result<(), LedgerError> {
    let project = project.clone();
    let all = unit.list(move |db| {
        let project = project.clone();
        async move { ai_conversations::about_project(db, &project).await }.boxed()
    });
    for (id, owner) in all.await? {
        delete(unit, id, owner).await?;
    }
    Ok(())
}

async fn delete(
    unit: &mut UnitOfWork,
    id: AiConversationId,
    owner: UserId,
) -> Result<(), LedgerError> {
    let command = AiConversationCommand {
        by: owner,
        at: unit.context().now,
        action: AiConversationAction::Delete,
    };
    match unit.execute::<AiConversation>(&id, command).await {
        // Deleted in the same moment.
        Ok(()) | Err(LedgerError::AiConversation(AiConversationError::NotFound)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Blanks what agents and a customer wrote to each other. The conversations stay.
///
/// # Errors
/// When the database fails.
pub async fn forget_customer(unit: &mut UnitOfWork, user: UserId) -> Result<(), LedgerError> {
    let all = unit.list(move |db| support_conversations::of_customer(db, user).boxed());
    for id in all.await? {
        let forget = SupportConversationCommand::ForgetCustomer;
        unit.execute::<SupportConversation>(&id, forget).await?;
    }
    Ok(())
}
