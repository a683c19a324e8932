use std::num::NonZeroU32;

use crate::document::{Document, Effort};
use crate::request::GroupOutline;

/// The groups of a document, as the event `received` records them.
#[must_use]
pub fn outline(document: &Document) -> Vec<GroupOutline> {
    (0..document.groups())
        .map(|group| GroupOutline {
            name: document.group_name(group).map(str::to_owned),
            valuations: u32::try_from(document.valuations(group)).unwrap_or(u32::MAX),
        })
        .collect()
}

/// The number of tasks of the first group, if it has some, if they need nothing but the document,
/// and if counting them takes no more than this effort. The group can then start with the
/// submission.
#[must_use]
pub fn first_group(document: &Document, effort: Effort) -> Option<NonZeroU32> {
    NonZeroU32::new(document.first_tasks(effort)?)
}
