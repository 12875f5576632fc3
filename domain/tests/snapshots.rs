//! States are the same after being written down and read again, as snapshots are.

#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::fmt::Debug;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use muniment_domain::ai_conversation::AiConversation;
use muniment_domain::api_key::{
    ApiKey, ApiKeyCommand, ApiKeyDescription, ApiKeyIssued, ApiKeyKind, ApiKeyOwner,
    ApiKeyRevocation,
};
use muniment_domain::cli_login::CliLogin;
use muniment_domain::notification::{NotificationCategory, Preference};
use muniment_domain::outgoing_email::OutgoingEmail;
use muniment_domain::permission::GrantCause;
use muniment_domain::project::StoredKey;
use muniment_domain::session::Session;
use muniment_domain::support_conversation::{
    AgentText, NewConversation, Priority, Source, SupportConversation, SupportConversationCommand,
};
use muniment_domain::team::{Entrance, MemberAdded, Team, TeamCommand, TeamProfile};
use muniment_domain::user::{NewUser, User, UserCommand};
use muniment_domain::verification_code::VerificationCode;
use muniment_domain::{Millis, PermissionId, ProjectId, TeamId, UserId};
use uuid::Uuid;

async fn state_after<A>(commands: Vec<A::Command>) -> A
where
    A: Aggregate<Services = ()> + Default,
    A::Error: Debug,
{
    let mut state = A::default();
    for command in commands {
        let sink = EventSink::default();
        state.handle(command, &(), &sink).await.unwrap();
    }
    state
}

fn assert_survives<A>(state: &A)
where
    A: Aggregate + PartialEq + Debug,
{
    let written = serde_json::to_value(state).unwrap();
    assert_eq!(serde_json::from_value::<A>(written).unwrap(), *state);
}

fn project() -> ProjectId {
    ProjectId::from_uuid(Uuid::nil())
}

#[tokio::test]
async fn a_teams_members_keep_their_permissions() {
    let user_id = UserId(Uuid::from_u128(1));
    let added = MemberAdded {
        user_id,
        joined_at: Millis(0),
        entrance: Entrance::Added,
        permission_ids: vec![PermissionId::new("team_member")],
    };
    let team: Team = state_after(vec![
        TeamCommand::Create {
            project_id: project(),
            now: Millis(0),
            profile: TeamProfile::default(),
        },
        TeamCommand::AddMember(added),
        TeamCommand::GrantPermission(user_id, PermissionId::new("$update_team")),
        TeamCommand::RevokePermission(user_id, PermissionId::new("team_member")),
    ])
    .await;
    assert_eq!(team.members().collect::<Vec<_>>(), [user_id]);
    assert_survives(&team);
}

#[tokio::test]
async fn a_user_keeps_permissions_and_preferences() {
    let permission = PermissionId::new("reports");
    let user: User = state_after(vec![
        UserCommand::Create(Box::new(NewUser::blank(project(), Millis(0)))),
        UserCommand::GrantProjectPermission(permission, GrantCause::Granted),
        UserCommand::PreferNotifications(NotificationCategory::Marketing, Preference::Unwanted),
    ])
    .await;
    assert!(user.is_active());
    assert_survives(&user);
}

#[tokio::test]
async fn a_support_conversation_keeps_how_it_stands_and_nothing_that_was_said() {
    let text = |body: &str| AgentText {
        message_id: Uuid::from_u128(3),
        agent: UserId(Uuid::from_u128(4)),
        body: body.to_owned(),
        at: Millis(0),
    };
    let opening = NewConversation {
        project_id: project(),
        customer: UserId(Uuid::from_u128(5)),
        topic: "secret".to_owned(),
        priority: Priority::Low,
        source: Source::Manual,
        entry_point_id: Uuid::from_u128(6),
        message: text("secret"),
    };
    let conversation: SupportConversation = state_after(vec![
        SupportConversationCommand::Open(Box::new(opening)),
        SupportConversationCommand::Receive {
            message_id: Uuid::from_u128(7),
            body: "secret".to_owned(),
            at: Millis(1),
        },
        SupportConversationCommand::Reply {
            text: text("secret"),
            entry_point_id: Uuid::from_u128(8),
        },
    ])
    .await;
    assert_survives(&conversation);
    let written = serde_json::to_string(&conversation).unwrap();
    assert!(!written.contains("secret"), "{written}");
}

#[tokio::test]
async fn an_api_key_keeps_its_description() {
    let owner = ApiKeyOwner::Team {
        team_id: TeamId(Uuid::from_u128(2)),
    };
    let issued = ApiKeyIssued {
        project_id: project(),
        owner,
        kind: ApiKeyKind::Secret,
        created_at: Millis(0),
        expires_at: None,
        key: StoredKey::of("sk_test"),
        subject: owner.id(),
        personal: ApiKeyDescription {
            description: "ci".to_owned(),
        }
        .into(),
    };
    let revoke = ApiKeyCommand::Revoke {
        now: Millis(1),
        cause: ApiKeyRevocation::Leaked,
    };
    let key: ApiKey = state_after(vec![
        ApiKeyCommand::Issue(Box::new(issued)),
        ApiKeyCommand::Describe("build".to_owned()),
        revoke,
    ])
    .await;
    assert!(matches!(key, ApiKey::Revoked(_)));
    assert_survives(&key);
}

/// Snapshots of earlier versions hold these names.
#[tokio::test]
async fn the_states_of_a_life_keep_the_names_they_are_stored_under() {
    let create = || TeamCommand::Create {
        project_id: project(),
        now: Millis(0),
        profile: TeamProfile::default(),
    };
    for (commands, stored) in [
        (vec![], "Unborn"),
        (vec![create()], "Alive"),
        (vec![create(), TeamCommand::Delete], "Deleted"),
    ] {
        let team: Team = state_after(commands).await;
        assert_eq!(serde_json::to_value(&team).unwrap()["life"], stored);
    }
    for absent in [
        serde_json::to_value(Session::default()),
        serde_json::to_value(CliLogin::default()),
        serde_json::to_value(OutgoingEmail::default()),
        serde_json::to_value(ApiKey::default()),
        serde_json::to_value(VerificationCode::default()),
        serde_json::to_value(AiConversation::default()),
        serde_json::to_value(SupportConversation::default()),
    ] {
        assert_eq!(absent.unwrap(), "Unborn");
    }
}
