//! The servers, the log, the queues and the settings.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use history::words;
use jiff::SignedDuration;
use maud::{Markup, html};
use nats::{Extent, Position};
use operations::{ShardStanding, Standing};

use crate::commands::{cli, curl};
use crate::frame::{Page, Part};
use crate::part;
use crate::questions::SettingLine;
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, alarms};

/// Shows the system.
pub async fn show(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let page = page(&console, &visit).await;
    console.answer(&visit, page)
}

async fn page(console: &Console, visit: &Visit) -> Result<Page, Trouble> {
    let standing = console.questions.standing().await;
    let standing = standing.ok_or_else(|| {
        Trouble::NotFound("a bundle has no system: it is a file of requests".into())
    })?;
    let mut commands = vec![cli("fanfold config"), cli("fanfold replay verify --all")];
    if let Some(api) = console.origin.api() {
        commands.push(curl(format!("curl {api}/readyz")));
    }
    Ok(Page {
        part: Some(Part::System),
        title: "System".into(),
        body: body(visit, &standing, console.questions.settings()),
        commands,
    })
}

/// The content of the page.
pub fn body(visit: &Visit, standing: &Standing, settings: &[SettingLine]) -> Markup {
    let wrong = standing.alarms();
    html! {
        div.head { h1 { "System" } span.faint { "asked at " (part::time(standing.at)) } }
        @if !wrong.is_empty() {
            ul.alarms { @for alarm in &wrong { li { (part::icon::warning()) (alarms::words(alarm)) " " span.faint { (alarms::advice(alarm)) } } } }
        }
        (servers(standing))
        (shards(visit, standing))
        (queues(standing))
        (settings_table(settings))
    }
}

fn answer(name: &str, answer: Option<&Result<(), String>>) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            td {
                @match answer {
                    Some(Ok(())) => (part::state_as("succeeded", "answers")),
                    Some(Err(_)) => (part::state_as("failed", "does not answer")),
                    None => "not needed",
                }
            }
            td.wide { @if let Some(Err(reason)) = answer { (reason) } }
        }
    }
}

fn servers(standing: &Standing) -> Markup {
    let readiness = &standing.readiness;
    html! {
        section aria-labelledby="servers" {
            h2 #servers { "Servers" }
            div.scroll tabindex="0" role="group" aria-label="Servers" {
                table {
                    tbody {
                        (answer("NATS", Some(&readiness.nats)))
                        (answer("Redis", readiness.redis.as_ref()))
                        tr { th scope="row" { "Views and feed" } td {
                            @match readiness.oldest_unprojected {
                                None => "not known",
                                Some(age) if age.is_zero() => (part::state_as("succeeded", "as new as the log")),
                                Some(age) => { "behind by " (words::duration(SignedDuration::try_from(age).unwrap_or_default())) },
                            }
                        } td.wide {
                            @if !readiness.stopped_views.is_empty() {
                                @for view in readiness.stopped_views.iter().take(10) { p { "stopped at " (view.sequence) ": " (part::id(view.request_id)) " " (view.reason) } }
                            }
                        } }
                        @for filled in &standing.filled {
                            tr { th scope="row" { (filled.what) } td { (filled.used) " of " (filled.limit) " bytes" } td.wide {} }
                        }
                    }
                }
            }
        }
    }
}

fn shards(visit: &Visit, standing: &Standing) -> Markup {
    html! {
        section aria-labelledby="log" {
            h2 #log { "Log" }
            div.scroll tabindex="0" role="group" aria-label="Log" {
                table.list {
                    thead { tr {
                        th.number scope="col" { "Shard" }
                        th.number scope="col" { "Commits" }
                        th scope="col" { "Sequences" }
                        th scope="col" { "First" }
                        th scope="col" { "Last" }
                        th scope="col" { "Kept for" }
                        th scope="col" { "Orchestrators" }
                        th scope="col" { "Projectors" }
                        th scope="col" { "Reports" }
                    } }
                    tbody { @for shard in &standing.shards { (shard_row(visit, shard)) } }
                }
            }
        }
    }
}

fn shard_row(visit: &Visit, shard: &ShardStanding) -> Markup {
    let unknown = || html! { span.faint { "not known" } };
    html! {
        tr {
            td.number { (shard.number) }
            @match &shard.extent {
                Some(Extent { first, last, commits, first_at, last_at, kept_for }) => {
                    td.number { (commits) }
                    td { (first) " – " (last) }
                    td { @if *commits > 0 { (part::ago(*first_at, visit.now)) } }
                    td { @if *commits > 0 { (part::ago(*last_at, visit.now)) } }
                    td { @if kept_for.is_zero() { "ever" } @else { (words::duration(SignedDuration::try_from(*kept_for).unwrap_or_default())) } }
                }
                None => { td.number { (unknown()) } td {} td {} td {} td {} }
            }
            @for position in [&shard.orchestrator, &shard.projector, &shard.reports] {
                td { @match position { Some(position) => (told(position)), None => (unknown()) } }
            }
        }
    }
}

/// A position in short.
fn told(position: &Position) -> Markup {
    html! {
        @if position.pending == 0 && position.unacked == 0 { "nothing waits" }
        @else { (position.pending) " wait, " (position.unacked) " in work" }
        @if position.redelivered > 0 { ", " (position.redelivered) " again" }
        @if position.waiting_pulls == 0 && position.unacked == 0 { span.bad { " · nobody asks" } }
    }
}

fn queues(standing: &Standing) -> Markup {
    html! {
        section aria-labelledby="queues" {
            h2 #queues { "Tasks by type" }
            div.scroll tabindex="0" role="group" aria-label="Tasks by type" {
                table.list {
                    thead { tr {
                        th scope="col" { "Type" }
                        th.number scope="col" { "Wait" }
                        th.number scope="col" { "With workers" }
                        th.number scope="col" { "Delivered again" }
                        th.number scope="col" { "Asking" }
                        th.wide scope="col" { "Remark" }
                    } }
                    tbody {
                        @for (name, position) in &standing.queues {
                            tr {
                                td { (name) }
                                @match position {
                                    Some(position) => {
                                        td.number { (position.pending) }
                                        td.number { (position.unacked) }
                                        td.number { (position.redelivered) }
                                        td.number { (position.waiting_pulls) }
                                        td.wide {
                                            @if position.waiting_pulls == 0 && position.unacked == 0 { span.bad { "no worker asks" } }
                                            @else if position.waiting_pulls == 0 { "all workers are busy" }
                                        }
                                    }
                                    None => { td.number { span.faint { "not known" } } td {} td {} td {} td.wide {} }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn settings_table(settings: &[SettingLine]) -> Markup {
    html! {
        section aria-labelledby="settings" {
            h2 #settings { "Settings of this process" }
            details {
                summary { (settings.len()) " settings, secrets masked" }
                div.scroll tabindex="0" role="group" aria-label="Settings" {
                    table.list {
                        thead { tr { th scope="col" { "Name" } th scope="col" { "Value" } th scope="col" { "From" } th.wide scope="col" { "About" } } }
                        tbody { @for line in settings {
                            tr { td { code { (line.name) } } td.value { code { (line.value) } } td { (line.source) } td.wide { (line.about) } }
                        } }
                    }
                }
            }
        }
    }
}
