//! Credentials and limits: access tokens, passwords, one-time codes, the server's secrets, and how
//! often something may be tried.

pub mod limits;
pub mod passwords;
pub mod portal_tokens;
pub mod secrets;
pub mod tokens;
pub mod totp;
