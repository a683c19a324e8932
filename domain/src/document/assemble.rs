//! Puts results into a request document, and makes the response.

use super::request::Document;
use super::result::{InvalidResult, ResultDocument};
use super::tree::NodeId;
use super::write::Writer;

impl Document {
    /// Replaces the valuations of a group by its results. The results are in task order.
    pub fn put_results<'r>(
        &mut self,
        group: usize,
        results: impl IntoIterator<Item = &'r [u8]>,
    ) -> Result<(), InvalidResult> {
        let Some(group) = self.groups.get(group).copied() else {
            return Ok(());
        };
        let valuations: Vec<NodeId> = self.tree.elements_named(group, "valuation").collect();
        let mut expected = valuations.len();
        for valuation in valuations {
            self.tree.unlink(valuation);
        }
        for result in results {
            self.assembled = self.with_result(self.assembled, result)?;
            self.tasks_before += 1;
            let result = ResultDocument::read(result, &self.limits)?;
            // Take the first result as the estimate of how much room all results need.
            self.tree
                .make_room_for(std::mem::take(&mut expected), &result.tree);
            self.tree.graft(group, &result.tree, result.valuation);
        }
        self.tree.join_texts(group);
        self.changed();
        Ok(())
    }

    /// The bytes of the document's text and of its results, including one more result.
    fn with_result(&self, assembled: usize, result: &[u8]) -> Result<usize, InvalidResult> {
        let limit = self.limits.max_assembled_bytes;
        let assembled = assembled.saturating_add(result.len());
        if assembled > limit {
            return Err(InvalidResult::TooMuch(limit));
        }
        Ok(assembled)
    }

    /// The response: the document without the elements that only the tasks need.
    pub fn response(&self) -> Result<Vec<u8>, InvalidResult> {
        self.respond(|writer, child| {
            writer.node(&self.tree, child);
            Ok(())
        })
    }

    /// The response with these results in place of a group's valuations. It equals the output of
    /// [`Self::put_results`] and [`Self::response`], without copying each result into the document.
    pub fn response_with(
        &self,
        group: usize,
        results: &[impl AsRef<[u8]>],
    ) -> Result<Vec<u8>, InvalidResult> {
        let group = self.groups.get(group).copied();
        self.respond(|writer, child| {
            if Some(child) == group {
                return self.group_with(writer, child, results);
            }
            writer.node(&self.tree, child);
            Ok(())
        })
    }

    fn group_with(
        &self,
        writer: &mut Writer,
        group: NodeId,
        results: &[impl AsRef<[u8]>],
    ) -> Result<(), InvalidResult> {
        let tree = &self.tree;
        let is_kept = |child: &NodeId| !tree.is_named(*child, "valuation");
        let mut kept = tree.children(group).filter(is_kept).peekable();
        if kept.peek().is_none() && results.is_empty() {
            self.start(writer, group);
            writer.close_empty();
            return Ok(());
        }
        self.open(writer, group);
        for child in kept {
            writer.node(tree, child);
        }
        // Growing by doubling would temporarily take three times as much memory.
        let bytes: usize = results.iter().map(|result| result.as_ref().len()).sum();
        writer
            .text
            .reserve(bytes.min(self.limits.max_assembled_bytes));
        let mut assembled = self.assembled;
        for result in results.iter().map(AsRef::as_ref) {
            assembled = self.with_result(assembled, result)?;
            let result = ResultDocument::read(result, &self.limits)?;
            writer.bring_scope(&result.tree, result.valuation);
            writer.node(&result.tree, result.valuation);
        }
        writer.close(tree.name(group));
        Ok(())
    }

    /// Writes the response, with `write` for each child of `project` that belongs there. Escaping
    /// may make it larger than its sources.
    fn respond(
        &self,
        mut write: impl FnMut(&mut Writer, NodeId) -> Result<(), InvalidResult>,
    ) -> Result<Vec<u8>, InvalidResult> {
        let limit = self.limits.max_assembled_bytes;
        let mut writer = Writer::up_to(limit);
        let Some(root) = self.tree.document_element() else {
            return Ok(Vec::new());
        };
        self.open(&mut writer, root);
        for child in self.tree.children(root) {
            if child == self.project {
                self.open(&mut writer, child);
                for child in self.tree.children(child) {
                    if !self.is_definition(child) {
                        write(&mut writer, child)?;
                    }
                }
                writer.close(self.tree.name(self.project));
            } else {
                writer.node(&self.tree, child);
            }
        }
        writer.close(self.tree.name(root));
        if writer.is_over() {
            return Err(InvalidResult::TooMuch(limit));
        }
        Ok(writer.text.into_bytes())
    }
}
