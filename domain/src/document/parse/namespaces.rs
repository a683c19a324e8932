//! Namespace prefixes and their bindings.

use std::collections::HashSet;

use super::{Parser, malformed, over};
use crate::document::refusal::Refusal;
use crate::document::tree::{NameId, NodeId};
use crate::document::well_formed;

/// A prefix in scope, its namespace, and the number of open elements when it was bound.
pub(super) struct Binding {
    depth: usize,
    prefix: Box<str>,
    namespace: NameId,
}

impl Parser<'_> {
    /// Adds a declaration.
    pub(super) fn bind(&mut self, prefix: &str, namespace: &str) -> Result<(), Refusal> {
        well_formed::binding(prefix, namespace)?;
        if self.bindings.len() >= self.limits.max_namespaces {
            return Err(over("namespaces in scope", self.limits.max_namespaces));
        }
        let namespace = self.tree.intern(namespace);
        self.bindings.push(Binding {
            depth: self.open.len(),
            prefix: prefix.into(),
            namespace,
        });
        Ok(())
    }

    /// Ends the bindings of closed elements.
    pub(super) fn leave_scope(&mut self) {
        let depth = self.open.len();
        while self.bindings.last().is_some_and(|last| last.depth >= depth) {
            self.bindings.pop();
        }
    }

    /// Resolves the namespaces of an element and its attributes. An error has the invalid name.
    pub(super) fn resolve(&mut self, element: NodeId) -> Result<(), (String, Refusal)> {
        let named = self.tree.attributes(element).any(|a| a.name.contains(':'));
        if self.bindings.is_empty() && !named && !self.tree.name(element).contains(':') {
            return Ok(());
        }
        let prefix = well_formed::prefix(self.tree.name(element)).unwrap_or_default();
        let namespace = self.bound(prefix);
        let namespace = namespace.map_err(|fault| (self.tree.name(element).to_owned(), fault))?;
        self.tree.set_namespace(element, namespace);
        if !named {
            return Ok(());
        }
        let mut expanded = HashSet::new();
        for index in 0..self.tree.attribute_count(element) {
            let name = self.tree.attribute_at(element, index).name;
            let Some((prefix, local)) = name.split_once(':') else {
                continue;
            };
            if declared_prefix(name).is_some() {
                continue;
            }
            let namespace = self
                .bound(prefix)
                .map_err(|fault| (name.to_owned(), fault))?;
            if !expanded.insert((namespace, local.to_owned())) {
                let fault = malformed(format!("the attribute {local} is there twice"));
                return Err((name.to_owned(), fault));
            }
            self.tree.set_attribute_namespace(element, index, namespace);
        }
        Ok(())
    }

    fn bound(&self, prefix: &str) -> Result<NameId, Refusal> {
        if prefix == "xml" {
            return Ok(self.xml);
        }
        let binding = self.bindings.iter().rev();
        match binding.into_iter().find(|b| *b.prefix == *prefix) {
            Some(binding) => Ok(binding.namespace),
            None if prefix.is_empty() => Ok(NameId::EMPTY),
            None => Err(malformed(format!("the prefix {prefix} is not bound"))),
        }
    }
}

/// The prefix that an attribute of this name binds; empty for the default namespace.
pub(crate) fn declared_prefix(name: &str) -> Option<&str> {
    match name.strip_prefix("xmlns") {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix(':'),
        None => None,
    }
}
