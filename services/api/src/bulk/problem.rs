//! Why a command to a bulk operation was not obeyed.

use axum::http::StatusCode;
use domain::bulk::Rejection;
use operations::BulkError;

use crate::http::problem::Problem;

/// The problem of a command that was not obeyed.
pub fn problem(error: BulkError) -> Problem {
    match error {
        BulkError::Refused(rejection) => refused(&rejection),
        BulkError::OnlyLetters => {
            Problem::new(StatusCode::BAD_REQUEST, "invalid-filter", error.to_string())
        }
        BulkError::TookTooLong => {
            Problem::new(StatusCode::CONFLICT, "too-many-selected", error.to_string())
        }
        BulkError::Log(nats::Error::Refused(reason)) => {
            Problem::new(StatusCode::BAD_REQUEST, "invalid-filter", reason)
        }
        BulkError::Log(error) => error.into(),
        BulkError::Search(error) => error.into(),
    }
}

/// The problem of an operation that does not exist.
pub fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(80).collect();
    let message = format!("there is no operation {id}");
    Problem::new(StatusCode::NOT_FOUND, "unknown-operation", message)
}

fn refused(rejection: &Rejection) -> Problem {
    let (status, code) = match rejection {
        Rejection::Unknown => (StatusCode::NOT_FOUND, "unknown-operation"),
        Rejection::NothingSelected => (StatusCode::CONFLICT, "nothing-selected"),
        Rejection::TooManySelected => (StatusCode::CONFLICT, "too-many-selected"),
        Rejection::Drafted | Rejection::StartedOtherwise => {
            (StatusCode::CONFLICT, "already-started")
        }
        Rejection::NotStarted => (StatusCode::CONFLICT, "not-started"),
        Rejection::Ended(_) => (StatusCode::CONFLICT, "already-ended"),
        Rejection::InvalidRate | Rejection::InvalidStop => {
            (StatusCode::BAD_REQUEST, "invalid-plan")
        }
    };
    Problem::new(status, code, rejection.to_string())
}
