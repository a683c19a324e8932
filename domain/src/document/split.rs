//! Splitting a group into tasks. See `vnml.md`, section 2.

use std::cell::Cell;
use std::sync::{Arc, PoisonError};

use super::hydrate::{CapturedResources, HydrationError, Hydrator, note};
use super::request::Document;
use super::tree::{Kind, NodeId, Tree};
use super::well_formed;
use super::write::{Writer, Written};

/// One task of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskDocument {
    /// Its number within the group, from 1.
    pub number: u32,
    /// The name of its valuation, by which its type is chosen.
    pub name: Option<String>,
    /// The task document.
    pub xml: Vec<u8>,
}

/// The tasks of a group, by number: the valuation of each, and what its `use` bound.
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
    fn hydrator<'a>(&'a self, resources: &'a CapturedResources) -> Hydrator<'a> {
        Hydrator::new(&self.tree, &self.index, resources, &self.limits)
    }

    /// The number of a group's tasks. Where the document refers to others, all that the tasks
    /// need is asked for now, before the group starts.
    pub fn count_tasks(
        &self,
        resources: &CapturedResources,
        group: usize,
    ) -> Result<usize, HydrationError> {
        let hydrator = self.hydrator(resources);
        let plan = self.plan(&hydrator, group)?;
        if self.tree.has_hrefs() {
            self.require(&hydrator, &plan)?;
        }
        Ok(plan.tasks.len())
    }

    /// Hydrates every task for what it asks for.
    fn require(&self, hydrator: &Hydrator<'_>, plan: &Plan) -> Result<(), HydrationError> {
        let mut missing: Vec<String> = Vec::new();
        for (valuation, context) in &plan.tasks {
            if !self.tree.refers(*valuation) {
                continue;
            }
            match hydrator.hydrate(*valuation, true, *context) {
                Ok(_) => {}
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
        let mut tasks = Vec::new();
        let mut missing = Vec::new();
        if let Some(node) = self.groups.get(group) {
            for valuation in self.tree.elements_named(*node, "valuation") {
                match hydrator.contexts(valuation, true) {
                    Ok(None) => tasks.push((valuation, None)),
                    Ok(Some(contexts)) => {
                        tasks.extend(contexts.into_iter().map(|c| (valuation, Some(c))));
                    }
                    Err(HydrationError::Missing { uris }) => note(&mut missing, uris),
                    Err(failed) => return Err(failed),
                }
                if tasks.len() > self.limits.max_tasks {
                    let reason = format!("it has more than {} tasks", self.limits.max_tasks);
                    return Err(HydrationError::failed(
                        "hydration-too-costly",
                        "group",
                        "",
                        reason,
                    ));
                }
            }
        }
        if !missing.is_empty() {
            missing.truncate(self.limits.max_references);
            return Err(HydrationError::Missing { uris: missing });
        }
        let plan = Arc::new(Plan { group, tasks });
        *known = Some(plan.clone());
        Ok(plan)
    }

    /// The task documents of a group with these numbers, in that order, each made when it is
    /// asked for. A number that the group does not have is left out.
    pub fn tasks<'a>(
        &'a self,
        resources: &'a CapturedResources,
        group: usize,
        numbers: impl IntoIterator<Item = u32> + 'a,
    ) -> Result<impl Iterator<Item = Result<TaskDocument, HydrationError>> + 'a, HydrationError>
    {
        let hydrator = self.hydrator(resources);
        let plan = self.plan(&hydrator, group)?;
        let frame = self.groups.get(group).map(|group| Frame::of(self, *group));
        let made = numbers.into_iter().filter_map(move |number| {
            let index = usize::try_from(number.checked_sub(1)?).ok()?;
            let (valuation, context) = *plan.tasks.get(index)?;
            let frame = frame.as_ref()?;
            let hydrated = hydrator.hydrate(valuation, true, context);
            Some(hydrated.and_then(|valuation| frame.task(number, &valuation)))
        });
        Ok(made)
    }
}

/// The most room that is made for a task because the one before took it.
const ROOM_MAX_BYTES: usize = 64 * 1024;

/// What all task documents of a group have in common: written once.
struct Frame {
    head: Writer,
    tail: String,
    /// How many bytes the task before had beside the head: the next has about as many.
    own: Cell<usize>,
}

impl Frame {
    fn of(document: &Document, group: NodeId) -> Self {
        let tree = &document.tree;
        let mut head = Writer::up_to(document.limits.max_hydrated_bytes);
        let mut tail = Writer::default();
        let Some(root) = tree.document_element() else {
            return Self {
                head,
                tail: tail.text,
                own: Cell::default(),
            };
        };
        document.open(&mut head, root);
        let mut behind = false;
        for child in tree.children(root).filter(|child| !is_blank(tree, *child)) {
            if child == document.project {
                behind = true;
                document.open(&mut head, child);
                for child in tree.children(child).filter(|child| !is_blank(tree, *child)) {
                    let is_group = tree.is_named(child, "group");
                    if !is_group && !document.is_definition(child) {
                        head.node(tree, child);
                    }
                }
                document.open(&mut head, group);
                for child in tree.children(group).filter(|child| !is_blank(tree, *child)) {
                    if !tree.is_named(child, "valuation") {
                        head.node(tree, child);
                    }
                }
            } else if behind {
                tail.node(tree, child);
            } else {
                head.node(tree, child);
            }
        }
        let (group, project, root) = (
            tree.name(group),
            tree.name(document.project),
            tree.name(root),
        );
        let tail = format!("</{group}></{project}>{}</{root}>", tail.text);
        Self {
            head,
            tail,
            own: Cell::default(),
        }
    }

    fn task(
        &self,
        number: u32,
        valuation: &super::hydrate::Element<'_>,
    ) -> Result<TaskDocument, HydrationError> {
        let mut writer = self.head.with_room(self.own.get());
        valuation.write(&mut writer, |writer| {
            let external_id = Written {
                name: "externalId",
                namespace: "",
                value: number.to_string().into(),
            };
            writer.open("vndb", "", std::iter::once(external_id));
            writer.close_empty();
        });
        if writer.is_over() {
            return Err(valuation.error(
                "hydration-too-costly",
                "",
                "its task document is too large",
            ));
        }
        writer.text.push_str(&self.tail);
        let own = writer.text.len() - self.head.text.len();
        self.own.set(own.min(ROOM_MAX_BYTES));
        Ok(TaskDocument {
            number,
            name: valuation.attribute("name").map(str::to_owned),
            xml: writer.text.into_bytes(),
        })
    }
}

/// Indentation is nobody's contract.
fn is_blank(tree: &Tree, node: NodeId) -> bool {
    tree.kind(node) == Kind::Text && well_formed::is_blank(tree.text(node))
}
