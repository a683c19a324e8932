//! A compiled expression.

use super::axis::Axis;
use super::function::Function;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Literal(String),
    Or(Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Arithmetic(Arithmetic, Box<Expression>, Box<Expression>),
    Negate(Box<Expression>),
    Union(Box<Expression>, Box<Expression>),
    Call(Function, Vec<Expression>),
    Path(Path),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub start: Start,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    Root,
    Context,
    /// A filter expression, with its own predicates.
    Filter(Box<Expression>, Vec<Expression>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub axis: Axis,
    pub test: Test,
    pub predicates: Vec<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// A name without a prefix, of no namespace; or one with the prefix `xml`.
    Name(String),
    /// `*`
    Any,
    Text,
    Comment,
    Instruction(Option<String>),
    /// `node()`
    Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Expression {
    /// Whether it begins at the document wherever it is evaluated, so that its value does not
    /// depend on the context.
    pub fn is_absolute(&self) -> bool {
        match self {
            Self::Path(path) => path.start == Start::Root,
            Self::Union(a, b) => a.is_absolute() && b.is_absolute(),
            _ => false,
        }
    }
}
