//! The projectors: how events become rows.
//!
//! A projector is a pure fold from rows and an event to rows. The same fold runs in the appending
//! transaction, in [`crate::maintenance::replay`], in [`crate::maintenance::verify`] and in [`crate::maintenance::history`], so that they
//! cannot disagree. Every row belongs to one stream; what one row says depends on that stream alone,
//! so streams may be folded in any order.

pub mod ai_conversations;
pub mod api_keys;
pub(crate) mod bulk_copy;
pub mod cli_logins;
pub mod customers;
pub mod notifications;
pub mod outgoing_emails;
pub mod passkeys;
pub mod permissions;
pub mod projects;
pub mod sessions;
pub mod support_conversations;
pub(crate) mod table;
pub mod teams;
pub mod users;
pub mod verification_codes;
use std::collections::BTreeSet;

use muniment_domain::ProjectId;
use muniment_domain::ai_conversation::AiConversationEvent;
use muniment_domain::api_key::ApiKeyEvent;
use muniment_domain::customer::CustomerEvent;
use muniment_domain::outgoing_email::OutgoingEmailEvent;
use muniment_domain::project::ProjectEvent;
use muniment_domain::support_conversation::SupportConversationEvent;
use muniment_domain::team::TeamEvent;
use muniment_domain::user::UserEvent;
use muniment_domain::verification_code::VerificationCodeEvent;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::read_models::ai_conversations::AiConversationRow;
use crate::read_models::api_keys::ApiKeyRow;
use crate::read_models::cli_logins::CliLoginRow;
use crate::read_models::customers::{
    InvoiceRow, ItemBalanceRow, ItemQuantityChangeRow, OneTimePurchaseRow, ProductVersionRow,
    RefundRow, SubscriptionRow,
};
use crate::read_models::notifications::NotificationPreferenceRow;
use crate::read_models::outgoing_emails::OutgoingEmailRow;
use crate::read_models::passkeys::PasskeyRow;
use crate::read_models::permissions::{ClosureRow, ProjectPermissionRow};
use crate::read_models::projects::{ProjectKeyRow, ProjectRow};
use crate::read_models::sessions::SessionRow;
use crate::read_models::support_conversations::{SupportConversationRow, SupportMessageRow};
use crate::read_models::table::{Rows, Volume};
use crate::read_models::teams::{MembershipRow, TeamRow};
use crate::read_models::users::{ContactChannelRow, UserRow};
use crate::read_models::verification_codes::VerificationCodeRow;
use crate::{LedgerError, LedgerEvent};

/// The read tables, parents before children.
pub const TABLES: [&str; 25] = [
    "projects",
    "project_keys",
    "users",
    "contact_channels",
    "teams",
    "team_memberships",
    "project_permissions",
    "sessions",
    "passkeys",
    "verification_codes",
    "cli_logins",
    "outgoing_emails",
    "permission_closure",
    "api_keys",
    "notification_preferences",
    "item_balances",
    "item_quantity_changes",
    "customer_subscriptions",
    "one_time_purchases",
    "subscription_invoices",
    "refunds",
    "product_versions",
    "ai_conversations",
    "support_conversations",
    "support_messages",
];

/// The rows that a batch of events touches.
#[derive(Default)]
pub(crate) struct ReadModels {
    pub(crate) projects: Rows<ProjectRow>,
    pub(crate) project_keys: Rows<ProjectKeyRow>,
    pub(crate) users: Rows<UserRow>,
    pub(crate) channels: Rows<ContactChannelRow>,
    pub(crate) teams: Rows<TeamRow>,
    pub(crate) memberships: Rows<MembershipRow>,
    pub(crate) permissions: Rows<ProjectPermissionRow>,
    pub(crate) sessions: Rows<SessionRow>,
    pub(crate) passkeys: Rows<PasskeyRow>,
    pub(crate) codes: Rows<VerificationCodeRow>,
    pub(crate) cli_logins: Rows<CliLoginRow>,
    pub(crate) emails: Rows<OutgoingEmailRow>,
    pub(crate) closure: Rows<ClosureRow>,
    pub(crate) api_keys: Rows<ApiKeyRow>,
    pub(crate) notification_preferences: Rows<NotificationPreferenceRow>,
    pub(crate) item_balances: Rows<ItemBalanceRow>,
    pub(crate) item_changes: Rows<ItemQuantityChangeRow>,
    pub(crate) subscriptions: Rows<SubscriptionRow>,
    pub(crate) one_time_purchases: Rows<OneTimePurchaseRow>,
    pub(crate) invoices: Rows<InvoiceRow>,
    pub(crate) refunds: Rows<RefundRow>,
    pub(crate) product_versions: Rows<ProductVersionRow>,
    pub(crate) ai_conversations: Rows<AiConversationRow>,
    pub(crate) support_conversations: Rows<SupportConversationRow>,
    pub(crate) support_messages: Rows<SupportMessageRow>,
    cleared: Cleared,
}

