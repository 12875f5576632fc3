//! Users' addresses and teams' members under any sequence of commands.

#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use muniment_domain::team::{
    Entrance, MemberAdded, MemberProfileChange, Team, TeamCommand, TeamProfile,
};
use muniment_domain::user::{
    ChannelChange, FirstFactor, NewChannel, NewPrimaryEmail, NewUser, Passkey, PasswordOccasion,
    User, UserCommand, UserUpdate,
};
use muniment_domain::{
    ContactChannelId, EmailAddress, Millis, Patch, PermissionId, ProjectId, SecretHash, UserId,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

/// Few of everything, so that commands meet.
const ADDRESSES: [&str; 3] = ["a@example.com", "b@example.com", "c@example.com"];

fn any_address() -> impl Strategy<Value = EmailAddress> {
    prop::sample::select(&ADDRESSES[..]).prop_map(|text| EmailAddress::from_stored(text.to_owned()))
}

fn any_channel() -> impl Strategy<Value = ContactChannelId> {
    (0..4_u128).prop_map(|n| ContactChannelId(Uuid::from_u128(n)))
}

fn any_flag() -> impl Strategy<Value = Option<bool>> {
    prop::option::of(any::<bool>())
}

fn creation(email: Option<EmailAddress>) -> UserCommand {
    let project = ProjectId::from_uuid(Uuid::nil());
    let channel_id = ContactChannelId(Uuid::from_u128(99));
    UserCommand::Create(Box::new(NewUser {
        primary_email: email.map(|address| NewPrimaryEmail {
            channel_id,
            address,
            is_verified: false,
            used_for_auth: true,
        }),
        ..NewUser::blank(project, Millis(0))
    }))
}

fn update(
    (id, email): (ContactChannelId, Patch<EmailAddress>),
    verified: Option<bool>,
    used: Option<bool>,
) -> UserCommand {
    UserCommand::Update(Box::new(UserUpdate {
        primary_email: email,
        primary_email_verified: verified,
        primary_email_auth_enabled: used,
        ..UserUpdate::nothing(Millis(1), id)
    }))
}

fn any_user_command() -> impl Strategy<Value = UserCommand> {
    let email = prop_oneof![
        Just(Patch::Keep),
        Just(Patch::Clear),
        any_address().prop_map(Patch::Set)
    ];
    let updates = ((any_channel(), email), any_flag(), any_flag())
        .prop_map(|(email, verified, used)| update(email, verified, used));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let adds = (any_channel(), any_address(), flags).prop_map(|(channel_id, address, flags)| {
        UserCommand::AddChannel(NewChannel {
            channel_id,
            now: Millis(1),
            address,
            is_primary: flags.0,
            is_verified: flags.1,
            used_for_auth: flags.2,
        })
    });
    let flags = (any_flag(), any_flag(), any_flag());
    let address = prop::option::of(any_address());
    let changes = (any_channel(), address, flags).prop_map(|(channel_id, address, flags)| {
        UserCommand::ChangeChannel(ChannelChange {
            channel_id,
            address,
            is_primary: flags.0,
            is_verified: flags.1,
            used_for_auth: flags.2,
        })
    });
    prop_oneof![
        2 => prop::option::of(any_address()).prop_map(creation),
        4 => updates,
        4 => adds,
        6 => changes,
        2 => any_channel().prop_map(UserCommand::RemoveChannel),
        2 => any_address().prop_map(UserCommand::VerifyAddress),
        1 => Just(UserCommand::Delete),
    ]
}

fn any_user() -> impl Strategy<Value = UserId> {
    (0..4_u128).prop_map(|n| UserId(Uuid::from_u128(n)))
}

fn any_permission() -> impl Strategy<Value = PermissionId> {
    prop::sample::select(&["a", "b", "team_member"][..]).prop_map(PermissionId::new)
}

fn any_team_command() -> impl Strategy<Value = TeamCommand> {
    let permissions = prop::collection::vec(any_permission(), 0..3);
    let adds = (any_user(), permissions).prop_map(|(user_id, permission_ids)| {
        TeamCommand::AddMember(MemberAdded {
            user_id,
            joined_at: Millis(1),
            entrance: Entrance::Added,
            permission_ids,
        })
    });
    let create = TeamCommand::Create {
        project_id: ProjectId::from_uuid(Uuid::nil()),
        now: Millis(0),
        profile: TeamProfile::default(),
    };
    let named = MemberProfileChange {
        display_name: Some("Ada".to_owned()),
        profile_image_url: Patch::Keep,
    };
    prop_oneof![
        2 => Just(create),
        6 => adds,
        3 => any_user().prop_map(TeamCommand::RemoveMember),
        3 => (any_user(), any_permission()).prop_map(|(u, p)| TeamCommand::GrantPermission(u, p)),
        3 => (any_user(), any_permission()).prop_map(|(u, p)| TeamCommand::RevokePermission(u, p)),
        1 => any_user().prop_map(move |u| TeamCommand::ChangeMemberProfile(u, named.clone())),
        1 => Just(TeamCommand::Delete),
    ]
}

/// Carries out a command, and tells whether it was taken. A refused one changes nothing; and the
/// state after one that was taken is what its events make of the state before.
fn carry_out<A>(state: &mut A, command: A::Command) -> bool
where
    A: Aggregate<Services = ()> + Clone + PartialEq + Debug,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut before = state.clone();
    let sink = EventSink::default();
    let done = runtime.block_on(state.handle(command, &(), &sink));
    for event in runtime.block_on(sink.collect()) {
        before.apply(event);
    }
    assert_eq!(*state, before);
    done.is_ok()
}

