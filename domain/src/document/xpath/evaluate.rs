//! Evaluating a compiled expression, with a budget of node visits.

use std::cell::Cell;

use super::XPathError;
use super::axis::Axis;
use super::expression::{Arithmetic, Comparison, Expression, Path, Start, Step, Test};
use super::function::Context;
use super::value::{Item, Value, parse_number};
use crate::document::index::Index;
use crate::document::tree::{Kind, NodeId, Tree};

type Evaluated<T> = Result<T, XPathError>;

/// Evaluates expressions on one tree.
pub(crate) struct Evaluator<'a> {
    tree: &'a Tree,
    index: &'a Index,
    limit: u64,
    left: Cell<u64>,
}

impl<'a> Evaluator<'a> {
    /// Each evaluation may visit `limit` nodes.
    pub fn new(tree: &'a Tree, index: &'a Index, limit: u64) -> Self {
        Self {
            tree,
            index,
            limit,
            left: Cell::new(limit),
        }
    }

    pub fn evaluate(&self, expression: &Expression, context: NodeId) -> Evaluated<Value> {
        self.left.set(self.limit);
        let context = Context {
            item: Item::Node(context),
            position: 1,
            size: 1,
        };
        self.value(expression, context)
    }

    fn visit(&self, nodes: usize) -> Evaluated<()> {
        let left = self.left.get().checked_sub(nodes as u64);
        left.map(|left| self.left.set(left))
            .ok_or(XPathError::TooCostly(self.limit))
    }

    fn value(&self, expression: &Expression, context: Context) -> Evaluated<Value> {
        Ok(match expression {
            Expression::Number(number) => Value::Number(*number),
            Expression::Literal(text) => Value::Text(text.clone()),
            Expression::Or(a, b) => Value::Boolean(
                self.value(a, context)?.boolean() || self.value(b, context)?.boolean(),
            ),
            Expression::And(a, b) => Value::Boolean(
                self.value(a, context)?.boolean() && self.value(b, context)?.boolean(),
            ),
            Expression::Compare(how, a, b) => {
                let (a, b) = (self.value(a, context)?, self.value(b, context)?);
                Value::Boolean(self.compare(*how, &a, &b)?)
            }
            Expression::Arithmetic(how, a, b) => {
                let a = self.number(a, context)?;
                let b = self.number(b, context)?;
                Value::Number(match how {
                    Arithmetic::Add => a + b,
                    Arithmetic::Subtract => a - b,
                    Arithmetic::Multiply => a * b,
                    Arithmetic::Divide => a / b,
                    Arithmetic::Modulo => a % b,
                })
            }
            Expression::Negate(a) => Value::Number(-self.number(a, context)?),
            Expression::Union(a, b) => {
                let mut nodes = self.nodes(a, context)?;
                nodes.extend(self.nodes(b, context)?);
                Value::Nodes(self.in_order(nodes)?)
            }
            Expression::Call(function, arguments) => {
                let arguments = arguments
                    .iter()
                    .map(|argument| self.value(argument, context))
                    .collect::<Evaluated<Vec<_>>>()?;
                for argument in &arguments {
                    self.visit_text(argument)?;
                }
                function.call(self.tree, context, &arguments)
            }
            Expression::Path(path) => Value::Nodes(self.path(path, context)?),
        })
    }

    fn number(&self, expression: &Expression, context: Context) -> Evaluated<f64> {
        let value = self.value(expression, context)?;
        self.visit_text(&value)?;
        Ok(value.number(self.tree))
    }

    /// Making text of nodes visits what is below them.
    fn visit_text(&self, value: &Value) -> Evaluated<()> {
        match value {
            Value::Nodes(nodes) => nodes.iter().try_for_each(|item| match item {
                Item::Attribute(..) => self.visit(1),
                Item::Node(node) => {
                    let (first, end) = (self.tree.following(*node), self.tree.after(*node));
                    let mut next = first.filter(|n| Some(*n) != end);
                    self.visit(1)?;
                    while let Some(node) = next {
                        self.visit(1)?;
                        next = self.tree.following(node).filter(|n| Some(*n) != end);
                    }
                    Ok(())
                }
            }),
            Value::Text(text) => self.visit(text.len() / 64),
            Value::Boolean(_) | Value::Number(_) => Ok(()),
        }
    }