/// Owners whose rows are all to be deleted, known or not.
#[derive(Default)]
struct Cleared {
    users: BTreeSet<Uuid>,
    teams: BTreeSet<Uuid>,
    projects: BTreeSet<String>,
    customers: BTreeSet<Uuid>,
}

/// The rows that must be read before a batch can be folded.
#[derive(Default)]
pub(crate) struct Demand {
    pub(crate) projects: BTreeSet<String>,
    pub(crate) project_keys: BTreeSet<Uuid>,
    pub(crate) users: BTreeSet<Uuid>,
    pub(crate) channels_of: BTreeSet<Uuid>,
    pub(crate) teams: BTreeSet<Uuid>,
    pub(crate) codes: BTreeSet<Uuid>,
    pub(crate) emails: BTreeSet<Uuid>,
    /// Memberships: team, user.
    pub(crate) memberships: BTreeSet<(Uuid, Uuid)>,
    pub(crate) api_keys: BTreeSet<Uuid>,
    /// Balances: customer, item.
    pub(crate) item_balances: BTreeSet<(Uuid, String)>,
    pub(crate) subscriptions: BTreeSet<Uuid>,
    pub(crate) ai_conversations: BTreeSet<Uuid>,
    pub(crate) support_conversations: BTreeSet<Uuid>,
    pub(crate) support_messages_of: BTreeSet<Uuid>,
}

/// Folds events into the read tables that `connection`'s search path names: (project, aggregate,
/// event).
pub(crate) async fn project_all(
    connection: &mut PgConnection,
    events: Vec<(ProjectId, String, LedgerEvent)>,
) -> Result<(), LedgerError> {
    project(connection, events, Volume::Units).await
}

/// Likewise, a page of the log.
pub(crate) async fn project_page(
    connection: &mut PgConnection,
    events: Vec<(ProjectId, String, LedgerEvent)>,
) -> Result<(), LedgerError> {
    project(connection, events, Volume::Page).await
}

async fn project(
    connection: &mut PgConnection,
    events: Vec<(ProjectId, String, LedgerEvent)>,
    volume: Volume,
) -> Result<(), LedgerError> {
    let mut models = ReadModels::default();
    let mut demand = Demand::default();
    for (_, id, event) in &events {
        demand.note(id, event);
    }
    models.load(connection, demand).await?;
    for (project_id, id, event) in events {
        models.fold(&project_id, &id, event);
    }
    models.write(connection, volume).await
}

