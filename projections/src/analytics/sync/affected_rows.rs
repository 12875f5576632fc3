//! Which rows a batch of events touches.

use std::collections::BTreeSet;

use muniment_domain::customer::CustomerEvent;
use muniment_domain::outgoing_email::OutgoingEmailEvent;
use muniment_domain::project::ProjectEvent;
use muniment_domain::session::SessionEvent;
use muniment_domain::team::TeamEvent;
use muniment_domain::user::UserEvent;
use muniment_domain::verification_code::{Purpose, VerificationCodeEvent};
use uuid::Uuid;

use muniment_event_store::LedgerEvent;
use muniment_event_store::event::RecordedEvent;

/// What a batch touches. A row that is named here and does not exist is gone.
#[derive(Debug, Default, PartialEq)]
pub(super) struct AffectedRows {
    /// The projects that the rest is of.
    pub(super) projects: BTreeSet<String>,
    pub(super) users: BTreeSet<Uuid>,
    /// Users, all of whose channels may have changed: one becomes the primary one, another ceases.
    pub(super) channels_of: BTreeSet<Uuid>,
    /// Channels that were removed.
    pub(super) channels: BTreeSet<Uuid>,
    /// Their names are in their invitations as well.
    pub(super) teams: BTreeSet<Uuid>,
    /// Memberships, with their permissions: team, user.
    pub(super) memberships: BTreeSet<(Uuid, Uuid)>,
    /// Permissions that were revoked: team, user, permission.
    pub(super) team_permissions: BTreeSet<(Uuid, Uuid, String)>,
    /// User, permission.
    pub(super) project_permissions: BTreeSet<(Uuid, String)>,
    /// Codes that are invitations.
    pub(super) invitations: BTreeSet<Uuid>,
    /// Codes that were used or discarded, of which the events do not say what they were for.
    pub(super) codes: BTreeSet<Uuid>,
    pub(super) emails: BTreeSet<Uuid>,
    /// User, category.
    pub(super) preferences: BTreeSet<(Uuid, String)>,
    pub(super) sessions: BTreeSet<Uuid>,
    /// Customer's key, item.
    pub(super) item_balances: BTreeSet<(Uuid, String)>,
    /// Subscriptions and one-time purchases. What came of them is affected with them.
    pub(super) purchases: BTreeSet<Uuid>,
    /// Changes by hand and invoices.
    pub(super) transactions: BTreeSet<Uuid>,
    pub(super) ended: Ended,
}

/// What ended, and with it everything that belonged to it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Ended {
    pub(super) users: BTreeSet<Uuid>,
    pub(super) teams: BTreeSet<Uuid>,
    /// Team, user.
    pub(super) memberships: BTreeSet<(Uuid, Uuid)>,
    /// By their keys.
    pub(super) customers: BTreeSet<Uuid>,
    pub(super) projects: BTreeSet<String>,
}

impl AffectedRows {
    pub(super) fn by(batch: &[RecordedEvent]) -> Self {
        let mut affected = Self::default();
        for event in batch {
            affected.note(event);
        }
        affected
    }

    /// An id that is no UUID cannot occur on these streams and is skipped.
    fn note(&mut self, event: &RecordedEvent) {
        self.projects.insert(event.project_id.to_string());
        if let LedgerEvent::Project(ProjectEvent::ProjectDeleted {}) = &event.event {
            self.ended.projects.insert(event.aggregate_id.clone());
        }
        let Ok(id) = Uuid::parse_str(&event.aggregate_id) else {
            return;
        };
        match &event.event {
            LedgerEvent::User(event) => self.note_user(id, event),
            LedgerEvent::Team(event) => self.note_team(id, event),
            LedgerEvent::Session(
                SessionEvent::SessionStarted(_) | SessionEvent::SessionEnded { .. },
            ) => {
                self.sessions.insert(id);
            }
            LedgerEvent::VerificationCode(event) => self.note_code(id, event),
            LedgerEvent::OutgoingEmail(
                OutgoingEmailEvent::EmailRequested(_)
                | OutgoingEmailEvent::EmailSent { .. }
                | OutgoingEmailEvent::EmailFailed(_),
            ) => {
                self.emails.insert(id);
            }
            LedgerEvent::Customer(event) => self.note_customer(id, event),
            // In no table of the store.
            LedgerEvent::Project(_)
            | LedgerEvent::CliLogin(_)
            | LedgerEvent::ApiKey(_)
            | LedgerEvent::VaultEntry(_)
            | LedgerEvent::AiConversation(_)
            | LedgerEvent::SupportConversation(_) => {}
        }
    }

