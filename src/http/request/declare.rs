//! Declaring what a request may be: once, for the struct that handlers get, for the checks, and for
//! the reference.
//!
//! ```text
//! request! {
//!     /// A change of a thing.
//!     struct ChangeThing {
//!         path {
//!             /// The thing's id.
//!             thing_id: Uuid = required(uuid());
//!         }
//!         query {
//!             /// Whether to answer with its parts as well.
//!             with_parts: bool = or_default(query_boolean(), "false");
//!         }
//!         body {
//!             /// Its name. Null takes it away.
//!             name: Patch<String> = nullable(text_max(100));
//!             /// What sort of thing it is.
//!             kind as "type": Option<&'static str> = optional(one_of(&["big", "small"]));
//!             /// What servers think of it.
//!             note: Option<String> = optional(text()), servers;
//!         }
//!     }
//! }
//!
//! async fn change_thing(access: ClientAccess, change: ChangeThing) -> ApiResult<Json<Thing>> { … }
//! ```
//!
//! The struct is an extractor. It comes after the access in a handler's signature, so that a caller
//! without access is not told what is wrong with their request. It fails with
//! `CANNOT_GET_OWN_USER_WITHOUT_USER` when `me` was said and nobody is signed in, else with
//! `SCHEMA_ERROR`, which lists all that is wrong.
//!
//! - A field is `name (as "wire name")?: Type = presence(shape) (, audience)?;`. Presences are in
//!   [`super::presence`], shapes in [`super::shape`]. Its doc comment is its description in the
//!   reference.
//! - `servers` is for servers and administrators: sent by a client, the field is an unknown one.
//! - `..group: Type;` at the head of a section takes in the fields of a [`Part`], which `fields!`
//!   declares, as does an object within an object; see [`super::shape::object`].
//! - Without `query`, none may be sent; `query(open)` passes over what it does not name. Without `body`, a body is not looked at; `body(optional)` may
//!   be missing, `body(open)` passes over fields that it does not name.
//! - `caller { user: Arc<UserRecord> = signed_in(); }` at the head wants something of the caller and
//!   counts its lack among what is wrong with the request.
//! - `example {"name": "…"}` at the end shows a body that works, as JSON. Without it, the reference
//!   shows one with all that is required.
//! - `struct Name checked by function {` names a `fn(&Self, &mut Findings)` for what fields have to do
//!   with each other. It is called if each is fine by itself.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use muniment_domain::UserId;
use muniment_projections::read_models::users::UserRecord;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::fields::{Checked, Fields, Findings};
use super::input::{Form, Input};
use super::presence::Presence;
use crate::app::App;
use crate::error::ApiError;

/// Who may send a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Whoever may send the request.
    Everybody,
    /// Servers and administrators.
    Servers,
}

/// A field, as the reference shows it.
#[derive(Clone, Debug)]
pub(crate) struct FieldDescription {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it is for.
    pub about: String,
    /// Whether it must be sent.
    pub required: bool,
    /// What it may be, as JSON Schema.
    pub schema: Value,
}

impl FieldDescription {
    /// Describes a field whose doc comment is `about`.
    pub(crate) fn of<T, P: Presence<Value = T>>(
        name: &'static str,
        about: &str,
        audience: Audience,
        presence: &P,
    ) -> Self {
        let mut about = unwrapped(about);
        if audience == Audience::Servers {
            about.push_str(" (Server and admin access only.)");
        }
        Self {
            name,
            about: about.trim().to_owned(),
            required: P::REQUIRED,
            schema: presence.schema(),
        }
    }
}

/// The text of a doc comment without the line breaks that only the source has.
fn unwrapped(doc: &str) -> String {
    let lines: Vec<&str> = doc.lines().map(str::trim).collect();
    lines.join(" ").trim().to_owned()
}

/// Fields that go together: an object in a request, or a group within one. Made by [`fields!`].
pub(crate) trait Part: Sized {
    /// Reads them.
    fn read(fields: &mut Fields<'_>) -> Checked<Self>;

    /// Describes them.
    fn describe() -> Vec<FieldDescription>;

    /// The schema of an object of them.
    fn schema() -> Value {
        object_schema(&Self::describe(), Openness::Closed)
    }
}

/// Whether fields that are not named may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Openness {
    /// They are violations.
    Closed,
    /// They are passed over.
    Open,
}