impl Demand {
    /// Streams that begin in the batch have no rows yet, so creation asks for nothing.
    fn note(&mut self, id: &str, event: &LedgerEvent) {
        if let LedgerEvent::Project(event) = event {
            match event {
                ProjectEvent::ProjectCreated(_) => {}
                ProjectEvent::KeySetDescribed { key_set_id, .. }
                | ProjectEvent::KeySetRevoked { key_set_id, .. } => {
                    self.project_keys.insert(key_set_id.0);
                }
                _ => {
                    self.projects.insert(id.to_owned());
                }
            }
            return;
        }
        let Ok(id) = Uuid::parse_str(id) else {
            return;
        };
        match event {
            LedgerEvent::User(UserEvent::UserCreated(_)) | LedgerEvent::Project(_) => {}
            LedgerEvent::User(
                UserEvent::ContactChannelAdded(_)
                | UserEvent::ContactChannelChanged(_)
                | UserEvent::ContactChannelRemoved { .. },
            ) => {
                self.users.insert(id);
                self.channels_of.insert(id);
            }
            LedgerEvent::User(_) => {
                self.users.insert(id);
            }
            LedgerEvent::Team(TeamEvent::TeamUpdated(_) | TeamEvent::PersonalTeamNamed(_)) => {
                self.teams.insert(id);
            }
            LedgerEvent::VerificationCode(
                VerificationCodeEvent::CodeAttempted {}
                | VerificationCodeEvent::CodeRedeemed { .. },
            ) => {
                self.codes.insert(id);
            }
            LedgerEvent::OutgoingEmail(
                OutgoingEmailEvent::EmailSent { .. } | OutgoingEmailEvent::EmailFailed(_),
            ) => {
                self.emails.insert(id);
            }
            LedgerEvent::Team(
                TeamEvent::TeamPermissionGranted { user_id, .. }
                | TeamEvent::TeamPermissionRevoked { user_id, .. }
                | TeamEvent::TeamPermissionRenamed { user_id, .. },
            ) => {
                self.memberships.insert((id, user_id.0));
            }
            LedgerEvent::Team(TeamEvent::MemberProfileChanged(changed)) => {
                self.memberships.insert((id, changed.user_id.0));
            }
            LedgerEvent::ApiKey(
                ApiKeyEvent::ApiKeyDescribed { .. } | ApiKeyEvent::ApiKeyRevoked { .. },
            ) => {
                self.api_keys.insert(id);
            }
            LedgerEvent::Customer(event) => self.note_customer(id, event),
            LedgerEvent::AiConversation(
                AiConversationEvent::AiConversationRenamed(_)
                | AiConversationEvent::AiMessagesReplaced(_),
            ) => {
                self.ai_conversations.insert(id);
            }
            LedgerEvent::SupportConversation(event) => self.note_support(id, event),
            LedgerEvent::Team(_)
            | LedgerEvent::Session(_)
            | LedgerEvent::VerificationCode(_)
            | LedgerEvent::OutgoingEmail(_)
            | LedgerEvent::CliLogin(_)
            | LedgerEvent::VaultEntry(_)
            | LedgerEvent::AiConversation(_)
            | LedgerEvent::ApiKey(_) => {}
        }
    }

    fn note_support(&mut self, id: Uuid, event: &SupportConversationEvent) {
        match event {
            SupportConversationEvent::SupportConversationOpened(_) => {}
            SupportConversationEvent::SupportCustomerForgotten {} => {
                self.support_conversations.insert(id);
                self.support_messages_of.insert(id);
            }
            _ => {
                self.support_conversations.insert(id);
            }
        }
    }

    fn note_customer(&mut self, id: Uuid, event: &CustomerEvent) {
        let mut want = |item: &String| {
            self.item_balances.insert((id, item.clone()));
        };
        match event {
            CustomerEvent::ItemQuantityChanged(changed) => want(&changed.item_id),
            CustomerEvent::ProductPurchased(purchased) => {
                let items = purchased.purchase.product.included_items.keys();
                items.for_each(want);
            }
            CustomerEvent::SubscriptionEnded(ended) => {
                ended.item_ids.iter().for_each(want);
                self.subscriptions.insert(ended.purchase_id.0);
            }
            // These say themselves all that their rows will say.
            CustomerEvent::PurchaseChanged(_)
            | CustomerEvent::RefundBegun(_)
            | CustomerEvent::RefundDropped(_)
            | CustomerEvent::PurchaseRefunded(_)
            | CustomerEvent::InvoiceRecorded(_)
            | CustomerEvent::ProductVersionRecorded(_)
            | CustomerEvent::CustomerClosed {} => {}
        }
    }
}

