//! The page of one group: a picture of all its attempts, and what stands out in it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::request::{GroupIndex, TaskId};
use history::heat::{COLUMNS, Heat, Order, Ran, Span};
use history::story::Story;
use history::words;
use maud::{Markup, html};

use super::parse_id;
use crate::commands::cli;
use crate::frame::{Page, Part};
use crate::part::{self, png};
use crate::questions::Then;
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// A click shows this part of what was shown.
const ZOOM: u64 = 6;
/// How many workers are listed.
const WORKERS_MAX: usize = 40;

/// Shows a group.
pub async fn show(
    State(console): State<Arc<Console>>,
    Path((id, group)): Path<(String, String)>,
    visit: Visit,
) -> Response {
    let page = page(&console, &visit, &id, &group).await;
    console.answer(&visit, page)
}

async fn page(console: &Console, visit: &Visit, id: &str, group: &str) -> Result<Page, Trouble> {
    let (story, heat) = heat(console, visit, id, group).await?;
    let command = format!(
        "fanfold replay show {} --unfolded{}",
        story.id,
        console.origin.flag()
    );
    Ok(Page {
        part: Some(Part::Requests),
        title: format!("group {}", heat.group),
        body: body(visit, &story, &heat),
        commands: vec![cli(command)],
    })
}

async fn heat(
    console: &Console,
    visit: &Visit,
    id: &str,
    group: &str,
) -> Result<(Arc<Story>, Heat), Trouble> {
    let said = || Trouble::Unclear(format!("'{group}' is no number of a group"));
    let group = GroupIndex::new(group.parse().map_err(|_| said())?);
    let Then { story, .. } = console.questions.then(visit, parse_id(id)?).await?;
    let heat = Heat::of(&story, group, order(visit), span(visit));
    let heat = heat.ok_or_else(|| Trouble::NotFound(format!("group {group} has not started")))?;
    Ok((story, heat))
}

fn order(visit: &Visit) -> Order {
    match visit.fields.get("rows") {
        Some("worker") => Order::Worker,
        _ => Order::Task,
    }
}

/// The part of the time in the address: `from` and `to` in milliseconds.
fn span(visit: &Visit) -> Option<Span> {
    let of = |name| visit.fields.get(name)?.parse().ok();
    Some(Span {
        from: of("from")?,
        to: of("to")?,
    })
}

/// Sends the picture.
pub async fn picture(
    State(console): State<Arc<Console>>,
    Path((id, group)): Path<(String, String)>,
    visit: Visit,
) -> Response {
    let found = heat(&console, &visit, &id, &group).await;
    let drawn = found.and_then(|(_, heat)| {
        png::of(&heat).map_err(|error| Trouble::Unreadable(error.to_string()))
    });
    match drawn {
        Ok(png) => {
            let kind = HeaderValue::from_static("image/png");
            ([(header::CONTENT_TYPE, kind)], png).into_response()
        }
        Err(trouble) => console.trouble(&visit, &trouble),
    }
}

