//! Limits against abuse.

use clap::Args;

use crate::security::limits::Quotas;

/// How often something may be tried.
#[derive(Args, Clone, Debug)]
pub struct LimitSettings {
    /// Limits against abuse: `on`, `off`, or those that differ from the defaults, as
    /// `password-guess=5/1h,sign-up-ip=100/1m`.
    #[arg(long, env = "MUNIMENT_RATE_LIMITS", default_value = "on")]
    pub rate_limits: Quotas,
}
