//! A compiled expression. Adjacent operators of one precedence are one node, so that the tree is no
//! deeper than the nesting of the expression.

use super::axis::Axis;
use super::function::Function;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Literal(String),
    Or(Vec<Expression>),
    And(Vec<Expression>),
    /// Comparisons or arithmetic, from the left.
    Chain(Box<Expression>, Vec<(Operator, Expression)>),
    Negate(Box<Expression>),
    Union(Vec<Expression>),
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
    /// A name without a prefix and with no namespace, or a name with the prefix `xml`.
    Name(String),
    /// `*`
    Any,
    /// `xml:*`
    AnyOfXml,
    Text,
    Comment,
    Instruction(Option<String>),
    /// `node()`
    Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Compare(Comparison),
    Compute(Arithmetic),
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

impl Arithmetic {
    pub fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Modulo => a % b,
        }
    }
}

impl Expression {
    /// Whether the expression begins at the document in every context. Its value then does not
    /// depend on the context.
    pub fn is_absolute(&self) -> bool {
        match self {
            Self::Path(path) => path.start == Start::Root,
            Self::Union(operands) => operands.iter().all(Self::is_absolute),
            _ => false,
        }
    }

    /// Returns whether the expression always gives a node-set.
    pub fn gives_nodes(&self) -> bool {
        matches!(
            self,
            Self::Path(_) | Self::Union(_) | Self::Call(Function::Id, _)
        )
    }

    /// Whether the expression, as a predicate, may depend on the position of a node among its
    /// siblings: `//a[1]` is the first one of each parent.
    pub fn counts(&self) -> bool {
        let number = |e: &Self| !matches!(e, Self::Number(_)) && e.counts();
        match self {
            Self::Or(operands) | Self::And(operands) => operands.iter().any(number),
            Self::Chain(first, rest) => {
                let compares =
                    |(operator, _): &(Operator, Self)| matches!(operator, Operator::Compare(_));
                !rest.iter().all(compares)
                    || number(first)
                    || rest.iter().any(|(_, operand)| number(operand))
            }
            Self::Literal(_) => false,
            Self::Path(path) => matches!(path.start, Start::Filter(..)),
            Self::Call(function, arguments) => {
                !matches!(
                    function,
                    Function::Contains | Function::StartsWith | Function::Not | Function::Boolean
                ) || arguments.iter().any(Self::counts)
            }
            _ => true,
        }
    }
}
