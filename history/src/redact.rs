//! Masks what documents and people say. The structure of documents stays, so that they still make
//! the same tasks. `docs/replay.md` lists what stays.

use domain::access::Tenant;
use domain::request::{Attempt, Event, Failure, Payload};
use nats::sha256;

/// The replacement for a letter.
const LETTER: char = 'x';
/// The replacement for a digit.
const DIGIT: char = '0';
/// The attributes that refer to other parts of a document by an expression or a name.
const REFERENCES: [&str; 2] = ["select", "use"];
/// The attribute that refers to another document.
const HREF: &str = "href";
/// The beginning of an expression as the value of any attribute.
const PLACEHOLDER: &str = "${select(";
/// How many digits a pseudonym has.
const PSEUDONYM_DIGITS: usize = 12;

/// The redaction of one bundle. A value has the same pseudonym everywhere in it, and nowhere else.
pub struct Redaction {
    key: Vec<u8>,
    /// The expressions of all documents of the request.
    expressions: String,
}

impl Redaction {
    /// A redaction with this random key.
    pub fn new(key: Vec<u8>) -> Self {
        Self {
            key,
            expressions: String::new(),
        }
    }

    /// Learns the expressions of a document. The values that they name stay, or they would select
    /// nothing.
    pub fn learn(&mut self, document: &str) {
        each_tag(document, &mut |piece| {
            if let Piece::Tag(tag) = piece {
                for attribute in attributes(tag) {
                    if attribute.is_expression() {
                        self.expressions.push_str(attribute.value);
                        self.expressions.push('\n');
                    }
                }
            }
        });
    }

    /// A name in place of another one, which cannot be found from it.
    pub fn pseudonym(&self, value: &str) -> String {
        if value.is_empty() {
            return String::new();
        }
        let digest = sha256(&[&self.key, value.as_bytes()].concat());
        format!("p{}", &digest[..PSEUDONYM_DIGITS])
    }

    /// A value that expressions may name, or its pseudonym.
    fn name(&self, value: &str) -> String {
        let quoted = |quote: char| format!("{quote}{value}{quote}");
        let is_named = ['"', '\'']
            .iter()
            .any(|quote| self.expressions.contains(&quoted(*quote)));
        let escaped = ["&quot;", "&apos;"]
            .iter()
            .any(|quote| self.expressions.contains(&format!("{quote}{value}{quote}")));
        if is_named || escaped {
            return value.to_owned();
        }
        self.pseudonym(value)
    }

    /// Masks an XML document: texts, comments, instructions, and the values of attributes that no
    /// expression names.
    pub fn xml(&self, document: &str) -> String {
        let mut masked = String::with_capacity(document.len());
        each_tag(document, &mut |piece| match piece {
            Piece::Text(text) => masked.push_str(&content(text)),
            Piece::Tag(tag) => self.tag(tag, &mut masked),
            Piece::Other { begin, body, end } => {
                let declares = begin == "<?" && body.starts_with("xml ");
                masked.push_str(begin);
                masked.push_str(&if declares {
                    body.to_owned()
                } else {
                    instruction(begin, body)
                });
                masked.push_str(end);
            }
        });
        masked
    }

    fn tag(&self, tag: &str, masked: &mut String) {
        let mut written = 0;
        for attribute in attributes(tag) {
            let start = attribute.value.as_ptr() as usize - tag.as_ptr() as usize;
            masked.push_str(&tag[written..start]);
            written = start + attribute.value.len();
            masked.push_str(&if attribute.stays() {
                attribute.value.to_owned()
            } else if attribute.name == HREF {
                self.uri(attribute.value)
            } else {
                self.name(attribute.value)
            });
        }
        masked.push_str(&tag[written..]);
    }

    fn uri(&self, uri: &str) -> String {
        self.pseudonym(uri)
    }

    fn payload(&self, payload: &mut Payload) {
        if let Payload::Inline(text) = payload {
            *text = self.xml(text).into();
        }
    }

    fn attempt(&self, attempt: &mut Attempt) {
        attempt.worker = self.pseudonym(&attempt.worker);
        attempt.fault.message = plain(&attempt.fault.message);
        for cause in &mut attempt.fault.causes {
            *cause = plain(cause);
        }
    }

