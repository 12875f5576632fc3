//! `/teams`: groups of users.

mod fields;
pub(crate) mod find;
pub(crate) mod team_invitations;
pub(crate) mod team_member_profiles;
pub(crate) mod team_memberships;

use axum::Json;
use axum::http::StatusCode;
use muniment_domain::permission::{DELETE_TEAM, UPDATE_TEAM};
use muniment_domain::{TeamId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::paging::Direction;
use muniment_projections::read_models::teams::{self, TeamRow};
use utoipa_axum::router::OpenApiRouter;

use self::fields::TeamFields;
use self::find::{FoundTeam, NamesTeam, find_team, team_id};
use crate::app::App;
use crate::app::teams as app_teams;
use crate::error::codes::{
    CannotGetOwnUserWithoutUser, Errors, Text, UserAuthenticationRequired, UserNotFound,
};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{ByAccess, Created, PageOrAll, Success};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::caller::Auth;
use crate::http::request::declare::{fields, request};
use crate::http::request::fields::Findings;
use crate::http::request::presence::{optional, or_default, required};
use crate::http::request::shape::scalars::{
    one_of, page_limit, query_boolean, text, user_id_or_me,
};
use crate::http::users::find::find_user;
use crate::views::{ClientTeam, ServerTeam};

/// The longest page of teams.
const MAX_PAGE: i64 = 200;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_teams, create_team))
        .routes(operations!(get_team, update_team, delete_team))
        .merge(team_memberships::router())
        .merge(team_member_profiles::router())
        .merge(team_invitations::router())
}

request! {
    /// Which teams to list.
    struct ListTeams checked by ListTeams::check {
        query {
            /// Only teams that this user is a member of. Clients must ask for their own: `me`.
            user_id: Option<UserId> = optional(user_id_or_me());
            /// How many there should be at most; never more than 200. Without it, all are listed.
            limit: Option<i64> = optional(page_limit());
            /// Where the page begins: the `next_cursor` of the one before. Needs `limit`.
            cursor: Option<TeamId> = optional(team_id());
            /// What they are ordered by, as they always are.
            _order_by as "order_by": Option<&'static str> = optional(one_of(&["created_at"]));
            /// Whether the latest come first.
            desc: bool = or_default(query_boolean(), "false");
            /// Part of a name, or an id.
            query: Option<String> = optional(text());
        }
    }

    /// A team to be founded.
    struct CreateTeam {
        query {
            /// Whether the signed-in user is the team's first member. Deprecated: use
            /// `creator_user_id`.
            add_current_user: Option<bool> = optional(query_boolean());
        }
        body {
            .. fields: TeamFields;
            /// The team's name.
            display_name: String = required(text());
            /// Who is the first member, with the permissions of team creators. Clients create teams
            /// for themselves alone, and need not say so.
            creator_user_id: Option<UserId> = optional(user_id_or_me());
        }
    }

    /// A team that is asked for.
    struct GetTeam {
        path {
            .. path: TeamPath;
        }
    }

    /// A change of a team.
    struct UpdateTeam {
        path {
            .. path: TeamPath;
        }
        body {
            .. fields: TeamFields;
            /// The team's name.
            display_name: Option<String> = optional(text());
        }
    }

    /// A team that is to be dissolved.
    struct DeleteTeam {
        path {
            .. path: TeamPath;
        }
    }
}

fields! {
    /// What names a team in a path.
    struct TeamPath {
        /// The team's id.
        id as "team_id": TeamId = required(team_id());
    }
}

impl ListTeams {
    fn check(&self, findings: &mut Findings) {
        if self.cursor.is_some() && self.limit.is_none() {
            findings.note("query.cursor", "needs a limit");
        }
    }
}

impl NamesTeam for GetTeam {
    const PERMISSIONS: &'static [&'static str] = &[];

    fn team_id(&self) -> TeamId {
        self.path.id
    }
}

impl NamesTeam for UpdateTeam {
    const PERMISSIONS: &'static [&'static str] = &[UPDATE_TEAM];

    fn team_id(&self) -> TeamId {
        self.path.id
    }
}

impl NamesTeam for DeleteTeam {
    const PERMISSIONS: &'static [&'static str] = &[DELETE_TEAM];

    fn team_id(&self) -> TeamId {
        self.path.id
    }
}

/// A team as the caller may see it.
type TeamView = ByAccess<ClientTeam, ServerTeam>;

/// Founds a team.
///
/// Clients may do so if the project lets its users create teams.
#[utoipa::path(post, path = "/teams", tag = "teams",
    responses(Errors<(UserAuthenticationRequired, UserNotFound, Text<400>, Text<401>, Text<403>)>))]
