//! The verdict of a service's answer.

use bytes::{Bytes, BytesMut};
use domain::FailureCode;
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::retry_after;
use crate::executor::{Fault, MAX_CAUSE_BYTES, Retry, result};

/// The most memory that is reserved before the first byte. The declared length of an answer is not
/// trusted beyond this.
const MAX_RESERVED_BYTES: usize = 64 * 1024;

/// The result in an answer, or the fault the answer stands for.
pub(super) async fn taken(
    mut response: Response,
    limit: usize,
    tells: bool,
) -> Result<Bytes, Fault> {
    let status = response.status();
    if !status.is_success() {
        return Err(refusal(response, tells).await);
    }
    if response
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_big(limit));
    }
    match body(&mut response, limit).await {
        Ok((_, true)) => Err(too_big(limit)),
        Ok((body, false)) => result::checked(body).await,
        Err(error) => Err(broken(error, tells)),
    }
}

/// The body up to a limit, and whether there was more.
async fn body(response: &mut Response, limit: usize) -> Result<(Bytes, bool), reqwest::Error> {
    let announced = response.content_length().unwrap_or_default();
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    let mut body = BytesMut::with_capacity(announced.min(limit).min(MAX_RESERVED_BYTES));
    while let Some(chunk) = response.chunk().await? {
        let room = limit - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok((body.freeze(), true));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), false))
}

/// The fault of an answer that is no success. What the answer says is for the operator: it goes into
/// the log of the worker, and becomes a cause only where the configuration says so.
async fn refusal(mut response: Response, tells: bool) -> Fault {
    let status = response.status();
    let retry = if may_pass(status) {
        response
            .headers()
            .get(RETRY_AFTER)
            .and_then(retry_after::delay)
            .map_or(Retry::ByPolicy, Retry::After)
    } else {
        Retry::Never
    };
    let message = format!("the service answered {status}");
    let mut fault =
        Fault::permanent(format!("http-{}", status.as_u16()), message).with_retry(retry);
    if let Some(location) = response.headers().get(LOCATION) {
        let location = String::from_utf8_lossy(location.as_bytes());
        tracing::warn!(%status, ?location, "the service answered with a redirect");
        fault = fault.because("redirects are not followed");
        if tells {
            fault = fault.because(format!("it points to {location}"));
        }
    }
    match body(&mut response, MAX_CAUSE_BYTES).await {
        Ok((excerpt, _)) => {
            let answer = String::from_utf8_lossy(&excerpt);
            tracing::warn!(%status, ?answer, "the service answered with a failure");
            if tells { fault.because(answer) } else { fault }
        }
        // The status decides; a truncated explanation is only added as a cause.
        Err(error) => because_of(fault, error, tells),
    }
}

/// Whether the same task may fare better later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

fn too_big(limit: usize) -> Fault {
    Fault::permanent(
        FailureCode::ResultTooBig,
        format!("the service's result is larger than max-result-bytes, {limit}"),
    )
}

/// The fault of an exchange that did not come to an end.
pub(super) fn broken(error: reqwest::Error, tells: bool) -> Fault {
    let fault = if error.is_builder() {
        Fault::permanent(
            FailureCode::HttpRequestInvalid,
            "no HTTP request can be made of the task",
        )
    } else if error.is_connect() {
        Fault::transient(
            FailureCode::HttpUnreachable,
            "the service cannot be reached",
        )
    } else {
        Fault::transient(
            FailureCode::HttpBrokenOff,
            "the exchange with the service broke off",
        )
    };
    because_of(fault, error, tells)
}

/// Adds why an exchange ended: to the log all of it but the URL, which may have a key in it, and to
/// the fault only what names neither the service nor its place.
fn because_of(fault: Fault, error: reqwest::Error, tells: bool) -> Fault {
    let error = error.without_url();
    tracing::warn!(error = ?super::chain(&error), "an exchange with the service ended early");
    if tells {
        return fault.because_of(&error);
    }
    let sources = std::iter::successors(std::error::Error::source(&error), |error| error.source());
    let mut io = sources.filter_map(|error| error.downcast_ref::<std::io::Error>());
    match io.next() {
        Some(io) => fault.because(io.kind().to_string()),
        None => fault,
    }
}
