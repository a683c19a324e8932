//! What the gate leaves for the operation behind it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use domain::access::{Action, Principal, Subject};

use super::Auth;
use super::refusal::Refusal;
use crate::http::problem::Problem;

/// A caller whom the gate let pass.
#[derive(Clone, Debug)]
pub struct Admitted {
    who: Arc<Principal>,
    /// Whether the caller may see only what it submitted.
    own_only: bool,
}

impl Admitted {
    pub(super) fn new(who: Arc<Principal>, own_only: bool) -> Self {
        Self { who, own_only }
    }

    /// The name of the caller.
    pub fn subject(&self) -> &Subject {
        self.who.subject()
    }

    /// The caller with its roles.
    pub fn who(&self) -> &Principal {
        &self.who
    }

    /// The caller with its roles, for those who keep it.
    pub(super) fn shared(&self) -> Arc<Principal> {
        self.who.clone()
    }

    /// The same caller as a reader.
    pub fn reading(&self, own_only: bool) -> Self {
        Self::new(self.who.clone(), own_only)
    }

    /// Whether the caller may see only what it submitted.
    pub fn sees_own_only(&self) -> bool {
        self.own_only
    }

    /// Whether the caller may see the requests of this submitter. `None` is a submitter whom nobody
    /// told apart.
    pub fn may_see(&self, submitter: Option<&str>) -> bool {
        !self.own_only || submitter == Some(self.subject().as_str())
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
