//! Accepting a document.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::access::Tenant;
use domain::request::{RequestId, Sequence, TraceParent};
use operations::{Submission, SubmitError, Submitted};
use projections::View;
use serde::Deserialize;
use tokio::sync::SemaphorePermit;
use utoipa::IntoParams;

use crate::admission;
use crate::auth::Admitted;
use crate::http::body::{Posted, PostedDocument};
use crate::http::idempotency;
use crate::http::media;
use crate::http::metadata;
use crate::http::preference;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{Parameters, Said};
use crate::http::sharing::Caller;
use crate::state::Api;
use crate::tenancy::{OfTenant, Open, Turn};
use crate::valuation::intake;
use crate::valuation::outcome::{Accepted, accepted, outcome};
use crate::valuation::read::{too_many_waiters, with_sequence};

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
        (status = 429, description = "A quota of the tenant is used up; the problem and the fields `RateLimit` and `RateLimit-Policy` name it", body = ProblemBody, content_type = "application/problem+json", headers(("Retry-After" = u64), ("RateLimit" = String), ("RateLimit-Policy" = String))),
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
    let tenant = by.tenant();
    let is_signed = api.signs_callbacks_of(&tenant);
    metadata::check_callback(&metadata, is_signed, api.private_callbacks)?;
    let quotas = api.quotas.of(&tenant);
    let quotas = quotas.as_deref();
    let standing = quotas.map(OfTenant::submit).transpose()?.flatten();
    let Posted { bytes: body, room } = posted;
    runtime::strike("api", &body);
    let id = match &key {
        None => RequestId::new(uuid::Uuid::now_v7()),
        Some(key) => RequestId::of_tenant_key(&tenant, key),
    };
    let passed = match key {
        None => Some(enter(&api, &tenant, quotas, id)?),
        Some(_) => None,
    };
    // The pool hashes a large document while it parses it.
    let hashing = async { Ok(api.payloads.hash(body.clone()).await?) };
    let outlining = intake::outline(&api.pool, body.clone());
    let (outline, document) = tokio::try_join!(outlining, hashing)?;
    drop(body);
    if let Some(quotas) = quotas {
        quotas.check(&outline.groups)?;
    }
    let waits = match (wait, quotas) {
        (Some(_), Some(quotas)) => quotas.wait()?,
        _ => None,
    };
    let waiter = match wait {
        Some(_) => Some(
            api.waiters
                .register(id, caller)
                .ok_or_else(too_many_waiters)?,
        ),
        None => None,
    };
    let submission = Submission {
        bytes: document,
        document: outline.document,
        fingerprint: outline.fingerprint,
        groups: outline.groups,
        first_tasks: outline.first_tasks,
        metadata,
        traceparent: traceparent(&headers),
        tenant,
        submitter: by.subject().to_string(),
        key,
    };
    let taken = take_in(&api, &by, quotas, id, submission, passed).await?;
    // The document is in the log, so free its memory for others.
    drop(room);
    let response = match waiter.zip(wait) {
        None => with_sequence(accepted(id, "accepted"), taken.sequence),
        Some((waiter, wait)) => {
            // A submission is never refused because of the answer's media type.
            let kind = media::xml(&headers).unwrap_or("application/xml");
            outcome(&api, id, &taken, waiter, wait, kind).await?
        }
    };
    drop(waits);
    let mut response = preference::applied(response, preferred);
    if let Some(standing) = standing {
        standing.tell(&mut response);
    }
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

/// The way of a submission into the log. Until it is kept, its end takes the request out of the
/// count of open requests again.
struct Passed<'a> {
    _place: SemaphorePermit<'a>,
    counted: Option<(&'a Open, RequestId)>,
}

impl Passed<'_> {
    /// The request is in the log, and counts as open until it ends.
    fn keep(mut self) {
        self.counted = None;
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        if let Some((open, request)) = self.counted {
            open.end(request);
        }
    }
}

/// Refuses a new request for which there is no room, no turn, or no more in the tenant's quota.
fn enter<'a>(
    api: &'a Api,
    tenant: &Tenant,
    quotas: Option<&OfTenant>,
    request: RequestId,
) -> Result<Passed<'a>, Problem> {
    api.storage.pass()?;
    if !api.open.counts_for(tenant) {
        return Ok(Passed {
            _place: api.admission.pass()?,
            counted: None,
        });
    }
    let (own, all) = api.open.count(tenant);
    if let Some(quotas) = quotas {
        quotas.check_open(own)?;
    }
    let place = match api.shares.turn(tenant, own, all, Instant::now()) {
        Turn::Own => api.admission.pass_by_share()?,
        Turn::Shared => api.admission.pass()?,
        Turn::No => return Err(admission::overloaded()),
    };
    let is_new = api.open.begin(tenant, request);
    Ok(Passed {
        _place: place,
        counted: is_new.then_some((&api.open, request)),
    })
}

async fn take_in(
    api: &Api,
    by: &Admitted,
    quotas: Option<&OfTenant>,
    id: RequestId,
    submission: Submission,
    passed: Option<Passed<'_>>,
) -> Result<Submitted, Problem> {
    // Hold the permit until the document is in the log.
    let passed = match passed {
        Some(passed) => passed,
        None => match Box::pin(known(api, by, id, &submission.fingerprint)).await? {
            Some(known) => return Ok(known),
            None => enter(api, &submission.tenant, quotas, id)?,
        },
    };
    let submitted = match api.operations.submit(id, submission).await {
        Ok(submitted) => submitted,
        Err(error) => return Err(Box::pin(refused(api, by, id, error)).await),
    };
    passed.keep();
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
    // Whoever submits may read what it submitted.
    let reader = by.reading().ok_or_else(key_of_another)?;
    let view = api.known(&reader, id, sequence).await;
    view.map_err(|problem| {
        if problem.is_unknown() && reader.sees_own_only() {
            return key_of_another();
        }
        problem
    })
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
    if matches!(error, SubmitError::KeyReused(_)) {
        let Some(reader) = by.reading() else {
            return key_of_another();
        };
        if reader.sees_own_only() {
            let seen = Box::pin(api.known(&reader, id, Sequence::NONE)).await;
            if seen.is_err_and(|problem| problem.is_unknown()) {
                return key_of_another();
            }
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
