//! A request's document, as far as its groups are complete.

use std::borrow::Cow;

use domain::document::{CapturedResources, Document, HydrationError, Limits, TaskDocument};
use domain::request::{Failure, Payload, Request, RequestId, Resource};

use crate::context::Context;
use crate::error::Error;
use crate::resources;

/// How often a group is looked at anew because what was fetched refers to something else.
const FETCH_ROUNDS: u32 = 64;

/// A document larger than this is parsed beside the event loop, which may have one thread.
const PARSE_INLINE_MAX_BYTES: usize = 64 * 1024;

/// Task documents are made until they have so many bytes, and sent before more are made.
const MADE_AT_ONCE_BYTES: usize = 32 * 1024 * 1024;

/// The document of a request, with the results of its first groups in their places. Made again
/// from the log where it is not there.
#[derive(Default)]
pub struct Work {
    document: Option<Document>,
    resources: CapturedResources,
    captured: usize,
    placed: usize,
}

impl Work {
    /// Brings the document to where the state is.
    pub async fn bring_up(
        &mut self,
        context: &Context,
        request: RequestId,
        state: &Request,
    ) -> Result<(), Error> {
        if self.document.is_none() || self.placed > state.completed.len() {
            let bytes = context.payloads.fetch(&state.document).await?;
            let length = bytes.len();
            let document = parse(bytes).await?;
            tracing::debug!(%request, bytes = length, "document parsed");
            *self = Self {
                document: Some(document),
                ..Self::default()
            };
        }
        self.take_in(context, &state.resources).await?;
        for results in &state.completed[self.placed..] {
            self.put_results(context, results).await?;
        }
        Ok(())
    }

    fn document(&self) -> Result<&Document, Error> {
        let missing = || Error::Later("the document is not at hand".into());
        self.document.as_ref().ok_or_else(missing)
    }

    /// Puts the results of the next group in place.
    pub async fn put_results(
        &mut self,
        context: &Context,
        results: &[Payload],
    ) -> Result<(), Error> {
        let mut bytes: Vec<Cow<'_, [u8]>> = Vec::with_capacity(results.len());
        for result in results {
            bytes.push(match result.inline() {
                Some(text) => text.as_bytes().into(),
                None => context.payloads.fetch(result).await?.into(),
            });
        }
        let group = self.placed;
        let Some(document) = &mut self.document else {
            return Err(Error::Later("the document is not at hand".into()));
        };
        document
            .put_results(group, bytes.iter().map(Cow::as_ref))
            .map_err(|error| Error::failure("result-unreadable", error.to_string()))?;
        self.placed += 1;
        Ok(())
    }

    /// Whether there is such a group.
    pub fn has_group(&self, group: u32) -> bool {
        let groups = self.document.as_ref().map_or(0, Document::groups);
        (group as usize) < groups
    }

    /// The name of a group, where it has one.
    pub fn group_name(&self, group: u32) -> Option<String> {
        let document = self.document.as_ref()?;
        document.group_name(group as usize).map(str::to_owned)
    }

    /// The number of a group's tasks.
    pub async fn count_tasks(
        &mut self,
        context: &Context,
        request: RequestId,
        group: u32,
    ) -> Result<u32, Error> {
        for _ in 0..FETCH_ROUNDS {
            let counted = self
                .document()?
                .count_tasks(&self.resources, group as usize);
            match counted {
                Ok(count) => return Ok(u32::try_from(count).unwrap_or(u32::MAX)),
                Err(error) => self.fetch_missing(context, request, error).await?,
            }
        }
        Err(Error::failure(
            "hydration-cycle",
            format!("what is referred to refers on more than {FETCH_ROUNDS} times"),
        ))
    }

    /// The task documents of a group with the first of these numbers: all of them, or as many as
    /// are not too large together, but at least one.
    pub async fn tasks(
        &mut self,
        context: &Context,
        request: RequestId,
        group: u32,
        numbers: &[u32],
    ) -> Result<Vec<TaskDocument>, Error> {
        for _ in 0..FETCH_ROUNDS {
            let document = self.document()?;
            let made = document
                .tasks(&self.resources, group as usize, numbers.iter().copied())
                .and_then(up_to_a_size);
            match made {
                Ok(tasks) => return Ok(tasks),
                Err(error) => self.fetch_missing(context, request, error).await?,
            }
        }
        Err(Error::failure(
            "hydration-cycle",
            format!("what is referred to refers on more than {FETCH_ROUNDS} times"),
        ))
    }

    async fn fetch_missing(
        &mut self,
        context: &Context,
        request: RequestId,
        error: HydrationError,
    ) -> Result<(), Error> {
        let HydrationError::Missing { uris } = error else {
            return Err(failure(error));
        };
        let recorded = resources::capture(context, request, &uris).await?;
        self.take_in(context, &recorded).await
    }

    /// Parses what was recorded since.
    async fn take_in(&mut self, context: &Context, recorded: &[Resource]) -> Result<(), Error> {
        for resource in recorded.iter().skip(self.captured) {
            let bytes = context.payloads.fetch(&resource.content).await?;
            self.resources
                .insert(&resource.uri, &bytes)
                .map_err(failure)?;
            self.captured += 1;
        }
        Ok(())
    }

    /// The response document.
    pub fn response(&self) -> Result<Vec<u8>, Error> {
        Ok(self.document()?.response())
    }
}

async fn parse(bytes: Vec<u8>) -> Result<Document, Error> {
    let small = bytes.len() <= PARSE_INLINE_MAX_BYTES;
    let read = move || Document::accept(&bytes, &Limits::default());
    let parsed = if small {
        read()
    } else {
        let reading = tokio::task::spawn_blocking(read).await;
        reading.map_err(|error| Error::Later(error.to_string()))?
    };
    parsed.map_err(|refusal| Error::failure("document-unreadable", refusal.to_string()))
}

fn up_to_a_size(
    tasks: impl Iterator<Item = Result<TaskDocument, HydrationError>>,
) -> Result<Vec<TaskDocument>, HydrationError> {
    let mut made = Vec::new();
    let mut bytes = 0;
    for task in tasks {
        let task = task?;
        bytes += task.xml.len();
        made.push(task);
        if bytes > MADE_AT_ONCE_BYTES {
            break;
        }
    }
    Ok(made)
}

#[allow(clippy::needless_pass_by_value)] // It is what `map_err` calls.
fn failure(error: HydrationError) -> Error {
    Error::Fails(Box::new(Failure {
        code: error.code().to_owned(),
        message: error.to_string(),
        group: None,
        tasks: Vec::new(),
        redrive_may_help: false,
    }))
}
