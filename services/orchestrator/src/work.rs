//! A request's document with the results of its completed groups.

use std::borrow::Cow;
use std::sync::Arc;

use domain::document::{
    CapturedResources, Document, Effort, HydrationError, InvalidResult, Limits, TaskDocument,
};
use domain::request::{Failure, Payload, Request, RequestId, Resource};
use runtime::{Cost, PARSE_INLINE_MAX_BYTES};

use crate::context::Context;
use crate::error::Error;
use crate::memory_budget::KeptDocument;
use crate::resources;

/// Maximum rounds of hydration for one group. Each round fetches resources that refer to further
/// resources.
const FETCH_ROUNDS: u32 = 64;

/// Size in bytes of a batch of task documents. The batch is sent before more documents are made.
const MADE_AT_ONCE_BYTES: usize = 8 * 1024 * 1024;

/// The document of a request, with the results of its completed groups in place. If the document is
/// not cached, it is rebuilt from the log.
#[derive(Default)]
pub struct Work {
    document: Option<KeptDocument>,
    resources: CapturedResources,
    captured: usize,
    placed: usize,
}

impl Work {
    /// Brings the document up to date with the state of the request.
    pub async fn bring_up(
        &mut self,
        context: &Context,
        request: RequestId,
        state: &Request,
    ) -> Result<(), Error> {
        if self.document.is_none() || self.placed > state.completed.len() {
            let document = document(context, request, state).await?;
            *self = Self {
                document: Some(context.kept.keep(document)),
                ..Self::default()
            };
        }
        self.take_in(context, &state.resources).await?;
        for results in &state.completed[self.placed..] {
            self.put_results(context, results).await?;
        }
        Ok(())
    }

    /// Drops a large document if all cached documents together exceed `most` bytes. The document is
    /// parsed again when it is needed. The lock stays the same, so tasks that wait for it keep
    /// waiting.
    pub fn let_go_above(&mut self, most: usize) {
        let Some(kept) = &mut self.document else {
            return;
        };
        kept.count(self.resources.bytes());
        if kept.is_too_much(most) {
            *self = Self::default();
        }
    }

    /// Puts the results of the next group into the document.
    pub async fn put_results(
        &mut self,
        context: &Context,
        results: &[Payload],
    ) -> Result<(), Error> {
        let group = self.placed;
        let put = move |document: &mut Document, results: &[Cow<'_, [u8]>]| {
            document.put_results(group, results.iter().map(Cow::as_ref))
        };
        let results = read(context, results).await?;
        let bytes = bytes(&results);
        let document = self.document.as_mut().ok_or_else(missing)?;
        let done = if bytes <= PARSE_INLINE_MAX_BYTES {
            put(&mut document.document, &results)
        } else {
            let results = owned(results);
            let work = move |document: &mut Document| put(document, &results);
            self.on_pool(context, cost(bytes), work).await?
        };
        done.map_err(|error| unreadable(&error))?;
        if let Some(kept) = &mut self.document {
            kept.count(self.resources.bytes());
        }
        self.placed += 1;
        Ok(())
    }

    /// Renders the response with the results of the last group. The document itself does not get
    /// these results.
    pub async fn response_with(
        &mut self,
        context: &Context,
        results: &[Payload],
    ) -> Result<Vec<u8>, Error> {
        let group = self.placed;
        let results = read(context, results).await?;
        let document = self.document.as_ref().ok_or_else(missing)?;
        let bytes = bytes(&results) + document.document.text_bytes();
        let response = if bytes <= PARSE_INLINE_MAX_BYTES {
            document.document.response_with(group, &results)
        } else {
            let results = owned(results);
            let work = move |document: &mut Document| document.response_with(group, &results);
            self.on_pool(context, cost(bytes), work).await?
        };
        response.map_err(|error| unreadable(&error))
    }

    /// Renders the response document.
    pub async fn response(&mut self, context: &Context) -> Result<Vec<u8>, Error> {
        let document = self.document.as_ref().ok_or_else(missing)?;
        let bytes = document.document.text_bytes();
        let response = if bytes <= PARSE_INLINE_MAX_BYTES {
            document.document.response()
        } else {
            let work = |document: &mut Document| document.response();
            self.on_pool(context, cost(bytes), work).await?
        };
        response.map_err(|error| unreadable(&error))
    }