    fn failure(&self, failure: &mut Failure) {
        failure.message = plain(&failure.message);
        let attempts = failure.tasks.iter_mut().flat_map(|task| &mut task.attempts);
        attempts.for_each(|attempt| self.attempt(attempt));
    }

    fn group(&self, name: &mut Option<String>) {
        *name = name.as_deref().map(|name| self.name(name));
    }

    /// Masks the parts of an event that come from documents or from people.
    pub fn event(&self, event: &mut Event) {
        match event {
            Event::Received(e) => {
                self.payload(&mut e.document);
                e.groups
                    .iter_mut()
                    .for_each(|group| self.group(&mut group.name));
                for value in e.metadata.values_mut() {
                    *value = plain(value);
                }
                e.tenant = Tenant::default();
                e.submitter = self.pseudonym(&e.submitter);
                let key = e.idempotency_key.as_deref();
                e.idempotency_key = key.map(|key| self.pseudonym(key));
                e.traceparent = None;
            }
            Event::ResourcesCaptured(e) => {
                for resource in &mut e.resources {
                    resource.uri = self.uri(&resource.uri);
                    self.payload(&mut resource.content);
                }
            }
            Event::GroupStarted(e) => self.group(&mut e.name),
            Event::TaskSucceeded(e) => {
                e.worker = self.pseudonym(&e.worker);
                self.payload(&mut e.result);
            }
            Event::TaskFailed(e) => self.attempt(&mut e.attempt),
            Event::Succeeded(e) => self.payload(&mut e.response),
            Event::Failed(e) => self.failure(&mut e.failure),
            Event::Cancelled(e) => self.person(&mut e.by, &mut e.on_behalf_of, &mut e.reason),
            Event::Redriven(e) => self.person(&mut e.by, &mut e.on_behalf_of, &mut e.reason),
            Event::Forked(e) => self.person(&mut e.by, &mut e.on_behalf_of, &mut e.reason),
            Event::GroupTimedOut { .. } | Event::GroupCompleted { .. } => {}
        }
    }

    fn person(&self, by: &mut String, behalf: &mut Option<String>, reason: &mut String) {
        *by = self.pseudonym(by);
        *behalf = behalf.as_deref().map(|person| self.pseudonym(person));
        *reason = plain(reason);
    }
}

/// A piece of an XML document.
enum Piece<'d> {
    Text(&'d str),
    /// A start tag or an end tag, whole.
    Tag(&'d str),
    /// A comment, a CDATA section or an instruction.
    Other {
        begin: &'d str,
        body: &'d str,
        end: &'d str,
    },
}

fn each_tag<'d>(document: &'d str, take: &mut dyn FnMut(Piece<'d>)) {
    let mut rest = document;
    while let Some(open) = rest.find('<') {
        take(Piece::Text(&rest[..open]));
        rest = &rest[open..];
        let (begin, end) = match rest {
            comment if comment.starts_with("<!--") => ("<!--", "-->"),
            cdata if cdata.starts_with("<![CDATA[") => ("<![CDATA[", "]]>"),
            other if other.starts_with("<?") => ("<?", "?>"),
            _ => {
                let close = tag_end(rest);
                take(Piece::Tag(&rest[..close]));
                rest = &rest[close..];
                continue;
            }
        };
        let body = &rest[begin.len()..];
        let length = body.find(end).unwrap_or(body.len());
        let after = body[length..].strip_prefix(end);
        take(Piece::Other {
            begin,
            body: &body[..length],
            end: after.map_or("", |_| end),
        });
        rest = after.unwrap_or_default();
    }
    take(Piece::Text(rest));
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

/// An attribute of a tag.
struct Attribute<'t> {
    name: &'t str,
    value: &'t str,
}

impl Attribute<'_> {
    /// Whether it has an expression, or the name of another element.
    fn is_expression(&self) -> bool {
        REFERENCES.contains(&self.name) || self.value.trim_start().starts_with(PLACEHOLDER)
    }

    fn stays(&self) -> bool {
        let declares = self.name == "xmlns" || self.name.starts_with("xmlns:");
        declares || self.is_expression() || self.name.starts_with("xml:")
    }
}

fn attributes(tag: &str) -> impl Iterator<Item = Attribute<'_>> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        let (before, after) = rest.split_once('=')?;
        let name = before.split_whitespace().next_back().unwrap_or_default();
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, behind) = after[1..].split_once(quote)?;
        rest = behind;
        Some(Attribute { name, value })
    })
}

