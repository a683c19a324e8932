//! Colors for a line of XML. It is a scanner of text: it decides nothing, and a line that is no XML
//! is shown all the same.

use maud::{Markup, html};

/// A piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Tag,
    Attribute,
    Value,
    Comment,
}

impl Kind {
    const fn class(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Tag => Some("x-tag"),
            Self::Attribute => Some("x-name"),
            Self::Value => Some("x-value"),
            Self::Comment => Some("x-note"),
        }
    }
}

/// A line in colors.
pub fn colored(line: &str) -> Markup {
    html! {
        code {
            @for (kind, piece) in pieces(line) {
                @match kind.class() {
                    Some(class) => span class=(class) { (piece) },
                    None => (piece),
                }
            }
        }
    }
}

fn pieces(line: &str) -> Vec<(Kind, &str)> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let Some(open) = rest.find('<') else {
            pieces.push((Kind::Text, rest));
            break;
        };
        let (text, tag) = rest.split_at(open);
        pieces.push((Kind::Text, text));
        let is_comment = tag.starts_with("<!--");
        let end = if is_comment { "-->" } else { ">" };
        let length = tag.find(end).map_or(tag.len(), |at| at + end.len());
        let (tag, after) = tag.split_at(length);
        if is_comment {
            pieces.push((Kind::Comment, tag));
        } else {
            of_tag(tag, &mut pieces);
        }
        rest = after;
    }
    pieces.retain(|(_, piece)| !piece.is_empty());
    pieces
}

/// The pieces of a tag: its name, and its attributes with their values.
fn of_tag<'a>(tag: &'a str, pieces: &mut Vec<(Kind, &'a str)>) {
    let name = tag.find(char::is_whitespace).unwrap_or(tag.len());
    let (name, mut rest) = tag.split_at(name);
    pieces.push((Kind::Tag, name));
    while let Some(open) = rest.find(['"', '\'']) {
        let quote = if rest[open..].starts_with('"') {
            '"'
        } else {
            '\''
        };
        let (before, quoted) = rest.split_at(open);
        let close = quoted[1..].find(quote).map_or(quoted.len(), |at| at + 2);
        let (value, after) = quoted.split_at(close);
        pieces.push((Kind::Attribute, before));
        pieces.push((Kind::Value, value));
        rest = after;
    }
    pieces.push((Kind::Tag, rest));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_line_are_the_line() {
        for line in [
            r#"  <group name="a>b" x='1'>text</group><!-- note -->"#,
            "no xml at all",
            "<broken attribute=\"",
            "a < b > c",
            "<é ü='ß'>",
            "",
        ] {
            let all: String = pieces(line).into_iter().map(|(_, piece)| piece).collect();
            assert_eq!(all, line);
        }
    }

    #[test]
    fn a_tag_of_a_stranger_is_text() {
        let html = colored("<script>alert(1)</script>").into_string();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script"), "{html}");
    }
}
