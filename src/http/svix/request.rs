//! Requests to Svix's API: declared as all are, and refused in Svix's own shapes.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use muniment_projections::webhooks::endpoints::Endpoint;

use super::access::Access;
use super::error::{SvixError, SvixInvalidRequest, SvixResult};
use crate::app::App;
use crate::http::openapi::describe::{OperationDescription, OperationInput};
use crate::http::request::declare::{Request, fields, request};
use crate::http::request::input::Input;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::text;

fields! {
    /// The application that a request is about. [`Access`] has checked it.
    pub(super) struct Application {
        /// The application's id, which is the project's.
        _id as "app_id": String = required(text());
    }

    /// The endpoint that a request is about.
    pub(super) struct NamedEndpoint {
        .. _application: Application;
        /// The endpoint's id or uid.
        id as "endpoint_id": String = required(text());
    }
}

request! {
    /// A request that says all by naming an application.
    pub(super) struct ApplicationPath {
        path {
            .. _application: Application;
        }
        query(open) {}
    }

    /// A request that says all by naming an endpoint.
    pub(super) struct EndpointPath {
        path {
            .. named: NamedEndpoint;
        }
        query(open) {}
    }
}

/// A request that `request!` declares. It comes after the access in a handler's signature, and fails
/// with 422 and all that is wrong.
pub(super) struct SvixRequest<R>(pub R);

impl<R: Request> FromRequestParts<App> for SvixRequest<R> {
    type Rejection = SvixError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> SvixResult<Self> {
        let input = Input::from_request_parts(parts, app).await?;
        let mut form = input.form(None);
        let request = R::read(&mut form);
        Ok(Self(form.check(request)?))
    }
}

impl<R: Request> OperationInput for SvixRequest<R> {
    fn describe(operation: &mut OperationDescription) {
        operation.request(&R::describe());
        operation.answers_json::<SvixInvalidRequest>(422, "What is wrong, and where.");
    }
}

/// A request that names an endpoint.
pub(super) trait NamesEndpoint: Request {
    /// The endpoint's id or uid.
    fn endpoint_id(&self) -> &str;
}

/// Requests whose path names an endpoint.
macro_rules! names_endpoint {
    ($($request:ident),* $(,)?) => {$(
        impl $crate::http::svix::request::NamesEndpoint for $request {
            fn endpoint_id(&self) -> &str {
                &self.named.id
            }
        }
    )*};
}
pub(super) use names_endpoint;

names_endpoint!(EndpointPath);

/// Access to an endpoint of the application, and the request that names it. It fails as the access
/// does, then as the request, then with `not_found`.
pub(super) struct EndpointAccess<R = EndpointPath> {
    /// The access.
    pub access: Access,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The request.
    pub request: R,
}

impl<R: NamesEndpoint + Send> FromRequestParts<App> for EndpointAccess<R> {
    type Rejection = SvixError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> SvixResult<Self> {
        let access = Access::from_request_parts(parts, app).await?;
        let SvixRequest(request) = SvixRequest::<R>::from_request_parts(parts, app).await?;
        let endpoint = access.endpoint(app, request.endpoint_id()).await?;
        Ok(Self {
            access,
            endpoint,
            request,
        })
    }
}

impl<R: Request> OperationInput for EndpointAccess<R> {
    fn describe(operation: &mut OperationDescription) {
        Access::describe(operation);
        SvixRequest::<R>::describe(operation);
    }
}
