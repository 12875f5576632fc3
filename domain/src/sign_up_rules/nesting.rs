//! The depth to which a condition nests, found out before it is parsed.
//!
//! The parser recurses for every bracket and every link of a chain such as `1 + 1 + 1`, and a stack
//! that overflows takes the whole server down. So the depth is bounded from the text alone.
//! Operands of `&&` and `||` and elements of lists do not nest, so a condition may have many.
//!
//! Text in quotes does not count. So literals must be told apart exactly as the parser does it: a
//! literal that it would not recognise, and whose inside it would read on, is refused here already.

use super::condition::ConditionError;

/// How deep the brackets and the chains of operators in `source` may nest together.
pub(super) const MAX_NESTING: usize = 32;

/// Checks that `source` stays within [`MAX_NESTING`].
///
/// # Errors
/// `TooDeep`; `Syntax` or `Unsupported` for a literal that is not one of CEL's plain ones.
pub(super) fn check(source: &str) -> Result<(), ConditionError> {
    let mut chains = vec![0_usize];
    let mut conditionals = 0_usize;
    let mut word = false;
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        let chain = chains.last_mut();
        match c {
            '"' | '\'' if word || starts_threefold(rest, c) => {
                let what = "raw, byte and triple-quoted texts".to_owned();
                return Err(ConditionError::Unsupported(what));
            }
            '"' | '\'' => {
                length = literal_length(rest, c);
                check_literal(&rest[..length], c)?;
            }
            '/' if rest.starts_with("//") => length = rest.find('\n').unwrap_or(rest.len()),
            '(' | '[' | '{' => {
                if let Some(chain) = chain {
                    *chain += 1;
                }
                chains.push(0);
            }
            ')' | ']' | '}' => {
                chains.pop();
            }
            '?' => {
                conditionals += 1;
                reset(chain);
            }
            ',' | '&' | '|' | ':' => reset(chain),
            '+' | '-' | '*' | '/' | '%' | '!' | '.' | '<' | '>' | '=' => add(chain),
            _ if !word && starts_with_in(rest) => add(chain),
            _ => {}
        }
        word = c.is_alphanumeric() || c == '_';
        let longest = chains.iter().copied().max().unwrap_or_default();
        if chains.len() + longest + conditionals > MAX_NESTING {
            return Err(ConditionError::TooDeep);
        }
        rest = &rest[length..];
    }
    Ok(())
}

fn add(chain: Option<&mut usize>) {
    if let Some(chain) = chain {
        *chain += 1;
    }
}

fn reset(chain: Option<&mut usize>) {
    if let Some(chain) = chain {
        *chain = 0;
    }
}

/// Whether the operator `in` is next.
fn starts_with_in(rest: &str) -> bool {
    let after = rest.strip_prefix("in").map(|after| after.chars().next());
    after.is_some_and(|next| !next.is_some_and(|c| c.is_alphanumeric() || c == '_'))
}

/// The length of the literal that `rest` opens, with its quotes, in bytes.
pub(super) fn literal_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + quote.len_utf8();
        }
    }
    rest.len()
}

fn starts_threefold(rest: &str, quote: char) -> bool {
    rest.chars().take_while(|c| *c == quote).count() > 2
}

/// Checks that a literal ends, in its line, and that CEL knows its escapes.
fn check_literal(literal: &str, quote: char) -> Result<(), ConditionError> {
    let syntax = |problem: &str| Err(ConditionError::Syntax(problem.to_owned()));
    let mut inner = literal.chars().skip(1);
    loop {
        match inner.next() {
            None => return syntax("a text has no closing quote"),
            Some('\n' | '\r') => return syntax("a text goes on in the next line"),
            Some('\\') if !skip_escape(&mut inner) => {
                return syntax("a text holds an unknown escape; write \\\\ for a backslash");
            }
            Some(c) if c == quote => return Ok(()),
            Some(_) => {}
        }
    }
}

/// Skips the characters that follow a backslash. Returns whether CEL knows the escape.
fn skip_escape(inner: &mut impl Iterator<Item = char>) -> bool {
    let (count, radix) = match inner.next() {
        Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`') => (0, 10),
        Some('x' | 'X') => (2, 16),
        Some('u') => (4, 16),
        Some('U') => (8, 16),
        Some('0'..='3') => (2, 8),
        _ => return false,
    };
    (0..count).all(|_| inner.next().is_some_and(|digit| digit.is_digit(radix)))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn breadth_is_free_and_depth_is_not() {
        let broad = r#"email.contains("(((") || countryCode in ["A", "B"] && "#.repeat(200);
        let list = format!("email in [{}]", r#""a.b+c=d","#.repeat(500));
        let quoted = format!("email == '{}'", "(".repeat(500));
        for text in [broad, list, quoted] {
            assert_eq!(check(&text), Ok(()), "{text}");
        }
        for part in [
            "(", "[", "!", "-", "1+", ".a", "[0]", "a?b:", "1 in ", ".a()", "(a||b)+",
        ] {
            let text = part.repeat(100);
            assert!(check(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn brackets_do_not_hide_in_what_only_looks_like_a_literal() {
        let deep = "(".repeat(100);
        for opening in [
            r#"r"\" + "#,
            r#"""" " """ + "#,
            "\"\n",
            r#""\q"#,
            r#""\x4"#,
            r#""\400"#,
            "'",
        ] {
            assert!(check(&format!("{opening}{deep}")).is_err(), "{opening}");
        }
        assert_eq!(check(r#""\x41\u00e9\n\"" == 'a"b'"#), Ok(()));
    }
}
