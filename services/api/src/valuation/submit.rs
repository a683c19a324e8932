//! Accepting a document.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use domain::access::{Action, Decision, Tenant, allows};
use domain::request::{RequestId, Sequence, TraceParent, TraceState};
use operations::{Submission, SubmitError, Submitted};
use projections::View;
use serde::Deserialize;
use tokio::sync::SemaphorePermit;
use utoipa::IntoParams;

use crate::auth::Admitted;
use crate::http::body::{Posted, PostedDocument};
use crate::http::idempotency;
use crate::http::measured;
use crate::http::media;
use crate::http::metadata;
use crate::http::preference;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{Parameters, Said};
use crate::http::sharing::Caller;
use crate::state::Api;
use crate::valuation::intake;
use crate::valuation::outcome::{Accepted, accepted, outcome};
use crate::valuation::read::{too_many_waiters, with_sequence};

/// The caller in the ids of keyed requests. It stays the same for all callers of the default
/// tenant, so that the keys of earlier versions name the same requests.
const CALLER_OF_KEYS: &str = "anonymous";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SubmitQuery {
    /// Whether to wait for the result: `Y` or `N`, `yes` or `no`, `true` or `false`, `1` or `0`, in
    /// any case. Empty, it says nothing.
    #[param(
        pattern = "^([YyNn]|[Yy][Ee][Ss]|[Nn][Oo]|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[01])?$"
    )]
    sync: Option<String>,
}

impl SubmitQuery {
    /// `None` when the caller does not say.
    fn sync(&self) -> Result<Option<bool>, Problem> {
        let word = self.sync.as_deref().filter(|word| !word.is_empty());
        let said = word.map(|word| {
            word.parse::<Said>().map_err(|neither| {
                let message = format!("sync='{word}': {neither}");
                Problem::new(StatusCode::BAD_REQUEST, "invalid-sync", message)
            })
        });
        Ok(said.transpose()?.map(|said| said.0))
    }
}

