//! The layers of the source, and which may use which.

/// Files that belong together.
#[derive(Debug)]
pub(super) struct Layer {
    name: &'static str,
    /// Folders, or files without their ending.
    places: &'static str,
    may_use: Uses,
}

#[derive(Debug)]
enum Uses {
    Everything,
    /// Itself and the layers of these names.
    Only(&'static str),
}
use Uses::{Everything, Only};

/// Every layer, lowest first. Places that are not there are skipped. Settings are types of `config`
/// that are made of types of what they configure, so these two may use each other; a circle of files
/// is forbidden all the same.
const LAYERS: [Layer; 15] = [
    Layer {
        name: "domain",
        places: "domain/src",
        may_use: Only(""),
    },
    Layer {
        name: "event_store",
        places: "event_store/src",
        may_use: Only("domain"),
    },
    Layer {
        name: "projections",
        places: "projections/src",
        may_use: Only("domain event_store"),
    },
    Layer {
        name: "time",
        places: "src/clock src/timestamp",
        may_use: Only("domain"),
    },
    Layer {
        name: "error",
        places: "src/error",
        may_use: Only("domain event_store projections time"),
    },
    Layer {
        name: "config",
        places: "src/config",
        may_use: Only("domain event_store projections time error security clients embedded"),
    },
    Layer {
        name: "security",
        places: "src/security",
        may_use: Only("domain event_store projections time error config"),
    },
    Layer {
        name: "clients",
        places: "src/clients",
        may_use: Only("domain event_store projections time error config security"),
    },
    Layer {
        name: "embedded",
        places: "src/embedded",
        may_use: Only("domain event_store projections time error config security clients"),
    },
    Layer {
        name: "app",
        places: "src/app",
        may_use: Only("domain event_store projections time error config security clients"),
    },
    Layer {
        name: "views",
        places: "src/views",
        may_use: Only("domain event_store projections time error config security clients app"),
    },
    Layer {
        name: "workers",
        places: "src/workers",
        // Of `app`, single use cases, never the whole application.
        may_use: Only(
            "domain event_store projections time error config security clients app views",
        ),
    },
    Layer {
        name: "http",
        places: "src/http",
        may_use: Only(
            "domain event_store projections time error config security clients app views",
        ),
    },
    Layer {
        name: "console",
        places: "src/console",
        may_use: Only(
            "domain event_store projections time error config security clients app views",
        ),
    },
    // What puts everything together.
    Layer {
        name: "process",
        places: "src/main src/lib src/server src/cli",
        may_use: Everything,
    },
];

/// The layer that a file belongs to.
pub(super) fn layer_of(file: &str) -> Option<&'static Layer> {
    let is_in = |place: &str| {
        let rest = file.strip_prefix(place);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    let mut layers = LAYERS.iter();
    layers.find(|layer| layer.places.split_whitespace().any(is_in))
}

/// Whether a file may use another; anything may, if one of them belongs to no layer.
pub(super) fn allows(from: &str, to: &str) -> bool {
    let (Some(from), Some(to)) = (layer_of(from), layer_of(to)) else {
        return true;
    };
    match from.may_use {
        Everything => true,
        Only(names) => from.name == to.name || names.split_whitespace().any(|name| name == to.name),
    }
}

#[test]
fn the_table_names_layers_of_its_own() {
    for layer in &LAYERS {
        let Only(names) = layer.may_use else { continue };
        for name in names.split_whitespace() {
            assert!(LAYERS.iter().any(|it| it.name == name), "{layer:?}");
        }
    }
}

#[test]
fn the_table_forbids_what_it_is_there_for() {
    for (from, to) in [
        ("src/app/teams.rs", "src/http/views.rs"),
        ("src/workers/mail.rs", "src/http/mod.rs"),
        ("src/error.rs", "src/http/mod.rs"),
        ("src/error/mod.rs", "src/app/mod.rs"),
        ("src/error/mod.rs", "src/clients/stripe/mod.rs"),
        ("src/clients/mod.rs", "src/app/mod.rs"),
        ("src/security/limits.rs", "src/clients/mod.rs"),
        ("src/config/mod.rs", "src/app/mod.rs"),
        ("src/embedded/mod.rs", "src/workers/mod.rs"),
        ("event_store/src/append.rs", "projections/src/lib.rs"),
        ("event_store/src/append.rs", "src/clock.rs"),
        ("domain/src/lib.rs", "event_store/src/lib.rs"),
        ("projections/src/lib.rs", "src/error/mod.rs"),
        ("src/app/mod.rs", "src/lib.rs"),
    ] {
        assert!(!allows(from, to), "{from} -> {to}");
    }
    for (from, to) in [
        ("src/http/teams.rs", "src/app/teams.rs"),
        ("src/http/teams.rs", "src/http/views.rs"),
        ("src/app/teams.rs", "projections/src/teams.rs"),
        ("projections/src/teams.rs", "event_store/src/lib.rs"),
        ("src/server.rs", "src/http/mod.rs"),
        ("src/cli/serve.rs", "src/workers/mod.rs"),
    ] {
        assert!(allows(from, to), "{from} -> {to}");
    }
    assert!(layer_of("src/errors.rs").is_none());
}
