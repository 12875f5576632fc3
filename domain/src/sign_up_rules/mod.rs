//! Sign-up rules: who may sign up to a project, and who only as a restricted user.
//!
//! A rule is a [`Condition`] and an action. [`decide`] asks a project's rules in their order until
//! one of them allows or refuses the sign-up:
//!
//! ```
//! use muniment_domain::sign_up_rules::{Applicant, AuthMethod, DefaultAction, decide};
//! # use muniment_domain::sign_up_rules::Rules;
//! let rules: Rules = serde_json::from_value(serde_json::json!({
//!     "no-throwaways": {
//!         "enabled": true,
//!         "condition": "emailDomain in [\"throwaway.example\"]",
//!         "action": {"type": "reject"},
//!     },
//! }))?;
//! let applicant = Applicant {
//!     email: "eve@throwaway.example".to_owned(),
//!     ..Applicant::by(AuthMethod::Password)
//! };
//! assert!(!decide(&rules, DefaultAction::Allow, &applicant).is_allowed());
//! # Ok::<(), serde_json::Error>(())
//! ```

mod applicant;
mod condition;
mod literal;
mod nesting;
mod pattern;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Number;

pub use applicant::{Applicant, AuthMethod};
pub use condition::{Condition, ConditionError};

/// A project's rules by their ids: `auth.signUpRules`.
pub type Rules = BTreeMap<String, SignUpRule>;

/// A rule: `auth.signUpRules.{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignUpRule {
    /// Whether the rule is asked.
    pub enabled: bool,
    /// The rule's name, for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The rule's rank: rules of a higher priority are asked first.
    pub priority: Number,
    /// The condition under which the rule applies, in CEL. Text, because a condition that does not
    /// compile is kept too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The action that the rule takes when its condition holds.
    pub action: Action,
}

impl Default for SignUpRule {
    fn default() -> Self {
        Self {
            enabled: false,
            display_name: None,
            priority: Number::from(0),
            condition: None,
            action: Action::default(),
        }
    }
}

/// The action of a rule: `auth.signUpRules.{id}.action`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Action {
    /// The kind of action.
    #[serde(rename = "type")]
    pub kind: ActionKind,
    /// A note for the operator; never shown to the person who signs up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a rule does with a sign-up that meets its condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Allows the sign-up; no further rule is asked.
    #[default]
    Allow,
    /// Refuses the sign-up; no further rule is asked.
    Reject,
    /// Restricts the user, and lets further rules decide.
    Restrict,
    /// Only counts the sign-up, and lets further rules decide.
    Log,
}

impl ActionKind {
    /// The action's name in settings and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Reject => "reject",
            Self::Restrict => "restrict",
            Self::Log => "log",
        }
    }
}

/// The action for a sign-up that no rule decides: `auth.signUpRulesDefaultAction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAction {
    /// The sign-up is allowed.
    #[default]
    Allow,
    /// The sign-up is refused.
    Reject,
}

/// The result of asking one rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The condition holds.
    Matched,
    /// The condition does not hold.
    NotMatched,
    /// The rule is switched off.
    Disabled,
    /// The rule has no condition.
    MissingCondition,
    /// The condition could not be evaluated, which counts as not matched.
    Error(ConditionError),
}

/// A rule that was asked, and how that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation<'r> {
    /// The rule's id.
    pub rule_id: &'r str,
    /// The rule itself.
    pub rule: &'r SignUpRule,
    /// The result of asking it.
    pub verdict: Verdict,
}

/// The rule, or the default, that decided a sign-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'r> {
    /// The rule with that id allows it.
    Allowed(&'r str),
    /// The rule with that id refuses it.
    Rejected(&'r str),
    /// No rule decided, so the default applies.
    Default(DefaultAction),
}

/// The result of asking a project's rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<'r> {
    /// The rules that were asked, in order, up to the one that decided.
    pub evaluations: Vec<Evaluation<'r>>,
    /// The rule, or the default, that decided.
    pub decision: Decision<'r>,
    /// The first rule that restricts the user. It means nothing if the sign-up is refused.
    pub restricted_by: Option<&'r str>,
}

impl Outcome<'_> {
    /// Whether the sign-up is allowed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(
            self.decision,
            Decision::Allowed(_) | Decision::Default(DefaultAction::Allow)
        )
    }
}

