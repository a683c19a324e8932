//! Discarding a dead letter.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::access::Action;
use maud::html;

use super::form::{Form, why};
use crate::commands::{cli, curl, quoted};
use crate::frame::{Page, Part};
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// Says what will happen, and asks for a reason.
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
    let kept = console.questions.letter(visit, Action::Operate, id).await?;
    let summary = kept.summary();
    let back = format!("{}/{}", urls::DEAD_LETTERS, urls::part(id));
    let form = Form {
        button: "Discard the letter",
        more: html! {},
        off: None,
        back: back.clone(),
    };
    let mut commands = vec![cli(format!(
        "fanfold dead-letters discard {} --reason '…'",
        quoted(id)
    ))];
    if let Some(api) = console.origin.api() {
        let url = format!("{api}/dead-letters/{}", urls::part(id));
        commands.push(curl(format!("curl -X DELETE {url}")));
    }
    Ok(Page {
        part: Some(Part::DeadLetters),
        title: "Discard".into(),
        body: html! {
            section.ask {
                nav.trail aria-label="Where this is" { a href=(urls::DEAD_LETTERS) { "Dead letters" } " › " a.id href=(back) { (id) } }
                h1 { "Discard the dead letter" }
                p.answer {
                    "The letter of " code { (summary.code) } " is taken away, and that is recorded. Its request stays as it is: "
                    "its failure keeps the attempts, and it can still be redriven."
                }
                (console.form(visit, &form))
            }
        },
        commands,
    })
}

/// Does it.
pub async fn act(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    visit: Visit,
    body: Bytes,
) -> Response {
    match acted(&console, &visit, &id, &body).await {
        Ok(()) => {
            let location = [(header::LOCATION, urls::DEAD_LETTERS)];
            (StatusCode::SEE_OTHER, location).into_response()
        }
        Err(trouble) => console.trouble(&visit, &trouble),
    }
}

async fn acted(console: &Console, visit: &Visit, id: &str, body: &[u8]) -> Result<(), Trouble> {
    let fields = console.posted(visit, body)?;
    let why = why(visit, &fields)?;
    console.questions.letter(visit, Action::Operate, id).await?;
    if !console.operations()?.discard(id, &why).await? {
        return Err(Trouble::NotFound(format!(
            "there is no dead letter {id} any more"
        )));
    }
    tracing::info!(letter = id, by = %visit.who.subject(), "discarded by the console");
    Ok(())
}
