//! The reference, `/openapi.json` and `/docs`: made from what the code checks and answers.
//!
//! A handler's signature says most of it. [`operations!`] stands where `utoipa_axum::routes!` would;
//! it asks each argument ([`describe::OperationInput`]) and the answer
//! ([`describe::OperationOutput`]) what there is to say: access extractors name the credentials, a
//! declared request its parameters and body, `Json<T>` the schema of `T`. What is left for the
//! handler's attribute is its path, its tag, and the errors of its own:
//!
//! ```text
//! /// Changes one user.
//! #[utoipa::path(patch, path = "/users/{user_id}", tag = "users",
//!     responses(Errors<(UserNotFound, UserEmailAlreadyExists)>))]
//! async fn update_user(access: ServerAccess, change: UpdateUser) -> ApiResult<Json<ServerUser>>
//! ```
//!
//! [`document()`] puts it all together. The tests hold every answer that they get against it.

mod answers;
pub(crate) mod describe;
mod document;
mod example;
pub(crate) mod security;
mod swagger;

pub(super) use document::document;
pub(super) use swagger::pages;

/// Routes of handlers, as `utoipa_axum::routes!` makes them, described by their signatures.
macro_rules! operations {
    ($($handler:ident),+ $(,)?) => {{
        let (schemas, mut paths, router) = utoipa_axum::routes!($($handler),+);
        $($crate::http::openapi::describe::describe(&mut paths, stringify!($handler), &$handler);)+
        (schemas, paths, router)
    }};
}
pub(crate) use operations;
