//! An event for the analytics store's table `events`.

use muniment_domain::sign_up_rules::{ActionKind, AuthMethod};
use muniment_domain::{Millis, ProjectId, SessionId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

/// The type of the event that every issued access token leaves.
pub const TOKEN_REFRESH: &str = "$token-refresh";
/// The type of the event that a sign-up rule leaves when it applies.
pub const SIGN_UP_RULE_TRIGGER: &str = "$sign-up-rule-trigger";
/// The type of the event that a browser sends for a page it showed.
pub const PAGE_VIEW: &str = "$page-view";
/// The type of the event that a browser sends for a click.
pub const CLICK: &str = "$click";

/// Something that was observed.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryEvent {
    /// What.
    pub event_type: String,
    /// When, by the clock of whoever observed it.
    pub at: Millis,
    /// The rest, as the text of a JSON object.
    pub data: String,
    /// In which project.
    pub project_id: ProjectId,
    /// Of whom.
    pub user: Option<UserId>,
    /// In which session.
    pub session: Option<SessionId>,
    /// In which recording.
    pub replay: Option<Uuid>,
    /// In which tab of the browser.
    pub segment: Option<String>,
    /// When it reached us.
    pub created_at: Millis,
}

/// A token that was issued.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// For which project.
    pub project_id: ProjectId,
    /// For whom.
    pub user: UserId,
    /// Whether they have not signed up.
    pub is_anonymous: bool,
    /// For which session.
    pub session: SessionId,
    /// The end user's address and place, as callers know it: `ip_info`.
    pub ip_info: Option<Value>,
    /// When.
    pub at: Millis,
}

impl From<IssuedToken> for TelemetryEvent {
    fn from(issued: IssuedToken) -> Self {
        let data = json!({
            "refresh_token_id": issued.session.0,
            "is_anonymous": issued.is_anonymous,
            "ip_info": issued.ip_info,
        });
        Self {
            event_type: TOKEN_REFRESH.to_owned(),
            at: issued.at,
            data: data.to_string(),
            project_id: issued.project_id,
            user: Some(issued.user),
            session: Some(issued.session),
            replay: None,
            segment: None,
            created_at: issued.at,
        }
    }
}

/// A sign-up rule that applied.
#[derive(Clone, Debug)]
pub struct TriggeredRule<'t> {
    /// In which project.
    pub project_id: &'t ProjectId,
    /// Which rule.
    pub rule_id: &'t str,
    /// What it did.
    pub action: ActionKind,
    /// The normalised email; empty if there is none.
    pub email: &'t str,
    /// How somebody was signing up.
    pub auth_method: AuthMethod,
    /// The OAuth provider's id in the project's configuration; empty if there is none.
    pub oauth_provider: &'t str,
    /// When.
    pub at: Millis,
}

impl From<TriggeredRule<'_>> for TelemetryEvent {
    /// There is no user yet.
    fn from(triggered: TriggeredRule<'_>) -> Self {
        let data = json!({
            "rule_id": triggered.rule_id,
            "action": triggered.action.as_str(),
            "email": triggered.email,
            "auth_method": triggered.auth_method.as_str(),
            "oauth_provider": triggered.oauth_provider,
        });
        Self {
            event_type: SIGN_UP_RULE_TRIGGER.to_owned(),
            at: triggered.at,
            data: data.to_string(),
            project_id: triggered.project_id.clone(),
            user: None,
            session: None,
            replay: None,
            segment: None,
            created_at: triggered.at,
        }
    }
}
