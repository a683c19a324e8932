//! The whole system on one page: what is wrong now, and what happened lately.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::access::Action;
use history::recent::{BUCKET_SECONDS, Bucket, Looked};
use history::words;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use operations::{Alarm, Standing};

use crate::commands::{cli, curl};
use crate::frame::{Page, Part};
use crate::part;
use crate::part::plot::{self, Column};
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, alarms, urls};

/// The periods that can be chosen: the name, the minutes, and the minutes of a column.
const PERIODS: [(&str, usize, usize); 4] = [
    ("1h", 60, 1),
    ("3h", 180, 2),
    ("6h", 360, 4),
    ("24h", 1_440, 15),
];

/// Shows the overview.
pub async fn show(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let page = page(&console, &visit).await;
    console.answer(&visit, page)
}

async fn page(console: &Console, visit: &Visit) -> Result<Page, Trouble> {
    let scope = visit.reach(Action::Inspect)?.scope;
    let (standing, looked) = futures::join!(
        console.questions.standing_for(&scope),
        console.questions.recent(&scope, visit.now)
    );
    let mut commands = Vec::new();
    if let Some(api) = console.origin.api() {
        commands.push(cli("fanfold replay summary --since 1h"));
        commands.push(cli("fanfold requests stuck"));
        commands.push(curl(format!("curl {api}/readyz")));
    }
    Ok(Page {
        part: Some(Part::Overview),
        title: "Overview".into(),
        body: body(visit, standing.as_ref(), looked),
        commands,
    })
}

/// The content of the page.
pub fn body(visit: &Visit, standing: Option<&Standing>, looked: Result<Looked, Trouble>) -> Markup {
    let found = standing.map(Standing::alarms);
    html! {
        h1.unseen { "Overview" }
        (part::tenants(visit, Action::Inspect))
        (part::topic("all"))
        div data-live="overview" {
        @if let Some(alarms) = &found { (wrong(alarms, standing)) }
        @match looked {
            Ok(looked) => (figures(visit, standing, &looked)),
            Err(trouble) => p.gap { "What happened lately cannot be read: " (trouble.reason()) },
        }
        }
    }
}

/// What is wrong now, the worst first.
fn wrong(alarms: &[Alarm], standing: Option<&Standing>) -> Markup {
    html! {
        @if alarms.is_empty() {
            section.fine aria-label="State of the system" {
                (part::icon::state("succeeded")) b { "Nothing is wrong. " }
                @if let Some(open) = standing.and_then(|standing| standing.open.as_ref()) {
                    (words::count(open.count as u64, "request")) " open, none of them stuck"
                    @if !open.is_complete { ", as far as the log was read" }
                    "; the broker and Redis answer."
                }
            }
        } @else {
            section aria-labelledby="wrong" {
                h2 #wrong { "What is wrong now" }
                ul.alarms {
                    @for alarm in alarms {
                        li { (part::icon::warning()) a href=(alarms::url(alarm)) { (alarms::words(alarm)) } " " span.faint { (alarms::advice(alarm)) } }
                    }
                }
            }
        }
    }
}

fn period(visit: &Visit) -> (&'static str, usize, usize) {
    let asked = visit.fields.get("range").unwrap_or_default();
    let found = PERIODS.into_iter().find(|(name, ..)| *name == asked);
    found.unwrap_or(PERIODS[0])
}

fn figures(visit: &Visit, standing: Option<&Standing>, looked: &Looked) -> Markup {
    let (name, minutes, step) = period(visit);
    let buckets = looked.recent.last(minutes, visit.now);
    let day = looked.recent.last(1_440, visit.now);
    html! {
        @if let Some(up_to) = looked.only_up_to {
            p.gap { "Not all of the last day was looked at yet: only up to " (part::time(up_to)) ". Reload the page to look on." }
        }
        (tiles(standing, &buckets, &day, name))
        section aria-labelledby="lately" {
            div.head {
                h2 #lately { "Requests that ended, by the minute" }
                nav.chips aria-label="Period" {
                    @for (each, ..) in PERIODS {
                        a href=(visit.with("range", Some(each))) aria-current=[(each == name).then_some("true")] { "last " (each) }
                    }
                }
            }
            (ended(visit.now, &buckets, step))
            (axis(name))
            h2 { "Failed attempts" }
            (failed(visit.now, &buckets, step))
            (axis(name))
        }
    }
}

fn axis(name: &str) -> Markup {
    html! { p.axis-of { span { (name) " ago" } span { "now" } } }
}

