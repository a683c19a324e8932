//! Cached facts about the expressions of a document: their compiled forms, and the values of the
//! absolute ones on the current document.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::xpath::{Expression, Item};

/// The maximum size of all cached compiled expressions, in bytes of source text.
const COMPILED_MAX_BYTES: usize = 1024 * 1024;
/// The maximum number of nodes in all cached values.
const GIVEN_MAX_NODES: usize = 1_000_000;

/// The nodes that an expression gave; `None` if it gave a value of another type.
pub(crate) type Given = Option<Arc<[Item]>>;

/// The cache, kept from one hydration of a document to the next.
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

    /// Drops the cached values, because the document has changed.
    pub fn document_changed(&mut self) {
        self.given.clear();
        self.given_nodes = 0;
    }
}
