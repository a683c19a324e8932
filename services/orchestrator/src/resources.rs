//! What documents refer to: fetched once for a request, kept, and recorded.

use domain::request::{Command, Failure, RequestId, Resource, json_bytes};
use futures::future::join_all;

use crate::context::Context;
use crate::error::Error;
use crate::fetch::FetchError;

/// How many fetches of a request are under way at once.
const AT_ONCE: usize = 8;

/// How much of what is fetched at once stays in the log, as JSON; the rest goes to the object
/// store.
const INLINE_MAX_BYTES: usize = 256 * 1024;
/// The most bytes of what is recorded in one commit, as JSON.
const COMMIT_MAX_BYTES: usize = 512 * 1024;
/// About how many bytes a reference to the object store has, and the hash of what it refers to.
const REFERENCE_BYTES: usize = 256;

/// The bounds on what one request may have fetched.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most documents.
    pub count: usize,
    /// The most bytes of all of them.
    pub bytes: u64,
    /// The most attempts at one of them.
    pub attempts: u32,
}

/// Fetches these, keeps the bytes and records them, so that a replay never fetches again. What
/// another instance recorded meanwhile is what holds.
pub async fn capture(
    context: &Context,
    request: RequestId,
    uris: &[String],
) -> Result<Vec<Resource>, Error> {
    let known = recorded(context, request).await?;
    let new: Vec<&String> = uris
        .iter()
        .filter(|uri| !known.iter().any(|resource| resource.uri == **uri))
        .collect();
    let bounds = context.resource_bounds;
    if known.len() + new.len() > bounds.count {
        let limit = bounds.count;
        return Err(Error::failure(
            "hydration-too-costly",
            format!("the document refers to more than HREF_MAX_COUNT, {limit}, others"),
        ));
    }
    let (fetched, failed) = fetch_all(context, request, &new).await;
    let sizes = known.iter().chain(&fetched).map(|r| r.content.size());
    if sizes.sum::<u64>() > bounds.bytes {
        let limit = bounds.bytes;
        return Err(Error::failure(
            "hydration-too-costly",
            format!("what the document refers to has over HREF_TOTAL_MAX_BYTES, {limit} bytes"),
        ));
    }
    // What did come is kept even where something else did not, and is not fetched again.
    for some in in_commits(by_reference(context, fetched).await?) {
        context
            .execute(request, Command::CaptureResources(some))
            .await?;
    }
    match failed {
        Some(error) => Err(error),
        None => recorded(context, request).await,
    }
}

/// Puts the contents into the object store that would not fit into one commit together.
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
            let bytes = text.as_bytes().to_vec().into();
            resource.content = context.payloads.place_stored(bytes).await?;
        } else {
            inline += bytes;
        }
    }
    Ok(fetched)
}

/// The resources of each commit: nearly always all in one.
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

/// Fetches some at once. Gives what came, and why the first that did not come did not.
async fn fetch_all(
    context: &Context,
    request: RequestId,
    uris: &[&String],
) -> (Vec<Resource>, Option<Error>) {
    let mut fetched = Vec::new();
    for some in uris.chunks(AT_ONCE) {
        let under_way = some.iter().map(|uri| fetch(context, request, uri));
        let mut failed = None;
        for ended in join_all(under_way).await {
            match ended {
                Ok(resource) => fetched.push(resource),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if failed.is_some() {
            return (fetched, failed);
        }
    }
    (fetched, None)
}

async fn recorded(context: &Context, request: RequestId) -> Result<Vec<Resource>, Error> {
    let loaded = context.log.load(request).await?;
    let state = loaded.state().request();
    Ok(state.map_or_else(Vec::new, |state| state.resources.clone()))
}

async fn fetch(context: &Context, request: RequestId, uri: &str) -> Result<Resource, Error> {
    let bytes = match context.fetcher.fetch(uri).await {
        Ok(bytes) => bytes,
        Err(error) => return Err(failed(context, request, uri, &error)),
    };
    context.forget_fetches(request, uri);
    tracing::info!(%request, uri, bytes = bytes.len(), "fetched");
    Ok(Resource {
        uri: uri.to_owned(),
        sha256: Some(nats::sha256(&bytes)),
        content: context.payloads.place(bytes.into()).await?,
    })
}

/// A fetch that may go better is tried again when the broker delivers again what asked for it,
/// and only so often.
fn failed(context: &Context, request: RequestId, uri: &str, error: &FetchError) -> Error {
    let (code, retried) = match error {
        FetchError::NotAllowed(_) => ("hydration-not-allowed", false),
        FetchError::Final(_) => ("hydration-fetch-failed", false),
        FetchError::Transient(_) => ("hydration-fetch-failed", true),
    };
    if retried {
        let attempt = context.fetch_attempt(request, uri);
        if attempt < context.resource_bounds.attempts {
            return Error::Later(format!("{uri}: {error} (attempt {attempt})"));
        }
        // A redrive has attempts of its own.
        context.forget_fetches(request, uri);
    }
    Error::Fails(Box::new(Failure {
        code: code.to_owned(),
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
    fn what_is_fetched_is_recorded_in_one_commit_unless_that_would_be_too_large() {
        assert_eq!(sizes(Vec::new()), [0]);
        assert_eq!(sizes(vec![resource(2_048, 1_000); 100]), [100]);
        assert_eq!(sizes(vec![resource(2_048, 0); 1_000]), [255, 255, 255, 235]);
    }
}