impl ReadModels {
    /// Folds one event in. An id that is no UUID cannot occur on these streams and is skipped.
    pub(crate) fn fold(&mut self, project_id: &ProjectId, id: &str, event: LedgerEvent) {
        if let LedgerEvent::Project(event) = event {
            return projects::fold(self, id, event);
        }
        let Ok(id) = Uuid::parse_str(id) else {
            return;
        };
        match event {
            // The vault is read from its streams alone.
            LedgerEvent::Project(_) | LedgerEvent::VaultEntry(_) => {}
            LedgerEvent::User(event) => users::fold(self, id, event),
            LedgerEvent::Team(event) => teams::fold(self, project_id, id, event),
            LedgerEvent::Session(event) => sessions::fold(self, id, event),
            LedgerEvent::VerificationCode(event) => verification_codes::fold(self, id, event),
            LedgerEvent::OutgoingEmail(event) => outgoing_emails::fold(self, id, event),
            LedgerEvent::CliLogin(event) => cli_logins::fold(self, id, event),
            LedgerEvent::ApiKey(event) => api_keys::fold(self, id, event),
            LedgerEvent::Customer(event) => customers::fold(self, id, event),
            LedgerEvent::AiConversation(event) => ai_conversations::fold(self, id, event),
            LedgerEvent::SupportConversation(event) => {
                support_conversations::fold(self, id, event);
            }
        }
    }

    async fn load(
        &mut self,
        connection: &mut PgConnection,
        demand: Demand,
    ) -> Result<(), LedgerError> {
        projects::load(self, connection, &demand).await?;
        users::load(self, connection, &demand).await?;
        teams::load(self, connection, &demand).await?;
        verification_codes::load(self, connection, &demand).await?;
        outgoing_emails::load(self, connection, &demand).await?;
        api_keys::load(self, connection, &demand).await?;
        customers::load(self, connection, &demand).await?;
        ai_conversations::load(self, connection, &demand).await?;
        support_conversations::load(self, connection, &demand).await
    }

    /// Everything that belongs to the user goes; memberships have events of their own.
    pub(crate) fn clear_user(&mut self, id: Uuid) {
        self.channels.remove_where(|row| row.user_id == id);
        self.permissions.remove_where(|row| row.user_id == id);
        self.sessions.remove_where(|row| row.user_id == id);
        self.passkeys.remove_where(|row| row.user_id == id);
        self.codes.remove_where(|row| row.subject == Some(id));
        self.notification_preferences
            .remove_where(|row| row.user_id == id);
        self.users.remove_where(|row| row.id == id);
        self.cleared.users.insert(id);
    }

    pub(crate) fn clear_team(&mut self, id: Uuid) {
        self.memberships.remove_where(|row| row.team_id == id);
        self.teams.remove_where(|row| row.id == id);
        self.cleared.teams.insert(id);
    }

    pub(crate) fn clear_customer(&mut self, id: Uuid) {
        self.item_balances
            .remove_where(|row| row.whose.customer_key == id);
        self.item_changes
            .remove_where(|row| row.whose.customer_key == id);
        self.subscriptions
            .remove_where(|row| row.whose.customer_key == id);
        self.one_time_purchases
            .remove_where(|row| row.whose.customer_key == id);
        self.invoices
            .remove_where(|row| row.whose.customer_key == id);
        self.refunds.remove_where(|row| row.customer_key == id);
        self.cleared.customers.insert(id);
    }

    pub(crate) fn clear_project(&mut self, id: &str) {
        self.project_keys.remove_where(|row| row.project_id == id);
        self.channels.remove_where(|row| row.project_id == id);
        self.permissions.remove_where(|row| row.project_id == id);
        self.sessions.remove_where(|row| row.project_id == id);
        self.closure.remove_where(|row| row.project_id == id);
        self.api_keys.remove_where(|row| row.project_id == id);
        self.notification_preferences
            .remove_where(|row| row.project_id == id);
        self.memberships.remove_where(|row| row.project_id == id);
        self.passkeys.remove_where(|row| row.project_id == id);
        self.codes.remove_where(|row| row.project_id == id);
        self.cli_logins.remove_where(|row| row.project_id == id);
        self.emails.remove_where(|row| row.project_id == id);
        self.users.remove_where(|row| row.project_id == id);
        self.teams.remove_where(|row| row.project_id == id);
        self.item_balances
            .remove_where(|row| row.whose.project_id == id);
        self.item_changes
            .remove_where(|row| row.whose.project_id == id);
        self.subscriptions
            .remove_where(|row| row.whose.project_id == id);
        self.one_time_purchases
            .remove_where(|row| row.whose.project_id == id);
        self.invoices.remove_where(|row| row.whose.project_id == id);
        self.refunds.remove_where(|row| row.project_id == id);
        self.product_versions
            .remove_where(|row| row.project_id == id);
        self.support_conversations
            .remove_where(|row| row.project_id == id);
        self.support_messages
            .remove_where(|row| row.project_id == id);
        self.projects.remove_where(|row| row.id == id);
        self.cleared.projects.insert(id.to_owned());
    }

