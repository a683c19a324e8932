//! The parts that all task documents of a group share. They are written once for each group. The
//! parts that all groups share are written once for each document.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::hydrate::{Element, HydrationError};
use super::request::Document;
use super::split::TaskDocument;
use super::tree::{Kind, NodeId, Tree};
use super::well_formed;
use super::write::{Writer, Written};
use crate::request::TaskNumber;

/// The largest buffer that is reserved for a task because the previous task needed it.
const ROOM_MAX_BYTES: usize = 64 * 1024;

/// The common parts of the task documents of all groups: everything but groups and definitions.
#[derive(Debug)]
pub(super) struct Surroundings {
    head: Writer,
    tail: String,
}

/// The common parts of the task documents of one group.
#[derive(Debug)]
pub(super) struct Frame {
    group: usize,
    head: Writer,
    tail: String,
    /// How many bytes the previous task had after the head: the next task has about as many.
    own: AtomicUsize,
}

impl Document {
    /// The frame of a group. The document caches the frame of the group that was requested last.
    pub(super) fn frame(&self, group: usize) -> Option<Arc<Frame>> {
        let node = *self.groups.get(group)?;
        let mut kept = self
            .frame
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(frame) = kept.as_ref().filter(|frame| frame.group == group) {
            return Some(frame.clone());
        }
        let around = self.surroundings.get_or_init(|| Surroundings::of(self));
        let frame = Arc::new(Frame::of(self, around, group, node));
        *kept = Some(frame.clone());
        Some(frame)
    }
}

impl Surroundings {
    fn of(document: &Document) -> Self {
        let tree = &document.tree;
        let mut head = Writer::within(&document.limits);
        let mut tail = Writer::default();
        let Some(root) = tree.document_element() else {
            return Self {
                head,
                tail: tail.text,
            };
        };
        document.open(&mut head, root);
        let mut behind = false;
        for child in tree.children(root).filter(|child| !is_blank(tree, *child)) {
            if child == document.project {
                behind = true;
            } else if behind {
                tail.node(tree, child);
            } else {
                head.node(tree, child);
            }
        }
        document.open(&mut head, document.project);
        let project = tree.children(document.project);
        for child in project.filter(|child| !is_blank(tree, *child)) {
            if !tree.is_named(child, "group") && !document.is_definition(child) {
                head.node(tree, child);
            }
        }
        let (project, root) = (tree.name(document.project), tree.name(root));
        let tail = format!("</{project}>{}</{root}>", tail.text);
        Self { head, tail }
    }
}

impl Frame {
    fn of(document: &Document, around: &Surroundings, group: usize, node: NodeId) -> Self {
        let tree = &document.tree;
        let mut head = around.head.with_room(0);
        document.open(&mut head, node);
        for child in tree.children(node).filter(|child| !is_blank(tree, *child)) {
            if !tree.is_named(child, "valuation") {
                head.node(tree, child);
            }
        }
        Self {
            group,
            head,
            tail: format!("</{}>{}", tree.name(node), around.tail),
            own: AtomicUsize::new(0),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.head.text.len() + self.tail.len()
    }

    pub(super) fn task(
        &self,
        number: TaskNumber,
        valuation: &Element<'_>,
    ) -> Result<TaskDocument, HydrationError> {
        let mut writer = self.head.with_room(self.own.load(Ordering::Relaxed));
        valuation.write(&mut writer, |writer| {
            let external_id = Written {
                name: "externalId",
                namespace: "",
                value: number.to_string().into(),
            };
            writer.open("vndb", "", std::iter::once(external_id));
            writer.close_empty();
        });
        if let Some(over) = writer.over() {
            return Err(valuation.over("", over));
        }
        writer.text.push_str(&self.tail);
        let own = writer.text.len() - self.head.text.len();
        self.own.store(own.min(ROOM_MAX_BYTES), Ordering::Relaxed);
        Ok(TaskDocument {
            number,
            name: valuation.attribute("name").map(str::to_owned),
            xml: writer.text.into_bytes(),
        })
    }
}

/// Returns whether a node is only indentation, which no reader depends on.
fn is_blank(tree: &Tree, node: NodeId) -> bool {
    tree.kind(node) == Kind::Text && well_formed::is_blank(tree.text(node))
}
