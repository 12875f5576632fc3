//! The arguments of string methods, whose escapes differ from CEL's own.
//!
//! In `email.matches("\d")` CEL knows no escape `\d` and refuses the condition. In conditions, such
//! an argument has only the escapes `\\` and `\"`, and every other backslash stands for itself. So
//! those arguments are read by that rule and written again as CEL wants them; nothing else is
//! touched.

use super::nesting::literal_length;

/// The methods whose argument is read by the rule of conditions, not by CEL's.
pub(super) const METHODS: [&str; 4] = ["contains", "startsWith", "endsWith", "matches"];

/// Rewrites the arguments of string methods. A literal without an end is left for the CEL parser
/// to complain about.
pub(super) fn rewrite_arguments(source: &str) -> String {
    let mut written = String::with_capacity(source.len() + 16);
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            '"' if is_argument(&written) => copy_argument(rest, &mut written),
            '"' | '\'' => copy(rest, literal_length(rest, next), &mut written),
            '/' if rest.starts_with("//") => copy(rest, end_of_line(rest), &mut written),
            _ => copy(rest, next.len_utf8(), &mut written),
        };
        rest = &rest[taken..];
    }
    written
}

/// Whether what was written last opens the argument list of one of the [`METHODS`].
fn is_argument(written: &str) -> bool {
    let Some(call) = written.trim_end().strip_suffix('(') else {
        return false;
    };
    let call = call.trim_end();
    METHODS.iter().any(|method| {
        let target = call.strip_suffix(method);
        target.is_some_and(|target| target.trim_end().ends_with('.'))
    })
}

fn end_of_line(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

fn copy(rest: &str, length: usize, written: &mut String) -> usize {
    written.push_str(&rest[..length]);
    length
}

/// Reads an argument by the rule of conditions and writes it by CEL's.
fn copy_argument(rest: &str, written: &mut String) -> usize {
    let mut value = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => {
                write_literal(&value, written);
                return at + 1;
            }
            '\\' => {
                let escaped = characters.next_if(|(_, next)| matches!(next, '\\' | '"'));
                value.push(escaped.map_or('\\', |(_, next)| next));
            }
            _ => value.push(c),
        }
    }
    copy(rest, rest.len(), written)
}

fn write_literal(value: &str, written: &mut String) {
    written.push('"');
    for c in value.chars() {
        match c {
            '\\' => written.push_str("\\\\"),
            '"' => written.push_str("\\\""),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            c => written.push(c),
        }
    }
    written.push('"');
}

#[cfg(test)]
mod tests {
    use super::rewrite_arguments;

    #[test]
    fn only_backslash_and_quote_are_escapes_in_an_argument() {
        let cases = [
            (r#"email.matches("\d+\.x")"#, r#"email.matches("\\d+\\.x")"#),
            (r#"email.matches( "\\d" )"#, r#"email.matches( "\\d" )"#),
            (r#"email.contains("a\"b")"#, r#"email.contains("a\"b")"#),
            (r#"email . endsWith ("\n")"#, r#"email . endsWith ("\\n")"#),
        ];
        for (source, expected) in cases {
            assert_eq!(rewrite_arguments(source), expected);
        }
    }

    #[test]
    fn everything_else_is_left_alone() {
        for source in [
            r#"email == "a\tb""#,
            r#"email == '.matches("\d")'"#,
            r#"email == "it's" // "\d"
               || true"#,
            r#"matches("\d")"#,
            r#"email.matches("no end"#,
            r#"email.matches("x\"#,
            r#"email == "x\"#,
        ] {
            let written = rewrite_arguments(source);
            assert_eq!(written, source);
        }
    }
}
