//! How mail is sent.

use clap::Args;

use crate::clients::mail::transport::MailServerError;
use crate::clients::mail::{Carrier, SharedMail};

/// How mail is sent for projects without a mail server of their own.
#[derive(Args, Clone, Debug)]
pub struct MailSettings {
    /// The mail server, as `smtp://user:password@host:587`; TLS is used where the server offers it,
    /// and from the start on port 465 or with `smtps://` [default: in `dev`, the page /dev/mail].
    #[arg(long, env = "MUNIMENT_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// The address that mail comes from.
    #[arg(
        long,
        env = "MUNIMENT_EMAIL_SENDER",
        default_value = "noreply@muniment.localhost"
    )]
    pub email_sender: String,
}

impl MailSettings {
    /// Where mail goes; without a server, to `otherwise`.
    pub fn shared(&self, otherwise: Carrier) -> Result<SharedMail, MailServerError> {
        // Compose files pass on unset variables as empty ones.
        let url = self.smtp_url.as_deref().filter(|url| !url.is_empty());
        Ok(SharedMail {
            carrier: match url {
                Some(url) => Carrier::Server(url.parse()?),
                None => otherwise,
            },
            sender: self.email_sender.clone(),
        })
    }
}
