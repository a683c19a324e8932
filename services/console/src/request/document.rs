//! One document, as lines of text. A browser never parses it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use history::document::{self, DocumentName, Window};
use history::story::Story;
use maud::{Markup, html};

use super::{documents, parse_id};
use crate::commands::{Shown, cli};
use crate::frame::{Page, Part};
use crate::origin::Origin;
use crate::part;
use crate::part::xml;
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// How many lines a page has.
const LINES: usize = 1_000;
/// How many found lines are shown.
const FOUND_MAX: usize = 100;

/// Shows a document.
pub async fn show(
    State(console): State<Arc<Console>>,
    Path((id, name)): Path<(String, String)>,
    visit: Visit,
) -> Response {
    let page = page(&console, &visit, &id, &name).await;
    console.answer(&visit, page)
}

/// Sends a document as a file.
pub async fn raw(
    State(console): State<Arc<Console>>,
    Path((id, name)): Path<(String, String)>,
    visit: Visit,
) -> Response {
    match read(&console, &visit, &id, &name).await {
        Ok((_, name, bytes)) => file(name, bytes),
        Err(trouble) => console.trouble(&visit, &trouble),
    }
}

/// A document as a file that a browser saves and never shows.
fn file(name: DocumentName, bytes: Vec<u8>) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    // The name of a document is made of letters, digits and hyphens.
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.xml\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

async fn read(
    console: &Console,
    visit: &Visit,
    id: &str,
    name: &str,
) -> Result<(Arc<Story>, DocumentName, Vec<u8>), Trouble> {
    let name: DocumentName = name.parse().map_err(Trouble::Unclear)?;
    let story = console.questions.then(visit, parse_id(id)?).await?.story;
    let bytes = document::read(console.questions.source(), &story, name).await?;
    Ok((story, name, bytes))
}

async fn page(console: &Console, visit: &Visit, id: &str, name: &str) -> Result<Page, Trouble> {
    let (story, name, bytes) = read(console, visit, id, name).await?;
    Ok(Page {
        part: Some(Part::Requests),
        title: name.to_string(),
        body: body(visit, &story, name, &bytes),
        commands: commands(&console.origin, &story, name),
    })
}

fn commands(origin: &Origin, story: &Story, name: DocumentName) -> Vec<Shown> {
    vec![cli(documents::command(story, name, &origin.flag()))]
}

/// The content of the page.
pub fn body(visit: &Visit, story: &Story, name: DocumentName, bytes: &[u8]) -> Markup {
    let from = visit.fields.get("from").and_then(|text| text.parse().ok());
    let wanted = visit.fields.get("find");
    let window = document::window(bytes, from.unwrap_or(1).max(1), LINES);
    html! {
        nav.trail aria-label="Where this is" {
            a href=(urls::request(story.id)) { (part::status(story.view.status.plain())) " " span.id { (story.id) } }
            " › "
            a href=(format!("{}?tab=documents", urls::request(story.id))) { "documents" }
        }
        div.head {
            h1 { (name) span.faint { " · " (bytes.len()) " bytes, " (window.of) " lines" } }
            form.find {
                label.unseen for="find" { "Find in the document" }
                input #find type="search" name="find" placeholder="find in the document" value=[wanted];
            }
            a.more href=(format!("{}/raw", visit.uri.path())) { "Save as a file" }
        }
        @if let Some(wanted) = wanted { (found(visit, bytes, wanted)) }
        (lines(&window))
        (foot(visit, &window))
    }
}

/// The lines with a text, each with the way to it.
fn found(visit: &Visit, bytes: &[u8], wanted: &str) -> Markup {
    let found = document::find(bytes, wanted, FOUND_MAX);
    html! {
        section.found aria-label="Found lines" {
            @if found.is_empty() { (part::nothing("No line of the document has this text.")) }
            @else {
                p.faint { "The first " (found.len()) " lines with " code { (wanted) } }
                ol { @for (number, line) in &found {
                    @let from = number.saturating_sub(5).max(1);
                    @let fields = visit.fields.with("from", Some(&from.to_string()));
                    li { a href=(format!("{}{}#L{number}", visit.uri.path(), fields.query())) { span.number { (number) } code { (history::words::short(line, 160)) } } }
                } }
            }
        }
    }
}

/// Lines with their numbers.
fn lines(window: &Window) -> Markup {
    html! {
        div.lines tabindex="0" role="group" aria-label="Lines of the document" {
            table {
                tbody {
                    @for (number, line) in &window.lines {
                        tr id=(format!("L{number}")) {
                            th scope="row" { a href=(format!("#L{number}")) { (number) } }
                            td { (xml::colored(line)) }
                        }
                    }
                }
            }
        }
    }
}

fn foot(visit: &Visit, window: &Window) -> Markup {
    let first = window.lines.first().map_or(1, |(number, _)| *number);
    let last = window.lines.last().map_or(0, |(number, _)| *number);
    let at = |line: usize| visit.with("from", Some(&line.to_string()));
    html! {
        div.foot {
            p { "Lines " (first) " to " (last) " of " (window.of) "." }
            @if first > 1 { a.more rel="prev" href=(at(first.saturating_sub(LINES).max(1))) { "Earlier lines" } }
            @if last < window.of { a.more rel="next" href=(at(last + 1)) { "Later lines" } }
        }
    }
}
