//! The tasks of a request.

use domain::request::{GroupIndex, TaskId, TaskNumber};
use history::story::Story;
use history::words;
use maud::{Markup, html};
use projections::{TaskStatus, TaskView, Tasks};

use crate::part;
use crate::urls;
use crate::visit::Visit;

/// How many tasks a page has.
const PAGE: usize = 100;

/// The statuses by which the tasks are filtered with one click.
const STATUSES: [(TaskStatus, &str); 4] = [
    (TaskStatus::Pending, "pending"),
    (TaskStatus::Succeeded, "succeeded"),
    (TaskStatus::Failed, "failed"),
    (TaskStatus::Stopped, "stopped"),
];

fn word(status: TaskStatus) -> &'static str {
    let found = STATUSES.iter().find(|(known, _)| *known == status);
    found.map_or("pending", |(_, word)| word)
}

pub fn tasks(visit: &Visit, story: &Story) -> Markup {
    let tasks = folded(story);
    let group = visit.fields.get("group").and_then(|text| text.parse().ok());
    let group: Option<GroupIndex> = group.map(GroupIndex::new);
    let wanted = visit.fields.get("state");
    let after = visit.fields.get("after").and_then(place);
    let fits = |task: &&TaskView| wanted.is_none_or(|wanted| word(task.status) == wanted);
    let mut found = tasks.after(after, group).filter(fits);
    let shown: Vec<&TaskView> = found.by_ref().take(PAGE).collect();
    let next = shown.last().filter(|_| found.next().is_some());
    html! {
        section aria-labelledby="tasks" {
            h2.unseen #tasks { "Tasks" }
            nav.chips aria-label="Tasks by state" {
                a href=(without_place(visit, None)) aria-current=[wanted.is_none().then_some("true")] { "all" }
                @for (_, name) in STATUSES {
                    a href=(without_place(visit, Some(name))) aria-current=[(wanted == Some(name)).then_some("true")] { (part::state(name)) }
                }
                @if let Some(group) = group {
                    a href=(visit.with("group", None)) { "group " (group) " only ✕" }
                }
            }
            @if shown.is_empty() { (part::nothing("No task is selected.")) }
            @else { (table(story, &shown)) }
            @if let Some(last) = next {
                a.more rel="next" href=(visit.with("after", Some(&format!("{}.{}", last.group, last.task)))) { "More tasks" }
            }
        }
    }
}

/// The tasks as the events of a request leave them.
pub fn folded(story: &Story) -> Tasks {
    let mut tasks = Tasks::default();
    for recorded in story.borrowed() {
        tasks.take_in(&recorded);
    }
    tasks
}

fn without_place(visit: &Visit, state: Option<&str>) -> String {
    let fields = visit.fields.with("after", None).with("state", state);
    format!("{}{}", visit.uri.path(), fields.query())
}

fn place(text: &str) -> Option<(GroupIndex, TaskNumber)> {
    let (group, task) = text.split_once('.')?;
    Some((
        GroupIndex::new(group.parse().ok()?),
        TaskNumber::new(task.parse().ok()?),
    ))
}

fn table(story: &Story, shown: &[&TaskView]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Tasks" {
            table.list {
                thead { tr {
                    th.number scope="col" { "Task" }
                    th scope="col" { "State" }
                    th.number scope="col" { "Attempts" }
                    th scope="col" { "Last worker" }
                    th.number scope="col" { "Ran for" }
                    th.wide scope="col" { "Last fault" }
                } }
                tbody { @for task in shown { (row(story, task)) } }
            }
        }
    }
}

fn row(story: &Story, task: &TaskView) -> Markup {
    let last = task.attempts.last();
    let id = TaskId {
        request: story.id,
        group: task.group,
        task: task.task,
    };
    let mut faults = task.attempts.iter().rev();
    let fault = faults.find_map(|attempt| attempt.fault.as_ref());
    html! {
        tr {
            td.number { a href=(urls::task(id)) { (task.group) "." (task.task) } }
            td { (part::state(word(task.status))) }
            td.number { (task.attempts.len()) }
            td { @if let Some(last) = last { (last.worker) } }
            td.number { @if let Some(last) = last { (words::millis(last.duration_ms)) } }
            td.wide { @if let Some(fault) = fault { code { (fault.code) } " " (words::short(&fault.message, 160)) } }
        }
    }
}