fn tiles(standing: Option<&Standing>, buckets: &[Bucket], day: &[Bucket], name: &str) -> Markup {
    let sum = |of: fn(&Bucket) -> u64| buckets.iter().map(of).sum::<u64>();
    let counts = |of: fn(&Bucket) -> u64| buckets.iter().map(of).collect::<Vec<_>>();
    let mut took: Vec<u64> = buckets.iter().flat_map(|b| b.took_ms.clone()).collect();
    took.sort_unstable();
    let open = standing.and_then(|standing| standing.open.as_ref());
    let today: u64 = day.iter().map(|bucket| bucket.received).sum();
    html! {
        div.tiles {
            (tile("Accepted", &sum(|b| b.received).to_string(), &format!("last {name}; {today} in a day"), &counts(|b| b.received), "running", urls::REQUESTS))
            (tile("Succeeded", &sum(|b| b.succeeded).to_string(), &format!("last {name}"), &counts(|b| b.succeeded), "succeeded", &urls::filtered("status:succeeded")))
            (tile("Failed", &sum(|b| b.failed).to_string(), &format!("last {name}"), &counts(|b| b.failed), "failed", &urls::filtered("status:failed")))
            (tile("Given up", &sum(|b| b.given_up).to_string(), &format!("tasks, last {name}"), &counts(|b| b.given_up), "failed", urls::DEAD_LETTERS))
            (tile("Open", &open.map_or("?".into(), |open| open.count.to_string()), "now", &[], "running", &urls::filtered("status:running")))
            (tile("Time to end", &quantile(&took, 50), &format!("median; {} at p95", quantile(&took, 95)), &[], "running", urls::REQUESTS))
        }
    }
}

fn quantile(sorted: &[u64], percent: usize) -> String {
    let last = sorted.len().checked_sub(1);
    let at = last.and_then(|last| sorted.get(last * percent / 100));
    at.map_or_else(|| "–".into(), |ms| words::millis(*ms))
}

fn tile(name: &str, figure: &str, under: &str, counts: &[u64], state: &str, url: &str) -> Markup {
    html! {
        a.tile href=(url) {
            span.name { (name) }
            b { (figure) }
            span.under { (under) }
            @if counts.is_empty() { span.no-spark {} } @else { (plot::spark(counts, state)) }
        }
    }
}

/// The columns of a plot: each several minutes wide, with the requests behind it.
fn columns(
    now: Timestamp,
    buckets: &[Bucket],
    step: usize,
    filter: &str,
    parts: impl Fn(&Bucket) -> Vec<(&'static str, u64)>,
) -> Vec<Column> {
    let chunks = buckets.chunks(step).enumerate();
    chunks
        .map(|(index, chunk)| {
            let mut all: Vec<(&'static str, u64)> = Vec::new();
            for (state, count) in chunk.iter().flat_map(&parts) {
                match all.iter_mut().find(|(known, _)| *known == state) {
                    Some((_, sum)) => *sum += count,
                    None => all.push((state, count)),
                }
            }
            let (from, to) = range(now, buckets.len(), index * step, step);
            let said = all.iter().map(|(state, count)| format!("{count} {state}"));
            let label = format!(
                "{}: {}",
                words::time(from),
                said.collect::<Vec<_>>().join(", ")
            );
            let url = urls::filtered(&format!("{filter}since:{from} until:{to}"));
            Column {
                parts: all,
                label,
                url: Some(url),
            }
        })
        .collect()
}

/// The times of some minutes of a period that ends now.
fn range(now: Timestamp, minutes: usize, first: usize, count: usize) -> (Timestamp, Timestamp) {
    let end = now.as_second().div_euclid(BUCKET_SECONDS) + 1;
    let back = |minutes: usize| i64::try_from(minutes).unwrap_or(0) * BUCKET_SECONDS;
    let start = end * BUCKET_SECONDS - back(minutes) + back(first);
    let at = Timestamp::from_second(start).unwrap_or(now);
    let length = SignedDuration::from_secs(back(count));
    (at, at.checked_add(length).unwrap_or(now))
}

fn ended(now: Timestamp, buckets: &[Bucket], step: usize) -> Markup {
    let columns = columns(now, buckets, step, "", |bucket| {
        vec![
            ("succeeded", bucket.succeeded),
            ("failed", bucket.failed),
            ("cancelled", bucket.cancelled),
        ]
    });
    plot::columns("Requests that ended", &columns)
}

fn failed(now: Timestamp, buckets: &[Bucket], step: usize) -> Markup {
    let columns = columns(now, buckets, step, "event:task-failed ", |bucket| {
        vec![("failed", bucket.failed_attempts)]
    });
    plot::columns("Failed attempts", &columns)
}
