use super::request::Document;
use super::write::{Writer, Written};

impl Document {
    /// The partial response: only the first `groups` groups, with the root marked
    /// `incomplete="true"`.
    #[must_use]
    pub fn response_so_far(&self, groups: usize) -> Vec<u8> {
        let mut writer = Writer::default();
        let Some(root) = self.tree.document_element() else {
            return Vec::new();
        };
        let mark = Written {
            name: "incomplete",
            namespace: "",
            value: "true".into(),
        };
        let attributes = self
            .tree
            .attributes(root)
            .filter(|attribute| attribute.name != "incomplete")
            .map(|attribute| Written {
                name: attribute.name,
                namespace: attribute.namespace,
                value: attribute.value.into(),
            })
            .chain(std::iter::once(mark));
        writer.open(self.tree.name(root), self.tree.namespace(root), attributes);
        writer.content();
        let later = self.groups.get(groups..).unwrap_or_default();
        for child in self.tree.children(root) {
            if child == self.project {
                self.open(&mut writer, child);
                for child in self.tree.children(child) {
                    if !self.is_definition(child) && !later.contains(&child) {
                        writer.node(&self.tree, child);
                    }
                }
                writer.close(self.tree.name(self.project));
            } else {
                writer.node(&self.tree, child);
            }
        }
        writer.close(self.tree.name(root));
        writer.text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use crate::document::{Document, Limits};

    #[test]
    fn only_the_first_groups_are_in_it_and_it_says_so() {
        let text = "<vnml a=\"1\"><project><market/><group name=\"x\"/><note/><group name=\"y\"/>\
                    </project></vnml>";
        let document = Document::accept(text.as_bytes(), &Limits::default()).unwrap();
        let so_far = String::from_utf8(document.response_so_far(1)).unwrap();
        assert_eq!(
            so_far,
            "<vnml a=\"1\" incomplete=\"true\"><project><group name=\"x\"/><note/></project></vnml>"
        );
    }
}