    fn note_user(&mut self, user: Uuid, event: &UserEvent) {
        match event {
            UserEvent::UserCreated(_) => {
                self.users.insert(user);
                self.channels_of.insert(user);
            }
            UserEvent::UserUpdated(_) => {
                self.users.insert(user);
            }
            UserEvent::ContactChannelAdded(_) | UserEvent::ContactChannelChanged(_) => {
                self.note_channels(user);
            }
            UserEvent::ContactChannelRemoved { channel_id } => {
                self.channels.insert(channel_id.0);
                self.note_channels(user);
            }
            UserEvent::ProjectPermissionGranted { permission_id, .. }
            | UserEvent::ProjectPermissionRevoked { permission_id, .. } => {
                self.project_permissions
                    .insert((user, permission_id.to_string()));
            }
            UserEvent::ProjectPermissionRenamed {
                permission_id,
                new_permission_id,
            } => {
                for id in [permission_id, new_permission_id] {
                    self.project_permissions.insert((user, id.to_string()));
                }
            }
            UserEvent::NotificationPreferenceChanged { category, .. } => {
                self.preferences.insert((user, category.id().to_string()));
            }
            UserEvent::UserDeleted {} => {
                self.users.insert(user);
                self.ended.users.insert(user);
            }
            // Of these nothing is in the store.
            UserEvent::SelectedTeamChanged { .. }
            | UserEvent::PasswordRehashed { .. }
            | UserEvent::PasswordChosen { .. }
            | UserEvent::OtpEnabled {}
            | UserEvent::TotpStepUsed { .. }
            | UserEvent::PasskeyRegistered { .. }
            | UserEvent::PasskeyUsed { .. }
            | UserEvent::PasskeyRemoved {} => {}
        }
    }

    /// The primary one is in the user's row as well.
    fn note_channels(&mut self, user: Uuid) {
        self.channels_of.insert(user);
        self.users.insert(user);
    }

    fn note_team(&mut self, team: Uuid, event: &TeamEvent) {
        match event {
            TeamEvent::TeamCreated(_)
            | TeamEvent::TeamUpdated(_)
            | TeamEvent::PersonalTeamNamed(_) => {
                self.teams.insert(team);
            }
            TeamEvent::MemberAdded(added) => {
                self.memberships.insert((team, added.user_id.0));
            }
            TeamEvent::MemberProfileChanged(changed) => {
                self.memberships.insert((team, changed.user_id.0));
            }
            TeamEvent::MemberRemoved { user_id } => {
                self.memberships.insert((team, user_id.0));
                self.ended.memberships.insert((team, user_id.0));
            }
            TeamEvent::TeamPermissionGranted { user_id, .. } => {
                self.memberships.insert((team, user_id.0));
            }
            TeamEvent::TeamPermissionRevoked {
                user_id,
                permission_id,
                ..
            }
            | TeamEvent::TeamPermissionRenamed {
                user_id,
                permission_id,
                ..
            } => {
                self.memberships.insert((team, user_id.0));
                self.team_permissions
                    .insert((team, user_id.0, permission_id.to_string()));
            }
            TeamEvent::TeamDeleted {} => {
                self.teams.insert(team);
                self.ended.teams.insert(team);
            }
        }
    }

    fn note_code(&mut self, code: Uuid, event: &VerificationCodeEvent) {
        match event {
            VerificationCodeEvent::CodeIssued(issued) => {
                if issued.purpose == Purpose::TeamInvitation {
                    self.invitations.insert(code);
                }
            }
            VerificationCodeEvent::CodeRedeemed { .. }
            | VerificationCodeEvent::CodeDiscarded {} => {
                self.codes.insert(code);
            }
            VerificationCodeEvent::CodeAttempted {} => {}
        }
    }

    fn note_customer(&mut self, customer: Uuid, event: &CustomerEvent) {
        match event {
            CustomerEvent::ItemQuantityChanged(changed) => {
                self.transactions.insert(changed.change_id);
                self.note_items(customer, [&changed.item_id]);
            }
            CustomerEvent::ProductPurchased(purchased) => {
                self.purchases.insert(purchased.purchase.id.0);
                let items = purchased.purchase.sources().map(|(item, _)| item);
                self.note_items(customer, items);
            }
            CustomerEvent::SubscriptionEnded(ended) => {
                self.purchases.insert(ended.purchase_id.0);
                self.note_items(customer, &ended.item_ids);
            }
            CustomerEvent::PurchaseChanged(changed)
            | CustomerEvent::RefundBegun(changed)
            | CustomerEvent::RefundDropped(changed)
            | CustomerEvent::PurchaseRefunded(changed) => {
                self.purchases.insert(changed.purchase.id.0);
                self.note_items(customer, changed.ledgers.keys());
            }
            CustomerEvent::InvoiceRecorded(recorded) => {
                self.transactions.insert(recorded.invoice.id);
            }
            CustomerEvent::CustomerClosed {} => {
                self.ended.customers.insert(customer);
            }
            CustomerEvent::ProductVersionRecorded(_) => {}
        }
    }

    fn note_items<'i>(&mut self, customer: Uuid, items: impl IntoIterator<Item = &'i String>) {
        let items = items.into_iter().map(|item| (customer, item.clone()));
        self.item_balances.extend(items);
    }
}
