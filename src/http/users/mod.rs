//! `/users`: accounts, by their owners and by servers.

pub(crate) mod fields;
pub(crate) mod find;

use axum::Json;
use muniment_domain::user::UserUpdate;
use muniment_domain::{Patch, TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::paging::Direction;
use muniment_projections::read_models::users::{self, Listing, UserRecord, Visibility};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use self::fields::{OauthAccountFields, UserFields, map_patch};
use self::find::{UserPath, find_user, names_user};
use crate::app::App;
use crate::app::users::accounts::{self, NewAccount, SideEffects};
use crate::error::codes::{
    Errors, PasswordTooLong, TeamMembershipNotFound, Text, UserEmailAlreadyExists,
};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{ByAccess, Created, Page, Success};
use crate::http::openapi::operations;
use crate::http::request::access::{OwnUserAccess, ProjectAccess, ServerAccess};
use crate::http::request::declare::{NoInput, fields, request};
use crate::http::request::fields::Findings;
use crate::http::request::found::Found;
use crate::http::request::presence::{nullable, optional, or_default, required};
use crate::http::request::shape::scalars::{
    boolean, one_of, only_false, page_limit, query_boolean, text, user_id_or_me, uuid,
};
use crate::http::request::shape::{list_of, object};
use crate::views::{CurrentUser, ServerUser};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_users, create_user))
        .routes(operations!(
            get_current_user,
            update_current_user,
            delete_current_user
        ))
        .routes(operations!(get_user, update_user, delete_user))
}

request! {
    /// Which users to list.
    struct ListUsers {
        query {
            /// Members of this team only.
            team_id: Option<Uuid> = optional(uuid());
            /// How many there should be at most.
            limit: Option<i64> = optional(page_limit());
            /// Where the page begins: the `next_cursor` of the one before.
            cursor: Option<Uuid> = optional(uuid());
            /// What they are ordered by.
            _order_by as "order_by": Option<&'static str> = optional(one_of(&["signed_up_at"]));
            /// Whether the latest come first.
            desc: bool = or_default(query_boolean(), "false");
            /// Part of a name or an email address, or an id.
            query: Option<String> = optional(text());
            /// Whether restricted users are listed as well.
            include_restricted: bool = or_default(query_boolean(), "false");
            /// Whether anonymous and restricted users are listed as well.
            include_anonymous: bool = or_default(query_boolean(), "false");
            /// Whether anonymous users alone are listed. Needs `include_anonymous=true`.
            only_anonymous: bool = or_default(query_boolean(), "false");
        }
    }

    /// A user to be made.
    struct CreateUser checked by CreateUser::check {
        body {
            .. user: UserFields;
            /// Whether the user is an anonymous one.
            is_anonymous: bool = or_default(boolean(), false);
            /// Accounts at OAuth providers with which the user can sign in.
            oauth_providers: Option<Vec<OauthAccountFields>> = optional(list_of(object()));
        }
        example {
            "display_name": "Ada Lovelace",
            "primary_email": "ada@example.com",
            "primary_email_verified": true,
            "primary_email_auth_enabled": true,
            "password": "correct horse battery",
            "server_metadata": {"plan": "pro"}
        }
    }

    /// A change of one user.
    struct UpdateUser checked by UpdateUser::check {
        path {
            /// A user's id, or `me` for the signed-in user's.
            user_id: UserId = required(user_id_or_me());
        }
        body {
            .. change: UserChange;
        }
        example {"display_name": "Ada Lovelace", "client_metadata": {"theme": "dark"}}
    }

    /// A change of the signed-in user.
    struct UpdateCurrentUser checked by UpdateCurrentUser::check {
        body {
            .. change: UserChange;
        }
        example {"display_name": "Ada Lovelace", "client_metadata": {"theme": "dark"}}
    }
}

fields! {
    /// What may be changed of a user.
    struct UserChange {
        .. user: UserFields;
        /// The team that the user works with. Null for none.
        selected_team_id: Patch<Uuid> = nullable(uuid());
        /// `false` signs an anonymous user up, who keeps their id and all that is theirs.
        is_anonymous: Option<bool> = optional(only_false(ONLY_FALSE)), servers;
    }
}

const ONLY_FALSE: &str = "may only be false: an anonymous user can sign up, but not the reverse";

impl CreateUser {
    fn check(&self, findings: &mut Findings) {
        self.user.check_restriction(findings);
    }
}

impl UpdateUser {
    fn check(&self, findings: &mut Findings) {
        self.change.user.check_restriction(findings);
    }
}

impl UpdateCurrentUser {
    fn check(&self, findings: &mut Findings) {
        self.change.user.check_restriction(findings);
    }
}

names_user! {
    UpdateUser: user_id;
}

/// A user as the caller may see them.
type UserView = ByAccess<CurrentUser, ServerUser>;

/// Why a user cannot be made so, or become so.
type RefusedFields = (UserEmailAlreadyExists, PasswordTooLong, Text<400>);

/// The signed-in user.
#[utoipa::path(get, path = "/users/me", tag = "users")]
async fn get_current_user(access: OwnUserAccess, _: NoInput) -> ApiResult<Json<UserView>> {
    Ok(show(&access, &access.own))
}

