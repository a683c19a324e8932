//! The failures of a period, in clusters of the same cause.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::access::Action;
use history::failures::{Cluster, Failures};
use history::words;
use jiff::SignedDuration;
use maud::{Markup, html};

use crate::commands::{cli, quoted, tenant_flag};
use crate::frame::{Page, Part};
use crate::part::{self, plot};
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// The periods that can be chosen.
const PERIODS: [(&str, i64); 4] = [("1h", 1), ("6h", 6), ("24h", 24), ("7d", 168)];
/// How many clusters are shown.
const CLUSTERS_MAX: usize = 100;
/// From how many failures on it is worth saying what they have in common.
const COMMON_FROM: u64 = 5;

/// Shows the failures.
pub async fn show(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let page = page(&console, &visit).await;
    console.answer(&visit, page)
}

/// The chosen period.
fn period(visit: &Visit) -> (&'static str, SignedDuration) {
    let asked = visit.fields.get("since").unwrap_or_default();
    let found = PERIODS.into_iter().find(|(name, _)| *name == asked);
    let (name, hours) = found.unwrap_or(PERIODS[0]);
    (name, SignedDuration::from_hours(hours))
}

async fn page(console: &Console, visit: &Visit) -> Result<Page, Trouble> {
    let (name, length) = period(visit);
    let scope = visit.reach(Action::Inspect)?.scope;
    let failures = console
        .questions
        .failures(&scope, visit.now, length)
        .await?;
    let tenant = tenant_flag(scope.only());
    let mut commands = vec![cli(format!(
        "fanfold replay search --since {name} --event task-failed{tenant}{}",
        console.origin.flag()
    ))];
    if console.origin.api().is_some() {
        commands.push(cli(format!("fanfold replay summary --since {name}")));
    }
    Ok(Page {
        part: Some(Part::Failures),
        title: "Failures".into(),
        body: body(visit, name, &failures),
        commands,
    })
}

/// The content of the page.
pub fn body(visit: &Visit, period: &str, failures: &Failures) -> Markup {
    html! {
        div.head {
            h1 { "Failures" }
            (part::tenants(visit, Action::Inspect))
            nav.chips aria-label="Period" {
                @for (name, _) in PERIODS {
                    a href=(visit.with("since", Some(name))) aria-current=[(name == period).then_some("true")] { "last " (name) }
                }
            }
        }
        @if failures.clusters.is_empty() {
            (part::nothing("No attempt failed in this period, and no request did."))
        } @else {
            div.clusters {
                @for cluster in failures.clusters.iter().take(CLUSTERS_MAX) { (card(visit, period, failures, cluster)) }
            }
        }
        div.foot {
            p {
                (words::count(failures.attempts, "attempt")) " ended since " (part::time(failures.since))
                ". Clusters are by the code and the first line of the cause, without numbers, ids, paths and quoted text; those that grew most come first."
            }
        }
    }
}

fn card(visit: &Visit, period: &str, failures: &Failures, cluster: &Cluster) -> Markup {
    let filter = format!("code:{} since:{period}", quoted_term(&cluster.code));
    html! {
        article.cluster {
            h2 { code { (cluster.code) } " " (cluster.signature.strip_prefix(&format!("{}: ", cluster.code)).unwrap_or(&cluster.signature)) }
            div.figures {
                p.figure { b { (cluster.count) } " failed" }
                p.figure { b { (cluster.before) } " in the period before" }
                p.figure { b { (cluster.requests) } " requests" }
                p.figure { b.bad { (cluster.given_up) } " given up" }
                (plot::spark(&cluster.parts, "failed"))
            }
            p.sample { (words::short(&cluster.sample, 240)) }
            @for said in in_common(failures, cluster) { p.common { (said) } }
            p.faint {
                "first " (part::ago(cluster.first, visit.now)) ", last " (part::ago(cluster.last, visit.now)) " · for example "
                @for id in &cluster.samples { (part::id(*id)) " " }
            }
            p { a href=(urls::filtered(&filter)) { "Requests with this code" }
                " · " code { "fanfold dead-letters list --code " (quoted(&cluster.code)) } }
        }
    }
}

/// A value in a filter, in quotes where it has spaces.
fn quoted_term(value: &str) -> String {
    if value.contains(char::is_whitespace) {
        format!("\"{value}\"")
    } else {
        value.to_owned()
    }
}

/// What the failures of a cluster have in common that other attempts do not have.
fn in_common(failures: &Failures, cluster: &Cluster) -> Vec<String> {
    let of = |noun: &str, own: &BTreeMap<String, u64>, all: &BTreeMap<String, u64>| {
        let (name, count) = own.iter().max_by_key(|(_, count)| **count)?;
        let others = failures.attempts.saturating_sub(cluster.count);
        let elsewhere = all.get(name).copied().unwrap_or(0).saturating_sub(*count);
        // Nine of ten failures, and at most half of the other attempts.
        let is_telling = count * 10 >= cluster.count * 9 && elsewhere * 2 <= others && others > 0;
        (cluster.count >= COMMON_FROM && is_telling).then(|| {
            format!(
                "{count} of {} are {noun} {name}, and {elsewhere} of the {others} other attempts are.",
                cluster.count
            )
        })
    };
    let worker = of("on", &cluster.workers, &failures.workers);
    let task_type = of("of type", &cluster.task_types, &failures.task_types);
    worker.into_iter().chain(task_type).collect()
}
