//! Conditions: the part of CEL that rules are written in.
//!
//! The crate `cel` parses a condition. Its tree is checked before it is evaluated: only those parts
//! of CEL are accepted that take time in proportion to their length, so no maps, structures or
//! loops over lists. Values, the email above all, enter as variables and are never parsed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use cel::extractors::This;
use cel::parser::Parser;
use cel::{Context, Env, ExecutionError, IdedExpr, Value};
use fancy_regex::Regex;

use super::applicant::Applicant;
use super::literal::{METHODS, rewrite_arguments};
use super::nesting::{self, MAX_NESTING};
use super::pattern;

/// The longest condition, in bytes.
pub(super) const MAX_LENGTH: usize = 10_000;
/// How many patterns a condition may try: each may take a millisecond before it gives up.
const MAX_PATTERNS: usize = 32;
/// The variables that are texts, which alone have methods.
const TEXTS: [&str; 5] = [
    "email",
    "emailDomain",
    "countryCode",
    "authMethod",
    "oauthProvider",
];
/// The functions that are no methods: the operators, and `size`.
const FUNCTIONS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::IN,
    "size",
];
const MATCHES: &str = "matches";

static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Why a condition cannot be used. The texts are for the operator who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// The condition is longer than `MAX_LENGTH` bytes.
    #[error("the condition is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// The condition nests too deep.
    #[error("the condition nests more than {MAX_NESTING} levels deep")]
    TooDeep,
    /// The condition is not CEL.
    #[error("the condition cannot be read: {0}")]
    Syntax(String),
    /// The condition is CEL, but uses what conditions may not use.
    #[error("conditions cannot use {0}")]
    Unsupported(String),
    /// A regular expression in the condition cannot be used.
    #[error("the pattern {pattern} cannot be read: {problem}")]
    Pattern {
        /// The pattern as it was written.
        pattern: String,
        /// A sentence that says what is wrong with the pattern.
        problem: String,
    },
    /// The condition has no value, for example because of an unknown variable or types that do not
    /// fit.
    #[error("the condition cannot be evaluated: {0}")]
    Evaluation(String),
    /// The condition's value is neither true nor false.
    #[error("the condition is neither true nor false")]
    NotBoolean,
}

/// A condition that can be evaluated.
#[derive(Clone, Debug)]
pub struct Condition {
    expression: IdedExpr,
    patterns: Arc<BTreeMap<String, Regex>>,
}

impl Condition {
    /// Reads a condition. A variable that does not exist shows only when the condition is
    /// evaluated.
    ///
    /// # Errors
    /// `TooLong`, `TooDeep`, `Syntax`, `Unsupported`, `Pattern`.
    pub fn compile(text: &str) -> Result<Self, ConditionError> {
        if text.len() > MAX_LENGTH {
            return Err(ConditionError::TooLong);
        }
        let source = rewrite_arguments(text);
        nesting::check(&source)?;
        let expression = Parser::new()
            .parse(&source)
            .map_err(|errors| ConditionError::Syntax(errors.to_string()))?;
        let mut patterns = Patterns::default();
        check(&expression, &mut patterns)?;
        Ok(Self {
            expression,
            patterns: Arc::new(patterns.compiled),
        })
    }

    /// Whether the condition holds for a sign-up.
    ///
    /// # Errors
    /// `Evaluation`, `NotBoolean`.
    pub fn holds_for(&self, applicant: &Applicant) -> Result<bool, ConditionError> {
        let context = self
            .context(applicant)
            .map_err(|error| ConditionError::Evaluation(error.to_string()))?;
        match context.resolve(&self.expression) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(ConditionError::NotBoolean),
            Err(error) => Err(ConditionError::Evaluation(error.to_string())),
        }
    }

    fn context(&self, applicant: &Applicant) -> Result<Context<'_, '_>, cel::DeclarationError> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        let texts = [
            applicant.email.as_str(),
            applicant.email_domain(),
            applicant.country_code.as_str(),
            applicant.auth_method.as_str(),
            applicant.oauth_provider.as_str(),
        ];
        for (name, value) in TEXTS.into_iter().zip(texts) {
            context.add_variable_from_value(name, value.to_owned());
        }
        let scores = applicant.risk_scores;
        let scores = HashMap::from([
            ("bot".to_owned(), i64::from(scores.bot)),
            (
                "free_trial_abuse".to_owned(),
                i64::from(scores.free_trial_abuse),
            ),
        ]);
        context.add_variable_from_value("riskScores", scores);
        let patterns = Arc::clone(&self.patterns);
        let matches = move |This(text): This<Arc<String>>, pattern: Arc<String>| {
            find(&patterns, &pattern, &text)
        };
        context.add_function(MATCHES, matches)?;
        Ok(context)
    }
}

