//! Location paths: steps, node tests and predicates, with the shortcuts that save walks.

use super::axis::Axis;
use super::evaluate::{Evaluated, Evaluator};
use super::expression::{Comparison, Expression, Operator, Path, Start, Step, Test};
use super::function::Context;
use super::value::{Item, Value};
use crate::document::tree::{Kind, NodeId};
use crate::document::well_formed::XML_NAMESPACE;

/// From this many nodes on, the nodes found so far are sorted before more are collected.
const COMPACT_FROM: usize = 64 * 1024;

impl Evaluator<'_> {
    pub(super) fn path(&self, path: &Path, context: Context) -> Evaluated<Vec<Item>> {
        let mut nodes = match &path.start {
            Start::Root => vec![Item::Node(self.tree.root())],
            Start::Context => vec![context.item],
            Start::Filter(expression, predicates) => {
                let mut nodes = self.nodes(expression, context)?;
                for predicate in predicates {
                    nodes = self.filter(predicate, nodes)?;
                }
                nodes
            }
        };
        for step in &path.steps {
            nodes = self.step(step, &nodes)?;
        }
        Ok(nodes)
    }

    fn step(&self, step: &Step, from: &[Item]) -> Evaluated<Vec<Item>> {
        let mut all = Vec::new();
        let mut compact_at = COMPACT_FROM;
        for item in from {
            all.append(&mut self.step_from(step, *item)?);
            if all.len() >= compact_at {
                // Sorting removes duplicates, so a node that several nodes lead to is held only
                // once.
                all = self.in_order(all)?;
                compact_at = COMPACT_FROM.max(2 * all.len());
            }
        }
        if from.len() > 1 {
            self.in_order(all)
        } else {
            Ok(all)
        }
    }

    fn step_from(&self, step: &Step, item: Item) -> Evaluated<Vec<Item>> {
        let mut found = match self.indexed(step, item)? {
            Some(found) => found,
            None => self.walk(step, item)?,
        };
        for predicate in &step.predicates {
            found = self.filter(predicate, found)?;
        }
        if step.axis.is_reverse() {
            found.reverse();
        }
        Ok(found)
    }

    /// Finds the nodes of a step by the index, which has children by name and `//name`.
    fn indexed(&self, step: &Step, item: Item) -> Evaluated<Option<Vec<Item>>> {
        let (Test::Name(name), Item::Node(parent)) = (&step.test, item) else {
            return Ok(None);
        };
        let is_root = parent == self.tree.root();
        let is_kept = match step.axis {
            Axis::Child => !is_root,
            Axis::Descendant => is_root,
            _ => false,
        };
        if !is_kept {
            return Ok(None);
        }
        if name.contains(':') {
            return Ok(None);
        }
        let Some(name) = self.tree.find_name(name) else {
            return Ok(Some(Vec::new()));
        };
        let wanted = step.predicates.first().and_then(literal_attribute);
        let visit = |visited| self.visit(visited);
        self.index.elements(self.tree, parent, name, wanted, visit)
    }

    fn walk(&self, step: &Step, item: Item) -> Evaluated<Vec<Item>> {
        let mut found = Vec::new();
        if let (Axis::Namespace, Item::Node(element)) = (step.axis, item) {
            // Namespaces in scope are declared on the element or its ancestors.
            let up = std::iter::successors(Some(element), |node| self.tree.parent(*node));
            for above in up {
                self.visit(1 + self.tree.attribute_count(above))?;
            }
        }
        for candidate in step.axis.of(self.tree, item) {
            self.visit(1)?;
            if self.passes(&step.test, step.axis, candidate) {
                found.push(candidate);
            }
        }
        Ok(found)
    }

    fn passes(&self, test: &Test, axis: Axis, item: Item) -> bool {
        let kind = match item {
            Item::Attribute(owner, index) => {
                let attribute = self.tree.attribute_at(owner, index as usize);
                return match test {
                    Test::Name(name) => {
                        attribute.name == name && is_in_reach(name, attribute.namespace)
                    }
                    Test::Any => axis == Axis::Attribute,
                    Test::AnyOfXml => {
                        axis == Axis::Attribute && attribute.namespace == XML_NAMESPACE
                    }
                    Test::Node => true,
                    Test::Text | Test::Comment | Test::Instruction(_) => false,
                };
            }
            Item::Namespace(owner, index) => return self.is_namespace(test, axis, owner, index),
            Item::Node(node) => (self.tree.kind(node), node),
        };
        match (test, kind) {
            (Test::Node, _)
            | (Test::Any, (Kind::Element, _))
            | (Test::Text, (Kind::Text, _))
            | (Test::Comment, (Kind::Comment, _)) => axis != Axis::Attribute,
            (Test::Name(name), (Kind::Element, node)) => {
                axis != Axis::Attribute
                    && self.tree.name(node) == name
                    && is_in_reach(name, self.tree.namespace(node))
            }
            (Test::AnyOfXml, (Kind::Element, node)) => {
                axis != Axis::Attribute && self.tree.namespace(node) == XML_NAMESPACE
            }
            (Test::Instruction(target), (Kind::Instruction, node)) => target
                .as_ref()
                .is_none_or(|target| self.tree.name(node) == target),
            _ => false,
        }
    }

    /// Returns whether a namespace passes a test. On the namespace axis the name is its prefix.
    fn is_namespace(&self, test: &Test, axis: Axis, owner: NodeId, index: u32) -> bool {
        match test {
            Test::Node => true,
            Test::Any => axis == Axis::Namespace,
            Test::Name(name) => {
                let namespaces = self.tree.namespaces(owner);
                let prefix = namespaces.get(index as usize).map(|(prefix, _)| *prefix);
                axis == Axis::Namespace && prefix == Some(name.as_str())
            }
            Test::AnyOfXml | Test::Text | Test::Comment | Test::Instruction(_) => false,
        }
    }

    /// The nodes for which the predicate holds. `nodes` come nearest first.
    fn filter(&self, predicate: &Expression, nodes: Vec<Item>) -> Evaluated<Vec<Item>> {
        let size = nodes.len();
        if let Expression::Number(number) = predicate {
            #[allow(clippy::float_cmp)] // Equal is what section 2.4 says.
            let found = (1..)
                .zip(nodes)
                .find(|(place, _)| f64::from(*place) == *number);
            return Ok(found.map(|(_, item)| item).into_iter().collect());
        }
        let mut kept = Vec::new();
        for (index, item) in nodes.into_iter().enumerate() {
            self.visit(1)?;
            let context = Context {
                item,
                position: index + 1,
                size,
            };
            let holds = match self.value(predicate, context)? {
                #[allow(clippy::cast_precision_loss, clippy::float_cmp)]
                Value::Number(number) => number == (index + 1) as f64,
                value => value.boolean(),
            };
            if holds {
                kept.push(item);
            }
        }
        Ok(kept)
    }
}

/// Whether a name test can match: names have no namespace, except those that begin with `xml:`,
/// which is always bound.
fn is_in_reach(name: &str, namespace: &str) -> bool {
    namespace.is_empty() || name.starts_with("xml:")
}

/// `@name = 'value'`, in either order: the predicates that the index of attribute values answers.
fn literal_attribute(predicate: &Expression) -> Option<(&str, &str)> {
    let Expression::Chain(a, rest) = predicate else {
        return None;
    };
    let [(Operator::Compare(Comparison::Equal), b)] = rest.as_slice() else {
        return None;
    };
    let ((Expression::Path(path), Expression::Literal(text))
    | (Expression::Literal(text), Expression::Path(path))) = (&**a, b)
    else {
        return None;
    };
    match (&path.start, path.steps.as_slice()) {
        (Start::Context, [step]) if step.axis == Axis::Attribute && step.predicates.is_empty() => {
            match &step.test {
                Test::Name(name) => Some((name, text)),
                _ => None,
            }
        }
        _ => None,
    }
}
