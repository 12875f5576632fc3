//! What a mail server's refusal means, and whether it may pass.

use std::error::Error as _;
use std::io;

use lettre::transport::smtp::Error;

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The kind, under the name that the log of emails shows.
    pub(crate) kind: &'static str,
    /// Whether it is worth another attempt.
    pub(crate) is_passing: bool,
}

impl Rejection {
    pub(crate) const ERASED: Self = Self::lasting("ERASED");
    pub(crate) const NO_SERVER: Self = Self::lasting("email-sending-disabled");
    pub(crate) const INCOMPLETE: Self = Self::lasting("INCOMPLETE_CONFIGURATION");
    pub(crate) const INVALID_ADDRESS: Self = Self::lasting("INVALID_EMAIL_ADDRESS");
    pub(crate) const HOST_NOT_FOUND: Self = Self::lasting("HOST_NOT_FOUND");
    pub(crate) const UNKNOWN: Self = Self::lasting("UNKNOWN");
    pub(crate) const UNKNOWN_FOR_NOW: Self = Self::passing("UNKNOWN");

    const fn lasting(kind: &'static str) -> Self {
        Self {
            kind,
            is_passing: false,
        }
    }

    const fn passing(kind: &'static str) -> Self {
        Self {
            kind,
            is_passing: true,
        }
    }

    /// Reads the error of an attempt, by a table: the first row that fits.
    pub(crate) fn classify(error: &Error) -> Self {
        if let Some(code) = error.status() {
            return Self::of_reply(u16::from(code));
        }
        if error.is_timeout() {
            return Self::passing("TIMEOUT");
        }
        match io_kind(error) {
            Some(io::ErrorKind::TimedOut) => Self::passing("TIMEOUT"),
            Some(io::ErrorKind::UnexpectedEof) => Self::lasting("SOCKET_CLOSED"),
            // A server that is being restarted refuses connections, or drops them.
            Some(
                io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted,
            ) => Self::UNKNOWN_FOR_NOW,
            _ if error.to_string().contains("lookup") => Self::HOST_NOT_FOUND,
            _ => Self::UNKNOWN,
        }
    }

    fn of_reply(code: u16) -> Self {
        match code {
            535 => Self::lasting("AUTH_FAILED"),
            450 => Self::passing("TEMPORARY"),
            553 => Self::INVALID_ADDRESS,
            550..=559 => Self::lasting("REJECTED"),
            400..=499 => Self::passing("TRANSIENT_NEGATIVE_COMPLETION_REPLY"),
            _ => Self::UNKNOWN,
        }
    }
}

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        source = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_by_the_table() {
        for (code, kind, is_passing) in [
            (535, "AUTH_FAILED", false),
            (450, "TEMPORARY", true),
            (451, "TRANSIENT_NEGATIVE_COMPLETION_REPLY", true),
            (550, "REJECTED", false),
            (553, "INVALID_EMAIL_ADDRESS", false),
            (554, "REJECTED", false),
            (500, "UNKNOWN", false),
        ] {
            assert_eq!(Rejection::of_reply(code), Rejection { kind, is_passing });
        }
    }
}
