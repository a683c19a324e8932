//! Location paths: steps, node tests and predicates, with the shortcuts that save walks.

use super::axis::Axis;
use super::evaluate::{Evaluated, Evaluator};
use super::expression::{Comparison, Expression, Path, Start, Step, Test};
use super::function::{Context, Function};
use super::value::{Item, Value};
use crate::document::tree::Kind;

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
        let mut steps = path.steps.iter().peekable();
        while let Some(step) = steps.next() {
            // `//name` without predicates that count is one walk instead of two.
            if is_any_descendant(step)
                && let Some(next) = steps.peek()
                && next.axis == Axis::Child
                && !next.predicates.iter().any(counts)
            {
                let merged = Step {
                    axis: Axis::Descendant,
                    ..(*next).clone()
                };
                nodes = self.step(&merged, &nodes)?;
                steps.next();
                continue;
            }
            nodes = self.step(step, &nodes)?;
        }
        Ok(nodes)
    }

    fn step(&self, step: &Step, from: &[Item]) -> Evaluated<Vec<Item>> {
        let mut all = Vec::new();
        for item in from {
            let mut found = match self.indexed(step, *item)? {
                Some(found) => found,
                None => self.walk(step, *item)?,
            };
            for predicate in &step.predicates {
                found = self.filter(predicate, found)?;
            }
            if step.axis.is_reverse() {
                found.reverse();
            }
            all.append(&mut found);
        }
        if from.len() > 1 {
            self.in_order(all)
        } else {
            Ok(all)
        }
    }

    /// Children by name come from the index, and so does `//name`.
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
        let found = self
            .index
            .elements(self.tree, parent, name, wanted, |visited| {
                self.visit(visited)
            })?;
        Ok(found.map(|nodes| nodes.iter().map(|node| Item::Node(*node)).collect()))
    }

    fn walk(&self, step: &Step, item: Item) -> Evaluated<Vec<Item>> {
        let mut found = Vec::new();
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
                let attribute = self.tree.attribute_at(owner, index);
                return match test {
                    Test::Name(name) => {
                        attribute.name == name && is_in_reach(name, attribute.namespace)
                    }
                    Test::Any => axis == Axis::Attribute,
                    Test::Node => true,
                    Test::Text | Test::Comment | Test::Instruction(_) => false,
                };
            }
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
            (Test::Instruction(target), (Kind::Instruction, node)) => target
                .as_ref()
                .is_none_or(|target| self.tree.name(node) == target),
            _ => false,
        }
    }

    /// The nodes, nearest first, for which the predicate holds.
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

/// Names are of no namespace, but those that begin with `xml:`, which is bound everywhere.
fn is_in_reach(name: &str, namespace: &str) -> bool {
    namespace.is_empty() || name.starts_with("xml:")
}

fn is_any_descendant(step: &Step) -> bool {
    step.axis == Axis::DescendantOrSelf && step.test == Test::Node && step.predicates.is_empty()
}

/// Whether a predicate may depend on the position of a node among its siblings: `//a[1]` is
/// the first of each parent.
fn counts(predicate: &Expression) -> bool {
    match predicate {
        Expression::Compare(_, a, b) | Expression::And(a, b) | Expression::Or(a, b) => {
            let number = |e: &Expression| !matches!(e, Expression::Number(_)) && counts(e);
            number(a) || number(b)
        }
        Expression::Literal(_) => false,
        Expression::Path(path) => matches!(path.start, Start::Filter(..)),
        Expression::Call(function, arguments) => {
            !matches!(
                function,
                Function::Contains | Function::StartsWith | Function::Not | Function::Boolean
            ) || arguments.iter().any(counts)
        }
        _ => true,
    }
}

/// `@name = 'value'`, either way round: what the index of attribute values answers.
fn literal_attribute(predicate: &Expression) -> Option<(&str, &str)> {
    let Expression::Compare(Comparison::Equal, a, b) = predicate else {
        return None;
    };
    let ((Expression::Path(path), Expression::Literal(text))
    | (Expression::Literal(text), Expression::Path(path))) = (&**a, &**b)
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
