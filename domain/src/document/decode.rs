//! Decodes bytes as UTF-8 or UTF-16. The byte order mark decides first, then the `charset` of the
//! media type, then the declaration (RFC 7303, section 3). A contradiction between two of them is
//! an error.

use std::borrow::Cow;

use super::refusal::{Cause, Refusal};
use super::well_formed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16(Order),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

fn marked(bytes: &[u8]) -> (Option<Encoding>, &[u8]) {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => (Some(Encoding::Utf8), rest),
        [0xFE, 0xFF, rest @ ..] => (Some(Encoding::Utf16(Order::Big)), rest),
        [0xFF, 0xFE, rest @ ..] => (Some(Encoding::Utf16(Order::Little)), rest),
        bytes => (None, bytes),
    }
}

/// The byte order mark to put in front of a document that was sent with this `charset`. Only UTF-16
/// without a mark needs one; after that the bytes alone tell the encoding. Fails if the document
/// contradicts the `charset`.
pub fn mark_for(bytes: &[u8], charset: &str) -> Result<Option<[u8; 2]>, Refusal> {
    let (marked, rest) = marked(bytes);
    let named = of_charset(charset, marked)?;
    match named {
        Encoding::Utf8 => check_utf8(rest, charset).map(|()| None),
        Encoding::Utf16(_) if marked.is_some() => Ok(None),
        Encoding::Utf16(Order::Big) => Ok(Some([0xFE, 0xFF])),
        Encoding::Utf16(Order::Little) => Ok(Some([0xFF, 0xFE])),
    }
}

/// Checks that a document is not evidently in another encoding than this `charset`. The `charset`
/// is UTF-8 or a subset of it.
fn check_utf8(bytes: &[u8], charset: &str) -> Result<(), Refusal> {
    let ascii = matches!(charset.to_ascii_lowercase().as_str(), "us-ascii" | "ascii");
    let found = if matches!(bytes, [0, b'<', ..] | [b'<', 0, ..]) {
        "the document is in UTF-16".to_owned()
    } else if ascii && !bytes.is_ascii() {
        "the document has characters beyond ASCII".to_owned()
    } else {
        match declared(head(bytes).unwrap_or_default()) {
            Some(name) if !is_utf8(name) => format!("the document says encoding=\"{name}\""),
            _ => return Ok(()),
        }
    };
    let reason = format!("the media type says charset={charset}, but {found}: make the two agree");
    Err(wrong(reason).at("", 0))
}

/// The beginning of a document, up to the end of a possible declaration. It is ASCII, whatever
/// follows.
fn head(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == b'>')?;
    std::str::from_utf8(&bytes[..=end]).ok()
}

/// The encoding that a document's declaration names.
fn declared(text: &str) -> Option<&str> {
    let (content, _) = text.strip_prefix("<?")?.split_once("?>")?;
    let after = content.strip_prefix("xml")?;
    // The parser refuses a processing instruction that merely looks like a declaration.
    let is_declaration = after.starts_with([' ', '\t', '\r', '\n']);
    is_declaration.then(|| well_formed::declaration(content).ok()?)?
}

/// Returns whether a name denotes UTF-8 or a subset of it.
fn is_utf8(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "utf-8" | "utf8" | "us-ascii" | "ascii")
}

/// Decodes bytes to text.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let (known, rest) = marked(bytes);
    let shown = match rest {
        [0x00, b'<', ..] => Encoding::Utf16(Order::Big),
        [b'<', 0x00, ..] => Encoding::Utf16(Order::Little),
        _ => Encoding::Utf8,
    };
    let encoding = known.unwrap_or(shown);
    if encoding == Encoding::Utf8 {
        // Check the declaration first: its error says more than an error about invalid UTF-8.
        if let Some(head) = head(rest) {
            check_declared(head, encoding, known.is_some(), || rest.is_ascii())?;
        }
    }
    let text = match encoding {
        Encoding::Utf8 => utf8(rest)?,
        Encoding::Utf16(order) => utf16(rest, order)?,
    };
    if text.starts_with('\u{FEFF}') {
        return Err(wrong("the document begins with two byte order marks").at(&text, 0));
    }
    if encoding != Encoding::Utf8 {
        check_declared(&text, encoding, known.is_some(), || false)?;
    }
    Ok(text)
}

