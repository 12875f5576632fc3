//! Where mail goes: a mail server, or the catcher of `muniment dev`.

pub mod catcher;
pub(crate) mod classify;
pub(crate) mod templates;
pub mod transport;

use catcher::Catcher;
use transport::MailServer;

/// Where letters go that projects send without a mail server of their own.
#[derive(Clone, Debug)]
pub struct SharedMail {
    /// Who takes them.
    pub carrier: Carrier,
    /// The address that they come from.
    pub sender: String,
}

/// Who takes letters.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// A mail server.
    Server(MailServer),
    /// The catcher of `muniment dev`, which shows them to the developer.
    Catcher(Catcher),
    /// Nobody: letters fail until a mail server is configured.
    Nobody,
}
