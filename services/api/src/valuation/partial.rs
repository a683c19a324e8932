//! Documents of running requests: with the results of the groups that are complete.

use axum::http::HeaderValue;
use axum::response::Response;
use domain::derivation::{Derivation, Halt};
use domain::document::{Effort, TaskDocument};
use domain::request::{Failure, GroupIndex, Request, RequestId, TaskNumber};
use runtime::Cost;

use crate::http::problem::Problem;
use crate::state::Api;
use crate::valuation::intake::at_cost;
use crate::valuation::results::xml;

/// The parts from which a document is made, already fetched.
pub(crate) struct Pieces {
    document: Vec<u8>,
    resources: Vec<(String, Vec<u8>)>,
    results: Vec<Vec<Vec<u8>>>,
}

impl Api {
    /// The parts of a request's document with the results of its first `groups` groups.
    pub(crate) async fn pieces(
        &self,
        id: RequestId,
        request: &Request,
        groups: usize,
    ) -> Result<Pieces, Problem> {
        let mut resources = Vec::with_capacity(request.resources.len());
        for resource in &request.resources {
            let bytes = self.document(id, &resource.content).await?;
            resources.push((resource.uri.clone(), bytes));
        }
        let mut results = Vec::with_capacity(groups);
        for group in request.completed.iter().take(groups) {
            let mut of_group = Vec::with_capacity(group.len());
            for result in group {
                of_group.push(self.document(id, result).await?);
            }
            results.push(of_group);
        }
        Ok(Pieces {
            document: self.document(id, &request.document).await?,
            resources,
            results,
        })
    }

    /// The state of a request as of the log.
    pub(crate) async fn state(&self, id: RequestId) -> Result<Request, Problem> {
        self.log.forget(id);
        let loaded = self.log.load(id).await?;
        let request = loaded.state().request().cloned();
        drop(loaded);
        self.log.forget(id);
        match request {
            Some(request) => Ok(request),
            None => Err(self.not_found(id).await),
        }
    }
}

impl Pieces {
    /// The derivation with the results of those groups in place, and without the resources, of
    /// which only tasks are made.
    fn assembled(&self) -> Result<Derivation, String> {
        let failed = |failure: Failure| failure.message;
        let mut derivation = Derivation::accept(&self.document).map_err(failed)?;
        for results in &self.results {
            derivation.put_results(results).map_err(failed)?;
        }
        Ok(derivation)
    }

    /// The input of one task, as the orchestrator makes it.
    pub(crate) fn task(
        &self,
        group: GroupIndex,
        task: TaskNumber,
    ) -> Result<Option<TaskDocument>, String> {
        let mut derivation = self.assembled()?;
        for (uri, bytes) in &self.resources {
            let captured = derivation.capture(uri, bytes);
            captured.map_err(|failure| failure.message)?;
        }
        match derivation.tasks(group, [task], usize::MAX, Effort::Whole) {
            Ok(mut made) => Ok(made.pop()),
            Err(Halt::Fails(failure)) => Err(failure.message),
            Err(Halt::Capture(uris)) => Err(format!("not captured: {}", uris.join(", "))),
            Err(Halt::TakesLonger) => Err("it takes more work than is allowed".into()),
        }
    }
}

/// The completed groups, in a document marked incomplete.
pub(crate) async fn so_far(
    api: &Api,
    id: RequestId,
    kind: &'static str,
) -> Result<Response, Problem> {
    let request = api.state(id).await?;
    let groups = request.completed.len();
    let pieces = api.pieces(id, &request, groups).await?;
    let assembling = move || {
        let derivation = pieces.assembled()?;
        Ok(derivation.document().response_so_far(groups))
    };
    let document = at_cost(&api.pool, Cost::Costly, assembling).await?;
    let document = document.map_err(|reason: String| unreadable(id, &reason))?;
    let mut response = xml(id, document, kind);
    let incomplete = HeaderValue::from_static("true");
    response
        .headers_mut()
        .insert("fanfold-incomplete", incomplete);
    Ok(response)
}

/// The error when the parts in the log cannot be assembled.
pub(crate) fn unreadable(id: RequestId, reason: &str) -> Problem {
    let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new(status, "document-unreadable", reason).of(id)
}
