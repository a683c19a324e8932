//! The derivation of a request, fed with the bytes that it asks for.

use std::borrow::Cow;
use std::sync::Arc;

use domain::derivation::{Derivation, Halt, Lack};
use domain::document::{Effort, TaskDocument};
use domain::request::{
    Failure, GroupIndex, Payload, Request, RequestId, Resource, Steps, TaskNumber, Then,
};
use runtime::{Cost, PARSE_INLINE_MAX_BYTES};

use crate::context::Context;
use crate::error::Error;
use crate::memory_budget::KeptDerivation;
use crate::resources;

/// Size in bytes of a batch of task documents. The batch is sent before more documents are made.
const MADE_AT_ONCE_BYTES: usize = 8 * 1024 * 1024;

/// The derivation of a request. If it is not cached, it is rebuilt from the log.
#[derive(Default)]
pub struct Work {
    derivation: Option<KeptDerivation>,
}

impl Work {
    /// Brings the derivation up to date with the state of the request.
    pub async fn bring_up(
        &mut self,
        context: &Context,
        request: RequestId,
        state: &Request,
    ) -> Result<(), Error> {
        let is_ahead = |kept: &KeptDerivation| kept.derivation.is_ahead_of(state);
        if self.derivation.as_ref().is_none_or(is_ahead) {
            let derivation = begin(context, request, state).await?;
            self.derivation = Some(context.kept.keep(derivation));
        }
        self.feed(context, &state.resources, &state.completed).await
    }

    /// Drops a large document if all cached documents together exceed `most` bytes. The document is
    /// parsed again when it is needed. The lock stays the same, so tasks that wait for it keep
    /// waiting.
    pub fn let_go_above(&mut self, most: usize) {
        let Some(kept) = &mut self.derivation else {
            return;
        };
        kept.count();
        if kept.is_too_much(most) {
            *self = Self::default();
        }
    }

    /// The steps from group `from` on. The group before it ends with these results.
    pub async fn steps(
        &mut self,
        context: &Context,
        request: RequestId,
        from: GroupIndex,
        ending: Option<Vec<Payload>>,
    ) -> Result<Steps, Error> {
        if let Some(results) = ending
            && let Some(steps) = self.end_group(context, &results).await?
        {
            return place(context, steps).await;
        }
        let steps = move |derivation: &mut Derivation, effort| derivation.steps(from, effort);
        let steps = self.derive(context, request, steps).await?;
        if let Some(kept) = &mut self.derivation {
            kept.count();
        }
        place(context, steps).await
    }

    /// Makes the task documents of a group for the first of these numbers. It makes all of them, or
    /// as many as fit into one batch, but at least one.
    pub async fn tasks(
        &mut self,
        context: &Context,
        request: RequestId,
        group: GroupIndex,
        numbers: &[TaskNumber],
    ) -> Result<Vec<TaskDocument>, Error> {
        let numbers = Arc::<[TaskNumber]>::from(numbers);
        let make = move |derivation: &mut Derivation, effort| {
            let numbers = numbers.iter().copied();
            derivation.tasks(group, numbers, MADE_AT_ONCE_BYTES, effort)
        };
        self.derive(context, request, make).await
    }

    /// Gives the derivation the recorded bytes that it lacks.
    async fn feed(
        &mut self,
        context: &Context,
        resources: &[Resource],
        completed: &[Vec<Payload>],
    ) -> Result<(), Error> {
        while let Some(lack) = self.derivation()?.lacks(resources, completed) {
            match lack {
                Lack::Resource(Resource { uri, content, .. }) => {
                    let bytes = context.bytes_of(content).await?;
                    let (uri, cost) = (uri.clone(), Cost::of_bytes(bytes.len()));
                    let capture =
                        move |derivation: &mut Derivation| derivation.capture(&uri, &bytes);
                    self.on_pool(context, cost, capture).await??;
                }
                Lack::Results(results) => {
                    let results = read(context, results).await?;
                    let put = |derivation: &mut Derivation, results: &[Cow<'_, [u8]>]| {
                        derivation.put_results(results)
                    };
                    let bytes = bytes(&results);
                    self.with_results(context, results, bytes, put).await??;
                }
            }
        }
        Ok(())
    }

