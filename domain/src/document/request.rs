//! A request document.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::budget::{MEDIUM_WORK, Meter, SHORT_WORK, Spent};
use super::canonical;
use super::form;
use super::frame::{Frame, Surroundings};
use super::hydrate::{Cache, CapturedResources, HydrationError, Hydrator};
use super::index::Index;
use super::limits::Limits;
use super::parse::{Misfit, parse_checked};
use super::refusal::{Cause, Refusal};
use super::split::Plan;
use super::tree::{NodeId, Tree};
use super::write::{Writer, Written};
use crate::request::TaskNumber;

/// The children of `project` that only the tasks need.
const DEFINITIONS: [&str; 4] = ["market", "model", "calculator", "portfolio"];

/// A request document in its current state, with the results of its first groups.
#[derive(Debug)]
pub struct Document {
    pub(super) tree: Tree,
    pub(super) index: Index,
    pub(super) limits: Limits,
    pub(super) project: NodeId,
    pub(super) groups: Vec<NodeId>,
    /// The bytes of the document's text and of the results put into it.
    pub(super) assembled: usize,
    /// How many tasks have their results in the document.
    pub(super) tasks_before: usize,
    /// The parts that all task documents share, and the frame of one group.
    pub(super) surroundings: OnceLock<Surroundings>,
    pub(super) frame: Mutex<Option<Arc<Frame>>>,
    /// The plan of the group that was used last.
    pub(super) plan: Mutex<Option<Arc<Plan>>>,
    /// The cost and the cached facts of the work on the document.
    pub(super) ledger: Mutex<Ledger>,
}

/// The cost of the work on a document so far, and its cached facts.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    spent: Spent,
    cache: Cache,
    /// The group whose tasks were made last, and the highest task number made. Making a task again,
    /// for example for another attempt, is not charged again. So a document never becomes too
    /// costly through retries.
    charged: (usize, TaskNumber),
}

/// How much work a caller allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// All the work that is needed: up to about a second of processor time.
    Whole,
    /// About 20 ms of processor time. Longer work is given up with [`HydrationError::TakesLonger`],
    /// and is not charged to the document.
    Medium,
    /// Less than a millisecond, as on an event loop. Longer work is given up as for `Medium`.
    Short,
}

/// Work on a document with more text or nodes than this is never short.
const SHORT_TEXT_BYTES: usize = 64 * 1024;
const SHORT_NODES: usize = 8_000;

impl Document {
    /// Reads a request document. See `docs/vnml.md`, section 1.
    pub fn accept(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let tree = parse_checked(bytes, limits, |tree| project(tree).map(|_| ()))?;
        let project = project(&tree).map_err(|(refusal, _)| refusal)?;
        let groups: Vec<NodeId> = tree.elements_named(project, "group").collect();
        form::check(&tree, &groups, limits)?;
        Ok(Self {
            assembled: tree.text_len(),
            tree,
            index: Index::default(),
            limits: *limits,
            project,
            groups,
            tasks_before: 0,
            surroundings: OnceLock::new(),
            frame: Mutex::default(),
            plan: Mutex::default(),
            ledger: Mutex::default(),
        })
    }

