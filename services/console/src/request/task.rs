//! The page of one task: its attempts, and its document compared with what was sent.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use domain::request::{GroupIndex, TaskId, TaskNumber};
use history::document::DocumentName;
use history::story::Story;
use history::task::{Attempt, Outcome, Proof, Task};
use history::words;
use maud::{Markup, html};

use super::parse_id;
use crate::commands::{Shown, cli, curl};
use crate::frame::{Page, Part};
use crate::origin::Origin;
use crate::part::{self, text};
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// Shows a task.
pub async fn show(
    State(console): State<Arc<Console>>,
    Path((id, group, task)): Path<(String, String, String)>,
    visit: Visit,
) -> Response {
    let page = page(&console, &visit, (&id, &group, &task)).await;
    console.answer(&visit, page)
}

/// The task in a path.
pub fn parse((id, group, task): (&str, &str, &str)) -> Result<TaskId, Trouble> {
    let number = |text: &str| {
        let said = || Trouble::Unclear(format!("'{text}' is no number of a group or of a task"));
        text.parse().map_err(|_| said())
    };
    Ok(TaskId {
        request: parse_id(id)?,
        group: GroupIndex::new(number(group)?),
        task: TaskNumber::new(number(task)?),
    })
}

async fn page(console: &Console, visit: &Visit, path: (&str, &str, &str)) -> Result<Page, Trouble> {
    let id = parse(path)?;
    let story = console.questions.then(visit, id.request).await?.story;
    let task = Task::of(console.questions.source(), &story, id).await?;
    Ok(Page {
        part: Some(Part::Requests),
        title: format!("task {}.{}", id.group, id.task),
        body: body(visit, &story, &task),
        commands: commands(&console.origin, id),
    })
}

/// The commands that say the same.
fn commands(origin: &Origin, id: TaskId) -> Vec<Shown> {
    let TaskId {
        request,
        group,
        task,
    } = id;
    let flag = origin.flag();
    let mut commands = vec![
        cli(format!(
            "fanfold replay task {request} {group} {task}{flag}"
        )),
        cli(format!(
            "fanfold replay task {request} {group} {task} --document{flag} > task.xml"
        )),
    ];
    if let Some(api) = origin.api() {
        let url = format!("{api}/valuation/{request}/tasks/{group}/{task}");
        commands.push(curl(format!("curl {url}")));
    }
    commands
}

/// The content of the page.
pub fn body(visit: &Visit, story: &Story, task: &Task) -> Markup {
    let id = task.id;
    let name = task.document.name.as_deref();
    let group = story.view.groups.get(id.group.index());
    html! {
        nav.trail aria-label="Where this is" {
            a href=(urls::request(story.id)) { (part::status(story.view.status.plain())) " " span.id { (story.id) } }
            " › "
            a href=(format!("{}?tab=tasks&group={}", urls::request(story.id), id.group)) {
                "group " (id.group) @if let Some(name) = group.and_then(|group| group.name.as_ref()) { " " (name) }
            }
        }
        header.request-head {
            h1 { "Task " (id.group) "." (id.task) @if let Some(name) = name { " " span.whole-id { (name) } } }
            dl.facts {
                @if let Some(task_type) = task.proof.task_type() { div { dt { "type" } dd { (task_type) } } }
                div { dt { "attempts" } dd { (task.attempts.len()) } }
                div { dt { "document" } dd { (task.document.xml.len()) " bytes" } }
            }
        }
        (proof(&task.proof))
        section aria-labelledby="attempts" {
            h2 #attempts { "Attempts" }
            @if task.attempts.is_empty() {
                (part::nothing("No attempt has ended yet. An attempt that runs is known to its worker alone."))
            } @else {
                div.attempts { @for attempt in &task.attempts { (card(visit, story, attempt)) } }
            }
        }
        section aria-labelledby="documents" {
            h2 #documents { "Document and result" }
            div.pair {
                (text::document(&linked(id, true), "Document, as it is given to the worker", &task.document.xml))
                @match result(task) {
                    Some(result) => (text::document(&linked(id, false), "Result", result)),
                    None => (part::nothing("There is no result.")),
                }
            }
        }
    }
}

/// The page of the document or of the result.
fn linked(id: TaskId, is_document: bool) -> String {
    let name = if is_document {
        DocumentName::Task(id.group, id.task)
    } else {
        DocumentName::Result(id.group, id.task)
    };
    urls::document(id.request, name)
}

fn result(task: &Task) -> Option<&[u8]> {
    let mut attempts = task.attempts.iter().rev();
    attempts.find_map(|attempt| match &attempt.outcome {
        Outcome::Succeeded(result) => Some(result.as_slice()),
        Outcome::Failed(..) => None,
    })
}

fn card(visit: &Visit, story: &Story, attempt: &Attempt) -> Markup {
    let state = match attempt.outcome {
        Outcome::Succeeded(_) => "succeeded",
        Outcome::Failed(..) => "failed",
    };
    html! {
        article.attempt data-state=(state) {
            h3 { (part::state(state)) " attempt " (attempt.number) }
            dl.facts {
                div { dt { "worker" } dd { (attempt.worker) } }
                div { dt { "began" } dd { (part::time(attempt.started_at)) " (" (part::ago(attempt.started_at, visit.now)) ")" } }
                div { dt { "ran for" } dd { (words::millis(attempt.duration_ms)) } }
                div { dt { "log" } dd { a href=(urls::event(story.id, attempt.sequence)) { (attempt.sequence) } } }
            }
            @if let Outcome::Failed(fault, next) = &attempt.outcome {
                p.fault { code { (fault.code) } " " (fault.message) }
                @for cause in &fault.causes { pre.cause tabindex="0" { (cause) } }
                p.faint { (words::next(next)) }
            }
        }
    }
}

/// Whether the document is the one that was sent.
fn proof(proof: &Proof) -> Markup {
    let mut others = proof.sent.iter().filter(|sent| sent.sha256 != proof.made);
    html! {
        p.proof {
            @match (proof.verified(), others.next()) {
                (None, _) => "The document is made again from the log by this build. Nothing is recorded of what was sent.",
                (_, Some(other)) => b.bad { "The document is NOT the one that was sent: " (other.place) " has sha256 " (other.sha256) ", and this build makes " (proof.made) "." },
                (_, None) => { "The document is made again from the log, and is the same as in " (proof.places().join(", ")) " (sha256 " code { (proof.made.get(..12).unwrap_or(&proof.made)) } "…)." },
            }
        }
    }
}
