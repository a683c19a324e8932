//! Splitting a group into tasks. See `vnml.md`, section 2.

use std::sync::{Arc, PoisonError};

use super::hydrate::{CapturedResources, HydrationError, Hydrator};
use super::request::Document;
use super::tree::{Kind, NodeId, Tree};
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

impl Document {
    fn hydrator<'a>(&'a self, resources: &'a CapturedResources) -> Hydrator<'a> {
        Hydrator::new(&self.tree, &self.index, resources, &self.limits)
    }

    /// The number of a group's tasks. Only `use` is looked at, and what is referred to by
    /// `href` within the group: it will be needed.
    pub fn count_tasks(
        &self,
        resources: &CapturedResources,
        group: usize,
    ) -> Result<usize, HydrationError> {
        self.require(resources, group)?;
        Ok(self.plan(&self.hydrator(resources), group)?.tasks.len())
    }

    fn require(&self, resources: &CapturedResources, group: usize) -> Result<(), HydrationError> {
        let Some(node) = self.groups.get(group).copied() else {
            return Ok(());
        };
        let mut uris: Vec<String> = Vec::new();
        for valuation in self.tree.elements_named(node, "valuation") {
            hrefs(&self.tree, valuation, &mut |uri| {
                if !resources.contains(uri) && !uris.iter().any(|known| known == uri) {
                    uris.push(uri.to_owned());
                }
            });
        }
        if uris.is_empty() {
            Ok(())
        } else {
            Err(HydrationError::Missing { uris })
        }
    }

    fn plan(&self, hydrator: &Hydrator<'_>, group: usize) -> Result<Arc<Plan>, HydrationError> {
        let mut known = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = known.as_ref().filter(|plan| plan.group == group) {
            return Ok(plan.clone());
        }
        let mut tasks = Vec::new();
        if let Some(node) = self.groups.get(group) {
            for valuation in self.tree.elements_named(*node, "valuation") {
                match hydrator.contexts(valuation)? {
                    None => tasks.push((valuation, None)),
                    Some(contexts) => {
                        tasks.extend(contexts.into_iter().map(|c| (valuation, Some(c))));
                    }
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
            Some(hydrated.map(|valuation| frame.task(number, &valuation)))
        });
        Ok(made)
    }
}

/// Calls `found` with every literal `href` in or below an element.
fn hrefs<'t>(tree: &'t Tree, node: NodeId, found: &mut impl FnMut(&'t str)) {
    if !tree.refers(node) {
        return;
    }
    if let Some(uri) = tree.attribute(node, "href")
        && !uri.starts_with("${select(")
        && !uri.trim().is_empty()
    {
        found(uri);
    }
    for child in tree.elements(node) {
        hrefs(tree, child, found);
    }
}

/// What all task documents of a group have in common: written once.
struct Frame {
    head: Writer,
    tail: String,
}

impl Frame {
    fn of(document: &Document, group: NodeId) -> Self {
        let tree = &document.tree;
        let mut head = Writer::default();
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
                document.open(&mut head, child);
                for child in tree.children(child).filter(|child| !is_blank(tree, *child)) {
                    let is_group = tree.is_element(child) && tree.name(child) == "group";
                    if !is_group && !document.is_definition(child) {
                        head.node(tree, child);
                    }
                }
                document.open(&mut head, group);
                for child in tree.children(group).filter(|child| !is_blank(tree, *child)) {
                    if !(tree.is_element(child) && tree.name(child) == "valuation") {
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
        Self { head, tail }
    }

    fn task(&self, number: u32, valuation: &super::hydrate::Element<'_>) -> TaskDocument {
        let mut writer = self.head.clone();
        valuation.write(&mut writer, |writer| {
            let external_id = Written {
                name: "externalId",
                namespace: "",
                value: number.to_string().into(),
            };
            writer.open("vndb", "", std::iter::once(external_id));
            writer.close_empty();
        });
        writer.text.push_str(&self.tail);
        TaskDocument {
            number,
            name: valuation.attribute("name").map(str::to_owned),
            xml: writer.text.into_bytes(),
        }
    }
}

/// Indentation is nobody's contract.
fn is_blank(tree: &Tree, node: NodeId) -> bool {
    tree.kind(node) == Kind::Text && tree.text(node).trim().is_empty()
}
