//! `/internal/sign-up-rules-…`: trying sign-up rules out, and how often they applied.

use axum::Json;
use muniment_domain::Millis;
use muniment_domain::sign_up_rules::{
    ActionKind, Applicant, AuthMethod, Decision, DefaultAction, Evaluation, Outcome, Verdict,
    decide,
};
use muniment_domain::user::RiskScores;
use muniment_projections::telemetry::sign_up_rules::{HourlyCount, all_time_counts, hourly_counts};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use utoipa_axum::router::OpenApiRouter;

use super::shapes::{named, text_among};
use crate::app::App;
use crate::app::auth::sign_up_gate::country_in;
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::declare::{NoInput, request};
use crate::http::request::presence::{optional, or_default, required, required_or_null};
use crate::http::request::shape::object;
use crate::http::request::shape::scalars::{country, one_of, text};
use crate::http::users::fields::SignUpRisks;
use crate::timestamp;
use crate::views::SignUpScores;

const HOUR_MILLIS: i64 = 3_600_000;
/// How many hours the series of the statistics have, the current one included.
const HOURS: i64 = 48;

/// What a challenge may say of somebody.
const TURNSTILE_RESULTS: [&str; 3] = ["ok", "invalid", "error"];

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(test_sign_up_rules))
        .routes(operations!(get_sign_up_rule_stats))
}

request! {
    /// A made-up sign-up.
    struct TestSignUpRules {
        body {
            /// The email address. Null for none.
            email: Option<String> = required_or_null(text());
            /// How the made-up user signs up.
            auth_method: AuthMethod = required(named(&AuthMethod::NAMES));
            /// The OAuth provider's id in the project's configuration. Null for none.
            oauth_provider: Option<String> = required_or_null(text());
            /// The country (ISO 3166-1 alpha-2). Null for the one that this request comes from.
            country_code: Option<String> = required_or_null(country());
            /// What the challenge said of the made-up user.
            turnstile_result: &'static str = or_default(one_of(&TURNSTILE_RESULTS), "invalid");
            /// How risky the sign-up is. Without them, it is not.
            risk_scores: Option<SignUpRisks> = optional(object());
        }
        example {
            "email": "ada@example.com",
            "auth_method": "password",
            "oauth_provider": null,
            "country_code": "GB",
        }
    }
}

/// What the rules say of a made-up sign-up.
#[derive(Serialize, ToSchema)]
struct SignUpRulesReport {
    context: SignUpContext,
    /// The rules that were asked, in order, up to the one that decided.
    evaluations: Vec<SignUpRuleEvaluation>,
    outcome: SignUpOutcome,
}

/// What the rules knew of a sign-up. A text that is not known is empty.
#[derive(Serialize, ToSchema)]
struct SignUpContext {
    #[schema(schema_with = auth_method)]
    auth_method: AuthMethod,
    /// ISO 3166-1 alpha-2.
    country_code: String,
    /// Without white space around it, in lower case.
    email: String,
    email_domain: String,
    oauth_provider: String,
    #[schema(value_type = SignUpScores)]
    risk_scores: RiskScores,
    #[schema(schema_with = turnstile_result)]
    turnstile_result: &'static str,
}

/// What became of a sign-up.
#[derive(Serialize, ToSchema)]
struct SignUpOutcome {
    decision: SignUpDecision,
    /// The rule that decided. Null if the default did.
    #[schema(required)]
    decision_rule_id: Option<String>,
    /// The first rule that restricts the user. It means nothing if the sign-up is refused.
    #[schema(required)]
    restricted_because_of_rule_id: Option<String>,
    should_allow: bool,
}

/// What was decided of a sign-up: by a rule, or by the default.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum SignUpDecision {
    Allow,
    Reject,
    DefaultAllow,
    DefaultReject,
}

/// A rule that was asked.
#[derive(Serialize, ToSchema)]
struct SignUpRuleEvaluation {
    action: SignUpRuleAction,
    /// In CEL.
    condition: String,
    display_name: String,
    enabled: bool,
    /// Why the condition could not be evaluated. Absent if it could.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    rule_id: String,
    status: SignUpRuleStatus,
}

/// What a rule does when its condition holds.
#[derive(Serialize, ToSchema)]
struct SignUpRuleAction {
    /// A note for administrators. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<String>,
    #[serde(rename = "type")]
    #[schema(schema_with = action_kind)]
    kind: ActionKind,
}

