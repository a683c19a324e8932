//! Finds the fault in a tag whose end the library does not find: the library names only its
//! beginning.

use super::super::well_formed::name_character;

/// The position and the reason of the fault in a text that begins with such a tag; `None` if the
/// library's own position is better.
pub(super) fn tag(text: &str) -> Option<(usize, String)> {
    match text.strip_prefix("</") {
        Some(rest) => end_tag(rest).map(|(at, reason)| (at + 2, reason)),
        None => start_tag(text.strip_prefix('<')?).map(|(at, reason)| (at + 1, reason)),
    }
}

/// The position where `>` is missing after the name of an end tag.
fn end_tag(text: &str) -> Option<(usize, String)> {
    let end = text
        .find(|c: char| c != ':' && !name_character(c, false))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let after = rest.trim_start_matches([' ', '\t', '\r', '\n']);
    if after.starts_with('>') || name.is_empty() {
        return None;
    }
    let reason = format!("> is missing at the end of </{name}");
    Some((text.len() - after.len(), reason))
}

/// The first `<` within a start tag, or the end of the text if it ends there.
fn start_tag(text: &str) -> Option<(usize, String)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return None,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (Some(_), '<') => {
                let reason = "< in the value of an attribute: write &lt;, or close the quotes";
                return Some((at, reason.to_owned()));
            }
            (None, '<') => return Some((at, "> is missing at the end of a tag".to_owned())),
            _ => {}
        }
    }
    let reason = match quote {
        Some(_) => "the quotes of an attribute's value are not closed",
        None => "> is missing at the end of a tag",
    };
    Some((text.len(), reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fault_of_a_broken_tag_is_where_something_is_missing() {
        for (text, place) in [
            ("</a", Some(3)),
            ("</a  <b/>", Some(5)),
            ("</a b>", Some(4)),
            ("</a >", None),
            ("<a b='1' <c/>", Some(9)),
            ("<a b='1 <c d='2'/>", Some(8)),
            ("<a b='1", Some(7)),
            ("<a b", Some(4)),
            ("<a b='>'>", None),
            ("text", None),
        ] {
            assert_eq!(tag(text).map(|(at, _)| at), place, "{text}");
        }
    }
}
