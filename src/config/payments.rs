//! How payments are taken.

use clap::Args;

use crate::clients::stripe::StripeAccess;

/// How payments are taken.
#[derive(Args, Clone, Debug)]
pub struct PaymentSettings {
    /// The secret key of the Stripe platform that projects' accounts belong to. With
    /// `sk_test_mockstripekey`, payments are pretended [default: in `dev`, that one; in `serve`, no
    /// payments].
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true)]
    pub stripe_secret_key: Option<String>,
    /// What Stripe signs its webhooks with; without it they are refused.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true)]
    pub stripe_webhook_secret: Option<String>,
    /// The base of Stripe's API [default: <https://api.stripe.com>].
    #[arg(long, env = "STRIPE_API_BASE")]
    pub stripe_api_base: Option<String>,
    /// The key's older name.
    #[arg(
        long = "stack-stripe-secret-key",
        env = "STACK_STRIPE_SECRET_KEY",
        hide_env_values = true,
        hide = true
    )]
    pub old_secret_key: Option<String>,
    /// The webhook secret's older name.
    #[arg(
        long = "stack-stripe-webhook-secret",
        env = "STACK_STRIPE_WEBHOOK_SECRET",
        hide_env_values = true,
        hide = true
    )]
    pub old_webhook_secret: Option<String>,
}

impl PaymentSettings {
    /// How to reach Stripe; without a key, `otherwise`.
    #[must_use]
    pub fn access(&self, otherwise: Option<StripeAccess>) -> Option<StripeAccess> {
        // Compose files pass on unset variables as empty ones.
        let set = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let key = set(&self.stripe_secret_key).or_else(|| set(&self.old_secret_key));
        let access = key.map(|key| StripeAccess::with_key(&key)).or(otherwise)?;
        let secret = set(&self.stripe_webhook_secret).or_else(|| set(&self.old_webhook_secret));
        Some(StripeAccess {
            webhook_secret: secret.or(access.webhook_secret),
            api_base: set(&self.stripe_api_base).or(access.api_base),
            ..access
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::stripe::MOCK_KEY;

    #[test]
    fn stripe_is_reached_as_it_is_said() {
        let unset = PaymentSettings {
            stripe_secret_key: None,
            stripe_webhook_secret: None,
            stripe_api_base: None,
            old_secret_key: None,
            old_webhook_secret: None,
        };
        let text = |text: &str| Some(text.to_owned());
        let pretended = || Some(StripeAccess::with_key(MOCK_KEY));
        assert!(unset.access(None).is_none());
        assert!(unset.access(pretended()).unwrap().is_mock());
        let empty = PaymentSettings {
            stripe_secret_key: text(""),
            stripe_api_base: text(""),
            ..unset.clone()
        };
        let access = empty.access(pretended()).unwrap();
        assert!(access.is_mock() && access.api_base.is_none());
        let old = PaymentSettings {
            old_secret_key: text("sk_old"),
            old_webhook_secret: text("whsec_old"),
            ..empty
        };
        let access = old.access(pretended()).unwrap();
        assert_eq!(access.secret_key, "sk_old");
        assert_eq!(access.webhook_secret, text("whsec_old"));
        let new = PaymentSettings {
            stripe_secret_key: text("sk_new"),
            stripe_api_base: text("http://x"),
            ..old
        };
        let access = new.access(None).unwrap();
        assert_eq!(access.secret_key, "sk_new");
        assert_eq!(access.api_base, text("http://x"));
    }
}
