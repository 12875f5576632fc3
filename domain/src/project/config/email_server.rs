//! The mail server that the settings describe; a managed one is known without being described.

use super::EmailServer;

/// The host of mail servers that are managed.
const MANAGED_HOST: &str = "smtp.resend.com";
/// Its port.
const MANAGED_PORT: u16 = 465;
/// The account there.
const MANAGED_USERNAME: &str = "resend";

impl EmailServer {
    /// Where to connect to, if that is known.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        if self.is_managed() {
            return Some(MANAGED_HOST);
        }
        self.host.as_deref()
    }

    /// The port, if it is one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        if self.is_managed() {
            return Some(MANAGED_PORT);
        }
        u16::try_from(self.port.as_ref()?.as_u64()?).ok()
    }

    /// The account.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        if self.is_managed() {
            return Some(MANAGED_USERNAME);
        }
        self.username.as_deref()
    }

    /// The address mails come from.
    #[must_use]
    pub fn sender(&self) -> Option<String> {
        let local = self.managed_sender_local_part.as_ref();
        match local.zip(self.managed_subdomain.as_ref()) {
            Some((local, domain)) if self.is_managed() => Some(format!("{local}@{domain}")),
            _ => self.sender_email.clone(),
        }
    }

    fn is_managed(&self) -> bool {
        self.provider == "managed"
    }
}
