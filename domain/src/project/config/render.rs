//! Rendering: from override documents to the configuration that the server acts on.

use super::{DataSource, EmailsConfig, ProjectConfig, SourceOfTruth};
use crate::permission::Definitions;
use crate::project::built_in_emails::{self, DEFAULT_THEME};
use crate::project::overrides::Overrides;
use crate::project::schema::{Setting, lay_over};

impl ProjectConfig {
    /// Renders the overrides over the defaults.
    ///
    /// # Errors
    /// A stored override has the wrong type. Writes are checked, so that is a damaged row.
    pub fn render(overrides: &Overrides) -> Result<Self, serde_json::Error> {
        let document = lay_over(&Self::SHAPE, overrides.chained());
        let mut config: Self = serde_json::from_value(document)?;
        config.sanitize();
        Ok(config)
    }

    /// Repairs what no single setting's check can see: incomplete entries, and references to what
    /// is not there.
    fn sanitize(&mut self) {
        self.source_of_truth.sanitize();
        self.auth
            .oauth
            .providers
            .retain(|_, provider| provider.kind.is_some());
        self.emails.sanitize();
        self.payments.sanitize();
    }
}

impl SourceOfTruth {
    /// Falls back to the hosted database if the connection is incomplete, and drops settings of
    /// other kinds of database.
    fn sanitize(&mut self) {
        let given = std::mem::take(self);
        *self = match given.kind {
            DataSource::Neon if given.connection_strings.is_some() => Self {
                connection_string: None,
                ..given
            },
            DataSource::Postgres if given.connection_string.is_some() => Self {
                connection_strings: None,
                ..given
            },
            _ => Self::default(),
        };
    }
}

impl EmailsConfig {
    fn sanitize(&mut self) {
        if !self.themes.contains_key(&self.selected_theme_id) {
            DEFAULT_THEME.clone_into(&mut self.selected_theme_id);
        }
        // Templates of the project's own are not sent from an address that is not its own.
        if self.server.is_shared {
            self.templates = built_in_emails::templates();
        }
    }
}

impl Overrides {
    /// The permission definitions in effect. Empty if the settings cannot be rendered, which no
    /// checked write leads to.
    #[must_use]
    pub fn definitions(&self) -> Definitions {
        let config = ProjectConfig::render(self);
        config.map_or_else(|_| Definitions::new(), |config| config.rbac.permissions)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::PermissionId;
    use crate::permission::{Definition, DefinitionChanges, Scope};
    use crate::project::config::OauthConfig;
    use crate::project::level::Level;

    fn overrides(level: Level, document: Value) -> Overrides {
        let mut overrides = Overrides::default();
        overrides.merge(level, serde_json::from_value(document).unwrap());
        overrides
    }

    #[test]
    fn an_empty_project_renders_the_defaults() {
        let config = ProjectConfig::render(&Overrides::default()).unwrap();
        assert_eq!(config, ProjectConfig::default());
        assert!(config.auth.allow_sign_up);
    }

    #[test]
    fn later_levels_win_and_nested_objects_keep_defaults() {
        let mut overrides = overrides(Level::Branch, json!({"auth.password.allowSignIn": true}));
        overrides.merge(
            Level::Environment,
            serde_json::from_value(json!({"auth": {"allowSignUp": false}})).unwrap(),
        );
        let config = ProjectConfig::render(&overrides).unwrap();
        assert!(!config.auth.allow_sign_up);
        assert_eq!(config.auth.oauth, OauthConfig::default());
    }

    #[test]
    fn a_dotted_key_without_its_parent_is_dropped() {
        let with_parent = json!({"domains.trustedDomains.a": {"baseUrl": "https://a.example"}});
        let without = json!({"domains.trustedDomains.a.baseUrl": "https://a.example"});
        let rendered =
            |document| ProjectConfig::render(&overrides(Level::Environment, document)).unwrap();
        assert_eq!(
            rendered(with_parent).domains.trusted_domains["a"].handler_path,
            "/handler"
        );
        assert!(rendered(without).domains.trusted_domains.is_empty());
    }

    #[test]
    fn null_is_the_default_and_deletes_entries() {
        let document = json!({
            "auth.signUpRules": {"a": {"enabled": true}, "b": {"enabled": true, "condition": null}},
            "auth.signUpRules.a": null,
            "auth.allowSignUp": null,
        });
        let config = ProjectConfig::render(&overrides(Level::Environment, document)).unwrap();
        let rules: Vec<_> = config.auth.sign_up_rules.keys().collect();
        assert_eq!(rules, ["b"]);
        assert!(config.auth.allow_sign_up);
    }

    #[test]
    fn a_deeper_key_sets_its_path_whole() {
        let document = json!({
            "auth": {"signUpRules": {"a": {}}, "allowSignUp": false},
            "auth.signUpRules": {"b": {"priority": 1}},
        });
        let config = ProjectConfig::render(&overrides(Level::Environment, document)).unwrap();
        let rules: Vec<_> = config.auth.sign_up_rules.keys().collect();
        assert_eq!(rules, ["b"]);
        assert!(!config.auth.allow_sign_up);
    }

    #[test]
    fn a_record_entry_is_replaced_or_removed_as_a_whole() {
        let nested = json!({"rbac": {"permissions": {
            "a": {"scope": "team", "description": "Old."}, "b": {"scope": "team"},
        }}});
        let mut overrides = overrides(Level::Branch, nested);
        let replaced = Definition {
            scope: Some(Scope::Team),
            ..Definition::default()
        };
        overrides.redefine(DefinitionChanges::from([
            (PermissionId::new("a"), Some(replaced.clone())),
            (PermissionId::new("b"), None),
        ]));
        let expected = Definitions::from([(PermissionId::new("a"), replaced)]);
        assert_eq!(overrides.definitions(), expected);
    }
}