/// The schema of an object with these fields.
pub(crate) fn object_schema(fields: &[FieldDescription], openness: Openness) -> Value {
    let property = |field: &FieldDescription| {
        let mut schema = field.schema.clone();
        if !field.about.is_empty() {
            schema["description"] = json!(field.about);
        }
        (field.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    let required = fields.iter().filter(|field| field.required);
    let required: Vec<&str> = required.map(|field| field.name).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["additionalProperties"] = json!(openness == Openness::Open);
    schema
}

/// A request's parts, as the reference shows them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestDescription {
    /// What is named in the path.
    pub path: Vec<FieldDescription>,
    /// What is named in the query.
    pub query: Vec<FieldDescription>,
    /// The body, if one is read.
    pub body: Option<BodyDescription>,
}

/// A body, as the reference shows it.
#[derive(Clone, Debug)]
pub(crate) struct BodyDescription {
    /// The struct that declares it, which names it in the reference.
    pub name: &'static str,
    /// Whether one must be sent.
    pub required: bool,
    /// The schema of the object.
    pub schema: Value,
    /// One that works, if its declaration gives one. Otherwise it is made from the schema.
    pub example: Option<Value>,
}

impl BodyDescription {
    /// Describes the body of a struct whose section has these modes.
    pub(crate) fn of(name: &'static str, modes: &[&str], fields: &[FieldDescription]) -> Self {
        Self {
            name,
            required: Mode::named(modes).required,
            schema: object_schema(fields, Mode::named(modes).openness),
            example: None,
        }
    }
}

impl BodyDescription {
    /// Adds a required field that its endpoint reads in its own way.
    pub(crate) fn add_field(&mut self, name: &str, schema: &Value) {
        self.schema["properties"][name] = schema.clone();
        if let Some(required) = self.schema["required"].as_array_mut() {
            required.push(json!(name));
        }
    }
}

/// How a section is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    /// Whether it must be there at all.
    pub(super) required: bool,
    /// Whether it may have what is not named.
    pub(super) openness: Openness,
}

impl Mode {
    /// The mode that `request!` was given as words.
    pub(super) fn named(words: &[&str]) -> Self {
        let is_open = words.iter().any(|word| word.ends_with("open"));
        Self {
            required: !words.iter().any(|word| word.starts_with("optional")),
            openness: if is_open {
                Openness::Open
            } else {
                Openness::Closed
            },
        }
    }
}

/// A declared request. Made by [`request!`].
pub(crate) trait Request: Sized {
    /// Reads it.
    fn read(form: &mut Form<'_>) -> Checked<Self>;

    /// Describes it.
    fn describe() -> RequestDescription;
}

/// Reads a declared request.
///
/// # Errors
/// `CANNOT_GET_OWN_USER_WITHOUT_USER`, `SCHEMA_ERROR`; see [`Form::finish`].
pub(crate) async fn extract<R: Request>(parts: &mut Parts, app: &App) -> Result<R, ApiError> {
    let input = Input::from_request_parts(parts, app).await?;
    let mut form = input.form_by(Caller::of(parts)?);
    let request = R::read(&mut form);
    form.finish(request)
}

/// What a request may want of its caller. Its lack counts among what is wrong with the request.
pub(crate) trait Need {
    /// What it yields.
    type Value;

    /// Finds it.
    fn find(&self, caller: &Caller, findings: &mut Findings) -> Checked<Self::Value>;
}

struct SignedIn;

/// That somebody is signed in, whoever it is.
pub(crate) fn signed_in() -> impl Need<Value = Arc<UserRecord>> {
    SignedIn
}

impl Need for SignedIn {
    type Value = Arc<UserRecord>;

    fn find(&self, caller: &Caller, findings: &mut Findings) -> Checked<Arc<UserRecord>> {
        let session = caller.auth().and_then(|auth| auth.user.as_ref());
        if session.is_none() {
            findings.note("auth.user", "is required; send x-stack-access-token");
        }
        Some(Arc::clone(&session?.record))
    }
}

struct InternalUser;

/// That a user of the project `internal` is signed in.
pub(crate) fn internal_user() -> impl Need<Value = UserId> {
    InternalUser
}

impl Need for InternalUser {
    type Value = UserId;

