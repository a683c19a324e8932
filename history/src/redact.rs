//! Masks the text of documents. Their structure stays, so that they still make the same tasks.

use domain::request::{Attempt, Event, Failure, Payload};

/// The replacement for a letter.
const LETTER: char = 'x';
/// The replacement for a digit.
const DIGIT: char = '0';

/// Masks the text of an XML document. Names stay, and so do attributes, because they control
/// hydration.
pub fn xml(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        masked.push_str(&plain(&rest[..open]));
        rest = &rest[open..];
        let (begin, end) = match rest {
            comment if comment.starts_with("<!--") => ("<!--", "-->"),
            cdata if cdata.starts_with("<![CDATA[") => ("<![CDATA[", "]]>"),
            _ => {
                let close = tag_end(rest);
                masked.push_str(&rest[..close]);
                rest = &rest[close..];
                continue;
            }
        };
        let body = &rest[begin.len()..];
        let length = body.find(end).unwrap_or(body.len());
        masked.push_str(begin);
        masked.push_str(&plain(&body[..length]));
        rest = &body[length..];
        if let Some(after) = rest.strip_prefix(end) {
            masked.push_str(end);
            rest = after;
        }
    }
    masked.push_str(&plain(rest));
    masked
}

/// The index after the `>` that ends a tag. A `>` within quotes does not end it.
fn tag_end(text: &str) -> usize {
    let mut quote = None;
    for (place, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return place + 1,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    text.len()
}

/// Masks letters and digits; references such as `&amp;` stay.
pub fn plain(text: &str) -> String {
    let mut reference = false;
    text.chars()
        .map(|c| {
            reference = match c {
                '&' => true,
                ';' => false,
                _ => reference,
            };
            match c {
                c if reference => c,
                c if c.is_ascii_digit() => DIGIT,
                c if c.is_alphanumeric() => LETTER,
                c => c,
            }
        })
        .collect()
}

fn payload(payload: &mut Payload) {
    if let Payload::Inline(text) = payload {
        *text = xml(text).into();
    }
}

fn attempt(attempt: &mut Attempt) {
    for cause in &mut attempt.fault.causes {
        *cause = plain(cause);
    }
}

fn failure(failure: &mut Failure) {
    let attempts = failure.tasks.iter_mut().flat_map(|task| &mut task.attempts);
    attempts.for_each(attempt);
}

/// Masks the parts of an event that come from documents or from the submitter.
pub fn event(event: &mut Event) {
    match event {
        Event::Received(e) => {
            payload(&mut e.document);
            for value in e.metadata.values_mut() {
                *value = plain(value);
            }
            e.submitter = plain(&e.submitter);
            e.idempotency_key = e.idempotency_key.as_deref().map(plain);
            e.traceparent = None;
        }
        Event::ResourcesCaptured(e) => {
            for resource in &mut e.resources {
                payload(&mut resource.content);
            }
        }
        Event::TaskSucceeded(e) => payload(&mut e.result),
        Event::TaskFailed(e) => attempt(&mut e.attempt),
        Event::Succeeded(e) => payload(&mut e.response),
        Event::Failed(e) => failure(&mut e.failure),
        Event::GroupStarted(_)
        | Event::GroupTimedOut { .. }
        | Event::GroupCompleted { .. }
        | Event::Cancelled(_)
        | Event::Redriven(_)
        | Event::Forked(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redaction_masks_text_and_keeps_the_structure() {
        let text = "<a select=\"/b[1]>2\">Ann &amp; 12.5<!-- Bob --><![CDATA[C3]]></a>";
        assert_eq!(
            xml(text),
            "<a select=\"/b[1]>2\">xxx &amp; 00.0<!-- xxx --><![CDATA[x0]]></a>"
        );
    }
}
