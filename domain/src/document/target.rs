//! Hydrating a part of a document for itself: for the command line and the golden cases.

use super::hydrate::{CapturedResources, HydrationError, Hydrator, note};
use super::request::Document;
use super::tree::NodeId;
use super::write::Writer;
use super::xpath::{Evaluator, Item, Value, compile};

impl Document {
    /// Hydrates what `target` names: `/` the document's element as one piece, an XPath each
    /// element it gives, wrapped in `<hydrated>`.
    pub fn hydrate(
        &self,
        resources: &CapturedResources,
        target: &str,
    ) -> Result<String, HydrationError> {
        let hydrator = Hydrator::new(&self.tree, &self.index, resources, &self.limits);
        let mut writer = Writer::up_to(self.limits.max_hydrated_bytes);
        if target == "/" {
            if let Some(root) = self.tree.document_element() {
                hydrator
                    .hydrate(root, false, None)?
                    .write(&mut writer, |_| {});
            }
            return self.bounded(writer, target);
        }
        writer.open("hydrated", "", std::iter::empty());
        writer.content();
        let mut missing: Vec<String> = Vec::new();
        for node in self.targets(target)? {
            let contexts = match hydrator.contexts(node, false)? {
                None => vec![None],
                Some(contexts) => contexts.into_iter().map(Some).collect(),
            };
            for context in contexts {
                match hydrator.hydrate(node, false, context) {
                    Ok(hydrated) => hydrated.write(&mut writer, |_| {}),
                    Err(HydrationError::Missing { uris }) => {
                        note(&mut missing, uris);
                    }
                    Err(failed) => return Err(failed),
                }
            }
        }
        if !missing.is_empty() {
            return Err(HydrationError::Missing { uris: missing });
        }
        writer.close("hydrated");
        self.bounded(writer, target)
    }

    fn bounded(&self, writer: Writer, target: &str) -> Result<String, HydrationError> {
        if writer.is_over() {
            let limit = self.limits.max_hydrated_bytes;
            let reason = format!("it is larger than {limit} bytes");
            return Err(HydrationError::failed(
                "hydration-too-costly",
                "target",
                target,
                reason,
            ));
        }
        Ok(writer.text)
    }

    fn targets(&self, target: &str) -> Result<Vec<NodeId>, HydrationError> {
        let wrong =
            |reason: String| HydrationError::failed("hydration-syntax", "target", target, reason);
        let expression = compile(target).map_err(|error| wrong(error.to_string()))?;
        let evaluator = Evaluator::new(&self.tree, &self.index, self.limits.max_visits);
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
