//! `task`: the document that the worker was given, made again and compared with what was sent.

use std::fmt::Write as _;
use std::io::Write as _;

use domain::request::{GroupIndex, TaskId, TaskNumber};
use history::story::Story;
use history::task::{Attempt, Outcome, Proof, Task};
use runtime::Settings;
use serde_json::{Value, json};

use crate::command::TaskArgs;
use crate::output::{Paint, millis, wrap};
use history::words;

use crate::{Error, Finding, open, page};

pub async fn run(args: &TaskArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = open::source(args.reading.from.as_deref(), settings).await?;
    let story = Story::of(args.id, source.commits(args.id).await?, None)?;
    let id = TaskId {
        request: args.id,
        group: GroupIndex::new(args.group),
        task: TaskNumber::new(args.task),
    };
    let task = Task::of(&source, &story, id).await?;
    if args.document {
        std::io::stdout().lock().write_all(&task.document.xml)?;
    } else if args.reading.json {
        page::line(&as_json(&task))?;
    } else {
        page::print(&told(&task, settings))?;
    }
    Ok(match task.proof.verified() {
        Some(false) => Finding::Found,
        _ => Finding::Fine,
    })
}

fn as_json(task: &Task) -> Value {
    let Task {
        id,
        document,
        proof,
        attempts,
    } = task;
    json!({
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
        "attempts": attempts.iter().map(attempt_json).collect::<Vec<_>>(),
    })
}

fn attempt_json(attempt: &Attempt) -> Value {
    let mut told = json!({
        "attempt": attempt.number,
        "sequence": attempt.sequence,
        "worker": attempt.worker,
        "startedAt": attempt.started_at,
        "durationMs": attempt.duration_ms,
    });
    match &attempt.outcome {
        Outcome::Succeeded(result) => {
            told["outcome"] = "succeeded".into();
            told["result"] = String::from_utf8_lossy(result).into();
        }
        Outcome::Failed(fault, next) => {
            told["outcome"] = "failed".into();
            told["code"] = fault.code.clone().into();
            told["message"] = fault.message.clone().into();
            told["causes"] = fault.causes.clone().into();
            told["next"] = words::next(next).into();
        }
    }
    told
}

fn told(task: &Task, settings: &Settings) -> String {
    let Task {
        id,
        document,
        proof,
        attempts,
    } = task;
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
    let _ = writeln!(
        text,
        "{}",
        wrap(&proof_told(proof, paint), paint.width, "  ")
    );
    let _ = writeln!(text, "\n{}\n", String::from_utf8_lossy(&document.xml));
    let _ = writeln!(text, "{}", paint.bold("attempts"));
    for attempt in attempts {
        let told = match &attempt.outcome {
            Outcome::Succeeded(_) => paint.green("succeeded"),
            Outcome::Failed(fault, next) => format!(
                "{} {} · {}",
                paint.red(&fault.code),
                fault.message,
                words::next(next)
            ),
        };
        let _ = writeln!(
            text,
            "  {} at {} on {} for {}: {told}",
            attempt.number,
            attempt.sequence,
            attempt.worker,
            millis(attempt.duration_ms),
        );
        if let Outcome::Failed(fault, _) = &attempt.outcome {
            for cause in &fault.causes {
                let _ = writeln!(text, "{}", wrap(cause, paint.width, "      ← "));
            }
        }
    }
    let result = attempts
        .iter()
        .rev()
        .find_map(|attempt| match &attempt.outcome {
            Outcome::Succeeded(result) => Some(String::from_utf8_lossy(result)),
            Outcome::Failed(..) => None,
        });
    if let Some(result) = result {
        let _ = writeln!(text, "\n{}\n{result}", paint.bold("result"));
    }
    text
}

fn proof_told(proof: &Proof, paint: Paint) -> String {
    let mut others = proof.sent.iter().filter(|sent| sent.sha256 != proof.made);
    match (proof.verified(), others.next()) {
        (None, _) => {
            "made again from the log by this build; nothing is recorded of what was sent".into()
        }
        (_, Some(other)) => paint.red(&format!(
            "NOT the same as {}, whose sha256 is {}",
            other.place, other.sha256
        )),
        (_, None) => paint.green(&format!(
            "verified against what was sent: the same as {}",
            proof.places().join(", ")
        )),
    }
}
