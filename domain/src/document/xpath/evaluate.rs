//! Evaluating a compiled expression, with a budget of node visits.

use std::cell::Cell;

use super::XPathError;
use super::expression::{Arithmetic, Expression};
use super::function::Context;
use super::value::{Item, Value};
use crate::document::index::Index;
use crate::document::tree::{NodeId, Tree};

pub(super) type Evaluated<T> = Result<T, XPathError>;

/// Evaluates expressions on one tree.
pub(crate) struct Evaluator<'a> {
    pub(super) tree: &'a Tree,
    pub(super) index: &'a Index,
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

    pub(super) fn visit(&self, nodes: usize) -> Evaluated<()> {
        let left = self.left.get().checked_sub(nodes as u64);
        left.map(|left| self.left.set(left))
            .ok_or(XPathError::TooCostly(self.limit))
    }

    pub(super) fn value(&self, expression: &Expression, context: Context) -> Evaluated<Value> {
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
    pub(super) fn visit_text(&self, value: &Value) -> Evaluated<()> {
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

    pub(super) fn nodes(&self, expression: &Expression, context: Context) -> Evaluated<Vec<Item>> {
        match self.value(expression, context)? {
            Value::Nodes(nodes) => Ok(nodes),
            _ => Err(XPathError::Syntax("a node-set is expected".into())),
        }
    }

    /// In document order, each once.
    pub(super) fn in_order(&self, mut nodes: Vec<Item>) -> Evaluated<Vec<Item>> {
        self.visit(nodes.len())?;
        let sorted = nodes.is_sorted_by(|a, b| a.order(self.tree) < b.order(self.tree));
        if !sorted {
            nodes.sort_unstable_by_key(|item| item.order(self.tree));
            nodes.dedup();
        }
        Ok(nodes)
    }
}