/// Changes the signed-in user.
#[utoipa::path(patch, path = "/users/me", tag = "users",
    responses(Errors<(TeamMembershipNotFound, RefusedFields)>))]
async fn update_current_user(
    access: OwnUserAccess,
    UpdateCurrentUser { change }: UpdateCurrentUser,
) -> ApiResult<Json<UserView>> {
    change_user(&access, access.own.user.user_id(), change).await
}

/// Deletes the signed-in user, if the project lets users do so.
#[utoipa::path(delete, path = "/users/me", tag = "users", responses(Errors<Text<400>>))]
async fn delete_current_user(access: OwnUserAccess, _: NoInput) -> ApiResult<Json<Success>> {
    let allowed = access.project.config.users.allow_client_user_deletion;
    if access.access_type == AccessType::Client && !allowed {
        let refusal = "This project does not let users delete their own account. Ask its operator to delete it.";
        return Err(ApiError::bad_request(refusal));
    }
    let id = access.own.user.user_id();
    accounts::close(&access.app, access.event_context(), id).await?;
    Ok(Success::ANSWER)
}

/// One user.
#[utoipa::path(get, path = "/users/{user_id}", tag = "users")]
async fn get_user(
    access: ServerAccess,
    Found(user, _): Found<UserPath>,
) -> ApiResult<Json<ServerUser>> {
    Ok(Json(ServerUser::of(&access.app, &user, &access.project)))
}

/// Changes one user.
#[utoipa::path(patch, path = "/users/{user_id}", tag = "users",
    responses(Errors<(TeamMembershipNotFound, RefusedFields)>))]
async fn update_user(
    access: ServerAccess,
    Found(_, update): Found<UpdateUser>,
) -> ApiResult<Json<UserView>> {
    change_user(&access, update.user_id, update.change).await
}

/// Deletes one user, with everything that is theirs.
#[utoipa::path(delete, path = "/users/{user_id}", tag = "users")]
async fn delete_user(
    access: ServerAccess,
    Found(user, _): Found<UserPath>,
) -> ApiResult<Json<Success>> {
    accounts::close(&access.app, access.event_context(), user.user.user_id()).await?;
    Ok(Success::ANSWER)
}

/// Lists users by the time of their sign-up.
#[utoipa::path(get, path = "/users", tag = "users", responses(Errors<Text<400>>))]
async fn list_users(access: ServerAccess, wanted: ListUsers) -> ApiResult<Json<Page<ServerUser>>> {
    if wanted.only_anonymous && !wanted.include_anonymous {
        let refusal = "only_anonymous=true needs include_anonymous=true as well.";
        return Err(ApiError::bad_request(refusal));
    }
    let verification = access.project.config.email_verification();
    let (pool, project) = (access.app.pool(), access.project_id());
    let page = users::list(pool, project, &wanted.into(), verification).await?;
    let show = |record: &UserRecord| ServerUser::of(&access.app, record, &access.project);
    let next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
    Ok(Page::of(page.items.iter().map(show).collect(), next_cursor))
}

impl From<ListUsers> for Listing {
    fn from(wanted: ListUsers) -> Self {
        let visibility = match (
            wanted.include_restricted,
            wanted.include_anonymous,
            wanted.only_anonymous,
        ) {
            (_, true, true) => Visibility::Anonymous,
            (_, true, false) => Visibility::Everybody,
            (true, false, _) => Visibility::SignedUp,
            (false, false, _) => Visibility::Unrestricted,
        };
        Self {
            team: wanted.team_id.map(TeamId),
            visibility,
            query: wanted.query,
            cursor: wanted.cursor.map(UserId),
            limit: wanted.limit,
            direction: if wanted.desc {
                Direction::Descending
            } else {
                Direction::Ascending
            },
        }
    }
}

/// Creates a user.
#[utoipa::path(post, path = "/users", tag = "users", responses(Errors<RefusedFields>))]
async fn create_user(access: ServerAccess, new: CreateUser) -> ApiResult<Created<ServerUser>> {
    let accounts = new.oauth_providers.unwrap_or_default();
    let user = new.user.into_new_user(&access, new.is_anonymous, accounts);
    let account = NewAccount::generate(&access.app, &access.project, user.await?);
    let context = access.event_context();
    accounts::open(&access.app, context, &account, &SideEffects::default()).await?;
    let record = find_user(&access, account.id).await?;
    let view = ServerUser::of(&access.app, &record, &access.project).before_personal_team();
    Ok(Created(view))
}

async fn change_user(
    access: &ProjectAccess,
    id: UserId,
    change: UserChange,
) -> ApiResult<Json<UserView>> {
    let update = UserUpdate {
        selected_team_id: map_patch(change.selected_team_id, TeamId),
        sign_up: change.is_anonymous.is_some(),
        ..change.user.into_update(access).await?
    };
    let (app, context) = (&access.app, access.event_context());
    accounts::update(app, context, id, &update, &SideEffects::default()).await?;
    Ok(show(access, &find_user(access, id).await?))
}

fn show(access: &ProjectAccess, record: &UserRecord) -> Json<UserView> {
    Json(ByAccess::of(
        access.access_type,
        || CurrentUser::of(record, &access.project),
        || ServerUser::of(&access.app, record, &access.project),
    ))
}
