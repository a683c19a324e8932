//! The dead letters: tasks that were given up, and messages that cannot be read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use domain::access::Action;
use history::words;
use maud::{Markup, html};
use nats::{Filter, Kept, Letter, Page as LettersPage, Summary};

use crate::commands::{cli, curl, quoted, tenant_flag};
use crate::frame::{Page, Part};
use crate::part::{self, text};
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// How many letters a page has.
const PAGE: usize = 100;

/// Shows the list.
pub async fn show(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let page = page(&console, &visit).await;
    console.answer(&visit, page)
}

/// The filter in an address.
pub fn filter(visit: &Visit) -> Result<Filter, Trouble> {
    let request = visit.fields.get("request").map(crate::request::parse_id);
    Ok(Filter {
        tenant: visit.tenant(Action::Inspect)?,
        task_type: visit.fields.get("type").map(str::to_owned),
        code: visit.fields.get("code").map(str::to_owned),
        request: request.transpose()?,
        since: None,
    })
}

async fn page(console: &Console, visit: &Visit) -> Result<Page, Trouble> {
    let filter = filter(visit)?;
    let after = visit.fields.get("after").and_then(|text| text.parse().ok());
    let letters = console
        .questions
        .letters(&filter, after.unwrap_or(0), PAGE)
        .await?;
    let mut flags = tenant_flag(filter.tenant.as_ref());
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (flag, name, value) in [
        ("--type", "type", filter.task_type.clone()),
        ("--code", "code", filter.code.clone()),
        (
            "--request",
            "request",
            filter.request.map(|id| id.to_string()),
        ),
    ] {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(flags, " {flag} {}", quoted(&value));
            query.append_pair(name, &value);
        }
    }
    let mut commands = Vec::new();
    if let Some(api) = console.origin.api() {
        let query = query.finish();
        let url = match query.as_str() {
            "" => format!("{api}/dead-letters"),
            query => format!("{api}/dead-letters?{query}"),
        };
        commands.push(cli(format!("fanfold dead-letters list{flags}")));
        commands.push(curl(format!("curl {}", quoted(&url))));
    }
    Ok(Page {
        part: Some(Part::DeadLetters),
        title: "Dead letters".into(),
        body: body(visit, &filter, &letters),
        commands,
    })
}

/// The content of the page.
pub fn body(visit: &Visit, filter: &Filter, letters: &LettersPage) -> Markup {
    let summaries: Vec<Summary> = letters.letters.iter().map(Kept::summary).collect();
    html! {
        div.head {
            h1 { "Dead letters" }
            (part::tenants(visit, Action::Inspect))
            (chosen(visit, filter))
        }
        @if summaries.is_empty() {
            (part::nothing("There are no dead letters here: no task is given up, and every message can be read."))
        } @else {
            (by_cause(visit, &summaries))
            (table(visit, &summaries))
        }
        div.foot {
            // Of a tenant, nobody is told how many letters the others have.
            @let looked_at = filter.tenant.as_ref().map_or(letters.looked_at, |_| summaries.len());
            p { "Looked at " (words::count(looked_at as u64, "letter")) ", oldest first." }
            @if let Some(next) = letters.next {
                a.more rel="next" href=(visit.with("after", Some(&next.to_string()))) { "Later letters" }
            }
        }
    }
}

/// What the filter selects, each with the way to drop it.
fn chosen(visit: &Visit, filter: &Filter) -> Markup {
    let request = filter.request.map(|id| id.to_string());
    let all = [
        ("type", filter.task_type.as_deref()),
        ("code", filter.code.as_deref()),
        ("request", request.as_deref()),
    ];
    html! {
        nav.chips aria-label="Filter" {
            @for (name, value) in all {
                @if let Some(value) = value {
                    a href=(visit.with(name, None)) aria-label=(format!("Drop the filter {name}")) { (name) ": " (value) " ✕" }
                }
            }
        }
    }
}

