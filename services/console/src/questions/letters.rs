//! The questions about dead letters.

use domain::access::Action;
use history::source::Source;
use nats::{DeadLetter, Filter, Kept, Letter, Page};

use super::Questions;
use crate::trouble::Trouble;
use crate::visit::Visit;

impl Questions {
    /// At most `limit` dead letters of a filter after the one at `after`. The tenant of the filter
    /// is the visitor's.
    pub async fn letters(
        &self,
        filter: &Filter,
        after: u64,
        limit: usize,
    ) -> Result<Page, Trouble> {
        match &self.live {
            Some(services) => {
                let letters = services.operations.letters();
                Ok(letters.page(filter, after, limit).await?)
            }
            None => Ok(self.of_bundle(filter, after, limit)),
        }
    }

    /// A dead letter, for a visitor who wants to take an action on it. For a visitor who may not see
    /// it, it does not exist.
    pub async fn letter(&self, visit: &Visit, action: Action, id: &str) -> Result<Kept, Trouble> {
        let found = match &self.live {
            Some(services) => services.operations.letters().get(id).await?,
            None => self.in_bundle().find(|kept| kept.id == id),
        };
        let seen = found.filter(|kept| visit.lacks(Action::Inspect, &kept.tenant()).is_none());
        let absent = || Trouble::NotFound(format!("there is no dead letter {id}"));
        let kept = seen.ok_or_else(absent)?;
        visit.check(action, &kept.tenant())?;
        Ok(kept)
    }

    fn of_bundle(&self, filter: &Filter, after: u64, limit: usize) -> Page {
        let mut page = Page::default();
        for kept in self.in_bundle().filter(|kept| kept.sequence > after) {
            if page.letters.len() == limit {
                page.next = page.letters.last().map(|last| last.sequence);
                break;
            }
            page.looked_at += 1;
            if takes(filter, &kept) {
                page.letters.push(kept);
            }
        }
        page
    }

    /// The dead letters of the bundle, numbered in its order. A bundle does not have the time at
    /// which the broker stored a letter: the last attempt ended shortly before.
    fn in_bundle(&self) -> impl Iterator<Item = Kept> + '_ {
        let letters: &[DeadLetter] = match self.source() {
            Source::Bundle(bundle) => &bundle.dead_letters,
            Source::Live(_) => &[],
        };
        (1..).zip(letters).map(|(sequence, letter)| Kept {
            id: letter.id(),
            sequence,
            at: letter
                .attempts
                .last()
                .map_or(jiff::Timestamp::UNIX_EPOCH, |last| last.started_at),
            letter: Letter::GivenUp(Box::new(letter.clone())),
        })
    }
}

/// Whether a filter takes a letter of a bundle. At the broker, the subject of a letter decides.
fn takes(filter: &Filter, kept: &Kept) -> bool {
    let Letter::GivenUp(letter) = &kept.letter else {
        return false;
    };
    let task_type = filter.task_type.as_ref();
    filter.takes_tenant(kept)
        && task_type.is_none_or(|wanted| *wanted == letter.task_type)
        && filter
            .request
            .is_none_or(|wanted| wanted == letter.task.request)
        && filter.code.as_ref().is_none_or(|code| code == kept.code())
}
