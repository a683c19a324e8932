//! The documents of a request, each under a name, and windows of them.

use std::fmt;
use std::str::FromStr;

use domain::request::{Event, GroupIndex, Payload, TaskId, TaskNumber};

use crate::Error;
use crate::derive::before_group;
use crate::source::Source;
use crate::story::Story;
use crate::task::Task;

/// The name of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DocumentName {
    /// The document as it was submitted.
    Submitted,
    /// A fetched resource, counted from 1.
    Resource(usize),
    /// The document with its references and the results of the groups before this one in place.
    Hydrated(GroupIndex),
    /// The document of a task.
    Task(GroupIndex, TaskNumber),
    /// The result of a task.
    Result(GroupIndex, TaskNumber),
    /// The response.
    Response,
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submitted => f.write_str("submitted"),
            Self::Resource(number) => write!(f, "resource-{number}"),
            Self::Hydrated(group) => write!(f, "hydrated-{group}"),
            Self::Task(group, task) => write!(f, "task-{group}-{task}"),
            Self::Result(group, task) => write!(f, "result-{group}-{task}"),
            Self::Response => f.write_str("response"),
        }
    }
}

impl FromStr for DocumentName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let of_task = |group: &str, task: &str| {
            let group = GroupIndex::new(group.parse().ok()?);
            Some((group, TaskNumber::new(task.parse().ok()?)))
        };
        let found = match parts.as_slice() {
            ["submitted"] => Some(Self::Submitted),
            ["response"] => Some(Self::Response),
            ["resource", number] => number.parse().ok().map(Self::Resource),
            ["hydrated", group] => {
                let group = group.parse().ok().map(GroupIndex::new);
                group.map(Self::Hydrated)
            }
            ["task", group, task] => {
                of_task(group, task).map(|(group, task)| Self::Task(group, task))
            }
            ["result", group, task] => {
                of_task(group, task).map(|(group, task)| Self::Result(group, task))
            }
            _ => None,
        };
        found.ok_or_else(|| {
            format!(
                "'{text}' is no document: submitted, resource-1, hydrated-0, task-0-1, \
                 result-0-1 or response is expected"
            )
        })
    }
}

/// A document that a request has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: DocumentName,
    /// Its size in bytes, where it is stored.
    pub bytes: Option<u64>,
    /// Where it is from.
    pub origin: String,
}

/// The documents of a request besides those of its tasks.
#[must_use]
pub fn known(story: &Story) -> Vec<Known> {
    let Some(request) = story.state.request() else {
        return Vec::new();
    };
    let mut known = vec![Known {
        name: DocumentName::Submitted,
        bytes: Some(request.document.size()),
        origin: "as it was submitted".into(),
    }];
    for (number, resource) in (1..).zip(&request.resources) {
        known.push(Known {
            name: DocumentName::Resource(number),
            bytes: Some(resource.content.size()),
            origin: format!("fetched from {}", resource.uri),
        });
    }
    let started = request.completed.len() + usize::from(request.running().is_some());
    for group in GroupIndex::all().take(started) {
        known.push(Known {
            name: DocumentName::Hydrated(group),
            bytes: None,
            origin: format!("made again from the log, as group {group} saw it"),
        });
    }
    if let Some(response) = response(story) {
        known.push(Known {
            name: DocumentName::Response,
            bytes: Some(response.size()),
            origin: "the answer".into(),
        });
    }
    known
}

fn response(story: &Story) -> Option<Payload> {
    let mut events = story.borrowed();
    events.find_map(|recorded| match recorded.event {
        Event::Succeeded(succeeded) => Some(succeeded.response.clone()),
        _ => None,
    })
}

/// The bytes of a document.
pub async fn read(source: &Source, story: &Story, name: DocumentName) -> Result<Vec<u8>, Error> {
    let missing = || Error::NotFound(format!("the request has no document {name}"));
    let request = story.state.request().ok_or_else(missing)?;
    match name {
        DocumentName::Submitted => source.payload(&request.document).await,
        DocumentName::Resource(number) => {
            let resource = number.checked_sub(1).and_then(|n| request.resources.get(n));
            source.payload(&resource.ok_or_else(missing)?.content).await
        }
        DocumentName::Hydrated(group) => {
            if group.index() > request.completed.len() {
                return Err(missing());
            }
            let derived = before_group(source, request, group.index()).await?;
            let hydrated = derived
                .map_err(|stop| stop.reason())
                .and_then(|derived| derived.hydrated().map_err(|error| error.to_string()));
            let hydrated = hydrated.map_err(|reason| {
                Error::Unreadable(format!("the document cannot be hydrated: {reason}"))
            })?;
            Ok(hydrated.into_bytes())
        }
        DocumentName::Task(group, task) => {
            let request = story.id;
            let id = TaskId {
                request,
                group,
                task,
            };
            Ok(Task::of(source, story, id).await?.document.xml)
        }
        DocumentName::Result(group, task) => {
            let results = story
                .borrowed()
                .filter_map(|recorded| match recorded.event {
                    Event::TaskSucceeded(done) if (done.group, done.task) == (group, task) => {
                        Some(&done.result)
                    }
                    _ => None,
                });
            let result = results.last().cloned();
            source.payload(&result.ok_or_else(missing)?).await
        }
        DocumentName::Response => {
            let response = response(story).ok_or_else(missing)?;
            source.payload(&response).await
        }
    }
}

/// Some lines of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The lines, each with its number from 1.
    pub lines: Vec<(usize, String)>,
    /// The number of lines of the document.
    pub of: usize,
}

/// The longest part of a line that a window has, in characters.
const LINE_MAX_CHARS: usize = 2_000;

/// At most `count` lines from line `from` on.
#[must_use]
pub fn window(bytes: &[u8], from: usize, count: usize) -> Window {
    let text = String::from_utf8_lossy(bytes);
    let lines = (1..).zip(text.lines());
    let shown = lines.skip(from.saturating_sub(1)).take(count);
    Window {
        lines: shown.map(|(number, line)| (number, cut(line))).collect(),
        of: text.lines().count(),
    }
}

/// The lines with a text, at most `limit`.
#[must_use]
pub fn find(bytes: &[u8], wanted: &str, limit: usize) -> Vec<(usize, String)> {
    let text = String::from_utf8_lossy(bytes);
    let found = (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.contains(wanted));
    let found = found.take(limit).map(|(number, line)| (number, cut(line)));
    found.collect()
}

fn cut(line: &str) -> String {
    let mut shown: String = line.chars().take(LINE_MAX_CHARS).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_document_can_be_read_again() {
        for name in [
            "submitted",
            "resource-1",
            "hydrated-0",
            "task-0-17",
            "result-2-1",
            "response",
        ] {
            assert_eq!(name.parse::<DocumentName>().unwrap().to_string(), name);
        }
        for wrong in ["", "task-0", "result-a-1", "resource-", "response-1"] {
            assert!(wrong.parse::<DocumentName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_window_has_the_asked_lines_with_their_numbers() {
        let text = b"one\ntwo\nthree\nfour";
        let window = window(text, 2, 2);
        assert_eq!(window.lines, [(2, "two".into()), (3, "three".into())]);
        assert_eq!(window.of, 4);
        assert_eq!(find(text, "o", 2), [(1, "one".into()), (2, "two".into())]);
        assert_eq!(super::window(text, 9, 2).lines, []);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let text = "é".repeat(LINE_MAX_CHARS + 1);
        let window = window(text.as_bytes(), 1, 1);
        assert_eq!(window.lines[0].1.chars().count(), LINE_MAX_CHARS + 1);
        assert!(window.lines[0].1.ends_with('…'));
    }
}
