//! Which file uses which: the module tree of each crate, and arrows between its files.
//!
//! An arrow goes to the file of the deepest module on a path. So a name that a `mod.rs` hands on is
//! used from there, and the `mod.rs` uses the file that defines it; only a crate's root stands in
//! nobody's way. `mod name;` is no use of anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use super::source::{Import, Scope, Source};

/// The text of every file, by its path from the root of the repository.
pub(super) type Files = BTreeMap<String, String>;

/// Where a crate begins.
pub(super) struct CrateRoot {
    /// The name by which other crates import it.
    pub name: String,
    /// Its first file.
    pub file: String,
}

/// One file uses a name of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    pub from: String,
    pub to: String,
    pub name: String,
}

impl Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}: {}", self.from, self.to, self.name)
    }
}

/// What the files of all crates use of one another.
pub(super) struct Graph {
    pub arrows: BTreeSet<Arrow>,
    /// The length of each file that belongs to a crate, without tests.
    pub lines: BTreeMap<String, usize>,
    /// The files of modules that only tests compile.
    pub for_tests: BTreeSet<String>,
    /// How many imports and paths lead into a crate of ours from its root.
    pub rooted: usize,
    /// Those of them whose last part is no known name: `file: path`.
    pub unresolved: Vec<String>,
}

/// A module's place in [`Modules::all`].
type Id = usize;

struct Module {
    parent: Option<Id>,
    file: String,
    name: String,
    scope: Scope,
    children: BTreeMap<String, Id>,
}

struct Modules<'a> {
    files: &'a Files,
    all: Vec<Module>,
    /// The root of each crate, by its name.
    crates: BTreeMap<String, Id>,
    lines: BTreeMap<String, usize>,
    for_tests: BTreeSet<String>,
}

/// What a path leads to.
struct Target {
    /// The deepest module on it.
    module: Id,
    /// What is left of it there.
    rest: Vec<String>,
}

/// Aliases of aliases are followed so far, in case they go in a circle.
const ALIASES: u32 = 8;

impl Graph {
    pub(super) fn read(files: &Files, roots: &[CrateRoot]) -> Self {
        let mut modules = Modules {
            files,
            all: Vec::new(),
            crates: BTreeMap::new(),
            lines: BTreeMap::new(),
            for_tests: BTreeSet::new(),
        };
        for root in roots {
            let folder = root.file.rsplit_once('/').unwrap().0.to_owned();
            let id = modules.add_file(&root.file, &folder, None, "crate");
            modules.crates.entry(root.name.clone()).or_insert(id);
        }
        modules.into_graph()
    }

    /// Sets of files of which each leads to each other, largest first.
    pub(super) fn circles(&self) -> Vec<BTreeSet<&str>> {
        let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for arrow in &self.arrows {
            next.entry(&arrow.from).or_default().insert(&arrow.to);
        }
        let reached: BTreeMap<&str, BTreeSet<&str>> = next
            .keys()
            .map(|start| (*start, reachable(start, &next)))
            .collect();
        let mut circles = BTreeSet::new();
        for (start, reached_from) in &reached {
            let leads_back = |file: &&str| reached.get(file).is_some_and(|it| it.contains(start));
            let circle: BTreeSet<&str> = reached_from.iter().copied().filter(leads_back).collect();
            circles.insert(circle);
        }
        let mut circles: Vec<_> = circles.into_iter().filter(|it| it.len() > 1).collect();
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }

    /// The arrows between the files of a circle.
    pub(super) fn within(&self, circle: &BTreeSet<&str>) -> Vec<&Arrow> {
        let is_in = |file: &str| circle.contains(file);
        let arrows = self.arrows.iter();
        arrows
            .filter(|it| is_in(&it.from) && is_in(&it.to))
            .collect()
    }
}

fn reachable<'a>(start: &'a str, next: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(file) = open.pop() {
        for to in next.get(file).into_iter().flatten() {
            if found.insert(*to) {
                open.push(to);
            }
        }
    }
    found
}

