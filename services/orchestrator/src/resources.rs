//! What documents refer to: fetched once for a request, kept, and recorded.

use domain::request::{RequestId, Resource};

use crate::context::Context;
use crate::error::Error;

/// Fetches these, keeps the bytes and records them, so that a replay never fetches again.
pub async fn capture(
    _context: &Context,
    request: RequestId,
    uris: &[String],
) -> Result<Vec<Resource>, Error> {
    let named = uris.first().map_or("", String::as_str);
    tracing::warn!(%request, uri = named, "a document refers to what may not be fetched");
    Err(Error::failure(
        "hydration-not-allowed",
        format!("{named} may not be fetched: no allow-list is configured"),
    ))
}
