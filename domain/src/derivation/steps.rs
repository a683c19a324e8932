use std::num::NonZeroU32;

use super::{Derivation, Halt, unreadable};
use crate::document::Effort;
use crate::request::{Failure, GroupIndex, Steps, Then};

/// The most bytes of text that are written with [`Effort::Short`].
const SHORT_BYTES: usize = 16 * 1024;
/// The most bytes of text that are written with [`Effort::Medium`].
const MEDIUM_BYTES: usize = 1024 * 1024;

/// The most groups without tasks that are passed at once, unless the effort is whole.
const EMPTY_AT_ONCE: usize = 256;

impl Derivation {
    /// Ends the running group with these results, in task order. If it is the last group, this
    /// gives the response. The results themselves then stay out of the document, because nothing
    /// else follows from them.
    pub fn end_group(
        &mut self,
        results: &[impl AsRef<[u8]>],
    ) -> Result<Option<Steps<Vec<u8>>>, Failure> {
        if !self.is_in_last_group() {
            self.put_results(results)?;
            return Ok(None);
        }
        let response = self.document.response_with(self.placed, results);
        let response = response.map_err(|error| unreadable(&error))?;
        Ok(Some(Steps {
            from: GroupIndex::after(self.placed + 1),
            empty: Vec::new(),
            then: Then::Response(response),
        }))
    }

    /// The steps from group `from` on, after the results of the groups before it are in place.
    /// After a halt, this goes on from where it was.
    pub fn steps(&mut self, from: GroupIndex, effort: Effort) -> Result<Steps<Vec<u8>>, Halt> {
        let first = self.placed;
        loop {
            let group = self.placed;
            if group - first >= EMPTY_AT_ONCE && effort != Effort::Whole {
                return Err(Halt::TakesLonger);
            }
            if group >= self.document.groups() {
                let then = Then::Response(self.response(effort)?);
                return Ok(self.after_empty(from, then));
            }
            let tasks = self.count(GroupIndex::after(group), effort)?;
            if let Some(tasks) = NonZeroU32::new(tasks) {
                let name = self.document.group_name(group).map(str::to_owned);
                return Ok(self.after_empty(from, Then::Group { name, tasks }));
            }
            self.put_results(&[] as &[&[u8]])?;
        }
    }

    /// Every group from `from` on that is in place has no tasks.
    fn after_empty(&self, from: GroupIndex, then: Then<Vec<u8>>) -> Steps<Vec<u8>> {
        let empty = (from.index()..self.placed)
            .map(|group| self.document.group_name(group).map(str::to_owned))
            .collect();
        Steps { from, empty, then }
    }

    fn response(&self, effort: Effort) -> Result<Vec<u8>, Halt> {
        let bytes = self.document.text_bytes();
        let allowed = match effort {
            Effort::Short => bytes <= SHORT_BYTES,
            Effort::Medium => bytes <= MEDIUM_BYTES,
            Effort::Whole => true,
        };
        if !allowed {
            return Err(Halt::TakesLonger);
        }
        let response = self.document.response();
        response.map_err(|error| unreadable(&error).into())
    }

    /// The number of a group's tasks. If the document refers to others, this asks for all that the
    /// tasks need now, before the group starts.
    pub fn count(&mut self, group: GroupIndex, effort: Effort) -> Result<u32, Halt> {
        let counted = self
            .document
            .count_tasks(&self.resources, group.index(), effort);
        let count = self.or_halt(counted)?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

impl<R> Steps<R> {
    /// The steps of a request that fails before it goes on from group `from`.
    #[must_use]
    pub const fn failing(from: GroupIndex, failure: Failure) -> Self {
        Self {
            from,
            empty: Vec::new(),
            then: Then::Failure(failure),
        }
    }

    /// The same steps with another form of the response.
    pub fn map<S>(self, form: impl FnOnce(R) -> S) -> Steps<S> {
        Steps {
            from: self.from,
            empty: self.empty,
            then: match self.then {
                Then::Group { name, tasks } => Then::Group { name, tasks },
                Then::Response(response) => Then::Response(form(response)),
                Then::Failure(failure) => Then::Failure(failure),
            },
        }
    }
}
