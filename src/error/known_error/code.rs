//! What a known error is, apart from its text: a type per code.

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};

/// An error that client libraries know by its code.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownError {
    /// The status of the answer.
    pub status: StatusCode,
    /// The code.
    pub code: &'static str,
    /// A text for people.
    pub message: String,
    /// What programs may want to know, if anything.
    pub details: Option<Value>,
}

impl KnownError {
    /// Whether it has this code.
    #[must_use]
    pub(crate) fn is(&self, code: CodeDescription) -> bool {
        self.code == code.code
    }

    /// The body as the wire wants it.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({"code": self.code, "error": self.message});
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body
    }
}

/// A code, with the status it is sent under and the details it carries. `codes!` declares them.
pub(crate) trait Code {
    /// What is known of the code without an instance.
    const DESCRIPTION: CodeDescription;

    /// The details, if the code has any.
    fn details(&self) -> Option<Value>;

    /// The error with this code, and a text for people.
    #[must_use]
    fn says(&self, message: impl Into<String>) -> KnownError {
        KnownError {
            status: Self::DESCRIPTION.status,
            code: Self::DESCRIPTION.code,
            message: message.into(),
            details: self.details(),
        }
    }
}

/// A code as the reference shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeDescription {
    /// The code on the wire.
    pub(crate) code: &'static str,
    /// The status of answers with this code.
    pub(crate) status: StatusCode,
    /// What has happened, in a sentence or two.
    pub(crate) description: &'static str,
    /// The name of its type, and so of its component: the code in camel case.
    pub(crate) type_name: &'static str,
    pub(super) details: fn() -> Option<RefOr<Schema>>,
}

impl CodeDescription {
    /// The schema of the details, if the code has any. It refers to no other component.
    pub(crate) fn details_schema(&self) -> Option<Value> {
        let mut schema = serde_json::to_value((self.details)()?).ok()?;
        if let Some(fields) = schema.as_object_mut() {
            // The description of the code, which stands beside the details already.
            fields.remove("description");
        }
        Some(schema)
    }
}

/// One way to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Documented {
    /// By a code.
    Code(CodeDescription),
    /// By a sentence without a code, under this status.
    Text(u16),
}

/// Ways to fail: a code's type, a `Text`, or a tuple of sets.
pub(crate) trait ErrorSet {
    /// Adds the ways to those known so far. Some may be added repeatedly.
    fn list(into: &mut Vec<Documented>);
}

/// Declares the codes of a file: a type each, and `describe`, which lists them.
macro_rules! codes {
    (@type [$($doc:tt)+] $name:ident) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;
    };
    (@type [$($doc:tt)+] $name:ident { $($details:tt)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
        #[allow(clippy::struct_field_names, reason = "the names are the wire's")]
        pub(crate) struct $name { $($details)+ }
    };
    (@schema $name:ident) => {
        || None
    };
    (@schema $name:ident { $($details:tt)+ }) => {
        || Some(<$name as utoipa::PartialSchema>::schema())
    };
    (@details $this:ident) => {{
        let Self = $this;
        None
    }};
    (@details $this:ident { $($details:tt)+ }) => {
        serde_json::to_value($this).ok()
    };
    ($(
        $(#[doc = $doc:tt])+
        $name:ident: $status:ident $code:literal $({ $($details:tt)+ })?;
    )+) => {
        $(
            codes!(@type [$($doc)+] $name $({ $($details)+ })?);

            impl $crate::error::known_error::code::Code for $name {
                const DESCRIPTION: $crate::error::known_error::code::CodeDescription =
                    $crate::error::known_error::code::CodeDescription {
                        code: $code,
                        status: axum::http::StatusCode::$status,
                        description: concat!($($doc),+).trim_ascii(),
                        type_name: stringify!($name),
                        details: codes!(@schema $name $({ $($details)+ })?),
                    };

                fn details(&self) -> Option<serde_json::Value> {
                    codes!(@details self $({ $($details)+ })?)
                }
            }

            impl $crate::error::known_error::code::ErrorSet for $name {
                fn list(into: &mut Vec<$crate::error::known_error::code::Documented>) {
                    let description = <Self as $crate::error::known_error::code::Code>::DESCRIPTION;
                    into.push($crate::error::known_error::code::Documented::Code(description));
                }
            }
        )+

        /// The codes of this file.
        pub(super) fn describe() -> Vec<$crate::error::known_error::code::CodeDescription> {
            vec![$(<$name as $crate::error::known_error::code::Code>::DESCRIPTION),+]
        }
    };
}

pub(super) use codes;