    /// Writes what changed: children are deleted before and inserted after their parents.
    async fn write(self, connection: &mut PgConnection, volume: Volume) -> Result<(), LedgerError> {
        teams::delete_memberships(connection, &self.memberships.removed()).await?;
        sessions::delete(connection, &self.sessions.removed()).await?;
        passkeys::delete(connection, &self.passkeys.removed()).await?;
        verification_codes::delete(connection, &self.codes.removed()).await?;
        users::delete_channels(connection, &self.channels.removed()).await?;
        api_keys::delete(connection, &self.api_keys.removed()).await?;
        permissions::delete_grants(connection, &self.permissions.removed()).await?;
        permissions::delete_closure(connection, &self.closure.removed()).await?;
        ai_conversations::delete(connection, &self.ai_conversations.removed()).await?;
        let without_customer = |row: &&SupportConversationRow| row.user_id.is_none();
        let released = self.support_conversations.iter().filter(without_customer);
        let released: Vec<Uuid> = released.map(|row| row.id).collect();
        support_conversations::release(connection, &released).await?;
        self.cleared.delete(connection).await?;
        self.projects.upsert(connection, volume).await?;
        self.project_keys.upsert(connection, volume).await?;
        self.users.upsert(connection, volume).await?;
        self.channels.upsert(connection, volume).await?;
        self.teams.upsert(connection, volume).await?;
        self.memberships.upsert(connection, volume).await?;
        self.permissions.upsert(connection, volume).await?;
        self.sessions.upsert(connection, volume).await?;
        self.passkeys.upsert(connection, volume).await?;
        self.codes.upsert(connection, volume).await?;
        self.cli_logins.upsert(connection, volume).await?;
        self.emails.upsert(connection, volume).await?;
        self.closure.upsert(connection, volume).await?;
        self.api_keys.upsert(connection, volume).await?;
        self.notification_preferences
            .upsert(connection, volume)
            .await?;
        self.item_balances.upsert(connection, volume).await?;
        self.item_changes.upsert(connection, volume).await?;
        self.subscriptions.upsert(connection, volume).await?;
        self.one_time_purchases.upsert(connection, volume).await?;
        self.invoices.upsert(connection, volume).await?;
        self.refunds.upsert(connection, volume).await?;
        self.product_versions.upsert(connection, volume).await?;
        self.ai_conversations.upsert(connection, volume).await?;
        self.support_conversations
            .upsert(connection, volume)
            .await?;
        self.support_messages.upsert(connection, volume).await
    }
}

impl Cleared {
    async fn delete(&self, connection: &mut PgConnection) -> Result<(), LedgerError> {
        if !self.users.is_empty() {
            let ids: Vec<Uuid> = self.users.iter().copied().collect();
            users::delete(connection, &ids).await?;
        }
        if !self.teams.is_empty() {
            let ids: Vec<Uuid> = self.teams.iter().copied().collect();
            teams::delete(connection, &ids).await?;
        }
        if !self.customers.is_empty() {
            let ids: Vec<Uuid> = self.customers.iter().copied().collect();
            customers::delete(connection, &ids).await?;
        }
        if !self.projects.is_empty() {
            let ids: Vec<String> = self.projects.iter().cloned().collect();
            projects::delete(connection, &ids).await?;
        }
        Ok(())
    }
}
