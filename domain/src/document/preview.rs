//! The dry run, over HTTP and on the command line: the tasks that a document would give.

use crate::FailureCode;
use std::collections::HashSet;

use serde::Serialize;

use super::hydrate::{CapturedResources, HydrationError};
use super::request::{Document, Effort};
use super::well_formed::trimmed;
use crate::request::TaskNumber;

/// The result of a dry run of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The groups, in order.
    pub groups: Vec<GroupPreview>,
    /// Every URI that the document refers to, each once, in order.
    pub references: Vec<String>,
    /// Warnings about valid content that is probably a mistake.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The result of a dry run of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupPreview {
    /// The name of the group, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number of valuations as written.
    pub valuations: usize,
    /// The known facts about its tasks.
    #[serde(flatten)]
    pub tasks: TasksPreview,
}

/// The known facts about a group's tasks before it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outlook")]
pub enum TasksPreview {
    /// The tasks can be made.
    Ready {
        /// The number of tasks.
        tasks: usize,
    },
    /// The tasks depend on resources that must be fetched first.
    NeedsResources,
    /// The tasks depend on the results of earlier groups.
    NeedsResults,
    /// The request would fail here.
    Fails {
        /// The code of the failure.
        code: String,
        /// The reason for the failure.
        message: String,
    },
}

/// How many bytes of task documents are made at once.
const AT_ONCE_BYTES: usize = 4 * 1024 * 1024;

/// Task documents, which stand in for results.
type Documents = Vec<Vec<u8>>;

impl Document {
    /// The result of the dry run; `None` if it takes more than this effort. The dry run fetches
    /// nothing, so it does not examine referenced documents. It runs nothing either: it counts the
    /// tasks of later groups as if every result were its unchanged task.
    #[must_use]
    pub fn preview(mut self, effort: Effort) -> Option<Preview> {
        let references = self.references();
        let warnings = self.warnings(effort)?;
        let mut groups = Vec::with_capacity(self.groups());
        let mut goes_on = true;
        for group in 0..self.groups() {
            let name = self.group_name(group).map(str::to_owned);
            let valuations = self.valuations(group);
            let mut tasks = TasksPreview::NeedsResults;
            if goes_on {
                (tasks, goes_on) = self.run_dry(group, effort)?;
            }
            groups.push(GroupPreview {
                name,
                valuations,
                tasks,
            });
        }
        Some(Preview {
            groups,
            references,
            warnings,
        })
    }

    /// The known facts about a group's tasks, and whether the dry run can continue after the group.
    fn run_dry(&mut self, group: usize, effort: Effort) -> Option<(TasksPreview, bool)> {
        let outlook = match self.make_tasks(group, effort) {
            Ok((tasks, results)) => {
                let goes_on = results.is_some_and(|results| self.put_made(group, &results));
                return Some((TasksPreview::Ready { tasks }, goes_on));
            }
            Err(HydrationError::TakesLonger) => return None,
            Err(HydrationError::Missing { .. }) => TasksPreview::NeedsResources,
            // A later result may still bring the missing content.
            Err(error) if group > 0 && error.code() == FailureCode::HydrationNoMatch => {
                TasksPreview::NeedsResults
            }
            Err(error) => TasksPreview::Fails {
                code: error.code().into(),
                message: error.to_string(),
            },
        };
        Some((outlook, false))
    }

    /// The number of a group's tasks. Also their documents, if another group follows and the
    /// documents are not too large.
    fn make_tasks(
        &self,
        group: usize,
        effort: Effort,
    ) -> Result<(usize, Option<Documents>), HydrationError> {
        let nothing = CapturedResources::default();
        let tasks = self.count_tasks(&nothing, group, effort)?;
        let last = u32::try_from(tasks).unwrap_or(u32::MAX);
        let is_last = group + 1 == self.groups();
        let mut documents = Vec::new();
        let (mut bytes, mut made) = (0, 0);
        while made < last {
            let numbers = (made + 1..=last).map(TaskNumber::new);
            let some = self.tasks(&nothing, group, numbers, AT_ONCE_BYTES, effort)?;
            if some.is_empty() {
                break;
            }
            for task in some {
                made = task.number.get();
                bytes += task.xml.len();
                if !is_last && bytes <= self.limits.max_previewed_bytes {
                    documents.push(task.xml);
                }
            }
        }
        let known = bytes <= self.limits.max_previewed_bytes;
        Ok((tasks, known.then_some(documents)))
    }

    fn put_made(&mut self, group: usize, results: &[Vec<u8>]) -> bool {
        let results = results.iter().map(Vec::as_slice);
        self.put_results(group, results).is_ok()
    }

    /// Every URI in an `href` of the document, each once, in order.
    #[must_use]
    pub fn references(&self) -> Vec<String> {
        let mut known = HashSet::new();
        let nodes =
            std::iter::successors(Some(self.tree.root()), |node| self.tree.following(*node));
        nodes
            .filter(|node| self.tree.refers_itself(*node))
            .filter_map(|node| self.tree.attribute(node, "href"))
            .map(trimmed)
            .filter(|uri| !uri.is_empty() && known.insert(*uri))
            .map(str::to_owned)
            .collect()
    }
}