    /// Runs some work with a hydrator, and records its cost.
    pub(super) fn hydrating<'a, T>(
        &'a self,
        resources: &'a CapturedResources,
        effort: Effort,
        work: impl FnOnce(&Hydrator<'a>) -> Result<T, HydrationError>,
    ) -> Result<T, HydrationError> {
        let large = self.tree.text_len() > SHORT_TEXT_BYTES || self.tree.len() > SHORT_NODES;
        if effort == Effort::Short && large {
            return Err(HydrationError::TakesLonger);
        }
        let (spent, cache) = {
            let mut ledger = self.ledger();
            (ledger.spent, std::mem::take(&mut ledger.cache))
        };
        let meter = match effort {
            Effort::Whole => Meter::new(&self.limits, spent),
            Effort::Medium => Meter::allowing(MEDIUM_WORK, &self.limits, spent),
            Effort::Short => Meter::allowing(SHORT_WORK, &self.limits, spent),
        };
        let hydrator = Hydrator::new(&self.tree, &self.index, resources, meter, cache);
        let done = work(&hydrator);
        let mut ledger = self.ledger();
        ledger.cache = hydrator.take_cache();
        if !matches!(done, Err(HydrationError::TakesLonger)) {
            ledger.spent = hydrator.meter.spent();
        }
        done
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a task of a group was made before. Making it again is then not charged.
    pub(super) fn was_charged(&self, group: usize, number: TaskNumber) -> bool {
        (group, number) <= self.ledger().charged
    }

    pub(super) fn note_charged(&self, group: usize, number: TaskNumber) {
        let mut ledger = self.ledger();
        ledger.charged = ledger.charged.max((group, number));
    }

    /// Drops the cached facts, because the document has changed.
    pub(super) fn changed(&mut self) {
        self.index = Index::default();
        self.plan = Mutex::default();
        self.ledger().cache.document_changed();
    }

    /// The number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The name of a group, from 0, if it has one.
    #[must_use]
    pub fn group_name(&self, group: usize) -> Option<&str> {
        self.tree.attribute(*self.groups.get(group)?, "name")
    }

    /// The number of valuations in a group as written, before any becomes several tasks.
    #[must_use]
    pub fn valuations(&self, group: usize) -> usize {
        self.groups.get(group).map_or(0, |group| {
            self.tree.elements_named(*group, "valuation").count()
        })
    }

    /// The number of tasks in the first group. `None` if there is no such group or it has no tasks,
    /// if the tasks need referenced documents, or if counting takes more than this effort.
    #[must_use]
    pub fn first_tasks(&self, effort: Effort) -> Option<u32> {
        let nothing = CapturedResources::default();
        let tasks = self.count_tasks(&nothing, 0, effort).ok()?;
        u32::try_from(tasks).ok().filter(|tasks| *tasks > 0)
    }

    /// The canonical form, from which the fingerprint is computed.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::of(&self.tree)
    }

    /// Passes on the canonical form piece by piece, so that the caller need not hold all of it.
    pub fn canonical_pieces(&self, take: impl FnMut(&str)) {
        canonical::pieces(&self.tree, take);
    }

    /// The size of all text and attribute values, in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.tree.text_len()
    }

    /// The approximate memory of the document, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plan.as_ref().map_or(0, |plan| plan.bytes());
        size_of::<Self>() + self.tree.bytes() + plan
    }

    /// Writes the start tag of an element.
    pub(super) fn open(&self, writer: &mut Writer, element: NodeId) {
        self.start(writer, element);
        writer.content();
    }

    /// Writes the start tag of an element, without the closing `>`.
    pub(super) fn start(&self, writer: &mut Writer, element: NodeId) {
        let attributes = self.tree.attributes(element).map(|attribute| Written {
            name: attribute.name,
            namespace: attribute.namespace,
            value: attribute.value.into(),
        });
        writer.open(
            self.tree.name(element),
            self.tree.namespace(element),
            attributes,
        );
    }

    pub(super) fn is_definition(&self, node: NodeId) -> bool {
        self.tree.is_element(node)
            && self.tree.namespace(node).is_empty()
            && DEFINITIONS.contains(&self.tree.name(node))
    }
}

/// The `project` of a request document.
fn project(tree: &Tree) -> Result<NodeId, Misfit> {
    let wrong = |reason: String, at| (Refusal::new(Cause::Structure, reason), at);
    let root = tree
        .document_element()
        .ok_or_else(|| wrong("the document has no element".into(), None))?;
    if !tree.is_named(root, "vnml") {
        let name = tree.name(root);
        let reason = if name == "vnml" {
            "the root element <vnml> is in a namespace; it must be in none".into()
        } else {
            format!("the root element is <{name}>; <vnml> is expected")
        };
        return Err(wrong(reason, Some(root)));
    }
    let mut projects = tree.elements_named(root, "project");
    let project = projects
        .next()
        .ok_or_else(|| wrong("<vnml> has no <project>".into(), Some(root)))?;
    match projects.next() {
        None => Ok(project),
        again => Err(wrong("<vnml> has more than one <project>".into(), again)),
    }
}
