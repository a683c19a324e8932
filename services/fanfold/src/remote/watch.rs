//! `fanfold watch`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use domain::request::RequestId;
use futures::StreamExt as _;
use reqwest::StatusCode;
use reqwest::header::ACCEPT;
use runtime::{Form, Settings, printable};
use serde_json::Value;

use super::events::Events;
use super::{Api, ApiArgs, REQUEST_FAILED};

/// The request to follow.
#[derive(Args)]
pub struct WatchArgs {
    /// The request
    id: RequestId,
    /// Print each event as JSON, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: ApiArgs,
}

pub async fn run(args: &WatchArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let api = Api::of(&args.api, settings)?;
    follow(&api, args.id, args.json).await
}

/// Prints every event of a request up to its end. A stream that breaks off goes on behind the last
/// event.
pub async fn follow(api: &Api, id: RequestId, json: bool) -> anyhow::Result<ExitCode> {
    let path = format!("/valuation/{id}/events");
    let (mut last, mut end) = (None::<String>, None);
    loop {
        let call = || {
            let call = api.get(&path).header(ACCEPT, "text/event-stream");
            last.iter()
                .fold(call, |call, last| call.header("last-event-id", last))
        };
        let answer = api.answer(call).await.map_err(|failure| anyhow!(failure))?;
        if answer.status() == StatusCode::NO_CONTENT {
            let code = end.unwrap_or(REQUEST_FAILED);
            return Ok(ExitCode::from(code));
        }
        let mut events = Events::default();
        let mut chunks = answer.bytes_stream();
        while let Some(Ok(chunk)) = chunks.next().await {
            for event in events.take(&chunk) {
                let said: Value = serde_json::from_str(&event.data)?;
                print(&said, json)?;
                end = ended(&said).or(end);
                last = Some(event.id);
            }
        }
    }
}

/// How the command ends where this event is the last.
fn ended(event: &Value) -> Option<u8> {
    match name(event) {
        "succeeded" => Some(0),
        "failed" | "cancelled" => Some(REQUEST_FAILED),
        _ => None,
    }
}

/// The name of an event: `fanfold.request.group-started.v1` is `group-started`.
fn name(event: &Value) -> &str {
    let kind = event["type"].as_str().unwrap_or_default();
    kind.rsplit('.').nth(1).unwrap_or(kind)
}

fn print(event: &Value, json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    if json {
        writeln!(out, "{event}")?;
        return Ok(());
    }
    let time = event["time"].as_str().unwrap_or_default();
    let line = format!("{time}  {:<18}  {}", name(event), fields(&event["data"]));
    writeln!(
        out,
        "{}",
        printable(line.trim_end(), Form::Line { colours: false })
    )?;
    Ok(())
}

/// The longest value that a line shows.
const VALUE_CHARS: usize = 80;

/// The fields of an event that fit into a line: texts and numbers, and what a fault says.
fn fields(data: &Value) -> String {
    let Some(data) = data.as_object() else {
        return String::new();
    };
    let shown = |(name, value): (&String, &Value)| match value {
        _ if name == "requestId" => None,
        Value::Object(fault) if fault.contains_key("message") => {
            let told = |part: &str| fault.get(part).and_then(Value::as_str).unwrap_or_default();
            Some(format!("{name} {}: {}", told("code"), told("message")))
        }
        Value::String(text) if text.chars().count() <= VALUE_CHARS => {
            Some(format!("{name} {text}"))
        }
        Value::Number(number) => Some(format!("{name} {number}")),
        _ => None,
    };
    let shown: Vec<String> = data.iter().filter_map(shown).collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_has_what_an_event_says_and_leaves_documents_out() {
        let event = json!({
            "type": "fanfold.request.task-failed.v1",
            "data": {
                "requestId": "x", "group": 1, "task": 7, "document": "y".repeat(100),
                "fault": { "code": "worker-failed", "message": "no curve" }, "list": [1],
            },
        });
        assert_eq!(name(&event), "task-failed");
        assert_eq!(
            fields(&event["data"]),
            "fault worker-failed: no curve, group 1, task 7"
        );
        assert_eq!(ended(&event), None);
    }
}
