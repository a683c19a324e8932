use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::failure::Problem;

/// The parameters behind the `?`; what cannot be read is a 400 that names it.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(error) => Err(refused(&error.body_text())),
        }
    }
}

/// A parameter that cannot be used.
pub fn refused(why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-query", why)
}
