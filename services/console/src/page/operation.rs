//! One bulk operation: how its items ended, what would have happened, and what can be done with it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use domain::access::Action;
use domain::bulk::{Counts, Operation, OperationId, Phase};
use maud::{Markup, html};
use operations::{Folded, ItemsPage, Operations, Page as ItemsOf};

use crate::commands::{cli, curl};
use crate::frame::{Page, Part};
use crate::part;
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// How many items a page has.
const ITEMS: usize = 100;
/// The units of the width of a bar.
const WIDTH: f64 = 1000.0;

/// A bundle has none: it is a file of requests.
pub fn none_in_a_bundle() -> Trouble {
    Trouble::NotFound("a bundle has no operations: it is a file of requests".into())
}

/// Reads the id in an address.
pub fn parse_id(id: &str) -> Result<OperationId, Trouble> {
    let parsed: Result<OperationId, _> = id.parse();
    parsed.map_err(|error| Trouble::Unclear(error.to_string()))
}

/// The operation with this id, for a visitor who wants to take an action on it. For a visitor who may
/// not see it, it does not exist.
pub async fn read(
    visit: &Visit,
    action: Action,
    operations: &Operations,
    id: OperationId,
) -> Result<Folded, Trouble> {
    let found = operations.bulk_operation(id).await?;
    let seen = found.filter(|folded| {
        let operation = folded.operation();
        let tenant = operation.map(|operation| &operation.drafted.tenant);
        tenant.is_some_and(|tenant| visit.lacks(Action::Inspect, tenant).is_none())
    });
    let absent = || Trouble::NotFound(format!("there is no operation {id}"));
    let folded = seen.ok_or_else(absent)?;
    let drafted = folded.operation().map(|operation| &operation.drafted);
    visit.check(action, &drafted.ok_or_else(absent)?.tenant)?;
    Ok(folded)
}

/// Shows the operation.
pub async fn show(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    visit: Visit,
) -> Response {
    let page = page(&console, &visit, &id).await;
    console.answer(&visit, page)
}

async fn page(console: &Console, visit: &Visit, id: &str) -> Result<Page, Trouble> {
    let operations = console.questions.operations();
    let operations = operations.ok_or_else(none_in_a_bundle)?;
    let folded = read(visit, Action::Inspect, operations, parse_id(id)?).await?;
    let id = folded.id;
    let unknown = || Trouble::NotFound(format!("there is no operation {id}"));
    let operation = folded.operation().ok_or_else(unknown)?;
    let from = visit.fields.get("from").and_then(|from| from.parse().ok());
    let wanted = ItemsOf {
        status: visit.fields.get("items"),
        from: from.unwrap_or(0),
        limit: ITEMS,
    };
    // The page is right without the list of its items, which may no longer be kept.
    let items = match operations.selection(operation).await {
        Ok(selection) => Ok(folded.items(&selection, wanted)),
        Err(error) => Err(error.to_string()),
    };
    let mut commands = vec![cli(format!("fanfold operation show {id} --items"))];
    if let Some(api) = console.origin.api() {
        commands.push(curl(format!("curl {api}/operations/{id}")));
    }
    Ok(Page {
        part: Some(Part::Operations),
        title: format!("Operation: {}", operation.drafted.action),
        body: body(visit, &folded, operation, &items),
        commands,
    })
}

/// The content of the page.
pub fn body(
    visit: &Visit,
    folded: &Folded,
    operation: &Operation,
    items: &Result<ItemsPage, String>,
) -> Markup {
    let drafted = &operation.drafted;
    let note = folded.told().and_then(|told| told.note);
    html! {
        nav.trail aria-label="Where this is" { a href=(urls::OPERATIONS) { "Operations" } " › " span.id { (folded.id) } }
        header.request-head {
            h1 { (status(&operation.phase)) " " (drafted.action) }
            (actions(visit, folded.id, operation))
            dl.facts {
                @if let Some(name) = drafted.tenant.named() { div { dt { "tenant" } dd { (name) } } }
                div { dt { "by" } dd { (drafted.actor.by) @if let Some(other) = &drafted.actor.on_behalf_of { " for " (other) } } }
                div { dt { "why" } dd { (drafted.reason) } }
                div { dt { "drafted" } dd { (part::time(folded.drafted_at)) " (" (part::ago(folded.drafted_at, visit.now)) ")" } }
                @if let Some(at) = folded.started_at { div { dt { "started" } dd { (part::time(at)) } } }
                @if let Some(at) = folded.ended_at { div { dt { "ended" } dd { (part::time(at)) } } }
                @if let Some(plan) = operation.plan { div { dt { "plan" } dd {
                    "at most " (plan.per_second) " a second"
                    @if plan.canary > 0 { ", " (plan.canary) " first" }
                    @if let Some(most) = plan.stop_after_failures { ", stop after " (most) " failed" }
                } } }
                div { dt { "selected by" } dd { code { (drafted.filter) } } }
            }
        }
        @if let Some(note) = note { section aria-label="Where it stands" { p.answer { (note) "." } } }
        (ended(visit, &operation.counts))
        @if operation.phase == Phase::Draft { (outlook(operation)) }
        (item_list(visit, items))
    }
}

