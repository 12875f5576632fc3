//! Regular expressions as conditions write them: in ECMAScript's syntax, without its flags.
//!
//! The engine, `fancy-regex`, knows look-around and back-references and gives up after a number of
//! steps. Its syntax differs in many small ways (`\d` is Unicode's, `[a&&b]` intersects, `a++` is
//! possessive), so a pattern is translated, not passed on.

use std::iter::Peekable;
use std::str::Chars;

use fancy_regex::{Regex, RegexBuilder};

/// The steps back that a match may take. An address has at most 256 characters; a pattern that
/// needs more steps takes exponential time.
const BACKTRACK_LIMIT: usize = 50_000;
/// The most memory that a compiled pattern may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";
const SPACE: &str = r"\t\n\x0B\x0C\r\x20\xA0\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}";
/// Any character but the ends of lines.
const DOT: &str = r"[^\n\r\x{2028}\x{2029}]";

/// Compiles a pattern.
///
/// # Errors
/// A sentence that says what is wrong with the pattern.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let translated = Translation::of(pattern)?;
    RegexBuilder::new(&translated)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(SIZE_LIMIT)
        .delegate_dfa_size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| error.to_string())
}

struct Translation<'p> {
    rest: Peekable<Chars<'p>>,
    written: String,
    /// Whether the last thing written can be repeated.
    repeatable: bool,
}

/// A member of a class in brackets.
enum Member {
    Single(char),
    Set(String),
}

impl<'p> Translation<'p> {
    fn of(pattern: &'p str) -> Result<String, String> {
        let mut translation = Self {
            rest: pattern.chars().peekable(),
            written: String::new(),
            repeatable: false,
        };
        while let Some(c) = translation.rest.next() {
            translation.step(c)?;
        }
        Ok(translation.written)
    }

    fn step(&mut self, c: char) -> Result<(), String> {
        match c {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => return self.group(),
            '*' | '+' | '?' => return self.repeat(&c.to_string()),
            '{' => match self.counts() {
                Some(counts) => return self.repeat(&counts?),
                None => self.literal('{'),
            },
            '.' => self.written.push_str(DOT),
            '^' | '$' | '|' => {
                self.assertion(match c {
                    '^' => r"\A",
                    '$' => r"\z",
                    _ => "|",
                });
                return Ok(());
            }
            ')' => self.written.push(')'),
            c => self.literal(c),
        }
        self.repeatable = true;
        Ok(())
    }

    /// Writes something that matches no character, so that it cannot be repeated.
    fn assertion(&mut self, text: &str) {
        self.written.push_str(text);
        self.repeatable = false;
    }

    fn push(&mut self, parts: &[&str]) {
        self.written.extend(parts.iter().copied());
    }

    fn literal(&mut self, c: char) {
        // `\<` and `\>` would be the borders of words.
        if c.is_ascii_punctuation() && c != '<' && c != '>' {
            self.written.push('\\');
        }
        self.written.push(c);
    }

    fn repeat(&mut self, quantifier: &str) -> Result<(), String> {
        if !self.repeatable {
            return Err(format!("there is nothing for {quantifier} to repeat"));
        }
        self.written.push_str(quantifier);
        if self.rest.next_if_eq(&'?').is_some() {
            self.written.push('?');
        }
        self.repeatable = false;
        Ok(())
    }

    /// The rest of `{n}`, `{n,}` or `{n,m}`, if that is what follows.
    fn counts(&mut self) -> Option<Result<String, String>> {
        let mut ahead = self.rest.clone();
        let mut inner = String::new();
        loop {
            match ahead.next()? {
                '}' => break,
                c => inner.push(c),
            }
        }
        let (least, most) = inner.split_once(',').unwrap_or((&inner, ""));
        let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if least.is_empty() || !is_number(least) || !is_number(most) {
            return None;
        }
        self.rest = ahead;
        let number = |text: &str| text.parse::<u32>().ok();
        if number(most).is_some_and(|most| number(least).is_none_or(|least| least > most)) {
            return Some(Err(format!("the counts {{{inner}}} run backwards")));
        }
        Some(Ok(format!("{{{inner}}}")))
    }

