//! Ways to sign up and in, and the sessions they open.

pub mod cli_login;
pub mod code_grounds;
pub mod codes;
pub mod geo;
pub mod magic_link;
pub mod passkeys;
pub mod password;
pub mod presented_code;
pub mod redirects;
pub mod revoked_sessions;
pub mod sessions;
pub mod sign_in;
pub mod sign_up;
pub mod sign_up_gate;
