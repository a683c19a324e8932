//! An error answer of the API, in words.

use std::fmt;

use reqwest::Response;
use runtime::{Form, printable};
use serde_json::Value;

const LINE: Form = Form::Line { colours: false };
/// How many failed tasks are named.
const TASKS: usize = 3;
/// The most bytes of an answer in another form that are shown.
const FOREIGN_BYTES: usize = 400;

/// An error answer.
#[derive(Debug)]
pub struct Problem {
    /// The stable code, or the HTTP status of an answer that is none of Fanfold's.
    pub code: String,
    /// Whether the problem is that the request failed or was cancelled.
    pub ended: bool,
    detail: String,
    /// The last failure of each of the first failed tasks.
    tasks: Vec<String>,
}

impl Problem {
    pub async fn of(answer: Response) -> Self {
        let status = answer.status();
        let body = answer.text().await.unwrap_or_default();
        match serde_json::from_str::<Value>(&body) {
            Ok(problem) if problem["code"].is_string() => Self {
                code: text(&problem["code"]),
                ended: problem["failure"].is_object() || problem["code"] == "cancelled",
                detail: text(&problem["detail"]),
                tasks: tasks(&problem["failure"]["tasks"]),
            },
            _ => Self {
                code: status.to_string(),
                ended: false,
                detail: body.chars().take(FOREIGN_BYTES).collect(),
                tasks: Vec::new(),
            },
        }
    }
}

fn tasks(failed: &Value) -> Vec<String> {
    let failed = failed.as_array().map(Vec::as_slice).unwrap_or_default();
    let said = failed.iter().take(TASKS).map(|task| {
        let attempts = task["attempts"].as_array().map(Vec::as_slice);
        let last = attempts.and_then(<[Value]>::last).unwrap_or(&Value::Null);
        let causes = last["causes"].as_array().map(Vec::as_slice);
        let causes = causes.unwrap_or_default().iter().map(text);
        let told = [text(&last["code"]), text(&last["message"])];
        let told: Vec<String> = told.into_iter().chain(causes).collect();
        let (group, number) = (&task["group"], &task["task"]);
        format!("group {group} task {number}: {}", told.join(": "))
    });
    said.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = printable(&self.detail, LINE);
        write!(f, "{}: {said}", self.code)?;
        for task in &self.tasks {
            write!(f, "\n  {}", printable(task, LINE))?;
        }
        Ok(())
    }
}