/// Masks the letters and digits of a text.
pub fn plain(text: &str) -> String {
    text.chars().map(mask).collect()
}

fn mask(c: char) -> char {
    match c {
        c if c.is_ascii_digit() => DIGIT,
        c if c.is_alphanumeric() => LETTER,
        c => c,
    }
}

/// Masks the content of an element. A reference stays a reference, but one to a character by its
/// number becomes a letter.
fn content(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        masked.push_str(&plain(&rest[..at]));
        rest = &rest[at..];
        let end = rest.find(';').map_or(rest.len(), |end| end + 1);
        match &rest[..end] {
            named @ ("&amp;" | "&lt;" | "&gt;" | "&quot;" | "&apos;") => masked.push_str(named),
            _ => masked.push(LETTER),
        }
        rest = &rest[end..];
    }
    masked.push_str(&plain(rest));
    masked
}

/// Masks a comment, a CDATA section, or an instruction but for its target.
fn instruction(begin: &str, body: &str) -> String {
    if begin != "<?" {
        return plain(body);
    }
    let end = body.find(char::is_whitespace).unwrap_or(body.len());
    format!("{}{}", &body[..end], plain(&body[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redaction_masks_text_and_keeps_the_structure() {
        let redaction = Redaction::new(vec![1]);
        let text = "<a select=\"/b[1]>2\">Ann &amp; 12.5<!-- Bob --><![CDATA[C3]]></a>";
        assert_eq!(
            redaction.xml(text),
            "<a select=\"/b[1]>2\">xxx &amp; 00.0<!-- xxx --><![CDATA[x0]]></a>"
        );
        let hidden = "<?xml version=\"1.0\"?><?note Ann?><a>&#65;&#x6e;&#110;</a>";
        assert_eq!(
            redaction.xml(hidden),
            "<?xml version=\"1.0\"?><?note xxx?><a>xxx</a>"
        );
        assert_eq!(plain("a&hunter2;"), "x&xxxxxx0;");
    }

    #[test]
    fn values_of_attributes_become_pseudonyms_unless_an_expression_names_them() {
        let document = "<vnml><bond id=\"DE-1\" iban='DE89 3704' xmlns:x=\"urn:x\"/>\
                        <group name=\"Ann\"><v select=\"/vnml/bond[@id='DE-1']\" \
                        of=\"${select(//a[@b=&quot;kept&quot;])}\" c=\"kept\" e=\"\"/></group></vnml>";
        let mut redaction = Redaction::new(vec![1]);
        redaction.learn(document);
        let masked = redaction.xml(document);
        for gone in ["DE89", "Ann"] {
            assert!(!masked.contains(gone), "{masked}");
        }
        for kept in ["id=\"DE-1\"", "urn:x", "@id='DE-1'", "c=\"kept\"", "e=\"\""] {
            assert!(masked.contains(kept), "{kept}: {masked}");
        }
        let pseudonym = redaction.pseudonym("Ann");
        assert!(
            masked.contains(&format!("name=\"{pseudonym}\"")),
            "{masked}"
        );
        let other = Redaction::new(vec![2]);
        assert_ne!(other.pseudonym("Ann"), pseudonym);
    }

    #[test]
    fn nothing_that_people_said_or_are_called_stays_in_an_event() {
        let said = |event: &str| {
            let mut event: Event = serde_json::from_str(event).unwrap();
            Redaction::new(vec![1]).event(&mut event);
            serde_json::to_string(&event).unwrap()
        };
        for event in [
            r#"{"cancelled":{"by":"hunter2","onBehalfOf":"hunter2","reason":"hunter2"}}"#,
            r#"{"redriven":{"by":"hunter2","onBehalfOf":"hunter2","reason":"hunter2","run":1,"tasks":[],"deadline":"2026-01-01T00:00:00Z"}}"#,
            r#"{"group-started":{"group":0,"name":"hunter2","tasks":1,"deadline":"2026-01-01T00:00:00Z"}}"#,
            r#"{"failed":{"failure":{"code":"c","message":"hunter2","redriveMayHelp":true}}}"#,
        ] {
            let masked = said(event);
            assert!(!masked.contains("hunter2"), "{masked}");
        }
    }
}
