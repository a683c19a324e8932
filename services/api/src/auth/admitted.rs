//! What the gate leaves for the operation behind it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use domain::access::{Action, Principal, Reach, Scope, Subject, Tenant, reach};
use projections::View;

use super::Auth;
use super::refusal::Refusal;
use crate::http::problem::Problem;

/// A caller whom the gate let pass.
#[derive(Clone, Debug)]
pub struct Admitted {
    who: Arc<Principal>,
    reach: Reach,
}

impl Admitted {
    pub(super) fn new(who: Arc<Principal>, reach: Reach) -> Self {
        Self { who, reach }
    }

    /// The name of the caller.
    pub fn subject(&self) -> &Subject {
        self.who.subject()
    }

    /// The same caller as a reader of what it submits. `None` for a caller who may read nothing.
    pub fn reading(&self) -> Option<Self> {
        let named = Some(self.tenant());
        let reach = reach(&self.who, Action::Read, named).ok()?;
        Some(Self::new(self.who.clone(), reach))
    }

    /// The tenants that the call is for.
    pub fn scope(&self) -> &Scope {
        &self.reach.scope
    }

    /// The tenant to which a submission belongs: `default` where the call is for every tenant.
    pub fn tenant(&self) -> Tenant {
        self.reach.scope.only().cloned().unwrap_or_default()
    }

    /// Whether the caller may see only what it submitted.
    pub fn sees_own_only(&self) -> bool {
        self.reach.own_only
    }

    /// Whether the caller may see a request.
    pub fn may_see(&self, view: &View) -> bool {
        let own = || view.submitter.as_deref() == Some(self.subject().as_str());
        self.reach.scope.includes(&view.tenant) && (!self.reach.own_only || own())
    }
}

impl<S: Sync> FromRequestParts<S> for Admitted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(ungated)
    }
}

/// The error for an operation that nobody put behind the gate.
pub(super) fn ungated() -> Problem {
    tracing::error!("an operation is not behind the gate of its listener");
    let message = "internal error; the server's log has the cause";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}

/// Whether a caller of an open operation may see the details of the deployment. A caller without a
/// credential may not, where callers must prove who they are.
#[derive(Clone, Copy, Debug)]
pub struct Details(pub bool);

impl<S: Sync> FromRequestParts<S> for Details {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Response> {
        let auth = parts.extensions.get::<Arc<Auth>>().cloned();
        let auth = auth.ok_or_else(|| ungated().into_response())?;
        let (headers, extensions) = (&parts.headers, &parts.extensions);
        match auth.admit(Action::Administer, headers, extensions).await {
            Ok(_) => Ok(Self(true)),
            Err(Refusal::Missing | Refusal::Forbidden { .. }) => Ok(Self(false)),
            Err(refusal) => Err(refusal.into_response()),
        }
    }
}