/// How asking a rule ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SignUpRuleStatus {
    Matched,
    NotMatched,
    Disabled,
    MissingCondition,
    Error,
}

/// How often sign-up rules applied.
#[derive(Serialize, ToSchema)]
struct SignUpRuleStats {
    /// How many hours the series have, the current one included.
    analytics_hours: i64,
    /// By rule, in the order of their ids.
    rule_triggers: Vec<SignUpRuleTriggers>,
    /// Of all rules, within the hours shown.
    total_triggers: i64,
    triggers_by_action: SignUpTriggersByAction,
}

/// How often rules applied within the hours shown, by what they do.
#[derive(Serialize, ToSchema)]
struct SignUpTriggersByAction {
    allow: i64,
    log: i64,
    reject: i64,
    restrict: i64,
}

/// How often a rule applied.
#[derive(Serialize, ToSchema)]
struct SignUpRuleTriggers {
    /// Ever.
    all_time_count: i64,
    /// Oldest first, hours without any included.
    hourly_counts: Vec<SignUpRuleTriggersOfHour>,
    rule_id: String,
    /// Within the hours shown.
    total_count: i64,
}

/// How often a rule applied in an hour.
#[derive(Serialize, ToSchema)]
struct SignUpRuleTriggersOfHour {
    count: i64,
    /// When the hour began (RFC 3339).
    #[schema(format = DateTime)]
    hour: String,
}

fn auth_method() -> Object {
    text_among("How the made-up user signs up.", &AuthMethod::NAMES)
}

fn turnstile_result() -> Object {
    text_among("What the challenge said.", &TURNSTILE_RESULTS)
}

fn action_kind() -> Object {
    const NAMES: [&str; 4] = ["allow", "reject", "restrict", "log"];
    text_among("What the rule does.", &NAMES)
}

/// Asks the rules about a made-up sign-up.
///
/// Nothing is created or recorded.
#[utoipa::path(post, path = "/internal/sign-up-rules-test", tag = "internal")]
async fn test_sign_up_rules(
    access: AdminAccess,
    made_up: TestSignUpRules,
) -> ApiResult<Json<SignUpRulesReport>> {
    let turnstile = made_up.turnstile_result;
    let applicant = made_up.into_applicant(country_in(access.geo()));
    let auth_config = &access.project.config.auth;
    let (rules, default) = (
        auth_config.sign_up_rules.clone(),
        auth_config.sign_up_rules_default_action,
    );
    let asking = move || {
        let outcome = decide(&rules, default, &applicant);
        SignUpRulesReport {
            evaluations: outcome.evaluations.iter().map(Into::into).collect(),
            outcome: outcome.into(),
            context: SignUpContext::of(applicant, turnstile),
        }
    };
    let report = tokio::task::spawn_blocking(asking).await;
    Ok(Json(report.map_err(ApiError::internal)?))
}

impl TestSignUpRules {
    /// The made-up applicant. Without a country they are `here`.
    fn into_applicant(self, here: Option<String>) -> Applicant {
        Applicant {
            email: self.email.unwrap_or_default().trim().to_lowercase(),
            country_code: self.country_code.or(here).unwrap_or_default(),
            auth_method: self.auth_method,
            oauth_provider: self.oauth_provider.unwrap_or_default(),
            // No engine that computes scores is built in: everybody has none.
            risk_scores: self
                .risk_scores
                .as_ref()
                .map_or_else(RiskScores::default, Into::into),
        }
    }
}

impl SignUpContext {
    fn of(applicant: Applicant, turnstile_result: &'static str) -> Self {
        Self {
            auth_method: applicant.auth_method,
            email_domain: applicant.email_domain().to_owned(),
            country_code: applicant.country_code,
            email: applicant.email,
            oauth_provider: applicant.oauth_provider,
            risk_scores: applicant.risk_scores,
            turnstile_result,
        }
    }
}

impl From<Outcome<'_>> for SignUpOutcome {
    fn from(outcome: Outcome<'_>) -> Self {
        let (decision, rule) = match outcome.decision {
            Decision::Allowed(rule) => (SignUpDecision::Allow, Some(rule)),
            Decision::Rejected(rule) => (SignUpDecision::Reject, Some(rule)),
            Decision::Default(DefaultAction::Allow) => (SignUpDecision::DefaultAllow, None),
            Decision::Default(DefaultAction::Reject) => (SignUpDecision::DefaultReject, None),
        };
        Self {
            decision,
            decision_rule_id: rule.map(str::to_owned),
            restricted_because_of_rule_id: outcome.restricted_by.map(str::to_owned),
            should_allow: outcome.is_allowed(),
        }
    }
}