fn find(
    patterns: &BTreeMap<String, Regex>,
    pattern: &str,
    text: &str,
) -> Result<bool, ExecutionError> {
    let pattern = patterns
        .get(pattern)
        .ok_or_else(|| ExecutionError::function_error(MATCHES, "the pattern is not known"))?;
    pattern
        .is_match(text)
        .map_err(|error| ExecutionError::function_error(MATCHES, error))
}

/// Accepts only what conditions may use, and compiles the patterns.
fn check(expression: &IdedExpr, patterns: &mut Patterns) -> Result<(), ConditionError> {
    let unsupported = |what: &str| Err(ConditionError::Unsupported(what.to_owned()));
    match &expression.expr {
        Expr::Literal(_) | Expr::Ident(_) => Ok(()),
        Expr::Select(select) => check(&select.operand, patterns),
        Expr::List(list) if list.optional_indices.is_empty() => list
            .elements
            .iter()
            .try_for_each(|element| check(element, patterns)),
        Expr::Call(call) => check_call(call, patterns),
        Expr::Comprehension(_) => unsupported("macros that loop over lists"),
        Expr::Map(_) | Expr::Struct(_) => unsupported("maps and structures"),
        Expr::List(_) | Expr::Unspecified => unsupported("optional elements"),
    }
}

fn check_call(call: &CallExpr, patterns: &mut Patterns) -> Result<(), ConditionError> {
    let name = call.func_name.as_str();
    let Some(target) = &call.target else {
        if !FUNCTIONS.contains(&name) {
            return Err(ConditionError::Unsupported(format!("the function {name}")));
        }
        return call
            .args
            .iter()
            .try_for_each(|argument| check(argument, patterns));
    };
    if !METHODS.contains(&name) {
        return Err(ConditionError::Unsupported(format!("the method {name}")));
    }
    let is_text = matches!(&target.expr, Expr::Ident(name) if TEXTS.contains(&name.as_str()));
    let argument = match call.args.as_slice() {
        [argument] => literal_text(argument),
        _ => None,
    };
    let Some(argument) = argument.filter(|_| is_text) else {
        let what = format!("{name} other than on a text variable with one quoted text");
        return Err(ConditionError::Unsupported(what));
    };
    if name == MATCHES {
        patterns.add(argument)?;
    }
    Ok(())
}

/// The patterns of a condition.
#[derive(Default)]
struct Patterns {
    compiled: BTreeMap<String, Regex>,
    uses: usize,
}

impl Patterns {
    /// Compiles a pattern, unless it stands elsewhere in the condition as well.
    fn add(&mut self, pattern: &str) -> Result<(), ConditionError> {
        self.uses += 1;
        if self.uses > MAX_PATTERNS {
            let what = format!("more than {MAX_PATTERNS} patterns");
            return Err(ConditionError::Unsupported(what));
        }
        if self.compiled.contains_key(pattern) {
            return Ok(());
        }
        let compiled = pattern::compile(pattern).map_err(|problem| ConditionError::Pattern {
            pattern: pattern.to_owned(),
            problem,
        })?;
        self.compiled.insert(pattern.to_owned(), compiled);
        Ok(())
    }
}