/// Leads from a click on the picture to the part of the time around it. Browsers add the place of
/// the click to the address: `?x,y`.
pub async fn zoom(
    Path((id, group, rows, from, to)): Path<(String, String, String, u64, u64)>,
    visit: Visit,
) -> Response {
    let place = visit.uri.query().unwrap_or_default();
    let x: u64 = place
        .split_once(',')
        .and_then(|(x, _)| x.parse().ok())
        .unwrap_or(0);
    let length = to.saturating_sub(from);
    let middle = from + length * x.min(COLUMNS as u64) / COLUMNS as u64;
    let half = (length / ZOOM / 2).max(1);
    let (from, to) = (
        middle.saturating_sub(half).max(from),
        (middle + half).min(to),
    );
    let (id, group, rows) = (urls::part(&id), urls::part(&group), urls::part(&rows));
    let location = format!(
        "{}/{id}/groups/{group}?rows={rows}&from={from}&to={to}",
        urls::REQUESTS
    );
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// The content of the page.
pub fn body(visit: &Visit, story: &Story, heat: &Heat) -> Markup {
    let group = story.view.groups.get(heat.group.index());
    let name = group.and_then(|group| group.name.as_ref());
    html! {
        nav.trail aria-label="Where this is" {
            a href=(urls::request(story.id)) { (part::status(story.view.status.plain())) " " span.id { (story.id) } }
        }
        header.request-head {
            h1 { "Group " (heat.group) @if let Some(name) = name { " " span.whole-id { (name) } } }
            dl.facts {
                div { dt { "tasks" } dd { (heat.tasks) } }
                @if let Some(group) = group {
                    div { dt { "state" } dd { (part::state(group.status.as_str())) } }
                    div { dt { "done" } dd { (group.completed) } }
                    div { dt { "given up" } dd { (group.failed) } }
                }
                div { dt { "started" } dd { (part::time(heat.started_at)) } }
            }
        }
        section aria-labelledby="attempts" {
            div.head {
                h2 #attempts { "Attempts over time" }
                nav.chips aria-label="Rows" {
                    a href=(visit.with("rows", None)) aria-current=[(order(visit) == Order::Task).then_some("true")] { "a row for tasks" }
                    a href=(visit.with("rows", Some("worker"))) aria-current=[(order(visit) == Order::Worker).then_some("true")] { "a row for each worker" }
                    @if heat.span != heat.whole {
                        @let fields = visit.fields.with("from", None).with("to", None);
                        a href=(format!("{}{}", visit.uri.path(), fields.query())) { "the whole time" }
                    }
                }
            }
            (picture_of(visit, story, heat))
            p { (summary(heat)) }
        }
        div.pair {
            (slowest(story, heat))
            (workers(heat))
        }
        p.more-of { a href=(format!("{}?tab=tasks&group={}", urls::request(story.id), heat.group)) { "All tasks of the group" }
            " · " a href=(format!("{}?tab=tasks&group={}&state=failed", urls::request(story.id), heat.group)) { "Those that were given up" } }
    }
}

/// The picture. A click leads nearer.
fn picture_of(visit: &Visit, story: &Story, heat: &Heat) -> Markup {
    let Span { from, to } = heat.span;
    let rows = match order(visit) {
        Order::Task => "task",
        Order::Worker => "worker",
    };
    let base = format!("{}/groups/{}", urls::request(story.id), heat.group);
    let at = visit
        .fields
        .get("at")
        .map_or_else(String::new, |at| format!("&at={}", urls::part(at)));
    let image = format!("{base}/heat.png?rows={rows}&from={from}&to={to}{at}");
    html! {
        figure.heat {
            a href=(format!("{base}/zoom/{rows}/{from}/{to}")) {
                img src=(image) width=(COLUMNS) height=(heat.rows) alt=(summary(heat)) ismap;
            }
            p.axis-of { span { (words::millis(from)) } span { "a click shows a sixth of the time around it" } span { (words::millis(to)) } }
        }
    }
}

/// What the picture shows, in words.
fn summary(heat: &Heat) -> String {
    let Span { from, to } = heat.span;
    let ran = heat
        .ran_ms
        .map_or_else(String::new, |[least, median, p95, p99, most]| {
            format!(
                " They ran for {} to {}: median {}, p95 {}, p99 {}.",
                words::millis(least),
                words::millis(most),
                words::millis(median),
                words::millis(p95),
                words::millis(p99)
            )
        });
    format!(
        "From {} to {} after the start, {} ended and {} of them failed.{ran}",
        words::millis(from),
        words::millis(to),
        words::count(heat.attempts, "attempt"),
        heat.failed_attempts,
    )
}

fn slowest(story: &Story, heat: &Heat) -> Markup {
    html! {
        section aria-labelledby="slowest" {
            h2 #slowest { "The slowest attempts" }
            div.scroll tabindex="0" role="group" aria-label="The slowest attempts" {
                table {
                    thead { tr { th.number scope="col" { "Task" } th.number scope="col" { "Attempt" } th.number scope="col" { "Ran for" } th.number scope="col" { "From" } th.wide scope="col" { "Worker" } } }
                    tbody { @for ran in &heat.slowest { (row(story, heat, ran)) } }
                }
            }
        }
    }
}

fn row(story: &Story, heat: &Heat, ran: &Ran) -> Markup {
    let id = TaskId {
        request: story.id,
        group: heat.group,
        task: ran.task,
    };
    html! {
        tr {
            td.number { a href=(urls::task(id)) { (heat.group) "." (ran.task) } }
            td.number { (ran.attempt) }
            td.number { (words::millis(ran.to - ran.from)) }
            td.number { "+" (words::millis(ran.from)) }
            td.wide { @if ran.failed { (part::state("failed")) " " } @if let Some(worker) = heat.workers.get(ran.worker) { (worker.name) } }
        }
    }
}

fn workers(heat: &Heat) -> Markup {
    html! {
        section aria-labelledby="workers" {
            h2 #workers { "Workers" }
            div.scroll tabindex="0" role="group" aria-label="Workers" {
                table {
                    thead { tr { th.wide scope="col" { "Worker" } th.number scope="col" { "Attempts" } th.number scope="col" { "Failed" } th.number scope="col" { "Mean" } } }
                    tbody {
                        @for worker in heat.workers.iter().take(WORKERS_MAX) {
                            tr {
                                td.wide { (worker.name) }
                                td.number { (worker.attempts) }
                                td.number { @if worker.failed > 0 { b.bad { (worker.failed) } } @else { span.faint { "0" } } }
                                td.number { (words::millis(worker.busy_ms / worker.attempts.max(1))) }
                            }
                        }
                    }
                }
            }
            @if heat.workers.len() > WORKERS_MAX { p.gap { "… and " (heat.workers.len() - WORKERS_MAX) " more workers." } }
        }
    }
}
