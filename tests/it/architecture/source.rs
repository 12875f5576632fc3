//! What one file of Rust says: the modules it declares, the names it defines, the paths it uses.
//!
//! This reads tokens, not syntax: paths inside macro calls are paths too. What only tests compile is
//! left out.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::tokens;
use super::tokens::Token::{self, Bracketed, Sign, Word};

/// A file, or an inline module of one.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// `mod name;`
    pub declared: Vec<String>,
    /// `#[cfg(test)] mod name;`
    pub declared_for_tests: Vec<String>,
    /// `mod name { … }`
    pub inline: Vec<(String, Scope)>,
    /// Functions, types, constants and macros; and what calls of macros may define.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Paths of two segments or more, outside of `use`.
    pub paths: BTreeSet<Vec<String>>,
}

/// One leaf of a `use`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub path: Vec<String>,
    /// What it is called here; `None` for `*`.
    pub name: Option<String>,
}

/// A file as it was read.
pub(super) struct Source {
    pub scope: Scope,
    /// Its length without what only tests compile.
    pub lines: usize,
}

impl Source {
    pub(super) fn read(text: &str) -> Self {
        let mut reader = Reader::default();
        let scope = reader.module(&tokens::read(text));
        let cut: usize = reader.cut.into_iter().map(Iterator::count).sum();
        Self {
            scope,
            lines: text.lines().count() - cut,
        }
    }
}

/// Words that begin an item, after its visibility.
const ITEM_WORDS: [&str; 14] = [
    "pub", "fn", "struct", "enum", "union", "trait", "type", "const", "static", "mod", "use",
    "impl", "async", "unsafe",
];
/// Those of them that the item's name follows.
const NAMING_WORDS: [&str; 8] = [
    "fn", "struct", "enum", "union", "trait", "type", "const", "static",
];

#[derive(Default)]
struct Reader {
    /// The lines that only tests compile.
    cut: Vec<RangeInclusive<usize>>,
}

impl Reader {
    fn module(&mut self, tokens: &[Token]) -> Scope {
        let mut scope = Scope::default();
        self.walk(tokens, &mut scope, true);
        scope
    }

    /// Reads tokens into the module that they stand in. Only at a module's top level do words such
    /// as `fn` define a name of the module.
    fn walk(&mut self, tokens: &[Token], scope: &mut Scope, is_top: bool) {
        let mut rest = tokens;
        while let Some(next) = rest.first() {
            let length = match next {
                Sign('#', line) => self.attribute(rest, *line, scope),
                Sign(..) => 1,
                Word(word) => self.word(word, rest, scope, is_top),
                Bracketed(group) => {
                    self.walk(&group.tokens, scope, false);
                    1
                }
            };
            rest = &rest[length..];
        }
    }

    /// Skips an attribute, and with it the item that it leaves to tests.
    fn attribute(&mut self, rest: &[Token], line: usize, scope: &mut Scope) -> usize {
        let Some(attribute) = attribute_at(rest) else {
            return 1;
        };
        if !is_for_tests(attribute) {
            self.walk(attribute, scope, false);
            return 2;
        }
        let length = item_length(rest);
        let item = &rest[..length];
        if let [.., Word(word), Word(name), Sign(';', _)] = item
            && word == "mod"
        {
            scope.declared_for_tests.push(name.clone());
        }
        let last = match &item[length - 1] {
            Bracketed(group) => *group.lines.end(),
            Sign(_, line) => *line,
            Word(_) => line,
        };
        self.cut.push(line..=last);
        length
    }

    fn word(&mut self, word: &str, rest: &[Token], scope: &mut Scope, is_top: bool) -> usize {
        match (word, &rest[1..]) {
            // `use<'a>` captures lifetimes.
            ("use", [next, ..]) if !matches!(next, Sign('<', _)) => {
                import(&rest[1..], &mut scope.imports) + 1
            }
            // `pub(in some::path)` uses nothing.
            ("pub", [Bracketed(_), ..]) => 2,
            ("mod", [Word(name), Bracketed(body), ..]) => {
                let inner = self.module(&body.tokens);
                scope.inline.push((name.clone(), inner));
                3
            }
            ("mod", [Word(name), Sign(';', _), ..]) => {
                scope.declared.push(name.clone());
                3
            }
            ("macro_rules", [Sign('!', _), Word(name), ..]) => {
                scope.items.insert(name.clone());
                3
            }
            // A macro that is called in place of an item may define what it is told.
            (_, [Sign('!', _), Bracketed(told), ..]) if is_top => {
                scope.items.extend(words_in(&told.tokens));
                2
            }
            (word, [Word(name), ..]) if NAMING_WORDS.contains(&word) => {
                if is_top && !ITEM_WORDS.contains(&name.as_str()) {
                    scope.items.insert(name.clone());
                }
                1
            }
            _ => {
                let (path, length) = path_at(rest);
                if path.len() > 1 {
                    scope.paths.insert(path);
                }
                length
            }
        }
    }
}