/// The letters of this page by type and code.
fn by_cause(visit: &Visit, summaries: &[Summary]) -> Markup {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for summary in summaries {
        *counts.entry((&summary.kind, &summary.code)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    html! {
        ul.causes aria-label="By cause" {
            @for ((kind, code), count) in counts {
                @let fields = visit.fields.with("after", None).with("type", Some(kind)).with("code", Some(code));
                li { a href=(format!("{}{}", visit.uri.path(), fields.query())) {
                    b { (count) } " " code { (code) } " " span.faint { (kind) }
                } }
            }
        }
    }
}

fn table(visit: &Visit, summaries: &[Summary]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Dead letters" {
            table.list {
                thead { tr {
                    th scope="col" { "Code" }
                    th scope="col" { "Type" }
                    th scope="col" { "Request" }
                    th.number scope="col" { "Task" }
                    th.number scope="col" { "Attempts" }
                    th scope="col" { "Kept" }
                    th.wide scope="col" { "Message" }
                } }
                tbody { @for summary in summaries { (row(visit, summary)) } }
            }
        }
    }
}

fn row(visit: &Visit, summary: &Summary) -> Markup {
    let url = format!("{}/{}", urls::DEAD_LETTERS, urls::part(&summary.id));
    html! {
        tr {
            td { a href=(url) { code { (summary.code) } } }
            td { (summary.kind) }
            td { @if let Some(id) = summary.request_id { (part::id(id)) } }
            td.number { @if let (Some(group), Some(task)) = (summary.group, summary.task) { (group) "." (task) } }
            td.number { (summary.attempts) }
            td { (part::ago(summary.kept_at, visit.now)) }
            td.wide { (words::short(&summary.message, 200)) }
        }
    }
}

/// Shows one letter.
pub async fn show_one(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    visit: Visit,
) -> Response {
    let page = one(&console, &visit, &id).await;
    console.answer(&visit, page)
}

async fn one(console: &Console, visit: &Visit, id: &str) -> Result<Page, Trouble> {
    let kept = console.questions.letter(visit, Action::Inspect, id).await?;
    let mut commands = Vec::new();
    if let Some(api) = console.origin.api() {
        commands.push(cli(format!("fanfold dead-letters show {}", quoted(id))));
        commands.push(curl(format!("curl {api}/dead-letters/{}", urls::part(id))));
    }
    let document = match &kept.letter {
        Letter::GivenUp(letter) => Some(console.questions.payload(&letter.document).await?),
        Letter::Unread(_) => None,
    };
    Ok(Page {
        part: Some(Part::DeadLetters),
        title: "Dead letter".into(),
        body: letter(visit, &kept, document.as_deref()),
        commands,
    })
}

/// One letter.
pub fn letter(visit: &Visit, kept: &Kept, document: Option<&[u8]>) -> Markup {
    let summary = kept.summary();
    html! {
        nav.trail aria-label="Where this is" { a href=(urls::DEAD_LETTERS) { "Dead letters" } " › " span.id { (kept.id) } }
        header.request-head {
            h1 { code { (summary.code) } " " (summary.kind) }
            @match visit.lacks(Action::Operate, &summary.tenant) {
                None => div.actions { a.do href=(format!("{}/discard", visit.uri.path())) { "Discard…" } },
                Some(role) => div.actions { span.off { s { "Discard" } " " small { "the role " (role) " is missing" } } },
            }
            dl.facts {
                @if let Some(id) = summary.request_id { div { dt { "request" } dd { (part::id(id)) } } }
                div { dt { "kept" } dd { (part::time(kept.at)) " (" (part::ago(kept.at, visit.now)) ")" } }
            }
        }
        @match &kept.letter {
            Letter::GivenUp(letter) => {
                p { a href=(urls::task(letter.task)) { "Task " (letter.task.group) "." (letter.task.task) " with all its attempts" } }
                @if let Some(last) = letter.attempts.last() {
                    p.fault { code { (last.fault.code) } " " (last.fault.message) }
                    @for cause in &last.fault.causes { pre.cause tabindex="0" { (cause) } }
                }
                @if let Some(document) = document { (text::document("", "The document of the task", document)) }
            }
            Letter::Unread(unread) => {
                p.fault { "No version of Fanfold in this cluster can read it: " (unread.reason) }
                p { "It came from " code { (unread.subject) } ". " @if unread.can_be_put_back() { "It can be put back." } @else { "It stays where it is." } }
                (text::document("", "The message", &unread.body))
            }
        }
    }
}