    fn group(&mut self) -> Result<(), String> {
        self.repeatable = false;
        self.written.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        let kind = self.rest.next();
        let behind = kind == Some('<');
        let opening = match kind {
            Some(':') => "?:",
            Some('=') => "?=",
            Some('!') => "?!",
            Some('<') if self.rest.next_if_eq(&'=').is_some() => "?<=",
            Some('<') if self.rest.next_if_eq(&'!').is_some() => "?<!",
            _ if behind => {
                let name = self.name()?;
                self.written.push_str("?<");
                self.written.push_str(&name);
                ">"
            }
            _ => return Err("a group opens with an unknown sign after (?".to_owned()),
        };
        self.written.push_str(opening);
        Ok(())
    }

    /// A group's name, up to `>`.
    fn name(&mut self) -> Result<String, String> {
        let mut name = String::new();
        loop {
            match self.rest.next() {
                Some('>') if !name.is_empty() => return Ok(name),
                Some(c) if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
                _ => return Err("a group's name must be letters, digits and _".to_owned()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.rest.peek().copied() {
            Some('b') => {
                self.rest.next();
                self.written.push_str(&border(["(?!", "(?="]));
            }
            Some('B') => {
                self.rest.next();
                self.written.push_str(&border(["(?=", "(?!"]));
            }
            Some('k') => {
                self.rest.next();
                if self.rest.next_if_eq(&'<').is_none() {
                    self.literal('k');
                    return Ok(());
                }
                let name = self.name()?;
                self.push(&[r"\k<", &name, ">"]);
            }
            Some('1'..='9') => {
                let mut number = String::new();
                while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
                    number.push(digit);
                }
                // In a group, so that a digit that follows is not read as part of the number.
                self.push(&[r"(?:\", &number, ")"]);
            }
            _ => match self.escaped_member()? {
                Member::Single(c) => self.literal(c),
                Member::Set(set) => self.push(&["[", &set, "]"]),
            },
        }
        Ok(())
    }

    /// What an escape means inside and outside of brackets alike.
    fn escaped_member(&mut self) -> Result<Member, String> {
        let Some(c) = self.rest.next() else {
            return Err("the pattern ends with a backslash".to_owned());
        };
        let set = |set: &str| Ok(Member::Set(set.to_owned()));
        let all_but = |set: &str| Ok(Member::Set(format!("[^{set}]")));
        match c {
            'd' => set(DIGIT),
            'D' => all_but(DIGIT),
            'w' => set(WORD),
            'W' => all_but(WORD),
            's' => set(SPACE),
            'S' => all_but(SPACE),
            'p' | 'P' if self.rest.peek() == Some(&'{') => {
                let property: String = self.rest.by_ref().take_while(|c| *c != '}').collect();
                Ok(Member::Set(format!(r"\{c}{property}}}")))
            }
            't' => Ok(Member::Single('\t')),
            'n' => Ok(Member::Single('\n')),
            'r' => Ok(Member::Single('\r')),
            'v' => Ok(Member::Single('\u{B}')),
            'f' => Ok(Member::Single('\u{C}')),
            '0' => Ok(Member::Single('\0')),
            'x' => Ok(Member::Single(self.code(2).unwrap_or('x'))),
            'u' => Ok(Member::Single(self.code(4).unwrap_or('u'))),
            'c' => {
                let letter = self.rest.next_if(char::is_ascii_alphabetic);
                let control = letter.and_then(|letter| char::from_u32(u32::from(letter) % 32));
                Ok(Member::Single(control.unwrap_or('c')))
            }
            c => Ok(Member::Single(c)),
        }
    }

    /// The character whose code follows in `digits` hexadecimal digits.
    fn code(&mut self, digits: usize) -> Option<char> {
        let text: String = self.rest.clone().take(digits).collect();
        let is_code = text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit());
        let code = is_code.then(|| u32::from_str_radix(&text, 16).ok())??;
        let character = char::from_u32(code)?;
        self.rest.nth(digits - 1);
        Some(character)
    }

    fn class(&mut self) -> Result<(), String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        if self.rest.next_if_eq(&']').is_some() {
            // ECMAScript's "no character" and "any character".
            self.written
                .push_str(if negated { r"(?s:.)" } else { "(?!)" });
            return Ok(());
        }
        self.written.push_str(if negated { "[^" } else { "[" });
        while let Some(first) = self.member()? {
            match self.range_end()? {
                None => self.write_member(first),
                Some(last) => self.write_range(first, last)?,
            }
        }
        self.written.push(']');
        Ok(())
    }

    /// The next member of a class, or none at its end.
    fn member(&mut self) -> Result<Option<Member>, String> {
        match self.rest.next() {
            None => Err("a class in brackets has no end".to_owned()),
            Some(']') => Ok(None),
            Some('\\') if self.rest.next_if_eq(&'b').is_some() => Ok(Some(Member::Single('\u{8}'))),
            Some('\\') => self.escaped_member().map(Some),
            Some(c) => Ok(Some(Member::Single(c))),
        }
    }

    /// The member after a `-`, unless that is the last of the class.
    fn range_end(&mut self) -> Result<Option<Member>, String> {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.next(), None | Some(']')) {
            return Ok(None);
        }
        self.rest.next();
        self.member()
    }

