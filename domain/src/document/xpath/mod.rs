//! XPath 1.0 over a [`Tree`](super::tree::Tree): all axes, predicates, unions, and the core
//! function library. It has no variables, no extension functions, and no prefix bindings, because
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

/// Why an expression gives no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XPathError {
    /// The expression is invalid.
    #[error("{0}")]
    Syntax(String),
    /// The expression exceeds the budget of the document.
    #[error("{0}")]
    TooCostly(Over),
}

impl From<Over> for XPathError {
    fn from(over: Over) -> Self {
        Self::TooCostly(over)
    }
}

/// Compiles an expression once. It is data; nothing is ever inserted into its text.
pub(crate) fn compile(text: &str) -> Result<Expression, XPathError> {
    parser::parse(text)
}
