//! What a request names in its path, and has to be there.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use muniment_domain::ProjectId;

use crate::app::App;
use crate::error::codes::ErrorSet;
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::describe::{OperationDescription, OperationInput, describe_request};
use crate::http::request::caller::Caller;
use crate::http::request::declare::{Request, extract};

/// A request that names something of the caller's project.
pub(crate) trait NamesThing: Request + Send + Sync {
    /// What it names.
    type Thing: Send;

    /// What is answered if that is not there, or cannot be looked for.
    type Missing: ErrorSet;

    /// Finds it.
    ///
    /// # Errors
    /// [`Self::Missing`].
    fn find(
        &self,
        app: &App,
        project: &ProjectId,
    ) -> impl Future<Output = ApiResult<Self::Thing>> + Send;
}

/// What the request `R` names in the caller's project, and the request. It comes after the access in a
/// handler's signature. It fails as `R` does, then with `R::Missing`.
pub(crate) struct Found<R: NamesThing>(pub R::Thing, pub R);

impl<R: NamesThing> FromRequestParts<App> for Found<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let request: R = extract(parts, app).await?;
        let caller = Caller::of(parts)?;
        let project = caller.client()?.project_id();
        Ok(Self(request.find(app, project).await?, request))
    }
}

impl<R: NamesThing> OperationInput for Found<R> {
    fn describe(operation: &mut OperationDescription) {
        describe_request(operation, &R::describe());
        operation.fails_with::<R::Missing>();
    }
}
