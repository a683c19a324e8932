//! The JSON bodies with which callers change a request.

use axum::http::StatusCode;
use bytes::Bytes;
use nats::ExecuteError;
use operations::{Why, WhyError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::auth::Admitted;
use crate::http::problem::Problem;
use domain::request::{Rejection, RequestId};

/// `{"reason": "…", "by": "…"}`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Why)]
pub struct WhyBody {
    #[serde(default)]
    reason: String,
    /// The person for whom the caller acts: the history has it as `onBehalfOf`, and the caller
    /// itself as `by`.
    #[serde(default)]
    by: Option<String>,
}

impl WhyBody {
    pub fn check(&self, caller: &Admitted) -> Result<Why, Problem> {
        why(caller, self.by.as_deref(), &self.reason)
    }
}

/// The caller, the person for whom it says it acts, and the reason.
pub fn why(caller: &Admitted, person: Option<&str>, reason: &str) -> Result<Why, Problem> {
    Why::new(caller.subject(), person, reason).map_err(invalid)
}

/// The reason for a command that does not require one. The log records the reason if the caller
/// gives it.
pub fn why_if_said(caller: &Admitted, person: Option<&str>, reason: &str) -> Result<Why, Problem> {
    Why::of(caller.subject(), person, reason).map_err(invalid)
}

#[allow(clippy::needless_pass_by_value)] // It is what `map_err` calls.
fn invalid(error: WhyError) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-reason", error.to_string())
}

/// Parses a JSON body. It refuses unknown fields, so that a misspelled filter is not ignored.
pub fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let refused = |why: &str| {
        let message = format!("the body is not the JSON that is expected: {why}");
        Problem::new(StatusCode::BAD_REQUEST, "invalid-body", message)
    };
    // The parser takes an array for an object, and its error names a type of this program.
    let begin = body.trim_ascii_start().first();
    if begin.is_some_and(|byte| *byte != b'{') {
        return Err(refused("it must be an object"));
    }
    serde_json::from_slice(body).map_err(|error| refused(&error.to_string()))
}

/// The error for a rejected command.
pub fn refused(request: RequestId, error: ExecuteError) -> Problem {
    let rejection = match error {
        ExecuteError::Refused(rejection) => rejection,
        ExecuteError::Log(error) => return Problem::from(error).of(request),
    };
    let code = match rejection {
        Rejection::Unknown => return Problem::unknown(request),
        Rejection::Ended(_) => "already-ended",
        Rejection::StillRunning => "still-running",
        Rejection::NotFailed(_) => "not-failed",
        Rejection::TooOld => "too-old",
        // Only a submission has a fingerprint.
        Rejection::FingerprintDiffers => "idempotency-key-reused",
    };
    Problem::new(StatusCode::CONFLICT, code, rejection.to_string()).of(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_object_is_refused_without_a_name_of_this_program() {
        for body in [
            "1",
            "[\"wrong\"]",
            " \"x\"",
            "null",
            "tru",
            "",
            "{\"reason\":1}",
        ] {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let problem = json::<WhyBody>(&body).unwrap_err();
            let said = format!("{problem:?}");
            assert!(said.contains("invalid-body"), "{said}");
            assert!(
                !said.contains("struct") && !said.contains("WhyBody"),
                "{said}"
            );
        }
        assert!(json::<WhyBody>(&Bytes::from_static(b" {\"reason\":\"r\"}")).is_ok());
    }
}