/// Every word in there.
fn words_in(tokens: &[Token]) -> Vec<String> {
    let words = tokens.iter().flat_map(|token| match token {
        Word(word) => vec![word.clone()],
        Bracketed(group) => words_in(&group.tokens),
        Sign(..) => Vec::new(),
    });
    words.collect()
}

/// The content of the attribute that begins there.
fn attribute_at(tokens: &[Token]) -> Option<&[Token]> {
    match tokens {
        [Sign('#', _), Bracketed(content), ..] if content.open == '[' => Some(&content.tokens),
        _ => None,
    }
}

/// Whether an attribute is `#[test]`, `#[tokio::test]`, `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_for_tests(attribute: &[Token]) -> bool {
    match attribute {
        [Word(word), Bracketed(condition)] if word == "cfg" => demands_test(&condition.tokens),
        [.., Word(word)] => word == "test",
        _ => false,
    }
}

fn demands_test(condition: &[Token]) -> bool {
    match condition {
        [Word(word)] => word == "test",
        [Word(word), Bracketed(all)] if word == "all" => {
            let mut parts = all.tokens.split(|token| matches!(token, Sign(',', _)));
            parts.any(demands_test)
        }
        _ => false,
    }
}

/// How many tokens an item takes, with its attributes.
fn item_length(tokens: &[Token]) -> usize {
    let mut begin = 0;
    while attribute_at(&tokens[begin..]).is_some() {
        begin += 2;
    }
    let item = &tokens[begin..];
    let is = |token: &Token, words: &[&str]| match token {
        Word(word) => words.contains(&word.as_str()),
        _ => false,
    };
    let is_item = item.first().is_some_and(|first| is(first, &ITEM_WORDS));
    let is_import = item.iter().take(3).any(|token| is(token, &["use"]));
    let ends = |token: &Token| match token {
        Bracketed(group) => group.open == '{' && !is_import,
        Sign(sign, _) => *sign == ';' || (*sign == ',' && !is_item),
        Word(_) => false,
    };
    let last = item.iter().position(ends);
    last.map_or(tokens.len(), |last| begin + last + 1)
}

/// The path that begins there, and how many tokens it takes.
fn path_at(tokens: &[Token]) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    let mut rest = tokens;
    if let [Word(word), after @ ..] = rest {
        path.push(word.clone());
        rest = after;
    }
    while let [Sign(':', _), Sign(':', _), Word(word), after @ ..] = rest {
        path.push(word.clone());
        rest = after;
    }
    (path, tokens.len() - rest.len())
}

/// Reads a `use` up to its semicolon. Yields how many tokens it takes.
fn import(tokens: &[Token], imports: &mut Vec<Import>) -> usize {
    let mut ends = tokens.iter();
    let end = ends.position(|token| matches!(token, Sign(';', _)));
    let end = end.unwrap_or(tokens.len());
    use_tree(&tokens[..end], &[], imports);
    end
}

fn use_tree(tokens: &[Token], prefix: &[String], imports: &mut Vec<Import>) {
    // `::name` is a crate.
    let tokens = without_separator(tokens);
    let (path, length) = path_at(tokens);
    let mut path = [prefix, &path].concat();
    // `a::{self}` imports `a`.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = match without_separator(&tokens[length..]) {
        [Bracketed(branches)] => {
            let branches = branches.tokens.split(|token| matches!(token, Sign(',', _)));
            for branch in branches.filter(|branch| !branch.is_empty()) {
                use_tree(branch, &path, imports);
            }
            return;
        }
        [Sign('*', _)] => None,
        [Word(word), Word(name)] if word == "as" => Some(name.clone()),
        _ => path.last().cloned(),
    };
    imports.push(Import { path, name });
}

fn without_separator(tokens: &[Token]) -> &[Token] {
    match tokens {
        [Sign(':', _), Sign(':', _), rest @ ..] => rest,
        _ => tokens,
    }
}
