//! Rust as words, signs and what brackets enclose. Comments, literals and lifetimes are left out: they
//! use nothing.

use std::ops::RangeInclusive;

pub(super) enum Token {
    /// A keyword or a name.
    Word(String),
    /// One character, and its line.
    Sign(char, usize),
    Bracketed(Group),
}

/// What a pair of brackets encloses.
pub(super) struct Group {
    pub open: char,
    pub tokens: Vec<Token>,
    pub lines: RangeInclusive<usize>,
}

/// Reads a file that compiles.
pub(super) fn read(text: &str) -> Vec<Token> {
    let mut reader = Reader {
        rest: text,
        line: 1,
    };
    reader.tokens()
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl Reader<'_> {
    /// The tokens up to the end, or to the bracket that closes.
    fn tokens(&mut self) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some(next) = self.rest.chars().next() {
            match next {
                _ if self.rest.starts_with("//") => self.take_while(|it| it != '\n'),
                _ if self.rest.starts_with("/*") => self.block_comment(),
                '"' => self.string(),
                '\'' => self.character_or_lifetime(),
                '(' | '[' | '{' => tokens.push(Token::Bracketed(self.group(next))),
                ')' | ']' | '}' => break,
                _ if next.is_ascii_digit() => self.take_while(is_of_word),
                _ if is_of_word(next) => tokens.extend(self.word()),
                _ if next.is_whitespace() => self.take(1),
                _ => {
                    tokens.push(Token::Sign(next, self.line));
                    self.take(next.len_utf8());
                }
            }
        }
        tokens
    }

    /// Passes over so many bytes.
    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) {
        let end = self.rest.find(|it| !belongs(it));
        self.take(end.unwrap_or(self.rest.len()));
    }

    /// Passes over everything up to and with that.
    fn take_through(&mut self, end: &str) {
        let at = self.rest.find(end).map(|at| at + end.len());
        self.take(at.unwrap_or(self.rest.len()));
    }

    fn group(&mut self, open: char) -> Group {
        let first = self.line;
        self.take(1);
        let tokens = self.tokens();
        let last = self.line;
        self.take(self.rest.len().min(1));
        Group {
            open,
            tokens,
            lines: first..=last,
        }
    }

    /// A word, unless it begins a literal such as `br"…"`.
    fn word(&mut self) -> Option<Token> {
        let end = self.rest.find(|it| !is_of_word(it));
        let word = self.rest[..end.unwrap_or(self.rest.len())].to_owned();
        self.take(word.len());
        let hashes = self.rest.len() - self.rest.trim_start_matches('#').len();
        let quoted = self.rest[hashes..].starts_with('"');
        match word.as_str() {
            "r" | "br" | "cr" if quoted => {
                self.take(hashes + 1);
                self.take_through(&format!("\"{}", "#".repeat(hashes)));
                None
            }
            // `r#type` is a name.
            "r" if hashes == 1 => {
                self.take(1);
                self.word()
            }
            _ => Some(Token::Word(word)),
        }
    }

    fn string(&mut self) {
        self.take(1);
        loop {
            self.take_while(|it| it != '"' && it != '\\');
            if !self.rest.starts_with('\\') {
                break;
            }
            self.take_escaped();
        }
        self.take(self.rest.len().min(1));
    }

    /// Passes over a backslash and the character after it.
    fn take_escaped(&mut self) {
        let escaped = self.rest.chars().nth(1).map_or(0, char::len_utf8);
        self.take(1 + escaped);
    }

    fn character_or_lifetime(&mut self) {
        self.take(1);
        let is_escape = self.rest.starts_with('\\');
        if is_escape {
            self.take_escaped();
        }
        if is_escape || self.rest.chars().nth(1) == Some('\'') {
            self.take_through("'");
        } else {
            self.take_while(is_of_word);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.take(self.rest.chars().next().map_or(0, char::len_utf8));
            }
        }
    }
}

fn is_of_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}
