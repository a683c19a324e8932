//! `task`: the document that the worker was given, made again and compared with what was sent.

use std::fmt::Write as _;
use std::io::Write as _;

use domain::document::TaskDocument;
use domain::request::{Event, Payload, TaskId};
use nats::DeadLetter;
use runtime::Settings;
use serde_json::{Value, json};

use crate::command::TaskArgs;
use crate::derive::{Derivation, sha256};
use crate::output::{Paint, millis, wrap};
use crate::source::Source;
use crate::story::Story;
use crate::timeline::next;
use crate::{Error, Finding, page};

pub async fn run(args: &TaskArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = Source::open(args.from.as_deref(), settings).await?;
    let story = Story::of(args.id, source.commits(args.id).await?, None)?;
    let id = TaskId {
        request: args.id,
        group: args.group,
        task: args.task,
    };
    let document = derive(&source, &story, id).await?;
    let sent = sent(&source, id).await?;
    let proof = Proof::of(&source, &document, &sent).await?;
    let attempts = attempts(&source, &story, id).await?;
    if args.document {
        std::io::stdout().lock().write_all(&document.xml)?;
    } else if args.json {
        page::line(&json!({
            "requestId": id.request,
            "group": id.group,
            "task": id.task,
            "valuation": document.name,
            "sha256": sha256(&document.xml),
            "verified": proof.verified,
            "verifiedAgainst": proof.against,
            "document": String::from_utf8_lossy(&document.xml),
            "attempts": attempts,
        }))?;
    } else {
        page::print(&told(id, &document, &proof, &attempts, settings))?;
    }
    Ok(match proof.verified {
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
    let cannot = |failure: domain::request::Failure| {
        Error::Unreadable(format!(
            "the document cannot be made: {}: {}",
            failure.code, failure.message
        ))
    };
    let derived = Derivation::before_group(source, request, id.group as usize).await?;
    let mut tasks = derived
        .and_then(|derived| derived.tasks(id.group, Some(&[id.task])))
        .map_err(cannot)?;
    tasks.pop().ok_or_else(nothing)
}

/// What is still there of what was sent, each with where it was found.
async fn sent(source: &Source, id: TaskId) -> Result<Vec<(String, Payload)>, Error> {
    let mut found = Vec::new();
    match source {
        Source::Live(live) => {
            let letters = live.connection.dead_letters_of(id.request).await?;
            found.extend(of_letters(&letters, id));
            let queued = live.connection.queued(id.request).await?;
            let queued = queued.into_iter().filter(|queued| queued.task == id);
            found.extend(queued.map(|q| (format!("message {} of TASKS", q.sequence), q.document)));
        }
        Source::Bundle(bundle) => found.extend(of_letters(&bundle.dead_letters, id)),
    }
    Ok(found)
}

fn of_letters(letters: &[DeadLetter], id: TaskId) -> Vec<(String, Payload)> {
    let own = letters.iter().filter(|letter| letter.task == id);
    own.map(|letter| {
        let place = format!("the dead letter of run {}", letter.run);
        (place, letter.document.clone())
    })
    .collect()
}

/// Whether the document that was made again is the one that was sent.
struct Proof {
    verified: Option<bool>,
    against: Vec<String>,
}

impl Proof {
    async fn of(
        source: &Source,
        document: &TaskDocument,
        sent: &[(String, Payload)],
    ) -> Result<Self, Error> {
        let mut same = true;
        let mut against = Vec::new();
        for (place, payload) in sent {
            let is = match payload {
                Payload::Inline(text) => text.as_bytes() == document.xml,
                Payload::Stored { sha256: of, .. } if *of == sha256(&document.xml) => true,
                stored @ Payload::Stored { .. } => source.payload(stored).await? == document.xml,
            };
            same &= is;
            against.push(place.clone());
        }
        Ok(Self {
            verified: (!against.is_empty()).then_some(same),
            against,
        })
    }

    fn told(&self, paint: Paint) -> String {
        let places = self.against.join(" and ");
        match self.verified {
            Some(true) => paint.green(&format!("the same, byte for byte, as {places}")),
            Some(false) => paint.red(&format!("NOT the same as {places}")),
            None => {
                "made again from the log by this build; nothing of what was sent is kept for a \
                     task that has its result"
                    .into()
            }
        }
    }
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
    let _ = writeln!(
        text,
        "{} valuation '{}', of type {} by the settings here",
        paint.bold(&format!("task {}.{} of {}", id.group, id.task, id.request)),
        document.name.as_deref().unwrap_or(""),
        settings.task_types.of(document.name.as_deref()),
    );
    let _ = writeln!(text, "\n{}", paint.bold("document"));
    let _ = writeln!(
        text,
        "  {} bytes, sha256 {}",
        document.xml.len(),
        sha256(&document.xml)
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
