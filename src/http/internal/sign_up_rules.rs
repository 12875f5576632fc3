//! `/internal/sign-up-rules-…`: trying sign-up rules out, and how often they applied.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::IntoResponse;
use muniment_domain::Millis;
use muniment_domain::sign_up_rules::{
    Action, ActionKind, Applicant, AuthMethod, Decision, DefaultAction, Evaluation, Outcome,
    Verdict, decide,
};
use muniment_domain::user::RiskScores;
use muniment_projections::telemetry::sign_up_rules::{HourlyCount, all_time_counts, hourly_counts};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::auth::sign_up_gate::country_in;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::AdminAccess;
use crate::http::request::fields::Fields;
use crate::http::request::input::{Form, Input};
use crate::http::request::values::{country, integer, one_of, text};
use crate::timestamp;

const HOUR_MILLIS: i64 = 3_600_000;
/// How many hours the series of the statistics have, the current one included.
const HOURS: i64 = 48;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(test))
        .routes(routes!(stats))
}

/// Asks the rules about a made-up sign-up. Nothing is created or recorded.
#[utoipa::path(post, path = "/internal/sign-up-rules-test", tag = "internal", request_body = Value,
    responses((status = 200, description = "`{context, evaluations, outcome}`"), (status = 400, description = "SCHEMA_ERROR")))]
async fn test(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let made_up = read_applicant(&mut form, country_in(access.geo()));
    let (applicant, turnstile) = form.finish(made_up)?;
    let auth_config = &access.project.config.auth;
    let (rules, default) = (
        auth_config.sign_up_rules.clone(),
        auth_config.sign_up_rules_default_action,
    );
    let asking = move || report(&applicant, turnstile, &decide(&rules, default, &applicant));
    let report = tokio::task::spawn_blocking(asking).await;
    Ok(Json(report.map_err(ApiError::internal)?).into_response())
}

/// The made-up applicant, and what the challenge said of them. Without a country it is `here`.
fn read_applicant(form: &mut Form<'_>, here: Option<String>) -> Option<(Applicant, &'static str)> {
    let mut body = form.body();
    let email = body.required_nullable("email", text);
    let method = body.required("auth_method", one_of(&AuthMethod::NAMES));
    let provider = body.required_nullable("oauth_provider", text);
    let country = body.required_nullable("country_code", country);
    let results = one_of(&["ok", "invalid", "error"]);
    let turnstile = body.or_default("turnstile_result", results, "invalid");
    let scores = body.optional_object("risk_scores", risk_scores);
    body.close();
    let applicant = Applicant {
        email: email?.unwrap_or_default().trim().to_lowercase(),
        country_code: country?.or(here).unwrap_or_default(),
        auth_method: method_named(method?),
        oauth_provider: provider?.unwrap_or_default(),
        // No engine that computes scores is built in: everybody has none.
        risk_scores: scores?.unwrap_or_default(),
    };
    Some((applicant, turnstile?))
}

fn risk_scores(fields: &mut Fields<'_>) -> Option<RiskScores> {
    let bot = fields.required("bot", integer(0..=100));
    let free_trial_abuse = fields.required("free_trial_abuse", integer(0..=100));
    Some(RiskScores {
        bot: u8::try_from(bot?).ok()?,
        free_trial_abuse: u8::try_from(free_trial_abuse?).ok()?,
    })
}

fn method_named(name: &str) -> AuthMethod {
    match name {
        "password" => AuthMethod::Password,
        "otp" => AuthMethod::Otp,
        "oauth" => AuthMethod::Oauth,
        _ => AuthMethod::Passkey,
    }
}

