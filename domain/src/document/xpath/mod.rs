//! XPath 1.0 over a [`Tree`](super::tree::Tree): all axes, predicates, unions, and the core
//! function library. No variables, no extension functions, and no bindings of prefixes:
//! `docs/vnml.md` has none.

mod axis;
mod call;
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
pub(crate) use value::{Item, Value, format_number};

use super::budget::Over;

/// Why an expression gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XPathError {
    /// It is no expression.
    #[error("{0}")]
    Syntax(String),
    /// It goes over what the document may cost.
    #[error("{0}")]
    TooCostly(Over),
}

impl From<Over> for XPathError {
    fn from(over: Over) -> Self {
        Self::TooCostly(over)
    }
}

/// Compiles an expression once; it is data, and nothing is ever put into it.
pub(crate) fn compile(text: &str) -> Result<Expression, XPathError> {
    parser::parse(text)
}
