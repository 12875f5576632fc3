//! The fields of a user that are carried from a command into an event as they are, listed once.
//! [`NewUser`](super::NewUser), [`UserUpdate`](super::UserUpdate) and the events' personal parts
//! have them besides their own.

/// Hands the list to `$then!`, in front of what stands in the braces: of each field the type in a
/// new account, and in a change.
macro_rules! profile_fields {
    ($then:ident { $($rest:tt)* }) => {
        $then! {
            {
                /// The name that others see.
                display_name: Option<String>, Patch<String>;
                /// The address of a profile picture.
                profile_image_url: Option<String>, Patch<String>;
                /// Metadata that the user's own client may read and write.
                client_metadata: Value, Patch<Value>;
                /// Metadata that the user's own client may read, but not write.
                client_read_only_metadata: Value, Patch<Value>;
                /// Metadata that only servers and administrators see.
                server_metadata: Value, Patch<Value>;
                /// The user's country: two letters, ISO 3166-1 alpha-2.
                country_code: Option<String>, Patch<String>;
            }
            $($rest)*
        }
    };
}

/// A struct with the fields' values besides its own.
macro_rules! with_values {
    (
        { $($(#[$doc:meta])* $field:ident: $value:ty, $change:ty;)* }
        $(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$doc])* pub $field: $value,)*
            $($own)*
        }
    };
}

/// A struct with changes of the fields besides its own.
macro_rules! with_changes {
    (
        { $($(#[$doc:meta])* $field:ident: $value:ty, $change:ty;)* }
        $(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$doc])* pub $field: $change,)*
            $($own)*
        }
    };
}

/// The same as they are stored: changes that keep a field are left out.
macro_rules! with_stored_changes {
    (
        { $($(#[$doc:meta])* $field:ident: $value:ty, $change:ty;)* }
        $(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$doc])* #[serde(skip_serializing_if = "Patch::is_keep")] pub $field: $change,)*
            $($own)*
        }
    };
}

/// A value of a struct that has the fields, none of them set.
macro_rules! without_profile {
    ({ $($(#[$doc:meta])* $field:ident: $value:ty, $change:ty;)* } $($own:tt)*) => {
        Self { $($field: Default::default(),)* $($own)* }
    };
}

/// A value of a struct that has the fields, taken from another that has them.
macro_rules! profile_of {
    (
        { $($(#[$doc:meta])* $field:ident: $value:ty, $change:ty;)* }
        $from:ident => $name:ident { $($own:tt)* }
    ) => {
        $name { $($field: $from.$field,)* $($own)* }
    };
}

pub(super) use {
    profile_fields, profile_of, with_changes, with_stored_changes, with_values, without_profile,
};