fn report(applicant: &Applicant, turnstile: &str, outcome: &Outcome<'_>) -> Value {
    let (decision, rule) = match outcome.decision {
        Decision::Allowed(rule) => ("allow", Some(rule)),
        Decision::Rejected(rule) => ("reject", Some(rule)),
        Decision::Default(DefaultAction::Allow) => ("default-allow", None),
        Decision::Default(DefaultAction::Reject) => ("default-reject", None),
    };
    let evaluations: Vec<_> = outcome.evaluations.iter().map(EvaluationView::of).collect();
    json!({
        "context": {
            "email": applicant.email,
            "email_domain": applicant.email_domain(),
            "country_code": applicant.country_code,
            "auth_method": applicant.auth_method,
            "oauth_provider": applicant.oauth_provider,
            "turnstile_result": turnstile,
            "risk_scores": applicant.risk_scores,
        },
        "evaluations": evaluations,
        "outcome": {
            "should_allow": outcome.is_allowed(),
            "decision": decision,
            "decision_rule_id": rule,
            "restricted_because_of_rule_id": outcome.restricted_by,
        },
    })
}

/// A rule that was asked, as it is shown.
#[derive(Serialize)]
struct EvaluationView<'e> {
    rule_id: &'e str,
    display_name: &'e str,
    enabled: bool,
    condition: &'e str,
    status: &'static str,
    action: &'e Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'e> EvaluationView<'e> {
    fn of(evaluation: &'e Evaluation<'_>) -> Self {
        let rule = evaluation.rule;
        let (status, error) = match &evaluation.verdict {
            Verdict::Matched => ("matched", None),
            Verdict::NotMatched => ("not_matched", None),
            Verdict::Disabled => ("disabled", None),
            Verdict::MissingCondition => ("missing_condition", None),
            Verdict::Error(error) => ("error", Some(error.to_string())),
        };
        Self {
            rule_id: evaluation.rule_id,
            display_name: rule.display_name.as_deref().unwrap_or_default(),
            enabled: rule.enabled,
            condition: rule.condition.as_deref().unwrap_or_default(),
            status,
            action: &rule.action,
            error,
        }
    }
}

/// How often each rule applied, and when.
#[utoipa::path(get, path = "/internal/sign-up-rules-stats", tag = "internal",
    responses((status = 200, description = "`{rule_triggers, analytics_hours, total_triggers, triggers_by_action}`")))]
async fn stats(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    let hours = Hours::until(access.app.now());
    let counts = hourly_counts(access.app.pool(), access.project_id(), Millis(hours.first)).await?;
    let all_time = all_time_counts(access.app.pool(), access.project_id()).await?;
    let kinds = [
        ActionKind::Allow,
        ActionKind::Reject,
        ActionKind::Restrict,
        ActionKind::Log,
    ];
    let of_kind = |kind: &str| total(&counts, |count| count.action == kind);
    let by_action: BTreeMap<&str, i64> = kinds
        .iter()
        .map(|kind| (kind.as_str(), of_kind(kind.as_str())))
        .collect();
    // The order of ids by their UTF-16 code units is the one of their bytes: ids are ASCII.
    let rules: BTreeMap<String, i64> = all_time.into_iter().collect();
    let triggers: Vec<Value> = rules
        .into_iter()
        .map(|(id, all_time)| of_rule(&id, all_time, &hours, &counts))
        .collect();
    Ok(Json(json!({
        "rule_triggers": triggers,
        "analytics_hours": HOURS,
        "total_triggers": total(&counts, |_| true),
        "triggers_by_action": by_action,
    }))
    .into_response())
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

fn of_rule(id: &str, all_time: i64, hours: &Hours, counts: &[HourlyCount]) -> Value {
    let own: Vec<&HourlyCount> = counts.iter().filter(|count| count.rule_id == id).collect();
    let series: Vec<Value> = hours
        .iter()
        .map(|hour| {
            let of_hour = own.iter().filter(|count| count.hour == hour);
            let count: i64 = of_hour.map(|count| count.count).sum();
            json!({"hour": timestamp::format_with_millis(Millis(hour)), "count": count})
        })
        .collect();
    json!({
        "rule_id": id,
        "total_count": own.iter().map(|count| count.count).sum::<i64>(),
        "all_time_count": all_time,
        "hourly_counts": series,
    })
}

fn total(counts: &[HourlyCount], belongs: impl Fn(&HourlyCount) -> bool) -> i64 {
    let counted = counts.iter().filter(|count| belongs(count));
    counted.map(|count| count.count).sum()
}