fn channels(user: &User) -> Vec<Value> {
    let state = serde_json::to_value(user).unwrap();
    let channels = state["channels"].as_object().unwrap();
    channels.values().cloned().collect()
}

proptest! {
    #[test]
    fn a_user_has_one_primary_address_at_most_and_each_address_once(
        commands in prop::collection::vec(any_user_command(), 0..40),
    ) {
        let mut user = User::default();
        for command in commands {
            let was_active = user.is_active();
            let creates = matches!(command, UserCommand::Create(_));
            let taken = carry_out(&mut user, command);
            prop_assert!(!taken || was_active != creates, "of the living only, but for the first");
            let channels = channels(&user);
            let primary = channels.iter().filter(|channel| channel["is_primary"] == true);
            prop_assert!(primary.count() <= 1, "{channels:?}");
            let values: BTreeSet<String> =
                channels.iter().map(|channel| channel["value"].to_string()).collect();
            prop_assert_eq!(values.len(), channels.len(), "{:?}", channels);
        }
    }

    #[test]
    fn a_team_has_members_only_while_it_lives_and_grants_to_members_only(
        commands in prop::collection::vec(any_team_command(), 0..40),
    ) {
        let mut team = Team::default();
        let mut expected = BTreeSet::new();
        for command in commands {
            let (told, was_active) = (command.clone(), team.is_active());
            let taken = carry_out(&mut team, command);
            match told {
                TeamCommand::Create { .. } => prop_assert!(!taken || !was_active),
                _ if !was_active => prop_assert!(!taken),
                TeamCommand::AddMember(added) => {
                    prop_assert_eq!(taken, expected.insert(added.user_id));
                }
                TeamCommand::RemoveMember(user) => {
                    prop_assert_eq!(taken, expected.remove(&user));
                }
                TeamCommand::GrantPermission(user, _) => {
                    prop_assert_eq!(taken, expected.contains(&user));
                }
                TeamCommand::Delete => expected.clear(),
                _ => {}
            }
            let members: BTreeSet<UserId> = team.members().collect();
            prop_assert_eq!(&members, &expected);
            prop_assert!(team.is_active() || members.is_empty());
        }
    }
}

