//! `task`: the document that the worker was given, made again and compared with what was sent.

mod proof;

use std::fmt::Write as _;
use std::io::Write as _;

use domain::document::{Effort, TaskDocument};
use domain::request::{Event, TaskId};
use runtime::Settings;
use serde_json::{Value, json};

use crate::command::TaskArgs;
use crate::derive::{Stop, before_group};
use crate::output::{Paint, millis, wrap};
use crate::source::Source;
use crate::story::Story;
use crate::timeline::next;
use crate::{Error, Finding, page};
use proof::{Proof, Sent};

pub async fn run(args: &TaskArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = Source::open(args.reading.from.as_deref(), settings).await?;
    let story = Story::of(args.id, source.commits(args.id).await?, None)?;
    let id = TaskId {
        request: args.id,
        group: args.group,
        task: args.task,
    };
    let document = derive(&source, &story, id).await?;
    let sent = Sent::of(&source, &story, id).await?;
    let proof = Proof::of(&document, sent);
    let attempts = attempts(&source, &story, id).await?;
    if args.document {
        std::io::stdout().lock().write_all(&document.xml)?;
    } else if args.reading.json {
        page::line(&json!({
            "requestId": id.request,
            "group": id.group,
            "task": id.task,
            "valuation": document.name,
            "taskType": proof.task_type(),
            "sha256": proof.made,
            "verified": proof.verified(),
            "verifiedAgainst": proof.places(),
            "sent": proof.sent,
            "document": String::from_utf8_lossy(&document.xml),
            "attempts": attempts,
        }))?;
    } else {
        page::print(&told(id, &document, &proof, &attempts, settings))?;
    }
    Ok(match proof.verified() {
        Some(false) => Finding::Found,
        _ => Finding::Fine,
    })
}

async fn derive(source: &Source, story: &Story, id: TaskId) -> Result<TaskDocument, Error> {
    let nothing = || Error::NotFound(format!("there is no task {id}"));
    let request = story.state.request().ok_or_else(nothing)?;
    if id.group as usize > request.completed.len() {
        return Err(Error::NotFound(format!(
            "group {} has not started: its tasks are made of the results before it",
            id.group
        )));
    }
    let cannot = |stop: Stop| {
        let reason = stop.reason();
        Error::Unreadable(format!("the document cannot be made: {reason}"))
    };
    let derived = before_group(source, request, id.group as usize).await?;
    let mut tasks = derived
        .and_then(|mut derived| {
            let made = derived.tasks(id.group, [id.task], usize::MAX, Effort::Whole);
            made.map_err(Stop::from)
        })
        .map_err(cannot)?;
    tasks.pop().ok_or_else(nothing)
}

async fn attempts(source: &Source, story: &Story, id: TaskId) -> Result<Vec<Value>, Error> {
    let mut attempts = Vec::new();
    for recorded in story.events() {
        match &recorded.event {
            Event::TaskSucceeded(e) if (e.group, e.task) == (id.group, id.task) => {
                let result = source.payload(&e.result).await?;
                attempts.push(json!({
                    "attempt": e.attempt,
                    "sequence": recorded.sequence,
                    "worker": e.worker,
                    "startedAt": e.started_at,
                    "durationMs": e.duration_ms,
                    "outcome": "succeeded",
                    "result": String::from_utf8_lossy(&result),
                }));
            }
            Event::TaskFailed(e) if (e.group, e.task) == (id.group, id.task) => {
                attempts.push(json!({
                    "attempt": e.attempt.attempt,
                    "sequence": recorded.sequence,
                    "worker": e.attempt.worker,
                    "startedAt": e.attempt.started_at,
                    "durationMs": e.attempt.duration_ms,
                    "outcome": "failed",
                    "code": e.attempt.fault.code,
                    "message": e.attempt.fault.message,
                    "causes": e.attempt.fault.causes,
                    "next": next(&e.next),
                }));
            }
            _ => {}
        }
    }
    Ok(attempts)
}

fn told(
    id: TaskId,
    document: &TaskDocument,
    proof: &Proof,
    attempts: &[Value],
    settings: &Settings,
) -> String {
    let paint = Paint::of_stdout();
    let mut text = String::new();
    let name = document.name.as_deref().unwrap_or_default();
    let task_type = proof.task_type().map_or_else(
        || {
            let here = settings.task_types.of(document.name.as_deref());
            format!("{here} by the settings here")
        },
        str::to_owned,
    );
    let _ = writeln!(
        text,
        "{} valuation '{name}', of type {task_type}",
        paint.bold(&format!("task {}.{} of {}", id.group, id.task, id.request)),
    );
    let _ = writeln!(text, "\n{}", paint.bold("document"));
    let _ = writeln!(
        text,
        "  {} bytes, sha256 {}",
        document.xml.len(),
        proof.made
    );
    let _ = writeln!(text, "{}", wrap(&proof.told(paint), paint.width, "  "));
    let _ = writeln!(text, "\n{}\n", String::from_utf8_lossy(&document.xml));
    let _ = writeln!(text, "{}", paint.bold("attempts"));
    for attempt in attempts {
        let field = |name: &str| attempt[name].as_str().unwrap_or_default().to_owned();
        let told = if attempt["outcome"] == "succeeded" {
            paint.green("succeeded")
        } else {
            format!(
                "{} {} · {}",
                paint.red(&field("code")),
                field("message"),
                field("next")
            )
        };
        let _ = writeln!(
            text,
            "  {} at {} on {} for {}: {told}",
            attempt["attempt"],
            attempt["sequence"],
            field("worker"),
            millis(attempt["durationMs"].as_u64().unwrap_or(0)),
        );
        for cause in attempt["causes"].as_array().into_iter().flatten() {
            let _ = writeln!(
                text,
                "{}",
                wrap(cause.as_str().unwrap_or_default(), paint.width, "      ← ")
            );
        }
    }
    if let Some(result) = attempts
        .iter()
        .rev()
        .find_map(|attempt| attempt["result"].as_str())
    {
        let _ = writeln!(text, "\n{}\n{result}", paint.bold("result"));
    }
    text
}
