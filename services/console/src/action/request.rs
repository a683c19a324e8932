//! Cancelling and redriving a request.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::request::{RequestId, TaskState};
use history::story::Story;
use history::words::count;
use maud::{Markup, html};
use nats::ExecuteError;

use super::form::{Form, why};
use crate::commands::{Shown, cli, curl};
use crate::frame::{Page, Part};
use crate::origin::Origin;
use crate::part;
use crate::request::parse_id;
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// An action on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Cancel,
    Redrive,
}

impl Act {
    fn of(word: &str) -> Result<Self, Trouble> {
        match word {
            "cancel" => Ok(Self::Cancel),
            "redrive" => Ok(Self::Redrive),
            _ => Err(Trouble::NotFound(format!("there is no action {word}"))),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Redrive => "redrive",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Cancel => "Cancel the request",
            Self::Redrive => "Run what failed again",
        }
    }
}

/// Says what will happen, and asks for a reason.
pub async fn ask(
    State(console): State<Arc<Console>>,
    Path((id, act)): Path<(String, String)>,
    visit: Visit,
) -> Response {
    let page = asked(&console, &visit, &id, &act).await;
    console.answer(&visit, page)
}

async fn asked(console: &Console, visit: &Visit, id: &str, act: &str) -> Result<Page, Trouble> {
    let (id, act) = (parse_id(id)?, Act::of(act)?);
    let story = console.questions.changeable(visit, id).await?;
    let operations = console.operations()?;
    let decided = match act {
        Act::Cancel => operations.would_cancel(id).await,
        Act::Redrive => operations.would_redrive(id).await,
    };
    let off = match decided {
        Ok(()) => None,
        Err(ExecuteError::Refused(rejection)) => Some(rejection.to_string()),
        Err(ExecuteError::Log(error)) => return Err(error.into()),
    };
    let form = Form {
        button: act.title(),
        more: html! {},
        off: off.as_deref(),
        back: urls::request(id),
    };
    Ok(Page {
        part: Some(Part::Requests),
        title: act.title().to_owned(),
        body: body(&story, act, &console.form(visit, &form)),
        commands: commands(&console.origin, id, act),
    })
}

/// The content of the page.
fn body(story: &Story, act: Act, form: &Markup) -> Markup {
    html! {
        section.ask {
            nav.trail aria-label="Where this is" {
                a href=(urls::request(story.id)) { (part::status(story.view.status.plain())) " " span.id { (story.id) } }
            }
            h1 { (act.title()) }
            p.answer { (will(story, act)) }
            (form)
        }
    }
}

/// What will happen, in a sentence.
fn will(story: &Story, act: Act) -> String {
    let group = story.state.request().and_then(|request| request.group());
    let tasks = group.map_or(0, |group| group.numbered().count());
    let done = group.map_or(0, |group| {
        let numbered = group.numbered();
        numbered
            .filter(|(_, task)| matches!(task, TaskState::Succeeded(_)))
            .count()
    });
    let rest = (tasks - done) as u64;
    let (rest, runs) = (count(rest, "task"), if rest == 1 { "runs" } else { "run" });
    match (act, group) {
        (Act::Cancel, Some(_)) => format!(
            "The request ends as cancelled. What runs of its group without a result is stopped ({rest}), \
             and no later group starts. Its history and its {} so far stay.",
            count(done as u64, "result")
        ),
        (Act::Cancel, None) => {
            "The request ends as cancelled before any group starts. Its history stays.".into()
        }
        (Act::Redrive, Some(group)) => format!(
            "{done} of {} of group {} are kept, and {rest} {runs} again. The groups after it follow as \
             usual.",
            count(tasks as u64, "result"),
            group.index
        ),
        (Act::Redrive, None) => {
            "The step that failed is tried again; nothing has run yet that could be kept.".into()
        }
    }
}

/// The commands that do the same.
fn commands(origin: &Origin, id: RequestId, act: Act) -> Vec<Shown> {
    let word = act.word();
    let mut commands = vec![cli(format!("fanfold {word} {id} --reason '…'"))];
    if let Some(api) = origin.api() {
        commands.push(curl(format!(
            "curl {api}/valuation/{id}/{word} -H 'Content-Type: application/json' -d '{{\"reason\":\"…\"}}'"
        )));
    }
    commands
}

/// Does it.
pub async fn act(
    State(console): State<Arc<Console>>,
    Path((id, act)): Path<(String, String)>,
    visit: Visit,
    body: Bytes,
) -> Response {
    match acted(&console, &visit, &id, &act, &body).await {
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
    act: &str,
    body: &[u8],
) -> Result<RequestId, Trouble> {
    let (id, act) = (parse_id(id)?, Act::of(act)?);
    let fields = console.posted(visit, body)?;
    let why = why(visit, &fields)?;
    let operations = console.operations()?;
    let story = console.questions.changeable(visit, id).await?;
    match act {
        Act::Cancel => operations.cancel(id, why).await?,
        Act::Redrive => {
            console.questions.take_quota(&story.view.tenant, &[])?;
            operations.redrive(id, why).await?
        }
    };
    tracing::info!(request = %id, by = %visit.who.subject(), "{} by the console", act.word());
    Ok(id)
}