    fn find(&self, caller: &Caller, findings: &mut Findings) -> Checked<UserId> {
        let is_internal = |auth: &super::caller::Auth| auth.project_id().is_internal();
        if !caller.auth().is_some_and(is_internal) {
            findings.note("auth.project", "must be the project `internal`");
        }
        Some(SignedIn.find(caller, findings)?.user.user_id())
    }
}

/// Declares a [`Part`]; see the head of [`super::declare`] for the grammar of fields.
macro_rules! fields {
    (@wire $field:ident) => { stringify!($field) };
    (@wire $field:ident $wire:literal) => { $wire };
    (@audience) => { $crate::http::request::declare::Audience::Everybody };
    (@audience servers) => { $crate::http::request::declare::Audience::Servers };
    (@read $section:ident, $($field:ident ($($wire:literal)?) $type:ty = $presence:expr, ($($audience:ident)?);)*) => {
        $(let $field: $crate::http::request::fields::Checked<$type> = $section.field(
            $crate::http::request::declare::fields!(@wire $field $($wire)?),
            $crate::http::request::declare::fields!(@audience $($audience)?),
            &$presence,
        );)*
    };
    (@describe $into:expr, $($field:ident ($($wire:literal)?) $type:ty = $presence:expr, ($($audience:ident)?), ($($doc:literal)*);)*) => {
        $into.append(&mut vec![$($crate::http::request::declare::FieldDescription::of::<$type, _>(
            $crate::http::request::declare::fields!(@wire $field $($wire)?),
            concat!($($doc, "\n"),*),
            $crate::http::request::declare::fields!(@audience $($audience)?),
            &$presence,
        )),*]);
    };
    ($(
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident {
            $(.. $group:ident: $group_type:ty;)*
            $(
                $(#[doc = $doc:literal])*
                $field:ident $(as $wire:literal)?: $type:ty = $presence:expr $(, $audience:ident)?;
            )*
        }
    )*) => {$(
        $(#[doc = $about])*
        #[allow(clippy::struct_field_names, reason = "fields are called as on the wire")]
        $vis struct $name {
            $(pub(crate) $group: $group_type,)*
            $($(#[doc = $doc])* pub(crate) $field: $type,)*
        }

        impl $crate::http::request::declare::Part for $name {
            #[allow(unused_variables, clippy::allow_attributes, reason = "there may be no fields")]
            fn read(
                section: &mut $crate::http::request::fields::Fields<'_>,
            ) -> $crate::http::request::fields::Checked<Self> {
                $(let $group = <$group_type as $crate::http::request::declare::Part>::read(section);)*
                $crate::http::request::declare::fields!(
                    @read section, $($field ($($wire)?) $type = $presence, ($($audience)?);)*
                );
                Some(Self { $($group: $group?,)* $($field: $field?,)* })
            }

            fn describe() -> Vec<$crate::http::request::declare::FieldDescription> {
                #[allow(unused_mut, reason = "there may be neither groups nor fields")]
                let mut described = Vec::new();
                $(described.extend(<$group_type as $crate::http::request::declare::Part>::describe());)*
                $crate::http::request::declare::fields!(
                    @describe described, $($field ($($wire)?) $type = $presence, ($($audience)?), ($($doc)*);)*
                );
                described
            }
        }
    )*};
}
pub(crate) use fields;

/// Declares requests; see the head of [`super::declare`].
macro_rules! request {
    ($(
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident $(checked by $check:path)? {
            $(caller { $($need:ident: $need_type:ty = $needed:expr;)* })?
            $(path $(($path_mode:ident))? {
                $(.. $path_group:ident: $path_group_type:ty;)*
                $(
                    $(#[doc = $path_doc:literal])*
                    $path_field:ident $(as $path_wire:literal)?: $path_type:ty = $path_presence:expr;
                )*
            })?
            $(query $(($query_mode:ident))? {
                $(.. $query_group:ident: $query_group_type:ty;)*
                $(
                    $(#[doc = $query_doc:literal])*
                    $query_field:ident $(as $query_wire:literal)?: $query_type:ty = $query_presence:expr $(, $query_audience:ident)?;
                )*
            })?
            $(body $(($body_mode:ident))? {
                $(.. $body_group:ident: $body_group_type:ty;)*
                $(
                    $(#[doc = $body_doc:literal])*
                    $body_field:ident $(as $body_wire:literal)?: $body_type:ty = $body_presence:expr $(, $body_audience:ident)?;
                )*
            })?
            $(example $example:tt)?
        }
    )*) => {$(
        $(#[doc = $about])*
        #[allow(clippy::struct_field_names, reason = "fields are called as on the wire")]
        $vis struct $name {
            $($(pub(crate) $need: $need_type,)*)?
            $($(pub(crate) $path_group: $path_group_type,)*)?
            $($($(#[doc = $path_doc])* pub(crate) $path_field: $path_type,)*)?
            $($(pub(crate) $query_group: $query_group_type,)*)?
            $($($(#[doc = $query_doc])* pub(crate) $query_field: $query_type,)*)?
            $($(pub(crate) $body_group: $body_group_type,)*)?
            $($($(#[doc = $body_doc])* pub(crate) $body_field: $body_type,)*)?
        }

        #[allow(
            unused_mut,
            unused_variables,
            clippy::allow_attributes,
            reason = "not every request has every section"
        )]
        impl $crate::http::request::declare::Request for $name {
            fn read(
                form: &mut $crate::http::request::input::Form<'_>,
            ) -> $crate::http::request::fields::Checked<Self> {
                $($(let $need = form.need(&$needed);)*)?
                $(
                    let mut section = form.path_section(&[$(stringify!($path_mode))?]);
                    $(let $path_group = <$path_group_type as $crate::http::request::declare::Part>::read(&mut section);)*
                    $crate::http::request::declare::fields!(
                        @read section, $($path_field ($($path_wire)?) $path_type = $path_presence, ();)*
                    );
                    section.close();
                )?
                let mut section = form.query_section(&[$("named" $(, stringify!($query_mode))?)?]);
                $(
                    $(let $query_group = <$query_group_type as $crate::http::request::declare::Part>::read(&mut section);)*
                    $crate::http::request::declare::fields!(
                        @read section, $($query_field ($($query_wire)?) $query_type = $query_presence, ($($query_audience)?);)*
                    );
                )?
                section.close();
                $(
                    let mut section = form.body_section(&[$(stringify!($body_mode))?]);
                    $(let $body_group = <$body_group_type as $crate::http::request::declare::Part>::read(&mut section);)*
                    $crate::http::request::declare::fields!(
                        @read section, $($body_field ($($body_wire)?) $body_type = $body_presence, ($($body_audience)?);)*
                    );
                    section.close();
                )?
                let read = Self {
                    $($($need: $need?,)*)?
                    $($($path_group: $path_group?,)*)?
                    $($($path_field: $path_field?,)*)?
                    $($($query_group: $query_group?,)*)?
                    $($($query_field: $query_field?,)*)?
                    $($($body_group: $body_group?,)*)?
                    $($($body_field: $body_field?,)*)?
                };
                $(form.check_agreement(&read, $check);)?
                Some(read)
            }

            fn describe() -> $crate::http::request::declare::RequestDescription {
                let mut described = $crate::http::request::declare::RequestDescription::default();
                $(
                    $(described.path.extend(<$path_group_type as $crate::http::request::declare::Part>::describe());)*
                    $crate::http::request::declare::fields!(
                        @describe described.path, $($path_field ($($path_wire)?) $path_type = $path_presence, (), ($($path_doc)*);)*
                    );
                )?
                $(
                    $(described.query.extend(<$query_group_type as $crate::http::request::declare::Part>::describe());)*
                    $crate::http::request::declare::fields!(
                        @describe described.query, $($query_field ($($query_wire)?) $query_type = $query_presence, ($($query_audience)?), ($($query_doc)*);)*
                    );
                )?
                $(
                    let mut body = Vec::new();
                    $(body.extend(<$body_group_type as $crate::http::request::declare::Part>::describe());)*
                    $crate::http::request::declare::fields!(
                        @describe body, $($body_field ($($body_wire)?) $body_type = $body_presence, ($($body_audience)?), ($($body_doc)*);)*
                    );
                    described.body = Some($crate::http::request::declare::BodyDescription::of(
                        stringify!($name),
                        &[$(stringify!($body_mode))?],
                        &body,
                    ));
                )?
                $(
                    if let Some(body) = &mut described.body {
                        body.example = Some(serde_json::json!($example));
                    }
                )?
                described
            }
        }

        impl $crate::http::openapi::describe::OperationInput for $name {
            fn describe(operation: &mut $crate::http::openapi::describe::OperationDescription) {
                let request = <Self as $crate::http::request::declare::Request>::describe();
                $crate::http::openapi::describe::describe_request(operation, &request);
            }
        }

        impl axum::extract::FromRequestParts<$crate::app::App> for $name {
            type Rejection = $crate::error::ApiError;

            async fn from_request_parts(
                parts: &mut axum::http::request::Parts,
                app: &$crate::app::App,
            ) -> Result<Self, $crate::error::ApiError> {
                $crate::http::request::declare::extract(parts, app).await
            }
        }
    )*};
}
pub(crate) use request;

request! {
    /// A request that says all with its path: it has no query, and a body is not looked at.
    pub(crate) struct NoInput {}
}
