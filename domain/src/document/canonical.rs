//! The form in which documents are compared. Attributes are sorted. Comments are dropped, and so is
//! white space between elements, unless `xml:space` preserves it.

use std::borrow::Cow;

use super::parse::parse;
use super::tree::{AttributeRef, Kind, NodeId, Tree};
use super::well_formed::is_blank;
use super::write::{Writer, Written};
use super::{Limits, Refusal};

/// The canonical form of a document. Two documents have the same form if they differ only in
/// indentation, the order of attributes, quotes, comments, CDATA or empty-element tags.
pub fn canonicalize(xml: &[u8], limits: &Limits) -> Result<String, Refusal> {
    Ok(of(&parse(xml, limits)?))
}

pub(crate) fn of(tree: &Tree) -> String {
    let mut whole = String::new();
    pieces(tree, |piece| whole.push_str(piece));
    whole
}

/// How many bytes one piece collects before it is passed on.
const PIECE_BYTES: usize = 16 * 1024;

/// Passes on the canonical form piece by piece.
pub(crate) fn pieces(tree: &Tree, take: impl FnMut(&str)) {
    let mut pieces = Pieces {
        writer: Writer::default(),
        take,
        run: Run::default(),
    };
    pieces.all(tree);
    (pieces.take)(&pieces.writer.text);
}

struct Pieces<T> {
    writer: Writer,
    take: T,
    run: Run,
}

fn written(attribute: AttributeRef<'_>) -> Written<'_> {
    Written {
        name: attribute.name,
        namespace: attribute.namespace,
        value: Cow::Borrowed(attribute.value),
    }
}

/// Adjacent texts, with only comments between them. While the run is blank, it may still be
/// dropped.
#[derive(Default)]
struct Run {
    blank: Vec<NodeId>,
    has_text: bool,
}

/// An open element.
#[derive(Clone, Copy)]
struct Open {
    element: NodeId,
    /// Whether the element keeps white space between its child elements.
    keeps_space: bool,
}

impl<T: FnMut(&str)> Pieces<T> {
    fn all(&mut self, tree: &Tree) {
        let mut open: Vec<Open> = Vec::new();
        let mut next = tree.following(tree.root());
        while let Some(node) = next {
            while let Some(done) = open.pop_if(|above| tree.parent(node) != Some(above.element)) {
                self.run = Run::default();
                self.writer.close(tree.name(done.element));
            }
            let keeps_space = open.last().is_none_or(|above| above.keeps_space);
            match tree.kind(node) {
                Kind::Text if !keeps_space => self.text(tree, node),
                Kind::Element => {
                    self.run = Run::default();
                    self.open(tree, node);
                    let inherited = open.last().is_some_and(|above| {
                        above.keeps_space && tree.elements(above.element).next().is_some()
                    });
                    open.push(Open {
                        element: node,
                        keeps_space: keeps_space_in(tree, node, inherited),
                    });
                }
                Kind::Text => self.writer.node(tree, node),
                Kind::Instruction => {
                    self.run = Run::default();
                    self.writer.node(tree, node);
                }
                Kind::Root | Kind::Comment => {}
            }
            if self.writer.text.len() >= PIECE_BYTES {
                (self.take)(&self.writer.text);
                self.writer.text.clear();
            }
            next = tree.following(node);
        }
        while let Some(done) = open.pop() {
            self.writer.close(tree.name(done.element));
        }
    }

    /// Writes a text next to child elements, with the blank texts before it that belong to it.
    fn text(&mut self, tree: &Tree, node: NodeId) {
        if !self.run.has_text && is_blank(tree.text(node)) {
            self.run.blank.push(node);
            return;
        }
        self.run.has_text = true;
        for blank in std::mem::take(&mut self.run.blank) {
            self.writer.node(tree, blank);
        }
        self.writer.node(tree, node);
    }

    fn open(&mut self, tree: &Tree, id: NodeId) {
        let (name, namespace) = (tree.name(id), tree.namespace(id));
        if tree.attribute_count(id) < 2 {
            self.writer
                .open(name, namespace, tree.attributes(id).map(written));
        } else {
            let mut attributes: Vec<_> = tree.attributes(id).collect();
            attributes.sort_unstable_by_key(|attribute| (attribute.namespace, attribute.name));
            self.writer
                .open(name, namespace, attributes.into_iter().map(written));
        }
        self.writer.content();
    }
}

/// Whether white space is significant in an element. It is in an element without child elements,
/// and below `xml:space="preserve"`. `inherited` says whether the parent keeps white space.
fn keeps_space_in(tree: &Tree, element: NodeId, inherited: bool) -> bool {
    let preserved = match tree.attribute(element, "xml:space") {
        Some("preserve") => true,
        Some("default") => false,
        _ => inherited,
    };
    preserved || tree.elements(element).next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_beside_text_makes_no_other_document() {
        let form = |content: &str| {
            let xml = format!("<vnml>{content}</vnml>");
            canonicalize(xml.as_bytes(), &Limits::default()).unwrap()
        };
        for (with, without) in [
            ("<b/>1<!--c-->\n <b/>", "<b/>1\n <b/>"),
            (" <!--c--> <!--d-->1<b/>", "  1<b/>"),
            ("<b/> <!--c--> <b/>", "<b/><b/>"),
            ("<b/>1<b> </b><!--c--> <?p?> <b/>", "<b/>1<b> </b><?p?><b/>"),
        ] {
            assert_eq!(form(with), form(without));
        }
        assert_ne!(form("<b/>1<!--c--> <b/>"), form("<b/>1<b/>"));
    }

    #[test]
    fn the_canonical_form_is_complete_however_many_pieces_it_has() {
        let group = "<group a=\"1\" b=\"&amp;\"><v>text</v><w> </w></group>".repeat(10_000);
        let text = "x".repeat(3 * PIECE_BYTES);
        let canonical_form = format!("<vnml><note>{text}</note>{group}</vnml>");
        let tree = parse(canonical_form.as_bytes(), &Limits::default());
        let mut given = Vec::new();
        pieces(&tree.unwrap(), |piece| given.push(piece.to_owned()));
        assert!(given.len() > 20, "{}", given.len());
        assert!(given.concat() == canonical_form, "a piece is not as it was");
    }
}
