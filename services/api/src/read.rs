//! Reading a request: its view in Redis, and where that is missing, the fold of its events.

use domain::request::RequestId;
use nats::Commit;
use projections::{View, fold};

use crate::failure::Problem;
use crate::state::Api;

impl Api {
    /// The view of a request, not older than sequence `seen`, nor than any this instance has
    /// answered from before; none where there is no such request. Redis may be empty, behind or
    /// away: the log has it all.
    pub(crate) async fn view(
        &self,
        request: RequestId,
        seen: u64,
    ) -> Result<Option<View>, Problem> {
        let seen = self.seen.get(&request).map_or(seen, |own| own.max(seen));
        match self.store.get(request).await {
            Ok(Some(view)) if view.seq >= seen => return Ok(Some(view)),
            Ok(_) => {}
            Err(error) => tracing::warn!(%request, %error, "its view cannot be read; folding"),
        }
        let commits = self.log.read(request, 0).await?;
        let view = fold(None, commits.iter().flat_map(Commit::recorded));
        if let Some(view) = &view {
            self.seen.insert(request, view.seq);
        }
        Ok(view)
    }
}

/// The id in a path.
pub(crate) fn parse_id(text: &str) -> Result<RequestId, Problem> {
    use axum::http::StatusCode;
    text.parse().map_err(|error: domain::request::InvalidId| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-id", error.to_string())
    })
}
