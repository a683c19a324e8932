//! What is known of a document's expressions: how each compiles, and what the absolute ones give
//! on the document as it stands.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::xpath::{Expression, Item};

/// The most bytes of expressions that are kept compiled.
const COMPILED_MAX_BYTES: usize = 1024 * 1024;
/// The most nodes that are kept as what expressions gave.
const GIVEN_MAX_NODES: usize = 1_000_000;

/// The nodes that an expression gave; none where it gave a value of another type.
pub(crate) type Given = Option<Arc<[Item]>>;

/// Kept from one hydration of a document to the next.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    compiled: HashMap<Box<str>, Arc<Expression>>,
    compiled_bytes: usize,
    given: HashMap<Box<str>, Given>,
    given_nodes: usize,
}

impl Cache {
    pub fn compiled(&self, text: &str) -> Option<Arc<Expression>> {
        self.compiled.get(text).cloned()
    }

    pub fn keep_compiled(&mut self, text: &str, expression: &Arc<Expression>) {
        if self.compiled_bytes + text.len() <= COMPILED_MAX_BYTES {
            self.compiled_bytes += text.len();
            self.compiled.insert(text.into(), expression.clone());
        }
    }

    pub fn given(&self, text: &str) -> Option<Given> {
        self.given.get(text).cloned()
    }

    pub fn keep_given(&mut self, text: &str, given: &Given) {
        let nodes = 1 + given.as_ref().map_or(0, |nodes| nodes.len());
        if self.given_nodes + nodes + text.len() / 8 <= GIVEN_MAX_NODES {
            self.given_nodes += nodes + text.len() / 8;
            self.given.insert(text.into(), given.clone());
        }
    }

    /// The document was changed: what its expressions give is not known any more.
    pub fn document_changed(&mut self) {
        self.given.clear();
        self.given_nodes = 0;
    }
}
