//! Which part of the source may use which, how large circles of files may be, and that the source
//! is read whole to find out.
//!
//! `cargo test --test it architecture -- --nocapture` prints how things are.

mod decisions;
mod graph;
mod layers;
mod made_up;
mod source;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use graph::{Arrow, CrateRoot, Files, Graph};

/// The folders of our crates, relative to the repository. Those that are not there are skipped.
const CRATES: [&str; 4] = ["", "domain/", "event_store/", "projections/"];
/// From so many lines on, without its tests, a file counts as long.
const LONG: usize = 400;
/// The largest circle of files that may be.
const LARGEST_CIRCLE: usize = 6;
/// Of a hundred paths that begin at the root of a crate, so many must lead to a known name.
const RESOLVED_PERCENT: usize = 95;

/// Our crates as they are.
struct Workspace {
    files: Files,
    graph: Graph,
}

static WORKSPACE: LazyLock<Workspace> = LazyLock::new(Workspace::read);

impl Workspace {
    fn read() -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Files::new();
        let mut roots = Vec::new();
        for folder in CRATES {
            let Ok(manifest) = fs::read_to_string(top.join(folder).join("Cargo.toml")) else {
                continue;
            };
            read_folder(top, &format!("{folder}src"), &mut files);
            for file in ["lib.rs", "main.rs"] {
                let file = format!("{folder}src/{file}");
                if files.contains_key(&file) {
                    let name = crate_name(&manifest);
                    roots.push(CrateRoot { name, file });
                }
            }
        }
        let graph = Graph::read(&files, &roots);
        Self { files, graph }
    }

    /// How many files there are directly in each folder.
    fn folders(&self) -> BTreeMap<&str, usize> {
        let mut folders = BTreeMap::new();
        for file in self.files.keys() {
            let folder = file.rsplit_once('/').unwrap().0;
            *folders.entry(folder).or_default() += 1;
        }
        folders
    }
}

fn read_folder(top: &Path, folder: &str, files: &mut Files) {
    for entry in fs::read_dir(top.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_folder(top, &name, files);
        } else if name.ends_with(".rs") {
            files.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// What a package is called where it is imported.
fn crate_name(manifest: &str) -> String {
    let package = manifest.split("[package]").nth(1).unwrap();
    let name = package
        .lines()
        .find_map(|line| line.strip_prefix("name = "));
    name.unwrap().trim_matches('"').replace('-', "_")
}

/// `file -> file: names`, a line for each two files.
fn lines_of<'a>(arrows: impl Iterator<Item = &'a Arrow>) -> Vec<String> {
    let mut names: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for Arrow { from, to, name } in arrows {
        names.entry((from, to)).or_default().push(name);
    }
    let lines = names.into_iter();
    let lines = lines.map(|((from, to), names)| format!("{from} -> {to}: {}", names.join(", ")));
    lines.collect()
}

/// The crate that a file belongs to.
fn crate_of(file: &str) -> &str {
    file.split("src/").next().unwrap()
}

#[test]
fn arrows_point_one_way() {
    let workspace = &*WORKSPACE;
    let mut wrong = Vec::new();
    for file in workspace.graph.lines.keys() {
        if layers::layer_of(file).is_none() {
            wrong.push(format!("{file} belongs to no layer"));
        }
    }
    let arrows = workspace.graph.arrows.iter();
    let forbidden = arrows.filter(|arrow| !layers::allows(&arrow.from, &arrow.to));
    wrong.extend(lines_of(forbidden));
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn circles_of_files_are_small() {
    let workspace = &*WORKSPACE;
    let circles = workspace.graph.circles();
    let large = circles
        .iter()
        .filter(|circle| circle.len() > LARGEST_CIRCLE);
    let large: Vec<String> = large
        .map(|circle| {
            let arrows = lines_of(workspace.graph.within(circle).into_iter());
            format!("{} files in a circle:\n{}", circle.len(), arrows.join("\n"))
        })
        .collect();
    assert!(large.is_empty(), "{}", large.join("\n"));
}

/// What is not read cannot be found wrong.
#[test]
fn the_source_is_read_whole() {
    let Workspace { files, graph } = &*WORKSPACE;
    let is_read =
        |file: &&String| graph.lines.contains_key(*file) || graph.for_tests.contains(*file);
    let unread: Vec<_> = files.keys().filter(|file| !is_read(file)).collect();
    assert!(unread.is_empty(), "no module declares {unread:?}");
    assert!(
        graph.rooted > 1_000,
        "only {} paths were found",
        graph.rooted
    );
    let resolved = graph.rooted - graph.unresolved.len();
    assert!(
        resolved * 100 >= graph.rooted * RESOLVED_PERCENT,
        "{resolved} of {} paths lead to a known name; these do not:\n{}",
        graph.rooted,
        graph.unresolved.join("\n")
    );
}

#[test]
fn the_figures_are_printed() {
    let workspace = &*WORKSPACE;
    let circles = workspace.graph.circles();
    let files = workspace.graph.lines.keys();
    let crates: BTreeSet<&str> = files.map(|file| crate_of(file)).collect();
    for folder in crates {
        let of_crate =
            |circle: &&BTreeSet<&str>| circle.iter().all(|file| crate_of(file) == folder);
        let largest = circles.iter().find(of_crate).map_or(1, BTreeSet::len);
        println!("largest circle in {folder}src: {largest} files");
    }
    let folders = workspace.folders();
    let (widest, files) = folders.iter().max_by_key(|(_, files)| **files).unwrap();
    println!("widest folder: {widest}, {files} files");
    let long = workspace
        .graph
        .lines
        .iter()
        .filter(|(_, lines)| **lines > LONG);
    let long: Vec<_> = long.collect();
    println!("files above {LONG} lines, without tests: {}", long.len());
    for (file, lines) in long {
        println!("  {file}: {lines}");
    }
    let (rooted, unresolved) = (workspace.graph.rooted, workspace.graph.unresolved.len());
    println!("paths from a crate's root: {rooted}; that lead to no known name: {unresolved}");
}
