//! Hydrates a part of a document by itself, for the command line and the golden cases.

use super::hydrate::{CapturedResources, HydrationError, Hydrator, note};
use super::request::{Document, Effort};
use super::tree::NodeId;
use super::write::Writer;
use super::xpath::{Evaluator, Item, Value, compile};
use crate::FailureCode;

impl Document {
    /// Hydrates the elements that `target` names. `/` gives the document element as one piece. An
    /// XPath gives each of its elements, wrapped in `<hydrated>`.
    pub fn hydrate(
        &self,
        resources: &CapturedResources,
        target: &str,
    ) -> Result<String, HydrationError> {
        self.hydrating(resources, Effort::Whole, |hydrator| {
            let mut writer = Writer::within(&self.limits);
            if target == "/" {
                if let Some(root) = self.tree.document_element() {
                    let hydrated = hydrator.hydrate(root, false, None)?;
                    hydrated.write(&mut writer, |_| {});
                }
            } else {
                writer.open("hydrated", "", std::iter::empty());
                writer.content();
                self.hydrate_each(hydrator, target, &mut writer)?;
                writer.close("hydrated");
            }
            match writer.over() {
                Some(over) => Err(HydrationError::over("target", target, over)),
                None => Ok(writer.text),
            }
        })
    }

    fn hydrate_each(
        &self,
        hydrator: &Hydrator<'_>,
        target: &str,
        writer: &mut Writer,
    ) -> Result<(), HydrationError> {
        let mut missing: Vec<String> = Vec::new();
        for node in self.targets(hydrator, target)? {
            let contexts = match hydrator.contexts(node, false)? {
                None => vec![None],
                Some(contexts) => contexts.into_iter().map(Some).collect(),
            };
            for context in contexts {
                match hydrator.hydrate(node, false, context) {
                    Ok(hydrated) => hydrated.write(writer, |_| {}),
                    Err(HydrationError::Missing { uris }) => {
                        note(&mut missing, uris);
                    }
                    Err(failed) => return Err(failed),
                }
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(HydrationError::Missing { uris: missing })
        }
    }

    fn targets(
        &self,
        hydrator: &Hydrator<'_>,
        target: &str,
    ) -> Result<Vec<NodeId>, HydrationError> {
        let wrong = |reason: String| {
            HydrationError::failed(FailureCode::HydrationSyntax, "target", target, reason)
        };
        let expression = compile(target).map_err(|error| wrong(error.to_string()))?;
        let evaluator = Evaluator::new(&self.tree, &self.index, hydrator.meter.clone());
        let value = evaluator
            .evaluate(&expression, self.tree.root())
            .map_err(|error| wrong(error.to_string()))?;
        let Value::Nodes(nodes) = value else {
            return Err(wrong("it gives no elements".into()));
        };
        Ok(nodes
            .into_iter()
            .filter_map(|item| match item {
                Item::Node(node) if self.tree.is_element(node) => Some(node),
                _ => None,
            })
            .collect())
    }
}
