//! The read tables, named once. A new one is its `read_table!` and a line here: loading, writing,
//! clearing, replay and `verify` follow.

use std::collections::BTreeSet;

use muniment_event_store::LedgerError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::read_models::ai_conversations::rows::AiConversationRow;
use crate::read_models::api_keys::rows::ApiKeyRow;
use crate::read_models::batch::{self, Cleared, Rows, Volume};
use crate::read_models::cli_logins::rows::CliLoginRow;
use crate::read_models::customers::rows::{
    InvoiceRow, ItemBalanceRow, ItemQuantityChangeRow, OneTimePurchaseRow, ProductVersionRow,
    RefundRow, SubscriptionRow,
};
use crate::read_models::notifications::rows::NotificationPreferenceRow;
use crate::read_models::outgoing_emails::rows::OutgoingEmailRow;
use crate::read_models::passkeys::rows::PasskeyRow;
use crate::read_models::permissions::rows::{ClosureRow, ProjectPermissionRow};
use crate::read_models::projects::rows::{ProjectKeyRow, ProjectRow};
use crate::read_models::sessions::rows::SessionRow;
use crate::read_models::support_conversations::rows::{SupportConversationRow, SupportMessageRow};
use crate::read_models::table::{Owner, Scope, TableRow};
use crate::read_models::teams::rows::{MembershipRow, TeamRow};
use crate::read_models::users::rows::{ContactChannelRow, UserRow};
use crate::read_models::verification_codes::rows::VerificationCodeRow;

/// Something to be done with every read table.
pub(crate) trait TableVisitor {
    /// Does it with one of them.
    fn visit<R: TableRow>(&mut self) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

macro_rules! read_tables {
    (@wanted $row:ident by key) => { <$row as TableRow>::Key };
    (@wanted $row:ident by owner) => { Uuid };
    (@load $row:ident by key, $connection:ident, $wanted:expr) => {
        batch::load::<$row>($connection, $wanted)
    };
    (@load $row:ident by owner, $connection:ident, $wanted:expr) => {
        batch::load_owned::<$row>($connection, $wanted)
    };
    (
        loaded { $($loaded:ident: $loaded_row:ident by $how:ident;)* }
        $($field:ident: $row:ident;)*
    ) => {
        /// The names of the read tables, parents before children.
        pub const TABLES: [&str; [$(stringify!($field)),*].len()] = [$(<$row>::TABLE.name),*];

        /// The rows that a batch of events touches.
        #[derive(Default)]
        pub(crate) struct ReadModels {
            $(pub(crate) $field: Rows<$row>,)*
            cleared: Cleared,
        }

        /// The rows that must be read before a batch can be folded: by their keys, or by whose they
        /// are.
        #[derive(Default)]
        pub(crate) struct RowsToLoad {
            $(pub(crate) $loaded: BTreeSet<read_tables!(@wanted $loaded_row by $how)>,)*
        }

        impl ReadModels {
            pub(crate) async fn load(
                &mut self,
                connection: &mut PgConnection,
                wanted: RowsToLoad,
            ) -> Result<(), LedgerError> {
                $(
                    let rows = read_tables!(@load $loaded_row by $how, connection, wanted.$loaded);
                    self.$loaded.load(rows.await?);
                )*
                Ok(())
            }

            /// Has everything go that belongs to a user, team, customer or project, known or not.
            pub(crate) fn clear(&mut self, owner: Owner) {
                $(self.$field.forget(&owner);)*
                self.cleared.insert(owner);
            }

            /// Writes what changed: children are deleted before and inserted after their parents.
            pub(crate) async fn write(
                self,
                connection: &mut PgConnection,
                volume: Volume,
            ) -> Result<(), LedgerError> {
                self.delete_removed(connection).await?;
                self.release_support_customers(connection).await?;
                for scope in self.cleared.scopes() {
                    self.clear_scope(connection, scope).await?;
                }
                $(self.$field.upsert(connection, volume).await?;)*
                Ok(())
            }
        }

        read_tables!(@children_first [$($field: $row;)*]);

        /// Does something with every read table, parents before children.
        pub(crate) async fn visit_tables(
            visitor: &mut impl TableVisitor,
        ) -> Result<(), LedgerError> {
            $(visitor.visit::<$row>().await?;)*
            Ok(())
        }
    };
    // Turns the list around.
    (@children_first [] $($field:ident: $row:ident;)*) => {
        impl ReadModels {
            async fn delete_removed(&self, connection: &mut PgConnection) -> Result<(), LedgerError> {
                $(self.$field.delete_removed(connection).await?;)*
                Ok(())
            }

            async fn clear_scope(
                &self,
                connection: &mut PgConnection,
                scope: Scope,
            ) -> Result<(), LedgerError> {
                $(batch::clear::<$row>(connection, &self.cleared, scope).await?;)*
                Ok(())
            }
        }
    };
    (@children_first [$first:ident: $first_row:ident; $($rest:tt)*] $($turned:tt)*) => {
        read_tables!(@children_first [$($rest)*] $first: $first_row; $($turned)*);
    };
}

read_tables! {
    loaded {
        projects: ProjectRow by key;
        project_keys: ProjectKeyRow by key;
        users: UserRow by key;
        channels: ContactChannelRow by owner;
        teams: TeamRow by key;
        memberships: MembershipRow by key;
        codes: VerificationCodeRow by key;
        emails: OutgoingEmailRow by key;
        api_keys: ApiKeyRow by key;
        item_balances: ItemBalanceRow by key;
        subscriptions: SubscriptionRow by key;
        ai_conversations: AiConversationRow by key;
        support_conversations: SupportConversationRow by key;
        support_messages: SupportMessageRow by owner;
    }
    projects: ProjectRow;
    project_keys: ProjectKeyRow;
    users: UserRow;
    channels: ContactChannelRow;
    teams: TeamRow;
    memberships: MembershipRow;
    permissions: ProjectPermissionRow;
    sessions: SessionRow;
    passkeys: PasskeyRow;
    codes: VerificationCodeRow;
    cli_logins: CliLoginRow;
    emails: OutgoingEmailRow;
    closure: ClosureRow;
    api_keys: ApiKeyRow;
    notification_preferences: NotificationPreferenceRow;
    item_balances: ItemBalanceRow;
    item_changes: ItemQuantityChangeRow;
    subscriptions: SubscriptionRow;
    one_time_purchases: OneTimePurchaseRow;
    invoices: InvoiceRow;
    refunds: RefundRow;
    product_versions: ProductVersionRow;
    ai_conversations: AiConversationRow;
    support_conversations: SupportConversationRow;
    support_messages: SupportMessageRow;
}
