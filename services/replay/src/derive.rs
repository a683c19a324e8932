//! A request's document as its results leave it, made again from what is recorded: nothing is
//! fetched, and the same document gives the same tasks.

use domain::document::{CapturedResources, Document, Effort, HydrationError, Limits, TaskDocument};
use domain::request::{Failure, Payload, Request, Step};
use nats::{INLINE_MAX_BYTES, sha256};

use crate::Error;
use crate::source::Source;

/// The document of a request, up to the results of some group.
pub struct Derivation {
    document: Document,
    resources: CapturedResources,
    placed: usize,
}

/// Why a document cannot be taken further: what the request fails with.
pub type Stop = Failure;

impl Derivation {
    /// With the results of the groups before `group` in their places. The inner error is what
    /// the request would fail with.
    pub async fn before_group(
        source: &Source,
        request: &Request,
        group: usize,
    ) -> Result<Result<Self, Stop>, Error> {
        let bytes = source.payload(&request.document).await?;
        let document = match Document::accept(&bytes, &Limits::accepted()) {
            Ok(document) => document,
            Err(refusal) => return Ok(Err(stop("document-unreadable", refusal.to_string()))),
        };
        let mut derived = Self {
            document,
            resources: CapturedResources::default(),
            placed: 0,
        };
        for resource in &request.resources {
            let bytes = source.payload(&resource.content).await?;
            if let Err(error) = derived.resources.insert(&resource.uri, &bytes) {
                return Ok(Err(hydration(&error)));
            }
        }
        for results in request.completed.iter().take(group) {
            if let Err(failure) = derived.put_results(source, results).await? {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(derived))
    }

    /// Puts the results of the next group in place.
    pub async fn put_results(
        &mut self,
        source: &Source,
        results: &[Payload],
    ) -> Result<Result<(), Stop>, Error> {
        let mut bytes = Vec::with_capacity(results.len());
        for result in results {
            bytes.push(source.payload(result).await?);
        }
        let placed = self
            .document
            .put_results(self.placed, bytes.iter().map(Vec::as_slice));
        self.placed += 1;
        Ok(placed.map_err(|error| stop("result-unreadable", error.to_string())))
    }

    /// The task documents of a group with these numbers, or of all where none are named.
    pub fn tasks(&self, group: u32, numbers: Option<&[u32]>) -> Result<Vec<TaskDocument>, Stop> {
        let group = group as usize;
        let all: Vec<u32>;
        let numbers = if let Some(numbers) = numbers {
            numbers
        } else {
            all = (1..=self.count(group)?).collect();
            &all
        };
        let numbers = numbers.iter().copied();
        self.document
            .tasks(&self.resources, group, numbers, usize::MAX, Effort::Whole)
            .map_err(|error| hydration(&error))
    }

    /// The number of a group's tasks.
    pub fn count(&self, group: usize) -> Result<u32, Stop> {
        let counted = self
            .document
            .count_tasks(&self.resources, group, Effort::Whole);
        let count = counted.map_err(|error| hydration(&error))?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The name of a group, where it has one.
    pub fn group_name(&self, group: usize) -> Option<String> {
        self.document.group_name(group).map(str::to_owned)
    }

    /// The number of groups.
    pub fn groups(&self) -> usize {
        self.document.groups()
    }

    /// The steps from group `next` on, as the orchestrator works them out.
    pub async fn steps(&mut self, source: &Source, mut next: u32) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        loop {
            if next as usize >= self.groups() {
                match self.document.response() {
                    Ok(response) => steps.push(Step::Response(place(&response))),
                    Err(error) => {
                        let failure = stop("result-unreadable", error.to_string());
                        return Ok(vec![Step::Failure(failure)]);
                    }
                }
                return Ok(steps);
            }
            let tasks = match self.count(next as usize) {
                Ok(tasks) => tasks,
                // The steps before it are not taken either: the failure is all that is told.
                Err(failure) => return Ok(vec![Step::Failure(failure)]),
            };
            let name = self.group_name(next as usize);
            steps.push(Step::Group { name, tasks });
            if tasks > 0 {
                return Ok(steps);
            }
            if let Err(failure) = self.put_results(source, &[]).await? {
                return Ok(vec![Step::Failure(failure)]);
            }
            next += 1;
        }
    }
}

/// A payload as the orchestrator places it, without storing it.
pub fn place(bytes: &[u8]) -> Payload {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= INLINE_MAX_BYTES => Payload::from(text),
        _ => Payload::Stored {
            sha256: sha256(bytes),
            size: bytes.len() as u64,
        },
    }
}

fn hydration(error: &HydrationError) -> Stop {
    if let HydrationError::Missing { uris } = error {
        // What was not captured could not be fetched then, and is not fetched now.
        let uri = uris.first().map_or("", String::as_str);
        return stop("hydration-not-captured", format!("{uri} was not captured"));
    }
    stop(error.code(), error.to_string())
}

fn stop(code: &str, message: String) -> Stop {
    Failure {
        code: code.to_owned(),
        message,
        redrive_may_help: false,
        ..Failure::default()
    }
}