#[test]
fn addresses_are_where_these_tests_look_for_them() {
    let mut user = User::default();
    assert_eq!(channels(&user), Vec::<Value>::new());
    let address = EmailAddress::from_stored("a@example.com".to_owned());
    assert!(carry_out(&mut user, creation(Some(address))));
    assert_eq!(channels(&user)[0]["is_primary"], json!(true));
}

/// Every line of the table in `domain/src/user/first_factor.rs`: what opens, and what voids it.
#[test]
fn a_proof_opens_an_account_until_its_ground_is_gone() {
    let hash = "$argon2id$old";
    let passkey = Passkey {
        credential_id: "credential".to_owned(),
        credential: json!({}),
    };
    let channel_id = ContactChannelId(Uuid::from_u128(99));
    let [password, key, mailbox] = [
        FirstFactor::password(hash),
        FirstFactor::Passkey {
            credential_id: passkey.credential_id.clone(),
        },
        FirstFactor::Mailbox {
            address: ADDRESSES[0].to_owned(),
        },
    ];
    let choose = |hash: &str| UserCommand::ChoosePassword {
        hash: hash.to_owned(),
        occasion: PasswordOccasion::Reset,
    };
    let other = Passkey {
        credential_id: "other".to_owned(),
        ..passkey.clone()
    };
    let change = |change: UserUpdate| UserCommand::Update(Box::new(change));
    let nothing = || UserUpdate::nothing(Millis(1), channel_id);
    let not_for_auth = UserCommand::ChangeChannel(ChannelChange {
        channel_id,
        address: None,
        is_primary: None,
        is_verified: None,
        used_for_auth: Some(false),
    });
    let no_password = change(UserUpdate {
        password_hash: Patch::Clear,
        ..nothing()
    });
    let voiding = [
        (&password, choose("$argon2id$new")),
        (&password, no_password),
        (&password, UserCommand::Delete),
        (&key, UserCommand::RemovePasskey),
        (&key, UserCommand::RegisterPasskey(other)),
        (&key, UserCommand::Delete),
        (&mailbox, UserCommand::RemoveChannel(channel_id)),
        (&mailbox, not_for_auth),
        (&mailbox, UserCommand::Delete),
    ];
    let ready = || {
        let mut user = User::default();
        let address = EmailAddress::from_stored(ADDRESSES[0].to_owned());
        for command in [
            creation(Some(address)),
            choose(hash),
            UserCommand::RegisterPasskey(passkey.clone()),
        ] {
            assert!(carry_out(&mut user, command));
        }
        user
    };
    for (proof, command) in voiding {
        let mut user = ready();
        assert!(user.accepts(proof), "{proof:?}");
        assert!(carry_out(&mut user, command.clone()));
        assert!(!user.accepts(proof), "{proof:?} after {command:?}");
        for other in [&password, &key, &mailbox] {
            let is_gone = matches!(command, UserCommand::Delete) || other == proof;
            assert_eq!(user.accepts(other), !is_gone, "{other:?} after {command:?}");
        }
    }
}

/// A renewed hash replaces the one it was made from, or none.
#[test]
fn a_renewed_hash_replaces_the_one_it_was_made_from() {
    let mut user = User::default();
    let choose = UserCommand::ChoosePassword {
        hash: "new".to_owned(),
        occasion: PasswordOccasion::Reset,
    };
    assert!(carry_out(&mut user, creation(None)));
    assert!(carry_out(&mut user, choose));
    let renew = |from: &str| UserCommand::RenewPasswordHash {
        from: SecretHash::of(from),
        to: "stronger".to_owned(),
    };
    assert!(carry_out(&mut user, renew("old")));
    assert!(user.accepts(&FirstFactor::password("new")));
    assert!(carry_out(&mut user, renew("new")));
    assert!(user.accepts(&FirstFactor::password("stronger")));
}