    fn nodes(&self, expression: &Expression, context: Context) -> Evaluated<Vec<Item>> {
        match self.value(expression, context)? {
            Value::Nodes(nodes) => Ok(nodes),
            _ => Err(XPathError::Syntax("a node-set is expected".into())),
        }
    }

    /// In document order, each once.
    fn in_order(&self, mut nodes: Vec<Item>) -> Evaluated<Vec<Item>> {
        self.visit(nodes.len())?;
        let sorted = nodes.is_sorted_by(|a, b| a.order(self.tree) < b.order(self.tree));
        if !sorted {
            nodes.sort_unstable_by_key(|item| item.order(self.tree));
            nodes.dedup();
        }
        Ok(nodes)
    }

    fn path(&self, path: &Path, context: Context) -> Evaluated<Vec<Item>> {
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

    /// Children by name come from the index.
    fn indexed(&self, step: &Step, item: Item) -> Evaluated<Option<Vec<Item>>> {
        let (Axis::Child, Test::Name(name), Item::Node(parent)) = (step.axis, &step.test, item)
        else {
            return Ok(None);
        };
        if name.contains(':') {
            return Ok(None);
        }
        let Some(name) = self.tree.find_name(name) else {
            return Ok(Some(Vec::new()));
        };
        let wanted = step.predicates.first().and_then(literal_attribute);
        let found = self
            .index
            .children(self.tree, parent, name, wanted, |visited| {
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

    /// Section 3.4.
    fn compare(&self, how: Comparison, a: &Value, b: &Value) -> Evaluated<bool> {
        let equality = matches!(how, Comparison::Equal | Comparison::NotEqual);
        Ok(match (a, b) {
            (Value::Boolean(_), _) | (_, Value::Boolean(_)) if equality => {
                holds(how, a.boolean(), b.boolean())
            }
            (Value::Nodes(left), Value::Nodes(right)) => {
                let left = self.texts(left)?;
                let right = self.texts(right)?;
                self.any_pair(how, equality, &left, &right)?
            }
            (Value::Nodes(nodes), Value::Boolean(value)) => {
                holds(how, number(!nodes.is_empty()), number(*value))
            }
            (Value::Boolean(value), Value::Nodes(nodes)) => {
                holds(how, number(*value), number(!nodes.is_empty()))
            }
            (Value::Nodes(nodes), other) => {
                let mut texts = self.texts(nodes)?.into_iter();
                match other {
                    Value::Text(text) if equality => texts.any(|t| holds(how, t.as_str(), text)),
                    other => {
                        let other = other.number(self.tree);
                        texts.any(|t| holds(how, parse_number(&t), other))
                    }
                }
            }
            (other, Value::Nodes(_)) => self.compare(mirrored(how), b, other)?,
            (Value::Number(_), _) | (_, Value::Number(_)) => {
                holds(how, a.number(self.tree), b.number(self.tree))
            }
            _ if equality => holds(how, a.text(self.tree), b.text(self.tree)),
            _ => holds(how, a.number(self.tree), b.number(self.tree)),
        })
    }

    fn texts(&self, nodes: &[Item]) -> Evaluated<Vec<String>> {
        let mut texts = Vec::with_capacity(nodes.len());
        for item in nodes {
            self.visit_text(&Value::Nodes(vec![*item]))?;
            texts.push(item.string_value(self.tree));
        }
        Ok(texts)
    }

    fn any_pair(
        &self,
        how: Comparison,
        equality: bool,
        left: &[String],
        right: &[String],
    ) -> Evaluated<bool> {
        for a in left {
            self.visit(right.len())?;
            let found = right.iter().any(|b| {
                if equality {
                    holds(how, a, b)
                } else {
                    holds(how, parse_number(a), parse_number(b))
                }
            });
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn number(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[allow(clippy::needless_pass_by_value)] // Numbers and references: a copy either way.
fn holds<T: PartialOrd>(how: Comparison, a: T, b: T) -> bool {
    match how {
        Comparison::Equal => a == b,
        Comparison::NotEqual => a != b,
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
    }
}

fn mirrored(how: Comparison) -> Comparison {
    match how {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
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
    use super::function::Function;
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