/// Submit a VNML document.
#[utoipa::path(
    post, path = "/valuation", tag = "valuations",
    params(
        SubmitQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this submission, 1 to 255 printable ASCII characters: the same key with the same document is the same request", min_length = 1, max_length = 255, pattern = "^[!#-~]([ -~]*[!-~])?$"),
        ("traceparent" = Option<String>, Header, description = "Where in the caller's trace the request belongs (W3C Trace Context): it is in every event of the request and goes with its tasks; one that cannot be used is as none"),
        ("tracestate" = Option<String>, Header, description = "What the tracing systems of the caller say of that trace beside its ids (W3C Trace Context): it goes with the tasks; without a usable `traceparent` it is as none"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the result", pattern = "^wait=[0-9]{1,3}$"),
    ),
    request_body(content((String = "application/xml"), (String = "text/xml"))),
    responses(
        (status = 200, description = "The response document", body = String, content_type = "application/xml"),
        (status = 202, description = "Taken in", body = Accepted, headers(("Location" = String), ("Retry-After" = u64), ("Fanfold-Sequence" = u64), ("Idempotency-Replayed" = Option<String>))),
        (status = 400, description = "The document is refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The request was cancelled while the caller waited", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "The key names a request whose data has expired", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not XML, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The key was used with another document", body = ProblemBody, content_type = "application/problem+json"),
        (status = 500, description = "The caller waited, and the request failed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 507, description = "The broker has no room for a new request; nothing was stored", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was stored, or, with the code `unconfirmed`, it may have been", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn submit(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<SubmitQuery>,
    caller: Caller,
    by: Admitted,
    headers: HeaderMap,
    // The API reads the body to its end even when it refuses the call: a caller that still sends
    // would not read the answer.
    PostedDocument(posted): PostedDocument,
) -> Result<Response, Problem> {
    let sync = query.sync()?;
    let preferred = match sync {
        Some(false) => None,
        _ => preference::wait(&headers, api.sync_wait),
    };
    let wait = preferred.or((sync == Some(true)).then_some(api.sync_wait));
    let key = idempotency::key(&headers)?;
    let metadata = api.kept.of(&headers)?;
    metadata::check_callback(&metadata, api.signs_callbacks, api.private_callbacks)?;
    let Posted { bytes: body, room } = posted;
    runtime::strike("api", &body);
    api.metrics.submissions.bytes.had(body.len());
    let passed = match key {
        None => Some(enter(&api)?),
        Some(_) => None,
    };
    // The pool hashes a large document while it parses it.
    let hashing = async { Ok(api.payloads.hash(body.clone()).await?) };
    let outlining = intake::outline(&api.pool, body.clone());
    let (outline, document) = tokio::try_join!(outlining, hashing)?;
    drop(body);
    let id = match &key {
        None => RequestId::new(uuid::Uuid::now_v7()),
        Some(key) => RequestId::of_key(CALLER_OF_KEYS, key),
    };
    let waiter = match wait {
        Some(_) => Some(
            api.waiters
                .register(id, caller)
                .ok_or_else(too_many_waiters)?,
        ),
        None => None,
    };
    let traceparent = traceparent(&headers);
    let submission = Submission {
        bytes: document,
        document: outline.document,
        fingerprint: outline.fingerprint,
        groups: outline.groups,
        first_tasks: outline.first_tasks,
        metadata,
        tracestate: traceparent.as_ref().and_then(|_| tracestate(&headers)),
        traceparent,
        submitter: by.subject().to_string(),
        key,
    };
    let taken = take_in(&api, &by, id, submission, passed).await?;
    // The document is in the log, so free its memory for others.
    drop(room);
    let response = match waiter.zip(wait) {
        None => with_sequence(accepted(id, "accepted"), taken.sequence),
        Some((waiter, wait)) => {
            measured::hold();
            // A submission is never refused because of the answer's media type.
            let kind = media::xml(&headers).unwrap_or("application/xml");
            outcome(&api, id, &taken, waiter, wait, kind).await?
        }
    };
    let response = preference::applied(response, preferred);
    Ok(if taken.replayed {
        idempotency::replayed(response)
    } else {
        response
    })
}

/// The request that the key already names. Its document then needs no admission permit. A request
/// that has expired never runs again.
async fn known(
    api: &Api,
    by: &Admitted,
    id: RequestId,
    fingerprint: &str,
) -> Result<Option<Submitted>, Problem> {
    let sequence = match api.operations.submitted(id, fingerprint).await {
        Ok(Some(sequence)) => sequence,
        Ok(None) => return Ok(None),
        Err(error) => return Err(refused(api, by, id, error).await),
    };
    // The cached sequence may be old, because another process may handle the request now.
    let view = of_key(api, by, id, sequence).await?;
    Ok(Some(Submitted {
        sequence: view.seq,
        replayed: true,
    }))
}

/// Refuses a new request for which there is no room or no turn.
fn enter(api: &Api) -> Result<SemaphorePermit<'_>, Problem> {
    api.storage.pass()?;
    api.admission.pass()
}

async fn take_in(
    api: &Api,
    by: &Admitted,
    id: RequestId,
    submission: Submission,
    passed: Option<SemaphorePermit<'_>>,
) -> Result<Submitted, Problem> {
    // Hold the permit until the document is in the log.
    let _passed = match passed {
        Some(passed) => passed,
        None => match Box::pin(known(api, by, id, &submission.fingerprint)).await? {
            Some(known) => return Ok(known),
            None => enter(api).inspect_err(|_| api.operations.forget(id))?,
        },
    };
    let submitted = match api.operations.submit(id, submission).await {
        Ok(submitted) => submitted,
        Err(error) => return Err(Box::pin(refused(api, by, id, error)).await),
    };
    if submitted.replayed {
        // Another call with the same key came first.
        of_key(api, by, id, submitted.sequence).await?;
    }
    Ok(submitted)
}

/// The request that a key names, for a caller who may read it. All callers of a tenant share their
/// keys, so another caller may have taken this one.
async fn of_key(
    api: &Api,
    by: &Admitted,
    id: RequestId,
    sequence: Sequence,
) -> Result<View, Problem> {
    let reader = reader(by);
    let view = api.known(&reader, id, sequence).await;
    view.map_err(|problem| {
        if problem.is_unknown() && reader.sees_own_only() {
            return key_of_another();
        }
        problem
    })
}

/// The caller as one who reads.
fn reader(by: &Admitted) -> Admitted {
    let reads = allows(by.who(), Action::Read, Some(&Tenant::default()));
    by.reading(reads == Decision::OnOwn)
}

/// The same answer whatever document the other caller sent: it tells nothing of the other request.
fn key_of_another() -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let message = "another caller has used this idempotency key";
    Problem::new(status, "idempotency-key-reused", message)
}

/// The problem of a submission that was not taken. Whose request a key names is asked before
/// anything is told of that request.
async fn refused(api: &Api, by: &Admitted, id: RequestId, error: SubmitError) -> Problem {
    let reader = reader(by);
    if matches!(error, SubmitError::KeyReused(_)) && reader.sees_own_only() {
        let seen = Box::pin(api.known(&reader, id, Sequence::NONE)).await;
        if seen.is_err_and(|problem| problem.is_unknown()) {
            return key_of_another();
        }
    }
    failed(id, error)
}

fn failed(id: RequestId, error: SubmitError) -> Problem {
    match error {
        SubmitError::KeyReused(rejection) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Problem::new(status, "idempotency-key-reused", rejection.to_string()).of(id)
        }
        // The caller can ask whether the request is there.
        SubmitError::Log(error @ nats::Error::Unanswered(_)) => Problem::from(error).of(id),
        SubmitError::Log(error) => error.into(),
    }
}

/// The traceparent of the caller. An invalid one is ignored (W3C Trace Context, section 4.3).
/// Several of them are ignored too, because the API cannot know which one is meant.
fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    only.to_str().ok()?.parse().ok()
}

/// The tracestate of the caller, which may be in several headers. An invalid one is ignored.
fn tracestate(headers: &HeaderMap) -> Option<TraceState> {
    let values = headers.get_all("tracestate").iter();
    let values: Result<Vec<&str>, _> = values.map(HeaderValue::to_str).collect();
    values.ok()?.join(",").parse().ok()
}
