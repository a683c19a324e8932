//! Writing the amounts into the document, and touching nothing else.

use std::fmt::Write;

use bytes::Bytes;

use super::price::Price;
use super::valuation::{Answer, Place, Valuation};

/// One replacement: these bytes of the document by this text.
struct Edit {
    from: usize,
    to: usize,
    text: String,
}

/// The document with its amounts: the price always, accrued interest where it is asked for.
pub(super) fn written(document: &Bytes, valuation: &Valuation, price: &Price) -> Bytes {
    let mut edits = vec![edit(valuation, Answer::Price, &price.clean.to_string())];
    if valuation.asks_for(Answer::AccruedInterest) {
        let amount = price.accrued.to_string();
        edits.push(edit(valuation, Answer::AccruedInterest, &amount));
    }
    edits.sort_by_key(|edit| edit.from);
    let added: usize = edits.iter().map(|edit| edit.text.len()).sum();
    let mut out = Vec::with_capacity(document.len() + added);
    let mut done = 0;
    for edit in edits {
        out.extend_from_slice(&document[done..edit.from]);
        out.extend_from_slice(edit.text.as_bytes());
        done = edit.to;
    }
    out.extend_from_slice(&document[done..]);
    Bytes::from(out)
}

/// Sets an amount: as the content of its element, or in new elements in the deepest one there is.
fn edit(valuation: &Valuation, answer: Answer, amount: &str) -> Edit {
    let (place, missing) = valuation.place(answer);
    // A new element goes first in the valuation, because `vndb` is to stay its last child.
    let place = place.unwrap_or(Place {
        tag: valuation.tag,
        close: None,
    });
    let mut text = String::with_capacity(64);
    for name in missing {
        let _ = write!(text, "<{name}>");
    }
    text.push_str(amount);
    for name in missing.iter().rev() {
        let _ = write!(text, "</{name}>");
    }
    let end = place.tag.end;
    if place.tag.empty {
        return Edit {
            from: end - "/>".len(),
            to: end,
            text: format!(">{text}</{}>", place.tag.name),
        };
    }
    let replaced = if missing.is_empty() {
        place.close
    } else {
        None
    };
    Edit {
        from: end,
        to: replaced.unwrap_or(end),
        text,
    }
}
