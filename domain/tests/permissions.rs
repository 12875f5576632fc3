//! Permission definitions under any sequence of commands to a project.

#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use muniment_domain::permission::{
    Definition, Definitions, READ_MEMBERS, SYSTEM, Scope, UPDATE_TEAM, WantedDefinition, closure,
    scope_of,
};
use muniment_domain::project::{
    Level, Project, ProjectCommand, ProjectCreated, ProjectProfile, config,
};
use muniment_domain::{Millis, PermissionId, ProjectId};
use proptest::prelude::*;
use uuid::Uuid;

/// Few ids, so that commands meet.
const IDS: [&str; 6] = ["a", "b", "c", "d", "team_admin", "team_member"];

fn any_id() -> impl Strategy<Value = PermissionId> {
    prop::sample::select(&IDS[..]).prop_map(PermissionId::new)
}

fn any_contained() -> impl Strategy<Value = Vec<PermissionId>> {
    let all: Vec<&str> = IDS.into_iter().chain([UPDATE_TEAM, READ_MEMBERS]).collect();
    prop::collection::vec(prop::sample::select(all).prop_map(PermissionId::new), 0..4)
}

fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![4 => Just(Scope::Team), 1 => Just(Scope::Project)]
}

fn any_wanted() -> impl Strategy<Value = WantedDefinition> {
    (any_scope(), any_contained()).prop_map(|(scope, contained)| WantedDefinition {
        scope,
        description: None,
        contained,
    })
}

fn any_command() -> impl Strategy<Value = ProjectCommand> {
    let define = (any_id(), any_wanted())
        .prop_map(|(id, wanted)| ProjectCommand::DefinePermission { id, wanted });
    let redefine = (any_id(), any_id(), any_wanted())
        .prop_map(|(id, new_id, wanted)| ProjectCommand::RedefinePermission { id, new_id, wanted });
    let replace = (any_id(), any_wanted()).prop_map(|(id, wanted)| {
        let new_id = id.clone();
        ProjectCommand::RedefinePermission { id, new_id, wanted }
    });
    let remove = (any_id(), any_scope())
        .prop_map(|(id, scope)| ProjectCommand::RemovePermission { id, scope });
    prop_oneof![3 => define, 2 => redefine, 4 => replace, 1 => remove]
}

fn any_definitions() -> impl Strategy<Value = Definitions> {
    let definition =
        (prop::option::of(any_scope()), any_contained()).prop_map(|(scope, contained)| {
            Definition {
                description: None,
                scope,
                contained_permission_ids: contained.into_iter().map(|id| (id, true)).collect(),
            }
        });
    prop::collection::btree_map(any_id(), definition, 0..6)
}

fn new_project() -> Project {
    let created = ProjectCreated {
        project_id: ProjectId::from_uuid(Uuid::nil()),
        created_at: Millis(0),
        owner_team_id: None,
        profile: ProjectProfile::default(),
    };
    let mut project = Project::default();
    carry_out(&mut project, ProjectCommand::Create(created));
    let settings = ProjectCommand::Override {
        level: Level::Environment,
        changes: config::initial_settings(),
    };
    carry_out(&mut project, settings);
    project
}

/// Refused or not; a refused command changes nothing.
fn carry_out(project: &mut Project, command: ProjectCommand) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let before = project.clone();
    let sink = EventSink::default();
    let done = runtime.block_on(project.handle(command, &(), &sink));
    if done.is_err() {
        assert_eq!(*project, before);
    }
}

/// Whether `from` reaches `wanted` by at least one step.
fn leads_to(definitions: &Definitions, from: &PermissionId, wanted: &PermissionId) -> bool {
    fn walk(
        definitions: &Definitions,
        from: &PermissionId,
        wanted: &PermissionId,
        depth: usize,
    ) -> bool {
        let scope = scope_of(definitions, from);
        let Some(definition) = definitions.get(from).filter(|_| depth > 0) else {
            return false;
        };
        definition
            .contained()
            .filter(|inner| scope_of(definitions, inner) == scope)
            .any(|inner| inner == wanted || walk(definitions, inner, wanted, depth - 1))
    }
    // No path without repetition is longer than there are definitions.
    walk(definitions, from, wanted, definitions.len())
}

proptest! {
    #[test]
    fn no_permission_contains_itself_after_any_commands(
        commands in prop::collection::vec(any_command(), 0..30),
    ) {
        let mut project = new_project();
        for command in commands {
            carry_out(&mut project, command);
            let definitions = project.definitions();
            for (id, definition) in &definitions {
                prop_assert!(!leads_to(&definitions, id, id), "{id} in {definitions:?}");
                // Renames and removals reach everything that contained the id.
                for inner in definition.contained() {
                    prop_assert_eq!(scope_of(&definitions, inner), definition.scope);
                }
            }
        }
    }

    /// Also for definitions with loops, dangling ids and mixed scopes, as settings may hold them.
    #[test]
    fn the_closure_equals_a_naive_walk(definitions in any_definitions()) {
        let system = SYSTEM.into_iter().map(PermissionId::new);
        let defined: BTreeSet<PermissionId> = definitions
            .keys()
            .cloned()
            .chain(system)
            .filter(|id| scope_of(&definitions, id).is_some())
            .collect();
        let closure = closure(&definitions);
        prop_assert_eq!(closure.keys().cloned().collect::<BTreeSet<_>>(), defined.clone());
        for outer in &defined {
            for inner in &defined {
                let expected = outer == inner || leads_to(&definitions, outer, inner);
                prop_assert_eq!(closure[outer].contains(inner), expected, "{} in {}", inner, outer);
            }
        }
    }
}
