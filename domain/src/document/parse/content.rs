//! The content between tags.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::BytesRef;

use super::{Parser, malformed};
use crate::document::refusal::Refusal;
use crate::document::well_formed;

impl Parser<'_> {
    pub(super) fn finish(&self) -> Result<(), Refusal> {
        match self.open.last() {
            Some(open) => {
                let name = self.tree.name(*open);
                Err(malformed(format!("the document ends before </{name}>")))
            }
            None if !self.has_root => Err(malformed("the document has no element")),
            None => Ok(()),
        }
    }

    pub(super) fn append(&mut self, text: &str) -> Result<(), Refusal> {
        if self.open.is_empty() {
            if well_formed::is_blank(text) {
                return Ok(());
            }
            return Err(malformed("text outside the root element"));
        }
        let parent = self.parent();
        self.tree.append_text(parent, text);
        Ok(())
    }

    pub(super) fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Refusal> {
        if self.open.is_empty() {
            return Err(malformed("text outside the root element"));
        }
        let parent = self.parent();
        if let Some(character) = reference
            .resolve_char_ref()
            .map_err(|_| malformed("this is no reference to a character that XML has"))?
        {
            well_formed::characters(character.encode_utf8(&mut [0; 4]))?;
            self.tree
                .append_text(parent, character.encode_utf8(&mut [0; 4]));
            return Ok(());
        }
        let Some(text) = resolve_predefined_entity(reference) else {
            let name: &str = reference;
            return Err(malformed(format!("&{name}; is not declared")));
        };
        self.tree.append_text(parent, text);
        Ok(())
    }
}

/// Normalizes each line end to one character (XML 1.0, section 2.11).
pub(super) fn normal_ends(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text.into()
    }
}