fn literal_text(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign_up_rules::AuthMethod;
    use crate::user::RiskScores;

    fn ada() -> Applicant {
        Applicant {
            email: "ada@example.com".to_owned(),
            country_code: "GB".to_owned(),
            auth_method: AuthMethod::Oauth,
            oauth_provider: "github".to_owned(),
            risk_scores: RiskScores {
                bot: 40,
                free_trial_abuse: 7,
            },
        }
    }

    fn evaluate(text: &str) -> Result<bool, ConditionError> {
        Condition::compile(text)?.holds_for(&ada())
    }

    #[test]
    fn conditions_are_true_or_false() {
        let cases = [
            (r#"email == "ada@example.com""#, true),
            (r#"email == "Ada@example.com""#, false),
            ("emailDomain != 'example.com'", false),
            (r#"countryCode in ["DE", "GB"]"#, true),
            ("countryCode in []", false),
            (r#"!(countryCode in ["DE"])"#, true),
            (
                r#"authMethod == "oauth" && oauthProvider == "github""#,
                true,
            ),
            (
                "riskScores.bot >= 40 && riskScores.free_trial_abuse < 7",
                false,
            ),
            ("riskScores.bot > 39.5", true),
            ("riskScores.bot + 1 == 41 && 7 % 2 == 1 && -1 < 0", true),
            (r#"email.contains("@example")"#, true),
            (r#"email . contains ( "@example" )"#, true),
            (r#"email.startsWith("ada")"#, true),
            (r#"emailDomain.endsWith(".com")"#, true),
            (r#"email.matches("^a\w+@")"#, true),
            (r#"email.matches("^a\\w+@")"#, true),
            (r#"email.matches("^(?!ada)")"#, false),
            ("true ? email == email : false", true),
            ("size(email) == 15", true),
            ("has(riskScores.bot) && !has(riskScores.other)", true),
            ("null == null", true),
            ("email == null", false),
            (r#"nothing == 1 || countryCode == "GB""#, true),
        ];
        for (text, expected) in cases {
            assert_eq!(evaluate(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_fails_is_an_error() {
        for text in [
            "",
            "email ==",
            "email = 'x'",
            "nothing == 1",
            "email > 5",
            "email",
            "1",
            "null",
            "email.matches(\"(\")",
            "email.matches(email)",
            "email.contains(5)",
            "email.size()",
            "email.matches(\"a\", \"b\")",
            "\"x\".contains(\"x\")",
            "[1].all(x, x == 1)",
            "[1, 2].map(x, x) == [1]",
            "{1: 2} == {1: 2}",
            "1 / 0 == 1",
            "string(1) == '1'",
            "riskScores.other == 1",
            "email.contains(\"a\"",
            "email.contains('a', 'b')",
            "9223372036854775807 + 1 == 0",
            "undefined(1)",
            "riskScores.contains(\"bot\")",
        ] {
            assert!(evaluate(text).is_err(), "{text}: {:?}", evaluate(text));
        }
    }

    #[test]
    fn the_email_is_data_only() {
        let hostile = |email: &str| Applicant {
            email: email.to_owned(),
            ..ada()
        };
        let condition = Condition::compile(r#"email == "x" || email.contains("\"")"#).unwrap();
        for (email, expected) in [
            (r#"" || true || ""#, true),
            (r"x\", false),
            ("' || true", false),
            ("${true}", false),
        ] {
            assert_eq!(
                condition.holds_for(&hostile(email)),
                Ok(expected),
                "{email}"
            );
        }
    }

    /// Workers of the server have two megabytes of stack, and so have the threads of tests.
    #[test]
    fn hostile_conditions_neither_overflow_nor_hang() {
        let n = 4_000;
        let started = std::time::Instant::now();
        for text in [
            format!("{}true{}", "(".repeat(n), ")".repeat(n)),
            format!("{}1{}", "[".repeat(n), "]".repeat(n)),
            format!("{}true", "!".repeat(n)),
            format!("{}1 == 1", "-".repeat(n)),
            format!("1{} == 1", "+1".repeat(n)),
            format!("email{} == 1", ".a".repeat(n)),
            format!("riskScores{} == 1", "[0]".repeat(3_000)),
            "true ? ".repeat(1_000),
            format!("{}true", "true ? false : ".repeat(600)),
            format!("true{}", " && true".repeat(1_200)),
            format!("false{}", r#" || email.matches("(a|a)*b\1c")"#.repeat(300)),
            format!("email == \"{}\"", "a".repeat(20_000)),
            "\"".repeat(n),
            "size(".repeat(1_500),
            format!(r#"email.matches("{}a{}")"#, "(".repeat(n), ")".repeat(n)),
            format!(r#"email.matches("{}")"#, "(?=".repeat(2_000)),
            format!(
                r#"email.matches("{}a{}")"#,
                "(?:".repeat(1_500),
                ")*".repeat(1_500)
            ),
            format!(r#"email.matches("{}")"#, "a|".repeat(n)),
            format!(r#"email.matches("{}")"#, "[".repeat(n)),
            format!(r#"email.matches("{}")"#, r"\b".repeat(2_000)),
        ] {
            let _ = Condition::compile(&text).and_then(|condition| condition.holds_for(&ada()));
        }
        assert!(
            started.elapsed() < std::time::Duration::from_secs(20),
            "{:?}",
            started.elapsed()
        );
    }
}
