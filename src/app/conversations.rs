//! What becomes of conversations when those whom they are with, or about, go.

use muniment_domain::ai_conversation::{
    AiConversation, AiConversationAction, AiConversationCommand, AiConversationError,
};
use muniment_domain::support_conversation::{SupportConversation, SupportConversationCommand};
use muniment_domain::{AiConversationId, ProjectId, UserId};
use muniment_projections::read_models::{ai_conversations, support_conversations};
use muniment_projections::{LedgerError, UnitOfWork};

/// Removes what a dashboard user and the assistant said to each other.
///
/// # Errors
/// When the database fails.
pub async fn delete_of_user(unit: &mut UnitOfWork, user: UserId) -> Result<(), LedgerError> {
    for id in ai_conversations::of_user(unit.log().pool(), user).await? {
        delete(unit, id, user).await?;
    }
    Ok(())
}

/// Removes what anybody and the assistant said to each other about a project.
///
/// # Errors
/// When the database fails.
pub async fn delete_about(unit: &mut UnitOfWork, project: &ProjectId) -> Result<(), LedgerError> {
    for (id, owner) in ai_conversations::about_project(unit.log().pool(), project).await? {
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
    for id in support_conversations::of_customer(unit.log().pool(), user).await? {
        let forget = SupportConversationCommand::ForgetCustomer;
        unit.execute::<SupportConversation>(&id, forget).await?;
    }
    Ok(())
}
