//! The mail server that the settings describe; a managed one is known without being described.

use super::EmailServer;

/// The host of managed mail servers.
const MANAGED_HOST: &str = "smtp.resend.com";
/// The port of managed mail servers.
const MANAGED_PORT: u16 = 465;
/// The account at managed mail servers.
const MANAGED_USERNAME: &str = "resend";

impl EmailServer {
    /// The host to connect to, if it is known.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        if self.is_managed() {
            return Some(MANAGED_HOST);
        }
        self.host.as_deref()
    }

    /// The port to connect to, if the setting is in the range of ports.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        if self.is_managed() {
            return Some(MANAGED_PORT);
        }
        u16::try_from(self.port.as_ref()?.as_u64()?).ok()
    }

    /// The account to log in with.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        if self.is_managed() {
            return Some(MANAGED_USERNAME);
        }
        self.username.as_deref()
    }

    /// The address that mails come from.
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
