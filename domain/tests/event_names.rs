//! The names under which events are stored. They never change: a log of any age must be readable.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests may fail loudly")]

use cqrs_es::DomainEvent;
use muniment_domain::ai_conversation::AiConversationEvent;
use muniment_domain::api_key::ApiKeyEvent;
use muniment_domain::cli_login::CliLoginEvent;
use muniment_domain::customer::CustomerEvent;
use muniment_domain::outgoing_email::OutgoingEmailEvent;
use muniment_domain::project::ProjectEvent;
use muniment_domain::session::SessionEvent;
use muniment_domain::support_conversation::SupportConversationEvent;
use muniment_domain::team::TeamEvent;
use muniment_domain::user::UserEvent;
use muniment_domain::vault_entry::VaultEntryEvent;
use muniment_domain::verification_code::VerificationCodeEvent;
use strum::VariantNames;

/// The variants of an enum of events, and the names that logs hold.
const STORED: [(&[&str], &[&str]); 12] = [
    (
        AiConversationEvent::VARIANTS,
        &[
            "AiConversationStarted",
            "AiConversationRenamed",
            "AiMessagesReplaced",
            "AiConversationDeleted",
        ],
    ),
    (
        ApiKeyEvent::VARIANTS,
        &[
            "ApiKeyIssued",
            "ApiKeyDescribed",
            "ApiKeyRevoked",
            "ApiKeyDeleted",
        ],
    ),
    (
        CliLoginEvent::VARIANTS,
        &[
            "CliLoginStarted",
            "AnonymousSessionClaimed",
            "CliLoginCompleted",
            "CliLoginFetched",
        ],
    ),
    (
        CustomerEvent::VARIANTS,
        &[
            "ItemQuantityChanged",
            "ProductPurchased",
            "SubscriptionEnded",
            "PurchaseChanged",
            "RefundBegun",
            "RefundDropped",
            "PurchaseRefunded",
            "InvoiceRecorded",
            "ProductVersionRecorded",
            "CustomerClosed",
        ],
    ),
    (
        OutgoingEmailEvent::VARIANTS,
        &["EmailRequested", "EmailSent", "EmailFailed"],
    ),
    (
        ProjectEvent::VARIANTS,
        &[
            "ProjectCreated",
            "ProjectUpdated",
            "ConfigOverridden",
            "ConfigReplaced",
            "ConfigReset",
            "ConfigUnlinked",
            "PermissionDefined",
            "PermissionRenamed",
            "PermissionRemoved",
            "KeySetIssued",
            "KeySetDescribed",
            "KeySetRevoked",
            "StripeAccountConnected",
            "ProjectProvisioned",
            "ProjectTransferred",
            "ProjectDeleted",
        ],
    ),
    (SessionEvent::VARIANTS, &["SessionStarted", "SessionEnded"]),
    (
        SupportConversationEvent::VARIANTS,
        &[
            "SupportConversationOpened",
            "SupportReplySent",
            "SupportNoteAdded",
            "SupportStatusChanged",
            "SupportDetailsChanged",
            "SupportMessageReceived",
            "SupportCustomerForgotten",
        ],
    ),
    (
        TeamEvent::VARIANTS,
        &[
            "TeamCreated",
            "TeamUpdated",
            "PersonalTeamNamed",
            "MemberAdded",
            "MemberRemoved",
            "TeamPermissionGranted",
            "TeamPermissionRevoked",
            "TeamPermissionRenamed",
            "MemberProfileChanged",
            "TeamDeleted",
        ],
    ),
    (
        UserEvent::VARIANTS,
        &[
            "UserCreated",
            "UserUpdated",
            "SelectedTeamChanged",
            "PasswordRehashed",
            "PasswordChosen",
            "OtpEnabled",
            "TotpStepUsed",
            "PasskeyRegistered",
            "PasskeyUsed",
            "PasskeyRemoved",
            "ContactChannelAdded",
            "ContactChannelChanged",
            "ContactChannelRemoved",
            "ProjectPermissionGranted",
            "ProjectPermissionRevoked",
            "ProjectPermissionRenamed",
            "NotificationPreferenceChanged",
            "UserDeleted",
        ],
    ),
    (VaultEntryEvent::VARIANTS, &["VaultValueSet"]),
    (
        VerificationCodeEvent::VARIANTS,
        &[
            "CodeIssued",
            "CodeAttempted",
            "CodeRedeemed",
            "CodeDiscarded",
        ],
    ),
];

#[test]
fn events_keep_the_names_they_are_stored_under() {
    for (variants, stored) in STORED {
        assert_eq!(variants, stored);
    }
}

#[test]
fn an_event_says_its_name_to_the_log_and_in_its_payload() {
    let event = UserEvent::TotpStepUsed { step: 7 };
    assert_eq!(event.event_type(), "TotpStepUsed");
    let payload = serde_json::json!({"type": "TotpStepUsed", "step": 7});
    assert_eq!(serde_json::to_value(&event).unwrap(), payload);
}
