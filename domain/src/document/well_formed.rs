//! The rules of XML 1.0 and Namespaces in XML that quick-xml does not check.

use std::fmt;

use super::refusal::{Cause, Refusal};

pub(crate) const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

fn malformed(reason: String) -> Refusal {
    Refusal::new(Cause::Malformed, reason)
}

/// Checks XML 1.0, production 2.
pub(crate) fn characters(text: &str) -> Result<(), Refusal> {
    // Nearly all text has none of these bytes. The loop examines all of them: the compiler makes
    // faster code for that than for stopping at the first.
    let suspect = |b: u8| b == 0xEF || b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r');
    let found = text.bytes().map(|b| u8::from(suspect(b)));
    if found.fold(0, |all, found| all | found) == 0 {
        return Ok(());
    }
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && c != '\u{FFFE}' && c != '\u{FFFF}')
    };
    match text.char_indices().find(|(_, c)| !allowed(*c)) {
        None => Ok(()),
        Some((at, c)) => {
            let reason = format!("the character U+{:04X} is not for XML", u32::from(c));
            Err(malformed(reason).within(at))
        }
    }
}

pub(crate) fn text(text: &str) -> Result<(), Refusal> {
    // Finding the position takes far longer than finding whether there is one.
    if text.contains("]]>") {
        let at = text.find("]]>").unwrap_or(0);
        return Err(malformed("]]> in text: write ]]&gt;".to_owned()).within(at));
    }
    characters(text)
}

/// Checks XML 1.0, production 15.
pub(crate) fn comment(text: &str) -> Result<(), Refusal> {
    let dashes = text.find("--");
    if let Some(at) = dashes.or(text.ends_with('-').then(|| text.len() - 1)) {
        return Err(malformed("-- in a comment".to_owned()).within(at));
    }
    characters(text)
}

/// Checks XML 1.0, productions 23 and following: the content of an XML declaration. Returns the
/// encoding that it names.
pub(crate) fn declaration(content: &str) -> Result<Option<&str>, Refusal> {
    let wrong = || malformed("this is no XML declaration".to_owned());
    let mut rest = content.strip_prefix("xml").ok_or_else(wrong)?;
    let mut expected = ["version", "encoding", "standalone"].iter();
    let mut first = true;
    let mut encoding = None;
    loop {
        let spaced = trimmed_start(rest);
        if spaced.is_empty() {
            return if first { Err(wrong()) } else { Ok(encoding) };
        }
        let (name, after) = spaced.split_once('=').ok_or_else(wrong)?;
        let name = trimmed(name);
        let known = expected.any(|known| *known == name);
        if !known || spaced.len() == rest.len() || (first && name != "version") {
            return Err(wrong());
        }
        let after = trimmed_start(after);
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or_else(wrong)?;
        let (value, after) = after[1..].split_once(quote).ok_or_else(wrong)?;
        if !declared(name, value) {
            return Err(wrong());
        }
        if name == "encoding" {
            encoding = Some(value);
        }
        (rest, first) = (after, false);
    }
}

fn declared(name: &str, value: &str) -> bool {
    match name {
        "version" => value
            .strip_prefix("1.")
            .is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|b| b.is_ascii_digit())),
        "encoding" => {
            value.starts_with(|c: char| c.is_ascii_alphabetic())
                && value
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        }
        _ => matches!(value, "yes" | "no"),
    }
}

/// The refusal for an invalid reference in an attribute's value. `error` is the library's error
/// about it (XML 1.0, productions 66 to 68).
pub(crate) fn faulty_reference(value: &str, error: &impl fmt::Display) -> Refusal {
    for (at, _) in value.match_indices('&') {
        let rest = &value[at + 1..];
        let Some((reference, _)) = rest.split_once(';') else {
            return malformed("& begins no reference: write &amp;".to_owned()).within(at);
        };
        let reason = match reference.strip_prefix('#') {
            Some(digits) if is_character(digits) => continue,
            None if matches!(reference, "lt" | "gt" | "amp" | "apos" | "quot") => continue,
            Some(_) => "this is no reference to a character that XML has".to_owned(),
            None if name(reference).is_ok() => format!("&{reference}; is not declared"),
            None => "& begins no reference: write &amp;".to_owned(),
        };
        return malformed(reason).within(at);
    }
    malformed(error.to_string())
}

