//! Evaluates a compiled expression. The nodes that it visits and the text that it makes are charged
//! to the budget of the document.

use std::borrow::Cow;
use std::rc::Rc;

use super::XPathError;
use super::expression::{Expression, Operator};
use super::function::Context;
use super::value::{Item, Value, format_number, parse_number};
use crate::document::budget::Meter;
use crate::document::index::Index;
use crate::document::tree::{Kind, NodeId, Tree};

pub(super) type Evaluated<T> = Result<T, XPathError>;

/// Evaluates expressions on one tree.
pub(crate) struct Evaluator<'a> {
    pub(super) tree: &'a Tree,
    pub(super) index: &'a Index,
    pub(super) meter: Rc<Meter>,
}

impl<'a> Evaluator<'a> {
    pub fn new(tree: &'a Tree, index: &'a Index, meter: Rc<Meter>) -> Self {
        Self { tree, index, meter }
    }

    pub fn evaluate<'v>(&self, expression: &'v Expression, context: NodeId) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        self.meter.next_value();
        let context = Context {
            item: Item::Node(context),
            position: 1,
            size: 1,
        };
        self.value(expression, context)
    }

    pub(super) fn visit(&self, nodes: usize) -> Evaluated<()> {
        Ok(self.meter.visit(nodes)?)
    }

    /// The value of an expression. Each kind has its own function, so that one level of an
    /// expression takes little stack.
    pub(super) fn value<'v>(
        &self,
        expression: &'v Expression,
        context: Context,
    ) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        self.visit(1)?;
        match expression {
            Expression::Number(number) => Ok(Value::Number(*number)),
            Expression::Literal(text) => Ok(Value::Text(Cow::Borrowed(text))),
            Expression::Or(operands) => self.any(operands, context, true),
            Expression::And(operands) => self.any(operands, context, false),
            Expression::Chain(first, rest) => self.chain(first, rest, context),
            Expression::Negate(operand) => self.negate(operand, context),
            Expression::Union(operands) => self.union(operands, context),
            Expression::Call(function, arguments) => self.call(*function, arguments, context),
            Expression::Path(path) => Ok(Value::Nodes(self.path(path, context)?)),
        }
    }

    /// Returns whether any operand is `sought`: an `or` seeks true, an `and` seeks false.
    fn any<'v>(
        &self,
        operands: &'v [Expression],
        context: Context,
        sought: bool,
    ) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        for operand in operands {
            if self.value(operand, context)?.boolean() == sought {
                return Ok(Value::Boolean(sought));
            }
        }
        Ok(Value::Boolean(!sought))
    }

    fn chain<'v>(
        &self,
        first: &'v Expression,
        rest: &'v [(Operator, Expression)],
        context: Context,
    ) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        let mut left = self.value(first, context)?;
        for (operator, right) in rest {
            let right = self.value(right, context)?;
            left = match operator {
                Operator::Compare(how) => Value::Boolean(self.compare(*how, &left, &right)?),
                Operator::Compute(how) => {
                    let left = self.number_of(&left)?;
                    Value::Number(how.of(left, self.number_of(&right)?))
                }
            };
        }
        Ok(left)
    }

    fn negate<'v>(&self, operand: &'v Expression, context: Context) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        let value = self.value(operand, context)?;
        Ok(Value::Number(-self.number_of(&value)?))
    }

    fn union<'v>(&self, operands: &'v [Expression], context: Context) -> Evaluated<Value<'v>>
    where
        'a: 'v,
    {
        let mut all = Vec::new();
        for operand in operands {
            all.append(&mut self.nodes(operand, context)?);
            // Sort after each operand, so that nodes of several operands are not held more than
            // twice.
            all = self.in_order(all)?;
        }
        Ok(Value::Nodes(all))
    }

    pub(super) fn nodes(&self, expression: &Expression, context: Context) -> Evaluated<Vec<Item>> {
        match self.value(expression, context)? {
            Value::Nodes(nodes) => Ok(nodes),
            _ => Err(XPathError::Syntax("a node-set is expected".into())),
        }
    }

    /// Sorts nodes into document order and removes duplicates.
    pub(super) fn in_order(&self, mut nodes: Vec<Item>) -> Evaluated<Vec<Item>> {
        self.visit(nodes.len())?;
        let sorted = nodes.is_sorted_by(|a, b| a.order(self.tree) < b.order(self.tree));
        if !sorted {
            let passes = nodes.len().ilog2() as usize / 2;
            self.visit(nodes.len() * passes)?;
            nodes.sort_unstable_by_key(|item| item.order(self.tree));
            nodes.dedup();
        }
        Ok(nodes)
    }

    /// The string-value of a node. It is not copied if the document has it in one piece.
    pub(super) fn text_of_item(&self, item: Item) -> Evaluated<Cow<'a, str>> {
        let tree = self.tree;
        let whole = match item {
            Item::Attribute(owner, index) => tree.attribute_at(owner, index as usize).value,
            Item::Namespace(owner, index) => {
                let namespaces = tree.namespaces(owner);
                namespaces
                    .get(index as usize)
                    .map_or("", |(_, namespace)| namespace)
            }
            Item::Node(node) => match tree.kind(node) {
                Kind::Root | Kind::Element => return self.text_below(node),
                Kind::Text | Kind::Comment | Kind::Instruction => tree.text(node),
            },
        };
        self.meter.read(whole.len())?;
        Ok(Cow::Borrowed(whole))
    }

    fn text_below(&self, element: NodeId) -> Evaluated<Cow<'a, str>> {
        let tree = self.tree;
        let end = tree.after(element);
        let mut next = tree.following(element);
        let mut whole = Cow::Borrowed("");
        while let Some(node) = next.filter(|node| Some(*node) != end) {
            self.visit(1)?;
            if tree.kind(node) == Kind::Text {
                let text = tree.text(node);
                if whole.is_empty() {
                    self.meter.read(text.len())?;
                    whole = Cow::Borrowed(text);
                } else {
                    let copied = match &whole {
                        Cow::Borrowed(first) => first.len(),
                        Cow::Owned(_) => 0,
                    };
                    self.meter.make_text(copied + text.len())?;
                    whole.to_mut().push_str(text);
                }
            }
            next = tree.following(node);
        }
        Ok(whole)
    }

    /// Converts a value to text.
    pub(super) fn text_of<'v>(&self, value: Value<'v>) -> Evaluated<Cow<'v, str>>
    where
        'a: 'v,
    {
        Ok(match value {
            Value::Nodes(nodes) => match nodes.first() {
                Some(item) => self.text_of_item(*item)?,
                None => Cow::Borrowed(""),
            },
            Value::Boolean(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Value::Number(number) => Cow::Owned(format_number(number)),
            Value::Text(text) => {
                self.meter.read(text.len())?;
                text
            }
        })
    }

    /// Converts a value to a number.
    pub(super) fn number_of(&self, value: &Value<'_>) -> Evaluated<f64> {
        Ok(match value {
            Value::Boolean(value) => f64::from(u8::from(*value)),
            Value::Number(number) => *number,
            Value::Nodes(nodes) => match nodes.first() {
                Some(item) => parse_number(&self.text_of_item(*item)?),
                None => f64::NAN,
            },
            Value::Text(text) => {
                self.meter.read(text.len())?;
                parse_number(text)
            }
        })
    }
}
