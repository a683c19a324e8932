//! From bytes to text: UTF-8 or UTF-16, as the byte order mark or the declaration says.

use std::borrow::Cow;

use super::refusal::{Cause, Refusal};

/// How much of a document is looked at for its declaration.
const DECLARATION_MAX_BYTES: usize = 256;

pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest)?,
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0x00, b'<', ..] => utf16(bytes, u16::from_be_bytes)?,
        [b'<', 0x00, ..] => utf16(bytes, u16::from_le_bytes)?,
        _ => utf8(bytes)?,
    };
    let wide = matches!(text, Cow::Owned(_));
    match declared(&text) {
        None => Ok(text),
        Some(name) if name.eq_ignore_ascii_case("utf-8") && !wide => Ok(text),
        Some(name) if name.to_ascii_lowercase().starts_with("utf-16") && wide => Ok(text),
        // Every ASCII document is a UTF-8 document.
        Some(name) if name.eq_ignore_ascii_case("us-ascii") && !wide && text.is_ascii() => Ok(text),
        Some(name) => Err(Refusal::new(
            Cause::Encoding,
            format!(
                "the document says it is in {name}, but it must be in UTF-8 or UTF-16 and say so"
            ),
        )),
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|error| {
            let valid = error.valid_up_to();
            let before = String::from_utf8_lossy(&bytes[..valid]);
            Refusal::new(Cause::Encoding, "the document is not UTF-8 from here on")
                .at(&before, valid)
        })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, str>, Refusal> {
    let wrong = || Refusal::new(Cause::Encoding, "the document begins as UTF-16 but is not");
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong());
    }
    let units = pairs.iter().map(|pair| unit(*pair));
    char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .map(Cow::Owned)
        .map_err(|_| wrong())
}

/// The encoding that the XML declaration names.
fn declared(text: &str) -> Option<&str> {
    let head = &text[..text.floor_char_boundary(DECLARATION_MAX_BYTES)];
    let declaration = head.strip_prefix("<?xml")?.split("?>").next()?;
    let value = declaration.split("encoding").nth(1)?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next()
}
