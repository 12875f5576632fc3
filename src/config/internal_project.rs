//! How the `internal` project is seeded, also under the names that Stack Auth's own server reads.

use clap::Args;

use super::switch::Switch;

/// How the `internal` project is seeded.
#[derive(Args, Clone, Debug, Default)]
pub struct InternalProject {
    /// Its publishable client key.
    #[arg(
        long = "internal-publishable-client-key",
        env = "MUNIMENT_INTERNAL_PUBLISHABLE_CLIENT_KEY",
        hide_env_values = true
    )]
    pub publishable_client_key: Option<String>,
    /// Its secret server key.
    #[arg(
        long = "internal-secret-server-key",
        env = "MUNIMENT_INTERNAL_SECRET_SERVER_KEY",
        hide_env_values = true
    )]
    pub secret_server_key: Option<String>,
    /// Its super secret admin key.
    #[arg(
        long = "internal-super-secret-admin-key",
        env = "MUNIMENT_INTERNAL_SUPER_SECRET_ADMIN_KEY",
        hide_env_values = true
    )]
    pub super_secret_admin_key: Option<String>,
    /// Whether strangers may sign up to it [default: on in `dev`, off in `serve`].
    #[arg(
        long = "internal-sign-up",
        env = "MUNIMENT_INTERNAL_SIGN_UP",
        value_enum
    )]
    pub sign_up: Option<Switch>,
    /// Whether it offers sign-in by email code [default: on in `dev`, off in `serve`].
    #[arg(long = "internal-otp", env = "MUNIMENT_INTERNAL_OTP", value_enum)]
    pub otp: Option<Switch>,
    /// Whether it trusts local hosts [default: on in `dev`, off in `serve`].
    #[arg(
        long = "internal-allow-localhost",
        env = "MUNIMENT_INTERNAL_ALLOW_LOCALHOST",
        value_enum
    )]
    pub allow_localhost: Option<Switch>,
    /// The OAuth providers it offers with the server's own keys, separated by commas.
    #[arg(
        long = "internal-oauth-providers",
        env = "MUNIMENT_INTERNAL_OAUTH_PROVIDERS",
        value_delimiter = ','
    )]
    pub oauth_providers: Vec<String>,
    /// The email address of its first user, who can sign in with a password.
    #[arg(long = "internal-user-email", env = "MUNIMENT_INTERNAL_USER_EMAIL")]
    pub user_email: Option<String>,
    /// Their password.
    #[arg(
        long = "internal-user-password",
        env = "MUNIMENT_INTERNAL_USER_PASSWORD",
        hide_env_values = true
    )]
    pub user_password: Option<String>,
    /// Their account's id at GitHub.
    #[arg(
        long = "internal-user-github-id",
        env = "MUNIMENT_INTERNAL_USER_GITHUB_ID"
    )]
    pub user_github_id: Option<String>,
    /// Whether they administrate the project `internal` itself [default: off].
    #[arg(
        long = "internal-user-internal-access",
        env = "MUNIMENT_INTERNAL_USER_INTERNAL_ACCESS",
        value_enum
    )]
    pub user_internal_access: Option<Switch>,
}

/// What the names of Stack Auth's variables begin with.
const STACK_PREFIX: &str = "STACK_SEED_INTERNAL_PROJECT_";

impl InternalProject {
    /// Fills in what was not set from the variables that Stack Auth's own server reads.
    #[must_use]
    pub fn or_stack_variables(mut self, read: impl Fn(&str) -> Option<String>) -> Self {
        // Compose files pass on unset variables as empty ones.
        let read = |name: &str| {
            let value = read(&format!("{STACK_PREFIX}{name}"));
            value.filter(|value| !value.is_empty())
        };
        for (setting, name) in [
            (&mut self.publishable_client_key, "PUBLISHABLE_CLIENT_KEY"),
            (&mut self.secret_server_key, "SECRET_SERVER_KEY"),
            (&mut self.super_secret_admin_key, "SUPER_SECRET_ADMIN_KEY"),
            (&mut self.user_email, "USER_EMAIL"),
            (&mut self.user_password, "USER_PASSWORD"),
            (&mut self.user_github_id, "USER_GITHUB_ID"),
        ] {
            let set = setting.take().filter(|value| !value.is_empty());
            *setting = set.or_else(|| read(name));
        }
        for (setting, name) in [
            (&mut self.sign_up, "SIGN_UP_ENABLED"),
            (&mut self.otp, "OTP_ENABLED"),
            (&mut self.allow_localhost, "ALLOW_LOCALHOST"),
            (&mut self.user_internal_access, "USER_INTERNAL_ACCESS"),
        ] {
            *setting = setting.or_else(|| read(name).map(|value| stack_switch(&value)));
        }
        self.oauth_providers.retain(|provider| !provider.is_empty());
        if self.oauth_providers.is_empty() {
            let list = read("OAUTH_PROVIDERS").unwrap_or_default();
            let providers = list.split(',').map(str::trim);
            let providers = providers.filter(|provider| !provider.is_empty());
            self.oauth_providers = providers.map(str::to_owned).collect();
        }
        self
    }
}

/// There, only the exact text `true` switches something on.
fn stack_switch(value: &str) -> Switch {
    if value == "true" {
        Switch::On
    } else {
        Switch::Off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_own_variables_fill_in_what_was_not_set() {
        let variables = [
            ("STACK_SEED_INTERNAL_PROJECT_SECRET_SERVER_KEY", "theirs"),
            (
                "STACK_SEED_INTERNAL_PROJECT_PUBLISHABLE_CLIENT_KEY",
                "theirs",
            ),
            ("STACK_SEED_INTERNAL_PROJECT_SUPER_SECRET_ADMIN_KEY", ""),
            ("STACK_SEED_INTERNAL_PROJECT_SIGN_UP_ENABLED", "true"),
            ("STACK_SEED_INTERNAL_PROJECT_OTP_ENABLED", "TRUE"),
            (
                "STACK_SEED_INTERNAL_PROJECT_OAUTH_PROVIDERS",
                "github, google,",
            ),
            ("STACK_SEED_INTERNAL_PROJECT_USER_EMAIL", "a@example.com"),
        ];
        let read = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let ours = InternalProject {
            publishable_client_key: Some("ours".to_owned()),
            secret_server_key: Some(String::new()),
            ..InternalProject::default()
        };
        let filled = ours.or_stack_variables(read);
        assert_eq!(filled.publishable_client_key.as_deref(), Some("ours"));
        assert_eq!(filled.secret_server_key.as_deref(), Some("theirs"));
        assert_eq!(filled.super_secret_admin_key, None);
        assert_eq!(filled.sign_up, Some(Switch::On));
        assert_eq!(filled.otp, Some(Switch::Off));
        assert_eq!(filled.allow_localhost, None);
        assert_eq!(filled.oauth_providers, ["github", "google"]);
        assert_eq!(filled.user_email.as_deref(), Some("a@example.com"));
    }
}