fn wrong(reason: impl Into<String>) -> Refusal {
    Refusal::new(Cause::Encoding, reason)
}

/// The encoding that a media type names. It is an error if the byte order mark contradicts the
/// name.
fn of_charset(charset: &str, marked: Option<Encoding>) -> Result<Encoding, Refusal> {
    let named = match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => Encoding::Utf8,
        "utf-16" => marked
            .filter(|marked| *marked != Encoding::Utf8)
            .unwrap_or(Encoding::Utf16(Order::Big)),
        "utf-16be" => Encoding::Utf16(Order::Big),
        "utf-16le" => Encoding::Utf16(Order::Little),
        _ => {
            let reason = format!(
                "the media type says charset={charset}: send the document in UTF-8 or UTF-16"
            );
            return Err(wrong(reason).at("", 0));
        }
    };
    if marked.is_some_and(|marked| marked != named) {
        let reason = format!(
            "the media type says charset={charset}, and the byte order mark says otherwise"
        );
        return Err(wrong(reason).at("", 0));
    }
    Ok(named)
}

/// Checks that the declaration, if there is one, names the detected encoding.
fn check_declared(
    text: &str,
    encoding: Encoding,
    known: bool,
    is_ascii: impl FnOnce() -> bool,
) -> Result<(), Refusal> {
    let Some(name) = declared(text) else {
        if encoding == Encoding::Utf8 || known {
            return Ok(());
        }
        let reason = "the document is in UTF-16, and neither a byte order mark nor a declaration \
                      says so";
        return Err(wrong(reason).at(text, 0));
    };
    let fits = match (name.to_ascii_lowercase().as_str(), encoding) {
        ("utf-8" | "utf8", Encoding::Utf8) => true,
        // Every ASCII document is a UTF-8 document.
        ("us-ascii" | "ascii", Encoding::Utf8) => is_ascii(),
        ("utf-16", Encoding::Utf16(_)) => known,
        ("utf-16be", Encoding::Utf16(order)) => order == Order::Big,
        ("utf-16le", Encoding::Utf16(order)) => order == Order::Little,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let reason = match encoding {
        Encoding::Utf8 if is_utf8(name) => {
            format!("the document says it is in {name}, but it has characters beyond ASCII")
        }
        Encoding::Utf8 if name.to_ascii_lowercase().starts_with("utf-16") => {
            format!("the document says it is in {name}, but its bytes are not")
        }
        Encoding::Utf8 => {
            format!("the document says it is in {name}: send it in UTF-8 or UTF-16, and say so")
        }
        Encoding::Utf16(_) => {
            format!("the document says it is in {name}, but its bytes are in UTF-16")
        }
    };
    let at = text.find(name).unwrap_or(0);
    Err(wrong(reason).at(text, at))
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|error| {
            let valid = error.valid_up_to();
            let before = String::from_utf8_lossy(&bytes[..valid]);
            wrong("the document is not UTF-8 from here on").at(&before, valid)
        })
}

fn utf16(bytes: &[u8], order: Order) -> Result<Cow<'_, str>, Refusal> {
    let unit = match order {
        Order::Big => u16::from_be_bytes,
        Order::Little => u16::from_le_bytes,
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut text = String::with_capacity(bytes.len() / 2);
    for character in char::decode_utf16(units) {
        match character {
            Ok(character) => text.push(character),
            Err(_) => return Err(not_utf16(&text)),
        }
    }
    if rest.is_empty() {
        Ok(Cow::Owned(text))
    } else {
        Err(not_utf16(&text))
    }
}

fn not_utf16(before: &str) -> Refusal {
    wrong("the document is not UTF-16 from here on").at(before, before.len())
}