impl Modules<'_> {
    /// Adds a file's module with all below it. `folder` is where the files of its children are.
    fn add_file(&mut self, file: &str, folder: &str, parent: Option<Id>, name: &str) -> Id {
        let text = self.files.get(file);
        let source = Source::read(text.unwrap_or_else(|| panic!("there is no {file}")));
        self.lines.insert(file.to_owned(), source.lines);
        self.add(file, folder, parent, name, source.scope)
    }

    fn add(
        &mut self,
        file: &str,
        folder: &str,
        parent: Option<Id>,
        name: &str,
        mut scope: Scope,
    ) -> Id {
        let id = self.all.len();
        let declared = std::mem::take(&mut scope.declared);
        let for_tests = std::mem::take(&mut scope.declared_for_tests);
        let inline = std::mem::take(&mut scope.inline);
        self.all.push(Module {
            parent,
            file: file.to_owned(),
            name: name.to_owned(),
            scope,
            children: BTreeMap::new(),
        });
        for child in declared {
            let (file, folder) = (self.file_of(folder, &child), format!("{folder}/{child}"));
            let added = self.add_file(&file, &folder, Some(id), &child);
            self.all[id].children.insert(child, added);
        }
        for child in for_tests {
            self.for_tests.insert(self.file_of(folder, &child));
        }
        for (child, scope) in inline {
            let folder = format!("{folder}/{child}");
            let added = self.add(file, &folder, Some(id), &child, scope);
            self.all[id].children.insert(child, added);
        }
        id
    }

    fn file_of(&self, folder: &str, module: &str) -> String {
        let beside = format!("{folder}/{module}.rs");
        if self.files.contains_key(&beside) {
            return beside;
        }
        format!("{folder}/{module}/mod.rs")
    }

    fn into_graph(self) -> Graph {
        let mut arrows = BTreeSet::new();
        let (mut rooted, mut unresolved) = (0, Vec::new());
        for (id, module) in self.all.iter().enumerate() {
            let imports = module.scope.imports.iter().map(|import| &import.path);
            for path in imports.chain(&module.scope.paths) {
                let Some(target) = self.resolve(id, path, ALIASES) else {
                    continue;
                };
                if path[0] == "crate" || self.crates.contains_key(&path[0]) {
                    rooted += 1;
                    if !self.is_known(&target) {
                        unresolved.push(format!("{}: {}", module.file, path.join("::")));
                    }
                }
                let to = &self.all[target.module];
                if to.file != module.file {
                    arrows.insert(Arrow {
                        from: module.file.clone(),
                        to: to.file.clone(),
                        name: target.rest.first().unwrap_or(&to.name).clone(),
                    });
                }
            }
        }
        Graph {
            arrows,
            lines: self.lines,
            for_tests: self.for_tests,
            rooted,
            unresolved,
        }
    }

    /// Where a path leads that stands in a module; `None` if it is of no crate of ours, or local.
    fn resolve(&self, from: Id, path: &[String], aliases: u32) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => self.root_of(from),
            "self" => from,
            "super" => self.all[from].parent?,
            name => match self.named(from, name, aliases)? {
                Target { module, rest } if rest.is_empty() => module,
                // A name of a module, and what belongs to it.
                item => return Some(item),
            },
        };
        let target = self.descend(start, rest);
        // A crate's root hands names of all its modules out. If it stood in their way, every file
        // would lead to every other.
        let is_root = self.all[target.module].parent.is_none();
        match target.rest.first() {
            Some(name) if is_root => self.named(target.module, name, aliases).or(Some(target)),
            _ => Some(target),
        }
    }

    /// What a name means in a module: a child, an import, or a crate.
    fn named(&self, module: Id, name: &str, aliases: u32) -> Option<Target> {
        let whole = |module| Target {
            module,
            rest: Vec::new(),
        };
        if let Some(child) = self.all[module].children.get(name) {
            return Some(whole(*child));
        }
        let imports = &self.all[module].scope.imports;
        let is_named = |import: &&Import| import.name.as_deref() == Some(name);
        match imports.iter().find(is_named) {
            Some(import) if aliases > 0 && import.path != [name] => {
                self.resolve(module, &import.path, aliases - 1)
            }
            _ => self.crates.get(name).copied().map(whole),
        }
    }

    fn descend(&self, start: Id, path: &[String]) -> Target {
        let mut module = start;
        let mut rest = path;
        while let Some((name, after)) = rest.split_first() {
            let next = match name.as_str() {
                "super" => self.all[module].parent,
                name => self.all[module].children.get(name).copied(),
            };
            let Some(next) = next else { break };
            (module, rest) = (next, after);
        }
        Target {
            module,
            rest: rest.to_vec(),
        }
    }

    fn root_of(&self, module: Id) -> Id {
        let mut id = module;
        while let Some(parent) = self.all[id].parent {
            id = parent;
        }
        id
    }

    /// Whether a path leads to a module, or to a name that the module defines or imports.
    fn is_known(&self, target: &Target) -> bool {
        let scope = &self.all[target.module].scope;
        let Some(name) = target.rest.first() else {
            return true;
        };
        let imports = |import: &Import| import.name.as_ref().is_none_or(|it| it == name);
        scope.items.contains(name) || scope.imports.iter().any(imports)
    }
}
