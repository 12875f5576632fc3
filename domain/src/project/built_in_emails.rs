//! The email themes and templates that every project has from the start.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::schema::{Shape, settings};

/// The id of the theme of a project that chose none.
pub const DEFAULT_THEME: &str = "1df07ae6-abf3-4a40-83a5-a1a2cbe336ac";

settings! {
    /// A theme: `emails.themes.{id}`.
    EmailTheme {
        /// The theme's name.
        Branch "displayName" display_name: String = "Unnamed Theme".to_owned();
        /// The theme's source: a component that wraps the content of a mail.
        Branch "tsxSource" tsx_source: String = theme_source("#ffffff", "#1f2430");
    }

    /// A template: `emails.templates.{id}`.
    EmailTemplate {
        /// The template's name.
        Branch "displayName" display_name: String = "Unnamed Template".to_owned();
        /// The template's source: a component that makes a mail of its variables.
        Branch "tsxSource" tsx_source: String = template_source("", "This template is empty.", None);
    } + optional {
        /// The template's theme: `false` for none, the project's if absent.
        Branch "themeId" theme_id: TemplateTheme, Shape::Either(&[Shape::Uuid, Shape::Only(false)]);
    }
}

/// The choice of a template's theme.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum TemplateTheme {
    /// The theme with this id.
    Theme(String),
    /// No theme; the value is always `false`.
    Without(bool),
}

/// The source of a theme: a frame with a background and a colour of the text on it.
fn theme_source(background: &str, text: &str) -> String {
    format!(
        "export function EmailTheme({{ children, unsubscribeLink }}) {{\n  \
           const page = {{ background: \"{background}\", color: \"{text}\", padding: \"32px\" }};\n  \
           return (\n    \
             <div style={{page}}>\n      \
               {{children}}\n      \
               {{unsubscribeLink ? <a href={{unsubscribeLink}}>Unsubscribe</a> : null}}\n    \
             </div>\n  \
           );\n\
         }}\n"
    )
}

/// The source of a template: a subject, a sentence, and perhaps the variable that holds the link to
/// follow.
fn template_source(subject: &str, sentence: &str, link: Option<&str>) -> String {
    let link = link.map_or(String::new(), |variable| {
        format!("\n      <p><a href={{variables.{variable}}}>Continue</a></p>")
    });
    format!(
        "export function EmailTemplate({{ variables, project, user }}) {{\n  \
           return (\n    \
             <>\n      \
               <Subject value={{`{subject}`}} />\n      \
               <p>{sentence}</p>{link}\n    \
             </>\n  \
           );\n\
         }}\n"
    )
}

const THEMES: [(&str, &str, &str, &str); 3] = [
    (DEFAULT_THEME, "Default Light", "#ffffff", "#1f2430"),
    (
        "a0172b5d-cff0-463b-83bb-85124697373a",
        "Default Dark",
        "#14161c",
        "#e8eaf0",
    ),
    (
        "c7e2d94f-8a1b-4e6d-b3f5-9d0a2e7c1b8f",
        "Default Colorful",
        "#fff3e0",
        "#4a148c",
    ),
];

/// A template's id, name, subject, sentence, and the variable that holds its link.
type Template = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

const TEMPLATES: [Template; 7] = [
    (
        "e7d009ce-8d47-4528-b245-5bf119f2ffa3",
        "Email Verification",
        "Confirm your address for ${project.displayName}",
        "Confirm that this address is yours.",
        Some("emailVerificationLink"),
    ),
    (
        "a70fb3a4-56c1-4e42-af25-49d25603abd0",
        "Password Reset",
        "A new password for ${project.displayName}",
        "Somebody asked for a new password for your account. If it was not you, do nothing.",
        Some("passwordResetLink"),
    ),
    (
        "822687fe-8d0a-4467-a0d1-416b6e639478",
        "Magic Link/OTP",
        "${variables.otp} is your code for ${project.displayName}",
        "Sign in with the code {variables.otp}, or follow the link.",
        Some("magicLink"),
    ),
    (
        "e84de395-2076-4831-9c19-8e9a96a868e4",
        "Team Invitation",
        "You are invited to ${variables.teamDisplayName}",
        "Join {variables.teamDisplayName} on {project.displayName}.",
        Some("teamInvitationLink"),
    ),
    (
        "066dd73c-36da-4fd0-b6d6-ebf87683f8bc",
        "Sign In Invitation",
        "You are invited to ${project.displayName}",
        "An account was made for you on {project.displayName}. Sign in to use it.",
        Some("signInInvitationLink"),
    ),
    (
        "70372aee-0441-4d80-974c-2e858e40123a",
        "Payment Receipt",
        "Your receipt from ${project.displayName}",
        "Thank you: {variables.amount} for {variables.productName} was paid.",
        Some("receiptLink"),
    ),
    (
        "f64b1afe-27ec-4a28-a277-7178f3261f9a",
        "Payment Failed",
        "A payment to ${project.displayName} failed",
        "{variables.amount} for {variables.productName} could not be charged.",
        Some("invoiceLink"),
    ),
];

/// The built-in themes, by their ids.
#[must_use]
pub fn themes() -> BTreeMap<String, EmailTheme> {
    let theme = |(id, name, background, text): &(&str, &str, &str, &str)| {
        let theme = EmailTheme {
            display_name: (*name).to_owned(),
            tsx_source: theme_source(background, text),
        };
        ((*id).to_owned(), theme)
    };
    THEMES.iter().map(theme).collect()
}

/// The built-in templates, by their ids.
#[must_use]
pub fn templates() -> BTreeMap<String, EmailTemplate> {
    let template = |(id, name, subject, sentence, link): &Template| {
        let template = EmailTemplate {
            display_name: (*name).to_owned(),
            tsx_source: template_source(subject, sentence, *link),
            theme_id: None,
        };
        ((*id).to_owned(), template)
    };
    TEMPLATES.iter().map(template).collect()
}

pub(super) fn theme_entries() -> Value {
    json!(themes())
}

pub(super) fn template_entries() -> Value {
    json!(templates())
}