    fn write_range(&mut self, first: Member, last: Member) -> Result<(), String> {
        match (first, last) {
            (Member::Single(first), Member::Single(last)) if first > last => {
                Err(format!("the range {first}-{last} runs backwards"))
            }
            (Member::Single(first), Member::Single(last)) => {
                self.literal(first);
                self.written.push('-');
                self.literal(last);
                Ok(())
            }
            (first, last) => {
                self.write_member(first);
                self.literal('-');
                self.write_member(last);
                Ok(())
            }
        }
    }

    fn write_member(&mut self, member: Member) {
        match member {
            Member::Single(c) => self.literal(c),
            Member::Set(set) => self.written.push_str(&set),
        }
    }
}

/// The border of an ASCII word, or its opposite: the first lookahead applies after a word, the
/// second one elsewhere.
fn border([after_word, otherwise]: [&str; 2]) -> String {
    format!("(?:(?<=[{WORD}]){after_word}[{WORD}])|(?<![{WORD}]){otherwise}[{WORD}]))")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern).unwrap().is_match(text).unwrap()
    }

    #[test]
    fn patterns_mean_what_they_mean_in_ecmascript() {
        let cases = [
            (r"b", "abc", true),
            (r"^b", "abc", false),
            (r"c$", "abc\n", false),
            (r"^\d+$", "123", true),
            (r"^\d$", "٣", false),
            (r"^\w+$", "é", false),
            (r"^[\w.+-]+@example\.com$", "a.b+c-d@example.com", true),
            (r"^[^@\s]+$", "a b", false),
            (r"(\w)\1", "aa", true),
            (r"(\w)\1", "ab", false),
            (r"(?<c>\w)\k<c>", "bb", true),
            (r"^(?!.*spam).*$", "ham", true),
            (r"^(?!.*spam).*$", "some spam", false),
            (r"(?<=@)x\.org$", "a@x.org", true),
            (r"(?<!@)x\.org$", "a@x.org", false),
            (r"a{2,3}$", "aaa", true),
            (r"a{,3}", "a{,3}", true),
            (r"x{y}", "x{y}", true),
            (r"[[]", "[", true),
            (r"[a&&b]", "&", true),
            (r"[a-]", "-", true),
            (r"[\]]", "]", true),
            (r"[]", "x", false),
            (r"[^]", "\n", true),
            (r"\bcat\b", "a cat.", true),
            (r"\bcat\b", "concat", false),
            (r"\Bcat", "concat", true),
            (r"\x41\u0042\/", "AB/", true),
            (r"\<a\>", "<a>", true),
            (r"a.c", "a\nc", false),
            (r"A", "a", false),
            (r"(a|b)*?c", "ababc", true),
            (r"[\d\-x]", "-", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_ecmascript_refuses_is_refused() {
        for pattern in [
            "*a", "a**", "a++", "(", ")", "[", "[b-a]", r"a\", "(?>a)", "(?P<n>a)", "(?R)",
            "(*FAIL)", r"(?<a", "|*", "a{3,1}",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn exponential_patterns_give_up() {
        let pattern = compile(r"^(?=(a+)+$)\1$").unwrap();
        let text = format!("{}b", "a".repeat(200));
        let started = std::time::Instant::now();
        let _ = pattern.is_match(text.as_str());
        let doomed = compile(r"^(a|a|b\1)+(?!c)$").unwrap();
        assert!(doomed.is_match(text.as_str()).is_err());
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
        assert!(compile(r"((a{1000}){1000}){1000}").is_err());
    }
}
