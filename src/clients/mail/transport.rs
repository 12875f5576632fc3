//! Handing a message to a mail server by SMTP (RFC 5321): with TLS from the start on the ports
//! where that is the custom, else with STARTTLS where the server offers it.

use std::str::FromStr;
use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use url::Url;

use super::classify::Rejection;

/// The ports on which TLS comes first.
const IMPLICIT_TLS: [u16; 2] = [465, 2465];
/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A mail server to hand messages to.
#[derive(Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password, if it wants them.
    pub credentials: Option<(String, String)>,
}

impl std::fmt::Debug for MailServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MailServer({}:{})", self.host, self.port)
    }
}

/// Why a text does not name a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mail server is named like smtp://user:password@host:587 or smtps://host")]
pub struct MailServerError;

impl FromStr for MailServer {
    type Err = MailServerError;

    fn from_str(text: &str) -> Result<Self, MailServerError> {
        let url = Url::parse(text).map_err(|_| MailServerError)?;
        let usual = match url.scheme() {
            "smtp" => 25,
            "smtps" => 465,
            _ => return Err(MailServerError),
        };
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let user = Some(url.username()).filter(|user| !user.is_empty());
        let password = url.password().unwrap_or_default();
        Ok(Self {
            host: url.host_str().ok_or(MailServerError)?.to_owned(),
            port: url.port().unwrap_or(usual),
            credentials: user.map(|user| (decoded(user), decoded(password))),
        })
    }
}

/// A message to hand over.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who it comes from.
    pub from: Mailbox,
    /// The addresses it goes to.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its HTML form.
    pub html: String,
    /// Its plain form.
    pub text: String,
}

impl MailServer {
    /// Hands a message over, on a connection of its own.
    ///
    /// # Errors
    /// Why the server did not take it, or could not be asked.
    pub(crate) async fn send(&self, message: Message) -> Result<(), Rejection> {
        let message = message.encode()?;
        let sent = self.transport(self.credentials.clone())?;
        let sent = match sent.send(message.clone()).await {
            // Servers that want no password do not offer to take one.
            Err(error) if error.is_client() && self.credentials.is_some() => {
                self.transport(None)?.send(message).await
            }
            outcome => outcome,
        };
        sent.map_err(|error| Rejection::classify(&error))?;
        Ok(())
    }

    fn transport(
        &self,
        credentials: Option<(String, String)>,
    ) -> Result<AsyncSmtpTransport<Tokio1Executor>, Rejection> {
        let tls = TlsParameters::new(self.host.clone()).map_err(|_| Rejection::HOST_NOT_FOUND)?;
        let tls = if IMPLICIT_TLS.contains(&self.port) {
            Tls::Wrapper(tls)
        } else {
            Tls::Opportunistic(tls)
        };
        // `dangerous` means that the defaults for TLS are left to the caller: see above.
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port)
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = credentials {
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(builder.build())
    }
}

impl Message {
    fn encode(self) -> Result<lettre::Message, Rejection> {
        let mut builder = lettre::Message::builder()
            .from(self.from)
            .subject(self.subject);
        for address in &self.to {
            builder = builder.to(address.parse().map_err(|_| Rejection::INVALID_ADDRESS)?);
        }
        builder
            .multipart(MultiPart::alternative_plain_html(self.text, self.html))
            .map_err(|_| Rejection::INVALID_ADDRESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_a_url() {
        let server: MailServer = "smtp://me%40x:p%3Aw@mail.example.com:587".parse().unwrap();
        let expected = MailServer {
            host: "mail.example.com".to_owned(),
            port: 587,
            credentials: Some(("me@x".to_owned(), "p:w".to_owned())),
        };
        assert_eq!(server, expected);
        let server: MailServer = "smtps://mail.example.com".parse().unwrap();
        assert_eq!((server.port, server.credentials), (465, None));
        for bad in ["mail.example.com", "http://mail.example.com", "smtp://"] {
            assert_eq!(bad.parse::<MailServer>(), Err(MailServerError), "{bad}");
        }
    }
}
