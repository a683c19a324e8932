//! Splitting a group into tasks. See `docs/vnml.md`, section 2.

use std::sync::{Arc, PoisonError};

use super::hydrate::{CapturedResources, HydrationError, Hydrator, note, too_many_tasks};
use super::request::{Document, Effort};
use super::tree::NodeId;
use crate::request::TaskNumber;

/// One task of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskDocument {
    /// The number within the group.
    pub number: TaskNumber,
    /// The name of the valuation, which decides the task type.
    pub name: Option<String>,
    /// The task document.
    pub xml: Vec<u8>,
}

/// The tasks of a group, by number: the valuation of each, and the node that its `use` bound.
#[derive(Debug)]
pub(super) struct Plan {
    group: usize,
    tasks: Vec<(NodeId, Option<NodeId>)>,
}

impl Plan {
    pub(super) fn bytes(&self) -> usize {
        self.tasks.capacity() * size_of::<(NodeId, Option<NodeId>)>()
    }
}

impl Document {
    /// The number of tasks in a group. If the document refers to others, this reports everything
    /// that the tasks need now, before the group starts.
    pub fn count_tasks(
        &self,
        resources: &CapturedResources,
        group: usize,
        effort: Effort,
    ) -> Result<usize, HydrationError> {
        self.hydrating(resources, effort, |hydrator| {
            let plan = self.plan(hydrator, group)?;
            if self.tree.has_hrefs() {
                self.require(hydrator, &plan)?;
            }
            Ok(plan.tasks.len())
        })
    }

    /// Hydrates every task to find the missing documents. It also finds now whether the tasks are
    /// too large together, and not only after the first tasks are sent.
    fn require(&self, hydrator: &Hydrator<'_>, plan: &Plan) -> Result<(), HydrationError> {
        let mut missing: Vec<String> = Vec::new();
        let mut bytes = 0;
        for (valuation, context) in &plan.tasks {
            if !self.tree.refers(*valuation) {
                continue;
            }
            match hydrator.hydrate(*valuation, true, *context) {
                Ok(element) => {
                    bytes += element.least_bytes() as u64;
                    let room = hydrator.meter.has_room_for_tasks(bytes);
                    room.map_err(|over| element.over("", over))?;
                }
                Err(HydrationError::Missing { uris }) => {
                    note(&mut missing, uris);
                }
                Err(failed) => return Err(failed),
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            missing.truncate(self.limits.max_references);
            Err(HydrationError::Missing { uris: missing })
        }
    }

    fn plan(&self, hydrator: &Hydrator<'_>, group: usize) -> Result<Arc<Plan>, HydrationError> {
        let mut known = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = known.as_ref().filter(|plan| plan.group == group) {
            return Ok(plan.clone());
        }
        let tasks = match self.groups.get(group) {
            Some(node) => self.planned(hydrator, *node)?,
            None => Vec::new(),
        };
        if !tasks.is_empty()
            && let Some(frame) = self.frame(group)
        {
            let needed = (frame.bytes() as u64).saturating_mul(tasks.len() as u64);
            let room = hydrator.meter.has_room_for_tasks(needed);
            room.map_err(|over| HydrationError::over("group", "", over))?;
        }
        let plan = Arc::new(Plan { group, tasks });
        *known = Some(plan.clone());
        Ok(plan)
    }

    /// The tasks of a group: its valuations, and the nodes that `use` binds for each.
    fn planned(
        &self,
        hydrator: &Hydrator<'_>,
        group: NodeId,
    ) -> Result<Vec<(NodeId, Option<NodeId>)>, HydrationError> {
        let mut tasks = Vec::new();
        let mut missing = Vec::new();
        for valuation in self.tree.elements_named(group, "valuation") {
            match hydrator.contexts(valuation, true) {
                Ok(None) => tasks.push((valuation, None)),
                Ok(Some(contexts)) => {
                    tasks.extend(contexts.into_iter().map(|c| (valuation, Some(c))));
                }
                Err(HydrationError::Missing { uris }) => note(&mut missing, uris),
                Err(failed) => return Err(failed),
            }
            if self.tasks_before + tasks.len() > self.limits.max_tasks {
                return Err(too_many_tasks(&self.limits));
            }
        }
        if missing.is_empty() {
            return Ok(tasks);
        }
        missing.truncate(self.limits.max_references);
        Err(HydrationError::Missing { uris: missing })
    }

    /// The task documents of a group with these numbers, in that order. It gives all of them, or
    /// the first ones with about `bytes` together, but at least one. Numbers that the group does
    /// not have are skipped.
    pub fn tasks(
        &self,
        resources: &CapturedResources,
        group: usize,
        numbers: impl IntoIterator<Item = TaskNumber>,
        bytes: usize,
        effort: Effort,
    ) -> Result<Vec<TaskDocument>, HydrationError> {
        self.hydrating(resources, effort, |hydrator| {
            let plan = self.plan(hydrator, group)?;
            if plan.tasks.is_empty() {
                return Ok(Vec::new());
            }
            let Some(frame) = self.frame(group) else {
                return Ok(Vec::new());
            };
            let mut made = Vec::new();
            let mut made_bytes = 0;
            for number in numbers {
                let place = number.index();
                let Some(&(valuation, context)) = place.and_then(|place| plan.tasks.get(place))
                else {
                    continue;
                };
                let again = self.was_charged(group, number);
                let before = again.then(|| hydrator.meter.begin_again());
                let task = hydrator
                    .hydrate(valuation, true, context)
                    .and_then(|valuation| frame.task(number, &valuation))
                    .and_then(|task| charge(hydrator, task));
                if let Some(before) = before {
                    hydrator.meter.settle(before);
                }
                let task = task?;
                made_bytes += task.xml.len();
                made.push(task);
                if made_bytes > bytes {
                    break;
                }
            }
            if let Some(last) = made.iter().map(|task| task.number).max() {
                self.note_charged(group, last);
            }
            Ok(made)
        })
    }
}

fn charge(hydrator: &Hydrator<'_>, task: TaskDocument) -> Result<TaskDocument, HydrationError> {
    let charged = hydrator.meter.task(task.xml.len());
    charged.map_err(|over| HydrationError::over("valuation", "", over))?;
    Ok(task)
}
