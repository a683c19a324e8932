//! Documents as text. A browser never parses them.

use maud::{Markup, html};

use super::xml;

/// How much of a document a page shows, in bytes.
const SHOWN_MAX_BYTES: usize = 64 * 1024;

/// A document with a caption that leads to all of it, or its beginning where it is long.
pub fn document(url: &str, caption: &str, bytes: &[u8]) -> Markup {
    let shown = beginning(bytes);
    html! {
        figure {
            figcaption { @if url.is_empty() { (caption) } @else { a href=(url) { (caption) } } span.faint { " · " (bytes.len()) " bytes" } }
            pre tabindex="0" { @for line in String::from_utf8_lossy(shown).split_inclusive('\n') { (xml::colored(line)) } }
            @if shown.len() < bytes.len() { p.gap { "The first " (shown.len()) " of " (bytes.len()) " bytes." } }
        }
    }
}

/// The beginning of a text, up to the end of a character.
fn beginning(bytes: &[u8]) -> &[u8] {
    let mut end = bytes.len().min(SHOWN_MAX_BYTES);
    while end > 0 && end < bytes.len() && bytes[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_document_ends_between_characters() {
        let mut text = "x".repeat(SHOWN_MAX_BYTES - 1);
        text.push('é');
        assert_eq!(beginning(text.as_bytes()).len(), SHOWN_MAX_BYTES - 1);
        assert_eq!(beginning(b"short"), b"short");
    }
}
