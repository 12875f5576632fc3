//! The customer that a request is about, and whether its caller may speak for them.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use muniment_domain::TeamId;
use muniment_domain::customer::CustomerType;
use muniment_domain::permission::TEAM_ADMIN;
use muniment_event_store::AccessType;

use crate::app::App;
use crate::app::authorization::require_permission;
use crate::app::payments::named_customer::NamedCustomer;
use crate::error::codes::{
    TeamMembershipNotFound, TeamNotFound, TeamPermissionRequired, Text, UserAuthenticationRequired,
    UserNotFound,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::describe::{OperationDescription, OperationInput, describe_request};
use crate::http::request::caller::{Auth, Caller};
use crate::http::request::declare::{Request, extract, fields};
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::{choice, text};

/// The types of customers.
pub(super) const TYPES: &[(&str, CustomerType)] = &[
    ("user", CustomerType::User),
    ("team", CustomerType::Team),
    ("custom", CustomerType::Custom),
];

/// The types of customers that can pay.
const PAYERS: &[(&str, CustomerType)] =
    &[("user", CustomerType::User), ("team", CustomerType::Team)];

fields! {
    /// A customer.
    pub(super) struct Customer {
        /// What the customer is: a user, a team, or something that the project alone knows.
        kind as "customer_type": CustomerType = required(choice(TYPES));
        /// The customer's id: the user's, the team's, or the one that the project gave it.
        id as "customer_id": String = required(text());
    }

    /// A customer who can pay.
    pub(super) struct Payer {
        /// What the customer is: a user or a team.
        kind as "customer_type": CustomerType = required(choice(PAYERS));
        /// The customer's id: the user's or the team's.
        id as "customer_id": String = required(text());
    }
}

impl From<&Customer> for NamedCustomer {
    fn from(customer: &Customer) -> Self {
        Self {
            kind: customer.kind,
            id: customer.id.clone(),
        }
    }
}

impl From<&Payer> for NamedCustomer {
    fn from(payer: &Payer) -> Self {
        Self {
            kind: payer.kind,
            id: payer.id.clone(),
        }
    }
}

/// The customer does not exist.
pub(super) type NoSuchCustomer = (UserNotFound, TeamNotFound);

/// The customer is somebody else.
pub(super) type NotOwn = (
    UserAuthenticationRequired,
    TeamNotFound,
    TeamMembershipNotFound,
    TeamPermissionRequired,
    Text<403>,
);

/// What Stripe refuses, or that payments are not set up.
pub(super) type StripeRefusals = (Text<400>, Text<502>, Text<503>);

impl NamedCustomer {
    /// Clients speak for themselves, and for teams that they administrate.
    ///
    /// # Errors
    /// [`NotOwn`].
    pub(super) async fn check_client(&self, app: &App, auth: &Auth) -> ApiResult<()> {
        if auth.access_type != AccessType::Client {
            return Ok(());
        }
        let own = auth.signed_in()?.user.user_id();
        match self.kind {
            CustomerType::Custom => Err(ApiError::forbidden(
                "Custom customers can be reached with server access only.",
            )),
            CustomerType::User if self.id != own.to_string() => Err(ApiError::forbidden(
                "You can only reach your own items and products, and those of your teams.",
            )),
            CustomerType::User => Ok(()),
            CustomerType::Team => {
                let team = self.id.parse().map_err(|_| KnownError::no_team(&self.id))?;
                let member = (TeamId(team), own);
                require_permission(app, &auth.preconditions, member, TEAM_ADMIN).await
            }
        }
    }
}

/// A request whose path names a customer.
pub(super) trait NamesCustomer: Request {
    /// The customer.
    fn customer(&self) -> NamedCustomer;
}

/// Requests whose path names a customer.
macro_rules! names_customer {
    ($($request:ident),* $(,)?) => {$(
        impl $crate::http::payments::named_customer::NamesCustomer for $request {
            fn customer(&self) -> $crate::app::payments::named_customer::NamedCustomer {
                (&self.customer).into()
            }
        }
    )*};
}
pub(super) use names_customer;

/// The customer that the request `R` names, for whom the caller may speak, and the request. It comes
/// after the access in a handler's signature. It fails as `R` does, then with [`NotOwn`]. The customer
/// need not exist.
pub(super) struct OwnCustomer<R>(pub NamedCustomer, pub R);

impl<R: NamesCustomer + Send> FromRequestParts<App> for OwnCustomer<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let request: R = extract(parts, app).await?;
        let caller = Caller::of(parts)?;
        let named = request.customer();
        named.check_client(app, caller.client()?).await?;
        Ok(Self(named, request))
    }
}

impl<R: NamesCustomer> OperationInput for OwnCustomer<R> {
    fn describe(operation: &mut OperationDescription) {
        describe_request(operation, &R::describe());
        operation.fails_with::<NotOwn>();
    }
}
