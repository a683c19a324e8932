//! The resources that documents refer to. Each is fetched once per request, stored and recorded.

use std::time::Instant;

use domain::FailureCode;
use domain::access::Tenant;
use domain::request::{Command, Failure, RequestId, Resource, json_bytes};
use futures::future::join_all;

use crate::context::Context;
use crate::error::Error;
use crate::fetch::{FetchError, Fetcher};
use crate::memory_budget::KEPT_MAX_BYTES;

/// From this many bytes of documents on, no further turn waits for hosts with its document.
const WAITING_MAX_BYTES: usize = 2 * KEPT_MAX_BYTES;

/// How many fetches of a request are under way at once.
const AT_ONCE: usize = 8;

/// The most bytes of one round of fetches that stay in the log, as JSON. The rest goes to the
/// object store.
const INLINE_MAX_BYTES: usize = 256 * 1024;
/// The most bytes of resources that are recorded in one commit, as JSON.
const COMMIT_MAX_BYTES: usize = 512 * 1024;
/// Approximate size of a reference to the object store with the hash of the content, in bytes.
const REFERENCE_BYTES: usize = 256;

/// The limits on the resources of one request.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most resources.
    pub count: usize,
    /// The most bytes of all resources together.
    pub bytes: u64,
    /// The most attempts to fetch one resource.
    pub attempts: u32,
}

/// Fetches resources, stores their bytes and records them, so that a replay never fetches again. If
/// another instance recorded a resource meanwhile, that record counts.
pub async fn capture(
    context: &Context,
    request: RequestId,
    uris: &[String],
) -> Result<Vec<Resource>, Error> {
    let (tenant, known) = recorded(context, request).await?;
    let new: Vec<&String> = uris
        .iter()
        .filter(|uri| !known.iter().any(|resource| resource.uri == **uri))
        .collect();
    let bounds = context.resource_bounds;
    if known.len() + new.len() > bounds.count {
        let limit = bounds.count;
        return Err(Error::failure(
            FailureCode::HydrationTooCostly,
            format!("the document refers to more than HREF_MAX_COUNT, {limit}, others"),
        ));
    }
    // Idle documents stay within their budget, so the rest is that of turns under way.
    if context.kept.bytes() > WAITING_MAX_BYTES && context.outside.turns() > 0 {
        return Err(Error::Later(format!(
            "the documents in memory have over {WAITING_MAX_BYTES} bytes while others wait for hosts"
        )));
    }
    let (fetched, failed) = {
        // Hosts may be slow. Other requests get the place of this one meanwhile.
        let _waits = context.outside.wait();
        let fetcher = context.fetchers.of(&tenant);
        fetch_all(context, fetcher, request, &new).await
    };
    let sizes = known.iter().chain(&fetched).map(|r| r.content.size());
    if sizes.sum::<u64>() > bounds.bytes {
        let limit = bounds.bytes;
        return Err(Error::failure(
            FailureCode::HydrationTooCostly,
            format!("the resources of the document have over HREF_TOTAL_MAX_BYTES, {limit} bytes"),
        ));
    }
    // Keep the resources that arrived even if another fetch failed, so that they are not fetched
    // again.
    for some in in_commits(by_reference(context, fetched).await?) {
        context
            .execute(request, Command::CaptureResources(some))
            .await?;
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(recorded(context, request).await?.1),
    }
}

/// Moves contents that would not fit into one commit together into the object store.
async fn by_reference(
    context: &Context,
    mut fetched: Vec<Resource>,
) -> Result<Vec<Resource>, Error> {
    let mut inline = 0;
    for resource in &mut fetched {
        let Some(text) = resource.content.inline() else {
            continue;
        };
        let bytes = json_bytes(text);
        if inline + bytes > INLINE_MAX_BYTES {
            let bytes = text.as_bytes().to_vec();
            resource.content = context.place_stored(bytes).await?;
        } else {
            inline += bytes;
        }
    }
    Ok(fetched)
}