/// A status: a shape, a word and a color, as requests have them.
pub fn status(phase: &Phase) -> Markup {
    let like = match phase {
        Phase::Draft | Phase::Paused(_) => "received",
        Phase::Running => "running",
        Phase::Completed => "succeeded",
        Phase::Cancelled { .. } => "cancelled",
        Phase::Stopped => "failed",
    };
    part::state_as(like, phase.as_str())
}

/// How the items ended, as a bar.
pub fn bar(counts: &Counts) -> Markup {
    let label = format!(
        "{} done, {} failed, {} refused, {} skipped, {} pending",
        counts.done,
        counts.failed,
        counts.refused,
        counts.skipped,
        counts.pending()
    );
    let all = f64::from(counts.selected().max(1));
    let of = |part: u32| (WIDTH * f64::from(part) / all * 10.0).round() / 10.0;
    let (done, failed, runs) = (of(counts.done), of(counts.failed), of(counts.running));
    html! {
        svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.rest x="0" y="0" width="1000" height="10" {}
            rect.done x="0" y="0" width=(done) height="10" {}
            rect.failed x=(done) y="0" width=(failed) height="10" {}
            rect.runs x=(done + failed) y="0" width=(runs) height="10" {}
        }
    }
}

fn actions(visit: &Visit, id: OperationId, operation: &Operation) -> Markup {
    let possible: &[(&str, &str)] = match operation.phase {
        Phase::Draft => &[("start", "Start…"), ("cancel", "Cancel…")],
        Phase::Running => &[("pause", "Pause…"), ("cancel", "Cancel…")],
        Phase::Paused(_) => &[("resume", "Resume…"), ("cancel", "Cancel…")],
        Phase::Completed | Phase::Cancelled { .. } | Phase::Stopped => &[],
    };
    html! {
        @if !possible.is_empty() {
            div.actions {
                @match visit.lacks(Action::Operate, &operation.drafted.tenant) {
                    None => @for (act, name) in possible {
                        a.do href=(format!("{}/{act}", urls::operation(id))) { (name) } " "
                    },
                    Some(role) => span.off { "Actions are off: the role " (role) " is missing." },
                }
            }
        }
    }
}

/// How the items ended. The counts always add up to the selection.
fn ended(visit: &Visit, counts: &Counts) -> Markup {
    let all = [
        ("done", counts.done, "ended as it is wanted"),
        ("failed", counts.failed, "acted on, and ended otherwise"),
        ("refused", counts.refused, "not possible as they are"),
        ("skipped", counts.skipped, "not acted on"),
        ("pending", counts.pending(), "not known yet"),
    ];
    html! {
        section aria-labelledby="ended" {
            h2 #ended { "How the items ended" }
            (bar(counts))
            div.scroll tabindex="0" role="group" aria-label="How the items ended" {
                table {
                    tbody {
                        @for (name, count, about) in all {
                            tr {
                                th scope="row" { a href=(of_items(visit, Some(name))) { (name) } }
                                td.number { (count) }
                                td.wide { (about) @if name == "pending" && counts.running > 0 { ": " (counts.running) " run again" } }
                            }
                        }
                        tr { th scope="row" { a href=(of_items(visit, None)) { "selected" } } td.number { (counts.selected()) } td.wide { "fixed when it was drafted" } }
                    }
                }
            }
        }
    }
}

/// The address of this page with the items of a state, from the first one on.
fn of_items(visit: &Visit, state: Option<&str>) -> String {
    let fields = visit.fields.with("from", None).with("items", state);
    format!("{}{}", visit.uri.path(), fields.query())
}

fn outlook(operation: &Operation) -> Markup {
    let outlook = &operation.drafted.outlook;
    html! {
        section aria-labelledby="outlook" {
            h2 #outlook { "What would happen" }
            div.scroll tabindex="0" role="group" aria-label="What would happen" {
                table {
                    tbody {
                        tr { th scope="row" { "acted on" } td.number { (outlook.act) } td.wide {} }
                        @for (reason, count) in &outlook.refuse { tr { th scope="row" { "refused" } td.number { (count) } td.wide { (reason) } } }
                        @for (reason, count) in &outlook.skip { tr { th scope="row" { "skipped" } td.number { (count) } td.wide { (reason) } } }
                    }
                }
            }
        }
    }
}

fn item_list(visit: &Visit, items: &Result<ItemsPage, String>) -> Markup {
    let which = visit.fields.get("items").unwrap_or("all");
    html! {
        section aria-labelledby="items" {
            h2 #items { "Items: " (which) }
            @match items {
                Err(reason) => p { "The items cannot be listed: " (reason) "." },
                Ok(page) if page.items.is_empty() => (part::nothing("There are no such items.")),
                Ok(page) => {
                    div.scroll tabindex="0" role="group" aria-label="Items" {
                        table.list {
                            tbody { @for item in &page.items { tr {
                                td { @match (item.request_id, &item.dead_letter) {
                                    (Some(id), _) => (part::id(id)),
                                    (None, Some(letter)) => a.id href=(urls::letter(letter)) { (letter) },
                                    (None, None) => (item.item),
                                } }
                                td { (item.status) }
                                td.wide { @if let Some(reason) = &item.reason { (reason) } }
                            } } }
                        }
                    }
                    @if let Some(next) = page.next {
                        a.more rel="next" href=(visit.with("from", Some(&next.to_string()))) { "Further items" }
                    }
                },
            }
        }
    }
}