    /// Runs work on the document in the pool. If the work does not finish properly, the document is
    /// dropped and later rebuilt from the log.
    async fn on_pool<T: Send + 'static>(
        &mut self,
        context: &Context,
        cost: Cost,
        work: impl FnOnce(&mut Document) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let mut kept = self.document.take().ok_or_else(missing)?;
        let work = move || {
            let done = work(&mut kept.document);
            (kept, done)
        };
        let (kept, done) = context.pool.run(cost, work).await?;
        self.document = Some(kept);
        Ok(done)
    }

    /// Hydrates on this thread if the work is small, and in the pool otherwise.
    async fn hydrate<T: Send + 'static>(
        &mut self,
        context: &Context,
        work: impl Fn(&Document, &CapturedResources, Effort) -> Result<T, HydrationError>
        + Clone
        + Send
        + 'static,
    ) -> Result<Result<T, HydrationError>, Error> {
        let kept = self.document.as_ref().ok_or_else(missing)?;
        match work(&kept.document, &self.resources, Effort::Short) {
            Err(HydrationError::TakesLonger) => {}
            done => return Ok(done),
        }
        for (cost, effort) in [(Cost::Small, Effort::Medium), (Cost::Costly, Effort::Whole)] {
            let resources = std::mem::take(&mut self.resources);
            let work = work.clone();
            let hydrating = move |document: &mut Document| {
                let done = work(document, &resources, effort);
                (resources, done)
            };
            let (resources, done) = self.on_pool(context, cost, hydrating).await?;
            self.resources = resources;
            match done {
                Err(HydrationError::TakesLonger) => {}
                done => return Ok(done),
            }
        }
        Err(Error::Later("the document takes longer than it may".into()))
    }

    /// Whether the document has this group.
    pub fn has_group(&self, group: u32) -> bool {
        let document = self.document.as_ref().map(|kept| &kept.document);
        (group as usize) < document.map_or(0, Document::groups)
    }

    /// The name of a group, if it has one.
    pub fn group_name(&self, group: u32) -> Option<String> {
        let kept = self.document.as_ref()?;
        kept.document.group_name(group as usize).map(str::to_owned)
    }

    /// The number of a group's tasks.
    pub async fn count_tasks(
        &mut self,
        context: &Context,
        request: RequestId,
        group: u32,
    ) -> Result<u32, Error> {
        let index = group as usize;
        let count = move |document: &Document, resources: &CapturedResources, effort| {
            document.count_tasks(resources, index, effort)
        };
        for _ in 0..FETCH_ROUNDS {
            match self.hydrate(context, count).await? {
                Ok(count) => return Ok(u32::try_from(count).unwrap_or(u32::MAX)),
                Err(error) => self.fetch_missing(context, request, error).await?,
            }
        }
        Err(Error::failure(
            "hydration-cycle",
            format!("what is referred to refers on more than {FETCH_ROUNDS} times"),
        ))
    }

    /// Makes the task documents of a group for the first of these numbers. It makes all of them, or
    /// as many as fit into one batch, but at least one.
    pub async fn tasks(
        &mut self,
        context: &Context,
        request: RequestId,
        group: u32,
        numbers: &[u32],
    ) -> Result<Vec<TaskDocument>, Error> {
        let (index, numbers) = (group as usize, Arc::<[u32]>::from(numbers));
        let make = move |document: &Document, resources: &CapturedResources, effort| {
            let numbers = numbers.iter().copied();
            document.tasks(resources, index, numbers, MADE_AT_ONCE_BYTES, effort)
        };
        for _ in 0..FETCH_ROUNDS {
            match self.hydrate(context, make.clone()).await? {
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

    /// Parses the resources that were recorded since the last call.
    async fn take_in(&mut self, context: &Context, recorded: &[Resource]) -> Result<(), Error> {
        for resource in recorded.iter().skip(self.captured) {
            let bytes = context.payloads.fetch(&resource.content).await?;
            let (uri, cost) = (resource.uri.clone(), cost(bytes.len()));
            let mut resources = std::mem::take(&mut self.resources);
            let parse = move || {
                let parsed = resources.insert(&uri, &bytes);
                (resources, parsed)
            };
            let (resources, parsed) = context.pool.run(cost, parse).await?;
            self.resources = resources;
            parsed.map_err(failure)?;
            self.captured += 1;
        }
        Ok(())
    }
}

fn missing() -> Error {
    Error::Later("the document is not at hand".into())
}

fn unreadable(error: &InvalidResult) -> Error {
    Error::failure("result-unreadable", error.to_string())
}

async fn read<'r>(context: &Context, results: &'r [Payload]) -> Result<Vec<Cow<'r, [u8]>>, Error> {
    let mut read = Vec::with_capacity(results.len());
    for result in results {
        read.push(match result.inline() {
            Some(text) => text.as_bytes().into(),
            None => context.payloads.fetch(result).await?.into(),
        });
    }
    Ok(read)
}

