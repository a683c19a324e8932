//! Forking a request: a new one with another document, and the results up to a point.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::request::RequestId;
use history::document::{DocumentName, read};
use history::words::count;
use maud::{Markup, html};
use operations::{ForkError, ForkPlan};

use super::form::{Form, why};
use crate::commands::cli;
use crate::frame::{Page, Part};
use crate::part;
use crate::questions::Then;
use crate::request::parse_id;
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// The largest document that the page lets a visitor edit, in bytes. The command line forks larger
/// ones.
const EDITED_MAX_BYTES: usize = 256 * 1024;

/// Shows the document for editing, and asks for a reason.
pub async fn ask(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    visit: Visit,
) -> Response {
    let page = asked(&console, &visit, &id).await;
    console.answer(&visit, page)
}

async fn asked(console: &Console, visit: &Visit, id: &str) -> Result<Page, Trouble> {
    console.operations()?;
    let id = parse_id(id)?;
    console.questions.changeable(visit, id).await?;
    let Then { story, .. } = console.questions.then(visit, id).await?;
    let source = console.questions.source();
    let document = read(source, &story, DocumentName::Submitted).await?;
    let text = String::from_utf8_lossy(&document);
    let planned = ForkPlan::of(source, &story, None).await;
    let (will, mut off) = match planned {
        Ok(plan) => (will(&plan), None),
        Err(error) => (
            String::new(),
            Some(Trouble::from(error).reason().to_owned()),
        ),
    };
    if document.len() > EDITED_MAX_BYTES {
        off = Some("the document is too large for a form; the command line takes it".into());
    }
    let at = story.sequence();
    let form = Form {
        button: "Submit the fork",
        more: editor(&text, off.is_some(), &at.to_string()),
        off: off.as_deref(),
        back: urls::request(story.id),
    };
    Ok(Page {
        part: Some(Part::Requests),
        title: "Fork".into(),
        body: html! {
            section.ask.fork {
                nav.trail aria-label="Where this is" {
                    a href=(urls::request(story.id)) { (part::status(story.view.status.plain())) " " span.id { (story.id) } }
                    " at " (at)
                }
                h1 { "Submit it anew with another document" }
                p.answer { (will) }
                (console.form(visit, &form))
            }
        },
        commands: vec![cli(format!(
            "fanfold replay fork {} --at {at} --document FILE --reason '…'",
            story.id
        ))],
    })
}

fn editor(text: &str, is_off: bool, at: &str) -> Markup {
    html! {
        input type="hidden" name="at" value=(at);
        label for="document" { "The document" }
        textarea.document #document name="document" rows="22" spellcheck="false" disabled[is_off] { @if !is_off { "\n" (text) } }
    }
}

/// What will happen, in a sentence.
fn will(plan: &ForkPlan) -> String {
    format!(
        "A new request goes on from {} with the document below. With the document as it is, it \
         takes over {} of {}; where you change a task, that task runs again. The original stays as \
         it is.",
        plan.sequence,
        count(plan.results() as u64, "result"),
        count(plan.groups() as u64, "group"),
    )
}

/// Does it.
pub async fn act(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    visit: Visit,
    body: Bytes,
) -> Response {
    match acted(&console, &visit, &id, &body).await {
        Ok(id) => {
            let location = [(header::LOCATION, urls::request(id))];
            (StatusCode::SEE_OTHER, location).into_response()
        }
        Err(trouble) => console.trouble(&visit, &trouble),
    }
}

async fn acted(
    console: &Console,
    visit: &Visit,
    id: &str,
    body: &[u8],
) -> Result<RequestId, Trouble> {
    let fields = console.posted(visit, body)?;
    let why = why(visit, &fields)?;
    let operations = console.operations()?;
    let document = fields.get("document");
    let document = document.ok_or_else(|| Trouble::Unclear("the document is empty".into()))?;
    // Browsers send the ends of lines as CRLF.
    let document = document.replace("\r\n", "\n").into_bytes();
    // The fork is of the point that the form showed, not of what came since.
    let at = fields.get("at").map(str::to_owned);
    let visit = Visit {
        fields: visit.fields.with("at", at.as_deref()),
        ..visit.clone()
    };
    let from = parse_id(id)?;
    console.questions.changeable(&visit, from).await?;
    let Then { story, .. } = console.questions.then(&visit, from).await?;
    let plan = ForkPlan::of(console.questions.source(), &story, Some(document)).await?;
    console
        .questions
        .take_quota(&story.view.tenant, &plan.outline())?;
    let forked = plan.id;
    operations.fork(plan, why).await?;
    tracing::info!(request = %forked, from = id, by = %visit.who.subject(), "forked by the console");
    Ok(forked)
}

impl From<ForkError> for Trouble {
    fn from(error: ForkError) -> Self {
        match error {
            ForkError::History(error) => error.into(),
            ForkError::Execute(error) => error.into(),
            error @ (ForkError::Document(_) | ForkError::TooLarge(_)) => {
                Self::Unclear(error.to_string())
            }
        }
    }
}