/// Returns whether `&#…;` with these digits is a valid character.
fn is_character(digits: &str) -> bool {
    let number = match digits.strip_prefix('x') {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let character = number.ok().and_then(char::from_u32);
    plain && character.is_some_and(|c| characters(c.encode_utf8(&mut [0; 4])).is_ok())
}

/// Checks XML 1.0, productions 4 and 5.
pub(crate) fn name(name: &str) -> Result<(), Refusal> {
    let mut characters = name.chars();
    let fits = characters.next().is_some_and(starts_name) && characters.all(continues_name);
    if fits {
        Ok(())
    } else {
        let shown: String = name.chars().take(40).collect();
        Err(malformed(format!("'{shown}' is not a name")))
    }
}

/// Checks Namespaces in XML, production 4: the target of an instruction must match it (section 7).
pub(crate) fn unprefixed_name(unprefixed: &str) -> Result<(), Refusal> {
    name(unprefixed)?;
    if let Some(at) = unprefixed.find(':') {
        let reason = format!("'{unprefixed}' has a colon in it: only names with prefixes do");
        return Err(malformed(reason).within(at));
    }
    Ok(())
}

/// Checks Namespaces in XML, production 7.
pub(crate) fn qualified_name(qualified: &str) -> Result<(), Refusal> {
    name(qualified)?;
    let mut parts = qualified.split(':');
    let fits = match (parts.next(), parts.next(), parts.next()) {
        (Some(_), None, _) => true,
        (Some(prefix), Some(local), None) => {
            !prefix.is_empty() && local.chars().next().is_some_and(starts_name)
        }
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(malformed(format!("'{qualified}' is not a qualified name")))
    }
}

fn starts_name(c: char) -> bool {
    matches!(c, ':' | '_' | 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
        | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
        | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn continues_name(c: char) -> bool {
    starts_name(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}'
            | '\u{203F}'..='\u{2040}')
}

/// Returns whether a character may occur in a name, or begin one if it is `first`.
pub(crate) fn name_character(c: char, first: bool) -> bool {
    c != ':'
        && if first {
            starts_name(c)
        } else {
            continues_name(c)
        }
}

/// The prefix of a qualified name.
pub(crate) fn prefix(qualified: &str) -> Option<&str> {
    qualified.split_once(':').map(|(prefix, _)| prefix)
}

/// A qualified name without its prefix.
pub(crate) fn local_name(qualified: &str) -> &str {
    qualified
        .split_once(':')
        .map_or(qualified, |(_, local)| local)
}

/// Text without the XML white space around it. A no-break space stays.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Text without the XML white space before it. A no-break space stays.
pub(crate) fn trimmed_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
}

/// Returns whether text is only XML white space. A no-break space is content.
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Checks that white space separates attributes.
pub(crate) fn attribute_spacing(raw: &str) -> Result<(), Refusal> {
    let mut quote = None;
    let mut closed = false;
    for (at, byte) in raw.bytes().enumerate() {
        match quote {
            Some(open) if byte == open => (quote, closed) = (None, true),
            Some(_) => {}
            None if closed && !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => {
                let reason = "white space is missing between attributes".to_owned();
                return Err(malformed(reason).within(at));
            }
            None => {
                closed = false;
                if matches!(byte, b'"' | b'\'') {
                    quote = Some(byte);
                }
            }
        }
    }
    Ok(())
}

/// Checks Namespaces in XML, section 3: which prefix may be bound to which namespace.
pub(crate) fn binding(prefix: &str, namespace: &str) -> Result<(), Refusal> {
    let wrong = match prefix {
        "xmlns" => true,
        "xml" => namespace != XML_NAMESPACE,
        "" => namespace == XML_NAMESPACE || namespace == XMLNS_NAMESPACE,
        _ => namespace.is_empty() || namespace == XML_NAMESPACE || namespace == XMLNS_NAMESPACE,
    };
    if wrong {
        Err(malformed(format!(
            "the prefix '{prefix}' cannot be bound to '{namespace}'"
        )))
    } else {
        Ok(())
    }
}