    async fn end_group(
        &mut self,
        context: &Context,
        results: &[Payload],
    ) -> Result<Option<Steps<Vec<u8>>>, Error> {
        let results = read(context, results).await?;
        let end =
            |derivation: &mut Derivation, results: &[Cow<'_, [u8]>]| derivation.end_group(results);
        let derivation = self.derivation()?;
        let mut bytes = bytes(&results);
        if derivation.is_in_last_group() {
            bytes += derivation.document().text_bytes();
        }
        Ok(self.with_results(context, results, bytes, end).await??)
    }

    /// Works with results on this thread if the work is on few bytes, and in the pool otherwise.
    async fn with_results<T: Send + 'static>(
        &mut self,
        context: &Context,
        results: Vec<Cow<'_, [u8]>>,
        bytes: usize,
        work: impl FnOnce(&mut Derivation, &[Cow<'_, [u8]>]) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let done = if bytes <= PARSE_INLINE_MAX_BYTES {
            work(self.derivation()?, &results)
        } else {
            let results = owned(results);
            let work = move |derivation: &mut Derivation| work(derivation, &results);
            self.on_pool(context, Cost::of_bytes(bytes), work).await?
        };
        if let Some(kept) = &mut self.derivation {
            kept.count();
        }
        Ok(done)
    }

    /// Derives on this thread if the work is small, and in the pool otherwise. Captures the
    /// resources that the derivation asks for.
    async fn derive<T: Send + 'static>(
        &mut self,
        context: &Context,
        request: RequestId,
        work: impl Fn(&mut Derivation, Effort) -> Result<T, Halt> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        let mut effort = Effort::Short;
        loop {
            let cost = match effort {
                Effort::Short => None,
                Effort::Medium => Some(Cost::Small),
                Effort::Whole => Some(Cost::Costly),
            };
            let done = match cost {
                None => work(self.derivation()?, effort),
                Some(cost) => {
                    let work = work.clone();
                    let work = move |derivation: &mut Derivation| work(derivation, effort);
                    self.on_pool(context, cost, work).await?
                }
            };
            effort = match done {
                Ok(done) => return Ok(done),
                Err(Halt::Fails(failure)) => return Err(Error::Fails(failure)),
                Err(Halt::TakesLonger) => match effort {
                    Effort::Short => Effort::Medium,
                    Effort::Medium => Effort::Whole,
                    Effort::Whole => return Err(Error::Later("the work takes too long".into())),
                },
                Err(Halt::Capture(uris)) => {
                    let recorded = resources::capture(context, request, &uris).await?;
                    self.feed(context, &recorded, &[]).await?;
                    Effort::Short
                }
            };
        }
    }

    /// Runs work on the derivation in the pool. If the work does not finish properly, the
    /// derivation is dropped and later rebuilt from the log.
    async fn on_pool<T: Send + 'static>(
        &mut self,
        context: &Context,
        cost: Cost,
        work: impl FnOnce(&mut Derivation) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let mut kept = self.derivation.take().ok_or_else(missing)?;
        let work = move || {
            let done = work(&mut kept.derivation);
            (kept, done)
        };
        let (kept, done) = context.pool.run(cost, work).await?;
        self.derivation = Some(kept);
        Ok(done)
    }

    fn derivation(&mut self) -> Result<&mut Derivation, Error> {
        let kept = self.derivation.as_mut().ok_or_else(missing)?;
        Ok(&mut kept.derivation)
    }
}

fn missing() -> Error {
    Error::Later("the document is not loaded".into())
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Fails(Box::new(failure))
    }
}

/// The steps with the response in the log or in the object store.
async fn place(context: &Context, steps: Steps<Vec<u8>>) -> Result<Steps, Error> {
    let Steps { from, empty, then } = steps;
    let then = match then {
        Then::Group { name, tasks } => Then::Group { name, tasks },
        Then::Response(response) => Then::Response(context.place(response).await?),
        Then::Failure(failure) => Then::Failure(failure),
    };
    Ok(Steps { from, empty, then })
}

async fn read<'r>(context: &Context, results: &'r [Payload]) -> Result<Vec<Cow<'r, [u8]>>, Error> {
    let mut read = Vec::with_capacity(results.len());
    for result in results {
        read.push(match result.inline() {
            Some(text) => text.as_bytes().into(),
            None => context.bytes_of(result).await?.into(),
        });
    }
    Ok(read)
}

/// A derivation that begins with the document as the API of this process parsed it, or parsed again
/// from the log.
async fn begin(
    context: &Context,
    request: RequestId,
    state: &Request,
) -> Result<Derivation, Error> {
    if let Some(document) = context.taken_in.take_over(request, &state.document) {
        return Ok(Derivation::of(document));
    }
    let bytes = context.bytes_of(&state.document).await?;
    let size = bytes.len();
    tracing::debug!(%request, bytes = size, "the document is parsed");
    let accepted = if size <= PARSE_INLINE_MAX_BYTES {
        Derivation::accept(&bytes)
    } else {
        let accept = move || Derivation::accept(&bytes);
        context.pool.run(Cost::of_bytes(size), accept).await?
    };
    Ok(accepted?)
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

#[cfg(test)]
mod tests {
    use domain::document::{Document, Limits};

    use super::*;
    use crate::memory_budget::{LARGE_BYTES, MemoryBudget};

    fn work(kept: &MemoryBudget, bytes: usize) -> Work {
        let text = "x".repeat(bytes);
        let xml = format!("<vnml><project><note>{text}</note><group/></project></vnml>");
        let document = Document::accept(xml.as_bytes(), &Limits::accepted()).unwrap();
        Work {
            derivation: Some(kept.keep(Derivation::of(document))),
        }
    }

    #[test]
    fn a_large_document_is_evicted_when_too_many_are_cached() {
        let kept = MemoryBudget::default();
        let (mut large, mut small) = (work(&kept, 2 * LARGE_BYTES), work(&kept, 1_000));
        let both = kept.bytes();
        large.let_go_above(both);
        assert!(large.derivation.is_some(), "there is room for all");
        large.let_go_above(both - 1);
        assert!(large.derivation.is_none());
        small.let_go_above(0);
        assert!(small.derivation.is_some(), "it is not worth it");
        drop(small);
        assert_eq!(kept.bytes(), 0);
    }
}
