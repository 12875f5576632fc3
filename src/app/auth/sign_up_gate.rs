//! Whether somebody may sign up: the project's rules, for every way of signing up.
//!
//! ```ignore
//! let applicant = Applicant {
//!     email: email.to_string(),
//!     country_code: country_in(request.geo).unwrap_or_default(),
//!     ..Applicant::by(AuthMethod::Otp)
//! };
//! let admitted = sign_up_gate::decide(app, context, project, applicant).await?;
//! let account = NewAccount::generate(app, project, admitted.apply_to(user));
//! ```
//!
//! Ask before anything is created. Anonymous accounts, accounts that servers create, sign-ins to
//! existing accounts and links are not asked about; an anonymous account that signs up is.

use muniment_domain::Patch;
use muniment_domain::sign_up_rules::{
    self, ActionKind, Applicant, ConditionError, Evaluation, Verdict,
};
use muniment_domain::user::{AdminRestriction, NewUser, RiskScores, UserUpdate};
use muniment_event_store::EventContext;
use muniment_projections::read_models::users::UserRow;
use muniment_projections::telemetry::event::TriggeredRule;
use muniment_projections::telemetry::sign_up_rules::{Triggering, record};

use crate::app::App;
use crate::app::auth::geo::GeoLocation;
use crate::app::projects::directory::LoadedProject;
use crate::error::ApiError;
use crate::error::known_error::KnownError;

/// A sign-up that goes through, and what is to be noted of it on the account.
#[derive(Clone, Debug)]
#[must_use = "an account that is created without it forgets a restriction"]
pub struct AdmittedSignUp {
    restricted_by: Option<RestrictingRule>,
    country_code: Option<String>,
    risk_scores: RiskScores,
}

#[derive(Clone, Debug)]
struct RestrictingRule {
    id: String,
    display_name: Option<String>,
}

impl RestrictingRule {
    /// The note for the operator.
    fn note(&self) -> String {
        let name = self.display_name.as_deref().filter(|name| !name.is_empty());
        let name = name.map_or_else(String::new, |name| format!(" ({name})"));
        format!("Restricted by the sign-up rule {}{name}.", self.id)
    }
}

impl AdmittedSignUp {
    /// Completes a new account.
    #[must_use]
    pub fn apply_to(&self, user: NewUser) -> NewUser {
        let restriction = match &self.restricted_by {
            None => user.restriction,
            Some(rule) => AdminRestriction {
                restricted: Some(true),
                reason: Patch::Keep,
                private_details: Patch::Set(rule.note()),
            },
        };
        NewUser {
            restriction,
            country_code: self.country_code.clone(),
            risk_scores: self.risk_scores,
            ..user
        }
    }

    /// Completes the update by which the anonymous user `current` signs up. A country that is
    /// known of the user stays; so do the details of an earlier restriction.
    #[must_use]
    pub fn apply_to_upgrade(&self, current: &UserRow, update: UserUpdate) -> UserUpdate {
        let restriction = match &self.restricted_by {
            None => update.restriction,
            Some(rule) => AdminRestriction {
                restricted: Some(true),
                reason: Patch::Keep,
                private_details: Patch::Set(appended(
                    current.restricted_by_admin_private_details.as_deref(),
                    rule.note(),
                )),
            },
        };
        let country_code = match (&current.country_code, &self.country_code) {
            (None, Some(code)) => Patch::Set(code.clone()),
            _ => Patch::Keep,
        };
        UserUpdate {
            restriction,
            country_code,
            risk_scores: Some(self.risk_scores),
            ..update
        }
    }
}

fn appended(details: Option<&str>, note: String) -> String {
    match details.filter(|details| !details.is_empty()) {
        Some(details) => format!("{details}\n\n{note}"),
        None => note,
    }
}