/// The document: as the API of this process parsed it, or parsed again from the log.
async fn document(
    context: &Context,
    request: RequestId,
    state: &Request,
) -> Result<Document, Error> {
    if let Some(document) = context.taken_in.take_over(request, &state.document) {
        return Ok(document);
    }
    let bytes = context.payloads.fetch(&state.document).await?;
    tracing::debug!(%request, bytes = bytes.len(), "the document is parsed");
    parse(context, bytes).await
}

async fn parse(context: &Context, bytes: Vec<u8>) -> Result<Document, Error> {
    let size = bytes.len();
    let read = move || Document::accept(&bytes, &Limits::accepted());
    let parsed = if size <= PARSE_INLINE_MAX_BYTES {
        read()
    } else {
        context.pool.run(cost(size), read).await?
    };
    parsed.map_err(|refusal| Error::failure("document-unreadable", refusal.to_string()))
}

/// Above this size in bytes, parsing or writing a document counts as costly.
const COSTLY_BYTES: usize = 1024 * 1024;

pub fn cost(bytes: usize) -> Cost {
    if bytes <= COSTLY_BYTES {
        Cost::Small
    } else {
        Cost::Costly
    }
}

fn bytes(results: &[Cow<'_, [u8]>]) -> usize {
    results.iter().map(|result| result.len()).sum()
}

fn owned(results: Vec<Cow<'_, [u8]>>) -> Vec<Cow<'static, [u8]>> {
    results
        .into_iter()
        .map(|result| Cow::Owned(result.into_owned()))
        .collect()
}

#[allow(clippy::needless_pass_by_value)] // It is what `map_err` calls.
fn failure(error: HydrationError) -> Error {
    Error::Fails(Box::new(Failure {
        code: error.code().to_owned(),
        message: error.to_string(),
        redrive_may_help: false,
        ..Failure::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::{LARGE_BYTES, MemoryBudget};

    fn work(kept: &MemoryBudget, bytes: usize) -> Work {
        let text = "x".repeat(bytes);
        let xml = format!("<vnml><project><note>{text}</note><group/></project></vnml>");
        let document = Document::accept(xml.as_bytes(), &Limits::accepted()).unwrap();
        Work {
            document: Some(kept.keep(document)),
            placed: 1,
            ..Work::default()
        }
    }

    #[test]
    fn a_large_document_is_let_go_where_too_many_are_kept() {
        let kept = MemoryBudget::default();
        let (mut large, mut small) = (work(&kept, 2 * LARGE_BYTES), work(&kept, 1_000));
        let both = kept.bytes();
        large.let_go_above(both);
        assert!(large.document.is_some(), "there is room for all");
        large.let_go_above(both - 1);
        assert!(large.document.is_none());
        assert_eq!(large.placed, 0, "its results are put in again");
        small.let_go_above(0);
        assert!(small.document.is_some(), "it is not worth it");
        drop(small);
        assert_eq!(kept.bytes(), 0);
    }
}