/// Asks the rules in their order. Pure: the same rules and applicant give the same outcome.
#[must_use]
pub fn decide<'r>(rules: &'r Rules, default: DefaultAction, applicant: &Applicant) -> Outcome<'r> {
    let mut outcome = Outcome {
        evaluations: Vec::with_capacity(rules.len()),
        decision: Decision::Default(default),
        restricted_by: None,
    };
    for (rule_id, rule) in in_order(rules) {
        let verdict = ask(rule, applicant);
        let matched = verdict == Verdict::Matched;
        outcome.evaluations.push(Evaluation {
            rule_id,
            rule,
            verdict,
        });
        if !matched {
            continue;
        }
        match rule.action.kind {
            ActionKind::Log => {}
            ActionKind::Restrict => {
                outcome.restricted_by.get_or_insert(rule_id);
            }
            ActionKind::Allow => {
                outcome.decision = Decision::Allowed(rule_id);
                break;
            }
            ActionKind::Reject => {
                outcome.decision = Decision::Rejected(rule_id);
                break;
            }
        }
    }
    outcome
}

/// The rules by descending priority, then by id.
pub(crate) fn in_order(rules: &Rules) -> Vec<(&str, &SignUpRule)> {
    let priority = |rule: &SignUpRule| rule.priority.as_f64().unwrap_or_default();
    let mut ordered: Vec<_> = rules.iter().map(|(id, rule)| (id.as_str(), rule)).collect();
    ordered.sort_by(|(id_a, a), (id_b, b)| {
        let by_priority = priority(b).total_cmp(&priority(a));
        by_priority.then_with(|| by_id(id_a, id_b))
    });
    ordered
}

/// Compares ids by their capitals first, and ties in reverse. Ids are ASCII.
fn by_id(a: &str, b: &str) -> Ordering {
    a.to_uppercase()
        .cmp(&b.to_uppercase())
        .then_with(|| b.cmp(a))
}

fn ask(rule: &SignUpRule, applicant: &Applicant) -> Verdict {
    if !rule.enabled {
        return Verdict::Disabled;
    }
    let text = rule.condition.as_deref().unwrap_or_default();
    if text.trim().is_empty() {
        return Verdict::MissingCondition;
    }
    match Condition::compile(text).and_then(|condition| condition.holds_for(applicant)) {
        Ok(true) => Verdict::Matched,
        Ok(false) => Verdict::NotMatched,
        Err(error) => Verdict::Error(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(rules: serde_json::Value) -> Rules {
        serde_json::from_value(rules).unwrap()
    }

    fn rule(priority: i64, action: &str) -> serde_json::Value {
        json!({"enabled": true, "priority": priority, "condition": "true", "action": {"type": action}})
    }

    fn asked<'r>(outcome: &'r Outcome<'_>) -> Vec<&'r str> {
        outcome
            .evaluations
            .iter()
            .map(|evaluation| evaluation.rule_id)
            .collect()
    }

    #[test]
    fn rules_are_asked_by_priority_then_id() {
        let rules = rules(json!({
            "b": rule(1, "log"), "A": rule(1, "log"), "a": rule(1, "log"), "z": rule(2, "log"),
        }));
        let outcome = decide(
            &rules,
            DefaultAction::Reject,
            &Applicant::by(AuthMethod::Otp),
        );
        assert_eq!(asked(&outcome), ["z", "a", "A", "b"]);
        assert!(!outcome.is_allowed());
    }

    #[test]
    fn the_first_allow_or_reject_is_final() {
        let rules = rules(json!({
            "restrict-1": rule(9, "restrict"), "restrict-2": rule(8, "restrict"),
            "allow": rule(5, "allow"), "reject": rule(4, "reject"),
        }));
        let outcome = decide(
            &rules,
            DefaultAction::Reject,
            &Applicant::by(AuthMethod::Otp),
        );
        assert_eq!(asked(&outcome), ["restrict-1", "restrict-2", "allow"]);
        assert_eq!(outcome.decision, Decision::Allowed("allow"));
        assert_eq!(outcome.restricted_by, Some("restrict-1"));
        assert!(outcome.is_allowed());
    }

    #[test]
    fn what_is_off_empty_or_broken_does_not_match() {
        let rules = rules(json!({
            "a-off": {"condition": "true", "action": {"type": "reject"}},
            "b-empty": {"enabled": true, "condition": " ", "action": {"type": "reject"}},
            "c-none": {"enabled": true, "action": {"type": "reject"}},
            "d-broken": {"enabled": true, "condition": "email ==", "action": {"type": "reject"}},
            "e-text": {"enabled": true, "condition": "email", "action": {"type": "reject"}},
        }));
        let outcome = decide(
            &rules,
            DefaultAction::Allow,
            &Applicant::by(AuthMethod::Otp),
        );
        let verdicts: Vec<_> = outcome.evaluations.iter().map(|e| &e.verdict).collect();
        assert_eq!(verdicts[0], &Verdict::Disabled);
        assert_eq!(verdicts[1], &Verdict::MissingCondition);
        assert_eq!(verdicts[2], &Verdict::MissingCondition);
        assert!(matches!(verdicts[3], Verdict::Error(_)));
        assert_eq!(verdicts[4], &Verdict::Error(ConditionError::NotBoolean));
        assert!(outcome.is_allowed());
    }
}
