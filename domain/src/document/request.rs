//! A request document.

use std::sync::{Arc, Mutex, PoisonError};

use super::canonical;
use super::hydrate::CapturedResources;
use super::index::Index;
use super::limits::Limits;
use super::parse::{Misfit, parse_checked};
use super::refusal::{Cause, Refusal};
use super::split::Plan;
use super::tree::{NodeId, Tree};
use super::write::{Writer, Written};

/// The children of `project` that are for the tasks only.
const DEFINITIONS: [&str; 4] = ["market", "model", "calculator", "portfolio"];

/// A request document as it stands: with the results of its first groups in their places.
#[derive(Debug)]
pub struct Document {
    pub(super) tree: Tree,
    pub(super) index: Index,
    pub(super) limits: Limits,
    pub(super) project: NodeId,
    pub(super) groups: Vec<NodeId>,
    /// The bytes of its text and of the results that were put in.
    pub(super) assembled: usize,
    /// The plan of the group that was looked at last.
    pub(super) plan: Mutex<Option<Arc<Plan>>>,
}

impl Document {
    /// Reads a request document. See `vnml.md`, section 1.
    pub fn accept(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let tree = parse_checked(bytes, limits, |tree| project(tree).map(|_| ()))?;
        let project = project(&tree).map_err(|(refusal, _)| refusal)?;
        let groups = tree.elements_named(project, "group").collect();
        Ok(Self {
            assembled: tree.text_len(),
            tree,
            index: Index::default(),
            limits: *limits,
            project,
            groups,
            plan: Mutex::new(None),
        })
    }

    /// The number of its groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The name of a group, from 0, where it has one.
    #[must_use]
    pub fn group_name(&self, group: usize) -> Option<&str> {
        self.tree.attribute(*self.groups.get(group)?, "name")
    }

    /// The valuations of a group as they are written, before any becomes several tasks.
    #[must_use]
    pub fn valuations(&self, group: usize) -> usize {
        self.groups.get(group).map_or(0, |group| {
            self.tree.elements_named(*group, "valuation").count()
        })
    }

    /// The number of the first group's tasks, where the document has one with some and it needs
    /// nothing that the document refers to.
    #[must_use]
    pub fn first_tasks(&self) -> Option<u32> {
        let tasks = self.count_tasks(&CapturedResources::default(), 0).ok()?;
        u32::try_from(tasks).ok().filter(|tasks| *tasks > 0)
    }

    /// The canonical form: what a fingerprint is of.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::of(&self.tree)
    }

    /// The canonical form piece by piece, so that it need not be held.
    pub fn canonical_pieces(&self, take: impl FnMut(&str)) {
        canonical::pieces(&self.tree, take);
    }

    /// About the bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plan.as_ref().map_or(0, |plan| plan.bytes());
        size_of::<Self>() + self.tree.bytes() + plan
    }

    /// Writes an element's start tag.
    pub(super) fn open(&self, writer: &mut Writer, element: NodeId) {
        self.start(writer, element);
        writer.content();
    }

    /// Writes an element's start tag up to its end.
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

/// The `project` of a document that is a request.
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
