//! What can go wrong with the store.

/// Why the store did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// It cannot be reached, or fell silent. Trying again may help.
    #[error("the analytics store cannot be reached: {0}")]
    Unreachable(String),
    /// It refused the statement.
    #[error("the analytics store refused: {message} (code {code})")]
    Refused {
        /// ClickHouse's code of the error.
        code: u32,
        /// ClickHouse's text, without code, name and version.
        message: String,
    },
    /// Its answer cannot be read.
    #[error("the analytics store's answer cannot be read: {0}")]
    Unreadable(String),
}

/// The codes with which ClickHouse says that it cannot read a value, before it has stored any:
/// `CANNOT_PARSE_TEXT`, `CANNOT_PARSE_QUOTED_STRING`, `CANNOT_PARSE_INPUT_ASSERTION_FAILED`,
/// `CANNOT_READ_ALL_DATA`, `CANNOT_PARSE_NUMBER`, `INCORRECT_DATA`, `TOO_LARGE_STRING_SIZE`,
/// `TOO_DEEP_RECURSION`, `VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE`.
const UNREADABLE_VALUES: [u32; 9] = [6, 26, 27, 33, 72, 117, 131, 306, 321];

impl AnalyticsError {
    /// Whether an insert was refused because of what is in it: it will be refused again. Anything
    /// else passes, or is for the operator to mend.
    #[must_use]
    pub fn is_about_a_value(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if UNREADABLE_VALUES.contains(code))
    }
}

impl From<clickhouse::error::Error> for AnalyticsError {
    fn from(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::Network(_) | Error::TimedOut => Self::Unreachable(with_causes(&error)),
            Error::BadResponse(text) => parse_exception(&text).unwrap_or(Self::Unreachable(text)),
            error => Self::Unreadable(with_causes(&error)),
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Takes `Code: 62. DB::Exception: Syntax error: … (SYNTAX_ERROR) (version 25.8.1)` apart.
fn parse_exception(text: &str) -> Option<AnalyticsError> {
    let (code, mut message) = code_and_rest(text.trim())?;
    // Errors are wrapped as they pass from part to part.
    while let Some((_, inner)) = code_and_rest(message) {
        message = inner;
    }
    loop {
        let shorter = without_trailing_note(message);
        if shorter == message {
            break;
        }
        message = shorter;
    }
    Some(AnalyticsError::Refused {
        code,
        message: message.to_owned(),
    })
}

fn code_and_rest(text: &str) -> Option<(u32, &str)> {
    let (code, rest) = text.strip_prefix("Code: ")?.split_once(". ")?;
    let (_, message) = rest.split_once("Exception: ")?;
    Some((code.parse().ok()?, message))
}

/// Without `(version …)`, or the name of the error in capitals, at the end.
fn without_trailing_note(message: &str) -> &str {
    let message = message.trim_end();
    // The version may have brackets of its own: `(version 25.8.1 (official build))`.
    if let Some(at) = message.rfind(" (version ")
        && message.trim_end_matches('.').ends_with(')')
    {
        return message[..at].trim_end();
    }
    let Some((before, note)) = message.rsplit_once(" (") else {
        return message;
    };
    let Some(name) = note.strip_suffix(')') else {
        return message;
    };
    let is_name = name.len() > 2
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if is_name { before.trim_end() } else { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_taken_apart() {
        for (text, expected_code, expected) in [
            (
                "Code: 62. DB::Exception: Syntax error: failed (at 1) here. (SYNTAX_ERROR) (version 25.8.1.1 (official build))",
                62,
                "Syntax error: failed (at 1) here.",
            ),
            (
                "Code: 115. DB::Exception: Code: 115. DB::Exception: Unknown setting 'a'. (UNKNOWN_SETTING) (version 26.5.1.1). (UNKNOWN_SETTING)",
                115,
                "Unknown setting 'a'.",
            ),
            ("Code: 1001. Poco::Exception: Not found", 1001, "Not found"),
        ] {
            let Some(AnalyticsError::Refused { code, message }) = parse_exception(text) else {
                panic!("not understood: {text}");
            };
            assert_eq!((code, message.as_str()), (expected_code, expected));
        }
        assert!(parse_exception("<html>502 Bad Gateway</html>").is_none());
    }

    #[test]
    fn only_what_cannot_be_read_is_refused_for_good() {
        use clickhouse::error::Error;
        let answer = |text: &str| Error::BadResponse(text.to_owned());
        let unreadable =
            answer("Code: 117. DB::Exception: Cannot parse JSON object. (INCORRECT_DATA)");
        assert!(AnalyticsError::from(unreadable).is_about_a_value());
        for passing in [
            answer("Code: 241. DB::Exception: Memory limit exceeded."),
            answer("Code: 252. DB::Exception: Too many parts."),
            answer("502 Bad Gateway"),
            Error::TimedOut,
        ] {
            let error = AnalyticsError::from(passing);
            assert!(!error.is_about_a_value(), "{error}");
        }
    }
}
