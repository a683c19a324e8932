//! The derivation of a request from its document: which document stands after a group, which tasks
//! the group makes, which steps follow, and with which failure the request ends.
//!
//! The derivation asks for bytes and never fetches them. A caller gives it the payloads that
//! [`Derivation::lacks`] names, and captures the resources of a [`Halt::Capture`]. So the
//! orchestrator, a replay, the API and the command line derive the same.

mod halt;
mod outline;
mod steps;
mod tasks;

use crate::FailureCode;
use crate::document::{CapturedResources, Document, HydrationError, InvalidResult, Limits};
use crate::request::{Failure, Payload, Request, Resource};

pub use halt::Halt;
pub use outline::{first_group, outline};

/// The document of a request, with the results of its first groups in place and with the resources
/// that it refers to.
#[derive(Debug)]
pub struct Derivation {
    document: Document,
    resources: CapturedResources,
    /// How many of the recorded resources are there.
    captured: usize,
    /// How many groups have their results in the document.
    placed: usize,
    /// How many halts for resources came since something was derived.
    rounds: u32,
}

/// Recorded bytes that a derivation lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack<'r> {
    /// The content of a resource, for [`Derivation::capture`].
    Resource(&'r Resource),
    /// The results of the next group, for [`Derivation::put_results`].
    Results(&'r [Payload]),
}

impl Derivation {
    /// The derivation of a document that was accepted and not changed.
    #[must_use]
    pub fn of(document: Document) -> Self {
        Self {
            document,
            resources: CapturedResources::default(),
            captured: 0,
            placed: 0,
            rounds: 0,
        }
    }

    /// The derivation of a stored document.
    pub fn accept(bytes: &[u8]) -> Result<Self, Failure> {
        let document = Document::accept(bytes, &Limits::accepted());
        let document = document
            .map_err(|refusal| failure(FailureCode::DocumentUnreadable, refusal.to_string()))?;
        Ok(Self::of(document))
    }

    /// The next recorded bytes that are not here, of these resources and of the results of these
    /// groups.
    #[must_use]
    pub fn lacks<'r>(
        &self,
        resources: &'r [Resource],
        completed: &'r [Vec<Payload>],
    ) -> Option<Lack<'r>> {
        if let Some(resource) = resources.get(self.captured) {
            return Some(Lack::Resource(resource));
        }
        let results = completed.get(self.placed)?;
        Some(Lack::Results(results))
    }

    /// Returns whether the document has results of groups that the request has not completed.
    #[must_use]
    pub fn is_ahead_of(&self, request: &Request) -> bool {
        self.placed > request.completed.len()
    }

    /// Adds the content of the next recorded resource.
    pub fn capture(&mut self, uri: &str, bytes: &[u8]) -> Result<(), Failure> {
        let parsed = self.resources.insert(uri, bytes);
        parsed.map_err(|error| failure(error.code(), error.to_string()))?;
        self.captured += 1;
        Ok(())
    }

    /// Puts the results of the next group in place, in task order.
    pub fn put_results(&mut self, results: &[impl AsRef<[u8]>]) -> Result<(), Failure> {
        let results = results.iter().map(AsRef::as_ref);
        let put = self.document.put_results(self.placed, results);
        put.map_err(|error| unreadable(&error))?;
        self.placed += 1;
        Ok(())
    }

    /// Returns whether the running group is the last one.
    #[must_use]
    pub fn is_in_last_group(&self) -> bool {
        self.placed + 1 >= self.document.groups()
    }

    /// The document as it stands.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The whole document as it stands, with what it refers to in place.
    pub fn hydrated(&self) -> Result<String, HydrationError> {
        self.document.hydrate(&self.resources, "/")
    }

    /// The approximate memory of the document and its resources, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.document.bytes() + self.resources.bytes()
    }
}

fn unreadable(error: &InvalidResult) -> Failure {
    failure(FailureCode::ResultUnreadable, error.to_string())
}

/// A failure that a redrive cannot help.
fn failure(code: FailureCode, message: String) -> Failure {
    Failure {
        code: code.into(),
        message,
        ..Failure::default()
    }
}
