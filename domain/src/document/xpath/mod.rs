//! XPath 1.0 over a [`Tree`](super::tree::Tree): all axes but `namespace`, which selects
//! nothing, predicates, unions, and the core function library. No variables, no extension
//! functions, and no bindings of prefixes: `vnml.md` has none.

mod axis;
mod compare;
mod evaluate;
mod expression;
mod function;
mod lexer;
mod parser;
mod steps;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use evaluate::Evaluator;
pub(crate) use expression::Expression;
pub(crate) use value::{Item, Value};

/// Why an expression gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XPathError {
    /// It is no expression.
    #[error("{0}")]
    Syntax(String),
    /// It visits more nodes than an expression may.
    #[error("it visits more than {0} nodes")]
    TooCostly(u64),
}

/// Compiles an expression once; it is data, and nothing is ever put into it.
pub(crate) fn compile(text: &str) -> Result<Expression, XPathError> {
    parser::parse(text)
}