async fn create_team(access: ClientAccess, new: CreateTeam) -> ApiResult<Created<TeamView>> {
    let creator = choose_creator(&access, new.creator_user_id, new.add_current_user)?;
    if let Some(user) = creator {
        find_user(&access, user).await?;
    }
    let profile = new.fields.into_profile(&access, new.display_name).await?;
    let id = TeamId(access.app.random.uuid());
    let (app, context, project) = (&access.app, access.event_context(), &access.project);
    app_teams::create(app, context, project, id, profile, creator).await?;
    Ok(Created(view(&access, find_team(&access, id).await?)))
}

fn choose_creator(
    auth: &Auth,
    named: Option<UserId>,
    add_current_user: Option<bool>,
) -> Result<Option<UserId>, ApiError> {
    if named.is_some() && add_current_user.is_some() {
        let text = "Send either add_current_user or creator_user_id, not both.";
        return Err(ApiError::bad_request(text));
    }
    if auth.access_type == AccessType::Client {
        let own = auth.signed_in()?.user.user_id();
        if !auth.project.config.teams.allow_client_team_creation {
            let text = "This project does not let its users create teams.";
            return Err(ApiError::forbidden(text));
        }
        if named.is_some_and(|user| user != own) {
            let text = "You can only create teams for yourself.";
            return Err(ApiError::forbidden(text));
        }
        return Ok(Some(own));
    }
    match (named, add_current_user) {
        (None, Some(true)) => {
            let text = "add_current_user needs a signed-in user.";
            let user = auth.user_id();
            let missing = || ApiError::text(StatusCode::UNAUTHORIZED, text);
            user.map(Some).ok_or_else(missing)
        }
        (named, _) => Ok(named),
    }
}

/// One team.
///
/// Clients must be signed in as a member of it.
#[utoipa::path(get, path = "/teams/{team_id}", tag = "teams")]
async fn get_team(
    access: ClientAccess,
    FoundTeam(team, _): FoundTeam<GetTeam>,
) -> ApiResult<Json<TeamView>> {
    Ok(Json(view(&access, team)))
}

/// Changes a team.
///
/// Clients need the permission `$update_team` in it.
#[utoipa::path(patch, path = "/teams/{team_id}", tag = "teams", responses(Errors<(Text<400>, Text<404>)>))]
async fn update_team(
    access: ClientAccess,
    FoundTeam(_, update): FoundTeam<UpdateTeam>,
) -> ApiResult<Json<TeamView>> {
    let id = update.path.id;
    let change = update.fields.into_change(&access, update.display_name);
    let (app, context) = (&access.app, access.event_context());
    app_teams::update(app, context, id, change.await?).await?;
    Ok(Json(view(&access, find_team(&access, id).await?)))
}

/// Dissolves a team.
///
/// Clients need the permission `$delete_team` in it.
#[utoipa::path(delete, path = "/teams/{team_id}", tag = "teams", responses(Errors<Text<404>>))]
async fn delete_team(
    access: ClientAccess,
    FoundTeam(_, named): FoundTeam<DeleteTeam>,
) -> ApiResult<Json<Success>> {
    app_teams::delete(&access.app, access.event_context(), named.path.id).await?;
    Ok(Success::ANSWER)
}

/// Lists teams by the time of their creation.
#[utoipa::path(get, path = "/teams", tag = "teams",
    responses(Errors<(CannotGetOwnUserWithoutUser, Text<403>)>))]
async fn list_teams(
    access: ClientAccess,
    wanted: ListTeams,
) -> ApiResult<Json<PageOrAll<TeamView>>> {
    if access.access_type == AccessType::Client {
        let own = access.own_user()?.user.user_id();
        if wanted.user_id != Some(own) {
            let text = "You can only list your own teams. Set user_id to me.";
            return Err(ApiError::forbidden(text));
        }
    }
    let is_limited = wanted.limit.is_some();
    let (pool, project) = (access.app.pool(), access.project_id());
    let page = teams::list(pool, project, &wanted.into()).await?;
    let items = page.items.into_iter().map(|team| view(&access, team));
    let next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
    Ok(PageOrAll::of(items.collect(), is_limited, next_cursor))
}

impl From<ListTeams> for teams::Listing {
    fn from(wanted: ListTeams) -> Self {
        Self {
            member: wanted.user_id,
            query: wanted.query,
            cursor: wanted.cursor,
            limit: wanted.limit.map(|limit| limit.min(MAX_PAGE)),
            direction: if wanted.desc {
                Direction::Descending
            } else {
                Direction::Ascending
            },
        }
    }
}

fn view(auth: &Auth, team: TeamRow) -> TeamView {
    match auth.access_type {
        AccessType::Client => ByAccess::Client(team.into()),
        AccessType::Server | AccessType::Admin => ByAccess::Server(team.into()),
    }
}