impl From<&Evaluation<'_>> for SignUpRuleEvaluation {
    fn from(evaluation: &Evaluation<'_>) -> Self {
        let rule = evaluation.rule;
        let (status, error) = match &evaluation.verdict {
            Verdict::Matched => (SignUpRuleStatus::Matched, None),
            Verdict::NotMatched => (SignUpRuleStatus::NotMatched, None),
            Verdict::Disabled => (SignUpRuleStatus::Disabled, None),
            Verdict::MissingCondition => (SignUpRuleStatus::MissingCondition, None),
            Verdict::Error(error) => (SignUpRuleStatus::Error, Some(error.to_string())),
        };
        Self {
            action: SignUpRuleAction {
                message: rule.action.message.clone(),
                kind: rule.action.kind,
            },
            condition: rule.condition.clone().unwrap_or_default(),
            display_name: rule.display_name.clone().unwrap_or_default(),
            enabled: rule.enabled,
            error,
            rule_id: evaluation.rule_id.to_owned(),
            status,
        }
    }
}

/// Counts how often each sign-up rule applied, and when.
#[utoipa::path(get, path = "/internal/sign-up-rules-stats", tag = "internal")]
async fn get_sign_up_rule_stats(
    access: AdminAccess,
    _: NoInput,
) -> ApiResult<Json<SignUpRuleStats>> {
    let hours = Hours::until(access.app.now());
    let (pool, project) = (access.app.pool(), access.project_id());
    let counts = hourly_counts(pool, project, Millis(hours.first)).await?;
    let mut rules: Vec<(String, i64)> = all_time_counts(pool, project).await?.into_iter().collect();
    // The order of ids by their UTF-16 code units is the one of their bytes: ids are ASCII.
    rules.sort_unstable();
    let triggers = rules.into_iter();
    let of_kind = |kind: ActionKind| {
        let is_of_kind = |count: &&HourlyCount| count.action == kind.as_str();
        total(counts.iter().filter(is_of_kind))
    };
    Ok(Json(SignUpRuleStats {
        analytics_hours: HOURS,
        rule_triggers: triggers
            .map(|(id, all_time)| SignUpRuleTriggers::of(id, all_time, &hours, &counts))
            .collect(),
        total_triggers: total(&counts),
        triggers_by_action: SignUpTriggersByAction {
            allow: of_kind(ActionKind::Allow),
            log: of_kind(ActionKind::Log),
            reject: of_kind(ActionKind::Reject),
            restrict: of_kind(ActionKind::Restrict),
        },
    }))
}

/// The hours of the series.
struct Hours {
    /// The start of the first, in milliseconds since the Unix epoch.
    first: i64,
}

impl Hours {
    fn until(now: Millis) -> Self {
        let current = now.0.div_euclid(HOUR_MILLIS) * HOUR_MILLIS;
        Self {
            first: current - (HOURS - 1) * HOUR_MILLIS,
        }
    }

    fn iter(&self) -> impl Iterator<Item = i64> {
        let first = self.first;
        (0..HOURS).map(move |hour| first + hour * HOUR_MILLIS)
    }
}

impl SignUpRuleTriggers {
    fn of(rule_id: String, all_time_count: i64, hours: &Hours, counts: &[HourlyCount]) -> Self {
        let own = counts.iter().filter(|count| count.rule_id == rule_id);
        let own: Vec<&HourlyCount> = own.collect();
        let of_hour = |hour| SignUpRuleTriggersOfHour {
            count: total(own.iter().copied().filter(|count| count.hour == hour)),
            hour: timestamp::format_with_millis(Millis(hour)),
        };
        Self {
            all_time_count,
            hourly_counts: hours.iter().map(of_hour).collect(),
            total_count: total(own.iter().copied()),
            rule_id,
        }
    }
}

fn total<'c>(counts: impl IntoIterator<Item = &'c HourlyCount>) -> i64 {
    counts.into_iter().map(|count| count.count).sum()
}
