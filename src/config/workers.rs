//! The work beside requests.

use clap::Args;

use super::switch::Switch;

/// Whether this process does the work beside requests.
#[derive(Args, Clone, Debug)]
pub struct WorkerSettings {
    /// Whether this process follows the log as well as serving the API.
    #[arg(long, env = "MUNIMENT_SUBSCRIBERS", value_enum, default_value_t = Switch::On)]
    pub subscribers: Switch,
}