/// Splits resources into commits. Nearly always all of them fit into one.
fn in_commits(resources: Vec<Resource>) -> Vec<Vec<Resource>> {
    let mut commits: Vec<Vec<Resource>> = vec![Vec::new()];
    let mut bytes = 0;
    for resource in resources {
        let more = json_bytes(&resource.uri)
            + resource
                .content
                .inline()
                .map_or(REFERENCE_BYTES, json_bytes);
        if bytes + more > COMMIT_MAX_BYTES && bytes > 0 {
            commits.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        if let Some(last) = commits.last_mut() {
            last.push(resource);
        }
    }
    commits
}

/// Fetches several resources at once. Returns the fetched ones and the first error.
async fn fetch_all(
    context: &Context,
    fetcher: &Fetcher,
    request: RequestId,
    uris: &[&String],
) -> (Vec<Resource>, Option<Error>) {
    let mut resources = Vec::new();
    for some in uris.chunks(AT_ONCE) {
        let under_way = some.iter().map(|uri| fetch(context, fetcher, request, uri));
        let mut failed = None;
        for ended in join_all(under_way).await {
            match ended {
                Ok(resource) => resources.push(resource),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if failed.is_some() {
            return (resources, failed);
        }
    }
    (resources, None)
}

/// The tenant of a request, and the resources that are recorded.
async fn recorded(context: &Context, request: RequestId) -> Result<(Tenant, Vec<Resource>), Error> {
    let loaded = context.log.load(request).await?;
    let state = loaded.state().request();
    let resources = state.map_or_else(Vec::new, |state| state.resources.clone());
    Ok((loaded.state().tenant(), resources))
}

async fn fetch(
    context: &Context,
    fetcher: &Fetcher,
    request: RequestId,
    uri: &str,
) -> Result<Resource, Error> {
    let brought = match fetcher.host(uri) {
        Ok(host) => {
            let Some(_place) = context.outside.fetch(&host).await else {
                return Err(Error::Later(format!(
                    "{uri}: too many fetches from {host} wait already"
                )));
            };
            let begun = Instant::now();
            let ended = fetcher.fetch(uri).await;
            let bytes = ended.as_ref().ok().map(Vec::len);
            let counted = &context.metrics.orchestrator.fetches;
            counted.ended(scheme(uri), begun.elapsed(), bytes);
            ended
        }
        Err(error) => Err(error),
    };
    let bytes = match brought {
        Ok(bytes) => bytes,
        Err(error) => return Err(failed(context, request, uri, &error)),
    };
    context.forget_fetches(request, uri);
    tracing::info!(%request, uri, bytes = bytes.len(), "fetched a resource");
    Ok(Resource {
        uri: uri.to_owned(),
        sha256: Some(nats::sha256(&bytes)),
        content: context.place(bytes).await?,
    })
}

/// The scheme of a URI that may be fetched.
fn scheme(uri: &str) -> &'static str {
    let known = ["https", "http", "s3", "file"];
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let found = known
        .iter()
        .find(|known| scheme.eq_ignore_ascii_case(known));
    found.copied().unwrap_or(metrics::OTHER)
}

/// Converts a failed fetch. If a retry may help, the broker redelivers the message that needs the
/// resource, up to the limit of attempts.
fn failed(context: &Context, request: RequestId, uri: &str, error: &FetchError) -> Error {
    let (code, retried) = match error {
        FetchError::NotAllowed(_) => (FailureCode::HydrationNotAllowed, false),
        FetchError::Final(_) => (FailureCode::HydrationFetchFailed, false),
        FetchError::Transient(_) => (FailureCode::HydrationFetchFailed, true),
    };
    if retried {
        let attempt = context.fetch_attempt(request, uri);
        if attempt < context.resource_bounds.attempts {
            return Error::Later(format!("{uri}: {error} (attempt {attempt})"));
        }
        // A redrive gets attempts of its own.
        context.forget_fetches(request, uri);
    }
    Error::Fails(Box::new(Failure {
        code: code.into(),
        message: format!("{uri}: {error}"),
        redrive_may_help: retried,
        ..Failure::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(uri: usize, content: usize) -> Resource {
        Resource {
            uri: "u".repeat(uri),
            sha256: Some("0".repeat(64)),
            content: "c".repeat(content).as_str().into(),
        }
    }

    fn sizes(resources: Vec<Resource>) -> Vec<usize> {
        let commits = in_commits(resources);
        let sizes: Vec<usize> = commits.iter().map(Vec::len).collect();
        for commit in commits {
            let json = serde_json::to_vec(&commit).unwrap().len();
            assert!(json < COMMIT_MAX_BYTES + 256 * 1024, "{json}");
        }
        sizes
    }

    #[test]
    fn fetched_resources_are_recorded_in_one_commit_unless_it_would_be_too_large() {
        assert_eq!(sizes(Vec::new()), [0]);
        assert_eq!(sizes(vec![resource(2_048, 1_000); 100]), [100]);
        assert_eq!(sizes(vec![resource(2_048, 0); 1_000]), [255, 255, 255, 235]);
    }
}