/// Asks the project's rules about a sign-up, and records which of them applied.
///
/// # Errors
/// `SIGN_UP_REJECTED`. Rules that cannot be evaluated do not match, and are logged.
pub async fn decide(
    app: &App,
    context: &EventContext,
    project: &LoadedProject,
    applicant: Applicant,
) -> Result<AdmittedSignUp, ApiError> {
    let asked = ask(project, &applicant).await?;
    for (rule, error) in &asked.broken {
        // The error may quote the applicant's email, which has no place in a log.
        let hint = match error {
            ConditionError::Evaluation(_) => "it has no value for some sign-ups".to_owned(),
            error => error.to_string(),
        };
        tracing::warn!(project = %project.id, rule, hint, "a sign-up rule could not be evaluated");
    }
    if !asked.triggers.is_empty() {
        let triggers = asked.triggers.iter();
        let triggering = Triggering {
            project_id: &project.id,
            at: context.now,
            email: &applicant.email,
            auth_method: applicant.auth_method,
            oauth_provider: &applicant.oauth_provider,
            rules: triggers.map(|(id, kind)| (id.as_str(), *kind)).collect(),
        };
        triggering.rules.iter().for_each(|(rule_id, action)| {
            app.recorder.observe(TriggeredRule {
                project_id: &project.id,
                rule_id,
                action: *action,
                email: &applicant.email,
                auth_method: applicant.auth_method,
                oauth_provider: &applicant.oauth_provider,
                at: context.now,
            });
        });
        if let Err(error) = record(app.pool(), &triggering).await {
            tracing::warn!(project = %project.id, %error, "triggers of sign-up rules were not recorded");
        }
    }
    if !asked.allowed {
        return Err(KnownError::sign_up_rejected().into());
    }
    Ok(AdmittedSignUp {
        restricted_by: asked.restricted_by,
        country_code: Some(applicant.country_code).filter(|code| !code.is_empty()),
        risk_scores: applicant.risk_scores,
    })
}

/// What the rules said, on its own feet.
#[derive(Default)]
struct Asked {
    allowed: bool,
    restricted_by: Option<RestrictingRule>,
    triggers: Vec<(String, ActionKind)>,
    broken: Vec<(String, ConditionError)>,
}

/// Conditions are the project's own and may take milliseconds, so they are evaluated where they
/// hold nobody else up.
async fn ask(project: &LoadedProject, applicant: &Applicant) -> Result<Asked, ApiError> {
    let rules = project.config.auth.sign_up_rules.clone();
    let default = project.config.auth.sign_up_rules_default_action;
    let applicant = applicant.clone();
    let asking = move || {
        let outcome = sign_up_rules::decide(&rules, default, &applicant);
        let mut asked = Asked {
            allowed: outcome.is_allowed(),
            restricted_by: outcome.restricted_by.map(|id| RestrictingRule {
                id: id.to_owned(),
                display_name: rules.get(id).and_then(|rule| rule.display_name.clone()),
            }),
            ..Asked::default()
        };
        for Evaluation {
            rule_id,
            rule,
            verdict,
        } in outcome.evaluations
        {
            match verdict {
                Verdict::Matched => asked.triggers.push((rule_id.to_owned(), rule.action.kind)),
                Verdict::Error(error) => asked.broken.push((rule_id.to_owned(), error)),
                Verdict::NotMatched | Verdict::Disabled | Verdict::MissingCondition => {}
            }
        }
        asked
    };
    if project.config.auth.sign_up_rules.is_empty() {
        return Ok(asking());
    }
    tokio::task::spawn_blocking(asking)
        .await
        .map_err(ApiError::internal)
}

/// The country that the end user seems to be in.
#[must_use]
pub fn country_in(geo: Option<&GeoLocation>) -> Option<String> {
    country_code(geo?.region.country_code.as_deref()?)
}

/// A country's code in its normal form, if it is one: two capital letters.
#[must_use]
pub fn country_code(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    let is_code = code.len() == 2 && code.chars().all(|c| c.is_ascii_uppercase());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_the_rule_and_keep_what_was_there() {
        let mut rule = RestrictingRule {
            id: "r1".to_owned(),
            display_name: None,
        };
        assert_eq!(rule.note(), "Restricted by the sign-up rule r1.");
        rule.display_name = Some("Bots".to_owned());
        assert_eq!(rule.note(), "Restricted by the sign-up rule r1 (Bots).");
        assert_eq!(appended(Some("old"), "new".to_owned()), "old\n\nnew");
        assert_eq!(appended(Some(""), "new".to_owned()), "new");
    }

    #[test]
    fn countries_are_two_letters() {
        assert_eq!(country_code(" de "), Some("DE".to_owned()));
        for text in ["", "d", "deu", "1a", "ß"] {
            assert_eq!(country_code(text), None, "{text}");
        }
    }
}
