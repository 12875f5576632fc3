//! Splits a canonical text into tokens, as ClickHouse's own lexer does.
//!
//! The engine writes canonical texts in a small part of what it reads: no comments, no heredocs,
//! names outside quotes in ASCII. Whatever else there is makes the text unreadable, and it is not
//! run.

/// A token, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind<'a>,
    /// Of its first byte.
    pub(super) start: usize,
    /// After its last byte.
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind<'a> {
    /// A keyword or a name without quotes.
    Word(&'a str),
    /// A name in backticks or double quotes; the text between them, still escaped.
    Quoted(&'a str),
    /// A string; the text between the quotes, still escaped.
    Literal(&'a str),
    /// Digits, and letters right after them.
    Number,
    /// Any other character.
    Punctuation(char),
}

impl Token<'_> {
    /// Whether it is this word, in any case, without quotes.
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.kind, TokenKind::Word(text) if text.eq_ignore_ascii_case(word))
    }

    pub(super) fn is_punctuation(&self, character: char) -> bool {
        self.kind == TokenKind::Punctuation(character)
    }

    /// The name that it is, or may be.
    pub(super) fn name(&self) -> Option<String> {
        match self.kind {
            TokenKind::Word(text) => Some(text.to_owned()),
            TokenKind::Quoted(text) => Some(unescaped(text)),
            _ => None,
        }
    }

    /// The string that it is.
    pub(super) fn literal(&self) -> Option<String> {
        match self.kind {
            TokenKind::Literal(text) => Some(unescaped(text)),
            _ => None,
        }
    }
}

/// All tokens of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b' ' || byte == b'\n' {
            at += 1;
            continue;
        }
        let (kind, end) = token_at(text, at, byte)?;
        tokens.push(Token {
            kind,
            start: at,
            end,
        });
        at = end;
    }
    Ok(tokens)
}

fn token_at(text: &str, at: usize, byte: u8) -> Result<(TokenKind<'_>, usize), String> {
    let bytes = text.as_bytes();
    let next = bytes.get(at + 1).copied();
    match byte {
        b'\'' => {
            let end = end_of_quoted(bytes, at)?;
            Ok((TokenKind::Literal(&text[at + 1..end - 1]), end))
        }
        b'`' | b'"' => {
            let end = end_of_quoted(bytes, at)?;
            Ok((TokenKind::Quoted(&text[at + 1..end - 1]), end))
        }
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
            let end = end_of(bytes, at, |byte| {
                byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
            });
            Ok((TokenKind::Word(&text[at..end]), end))
        }
        b'0'..=b'9' => {
            let end = end_of(bytes, at, |byte| {
                byte.is_ascii_alphanumeric() || byte == b'_'
            });
            Ok((TokenKind::Number, end))
        }
        b'-' if next == Some(b'-') => Err(format!("comment at position {at}")),
        b'/' if next == Some(b'*') => Err(format!("comment at position {at}")),
        b';' | b'#' | b'$' | b'\\' => Err(format!(
            "unexpected '{}' at position {at}",
            char::from(byte)
        )),
        byte if byte.is_ascii_graphic() => Ok((TokenKind::Punctuation(char::from(byte)), at + 1)),
        _ => Err(format!("unexpected character at position {at}")),
    }
}

fn end_of(bytes: &[u8], at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let length = bytes[at..]
        .iter()
        .take_while(|byte| belongs(**byte))
        .count();
    at + length
}

/// After the closing quote. A backslash escapes what follows; a doubled quote is part of the text.
fn end_of_quoted(bytes: &[u8], start: usize) -> Result<usize, String> {
    let quote = bytes[start];
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' {
            at += 2;
        } else if byte != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return Ok(at + 1);
        }
    }
    Err(format!("the quote at position {start} is not closed"))
}

/// The text without its escapes, as far as names and settings need it: `\n` and its like stay
/// letters, which no name of ours contains.
fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}
