//! The list of requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::access::Action;
use domain::request::{RequestId, Status};
use history::listing::LOOKED_AT_MAX;
use history::search::Found;
use history::story::Cause;
use history::words;
use jiff::Timestamp;
use maud::{Markup, html};
use projections::{Placed, View};

use crate::commands::{Shown, cli, curl, quoted, tenant_flag};
use crate::filter::{Asked, RequestFilter, parse};
use crate::frame::{Page, Part};
use crate::origin::Origin;
use crate::part::{self, bar};
use crate::questions::Listed;
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// How many requests a page has.
const PAGE: usize = 50;
/// How much of a cause a row has, in characters.
const CAUSE_CHARS: usize = 160;

/// Shows the list, or leads to the request that was asked for.
pub async fn show(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let text = visit.fields.get("q").unwrap_or_default();
    match parse(text) {
        Ok(Asked::Request(id)) => {
            let location = [(header::LOCATION, urls::request(id))];
            (StatusCode::SEE_OTHER, location).into_response()
        }
        Ok(Asked::Filter(filter)) => {
            let page = page(&console, &visit, &filter).await;
            console.answer(&visit, page)
        }
        Err(reason) => console.trouble(&visit, &Trouble::Unclear(reason)),
    }
}

async fn page(console: &Console, visit: &Visit, filter: &RequestFilter) -> Result<Page, Trouble> {
    let found = if filter.needs_log() {
        let since = filter.searched_since(visit.now);
        let found = console
            .questions
            .find(visit, filter.of_log(), Some(since), PAGE)
            .await?;
        Requests::Searched { found, since }
    } else {
        let cursor = visit.fields.get("after").map(place).transpose()?;
        let listed = console
            .questions
            .list(visit, &filter.of_index(visit.now), cursor, PAGE)
            .await?;
        Requests::Listed(listed)
    };
    Ok(Page {
        part: Some(Part::Requests),
        title: "Requests".into(),
        body: body(visit, filter, &found),
        commands: commands(visit, &console.origin, filter),
    })
}

fn place(cursor: &str) -> Result<Placed, Trouble> {
    let parts = cursor.split_once('.');
    let place = parts.and_then(|(micros, id)| {
        let (micros, request) = (micros.parse().ok()?, id.parse().ok()?);
        Some(Placed { micros, request })
    });
    place.ok_or_else(|| Trouble::Unclear("`after` is no place in the list".into()))
}

/// The commands that list the same.
fn commands(visit: &Visit, origin: &Origin, filter: &RequestFilter) -> Vec<Shown> {
    let tenant = visit.tenant(Action::Read).unwrap_or_default();
    let flags = format!("{}{}", filter.flags(), tenant_flag(tenant.as_ref()));
    let search = format!(
        "fanfold replay search{flags} --limit {PAGE}{}",
        origin.flag()
    );
    let mut commands = vec![cli(search)];
    if let Some(api) = origin.api().filter(|_| !filter.needs_log()) {
        let query = filter.query();
        let url = if query.is_empty() {
            format!("{api}/valuations")
        } else {
            format!("{api}/valuations?{query}")
        };
        commands.push(curl(format!("curl {}", quoted(&url))));
    }
    commands
}

/// What was found.
pub enum Requests {
    /// From the index.
    Listed(Listed),
    /// From the log.
    Searched { found: Vec<Found>, since: Timestamp },
}

/// A row of the list.
struct Row<'a> {
    id: RequestId,
    status: Status,
    received_at: Timestamp,
    took: Option<String>,
    progress: Option<Markup>,
    attempts: u64,
    metadata: Vec<(&'a String, &'a String)>,
    cause: Option<String>,
}

impl<'a> Row<'a> {
    fn of_view(view: &'a View) -> Self {
        let failure = view.failure().map(|failure| (&failure.failure).into());
        let cause = failure.map(Cause::Failed);
        let took = view.completed_at.filter(|_| view.status.is_terminal());
        Self {
            id: view.request_id,
            status: view.status.plain(),
            received_at: view.received_at,
            took: took.map(|ended| words::between(view.received_at, ended)),
            progress: Some(bar::groups(&view.groups)),
            attempts: view.attempts,
            metadata: view.metadata.iter().collect(),
            cause: cause.map(|cause| words::cause(&cause, view.received_at)),
        }
    }

    fn of_found(found: &'a Found) -> Self {
        let cause = found.cause.as_ref();
        let took = found.status.is_terminal();
        Self {
            id: found.request_id,
            status: found.status,
            received_at: found.received_at,
            took: took.then(|| words::between(found.received_at, found.updated_at)),
            progress: None,
            attempts: found.attempts,
            metadata: found.metadata.iter().collect(),
            cause: cause.map(|cause| words::cause(cause, found.updated_at)),
        }
    }
}

/// The statuses by which the list is filtered with one click.
const STATUSES: [Status; 5] = [
    Status::Received,
    Status::Running,
    Status::Succeeded,
    Status::Failed,
    Status::Cancelled,
];

/// The content of the page.
pub fn body(visit: &Visit, filter: &RequestFilter, found: &Requests) -> Markup {
    let rows: Vec<Row> = match found {
        Requests::Listed(listed) => listed.page.views.iter().map(Row::of_view).collect(),
        Requests::Searched { found, .. } => found.iter().map(Row::of_found).collect(),
    };
    html! {
        @if visit.fields.get("after").is_none() { (part::topic("all")) }
        div.head {
            h1 { "Requests" }
            (part::tenants(visit, Action::Read))
            (statuses(visit, filter))
        }
        div data-live="list" {
        @if rows.is_empty() {
            (part::nothing(if visit.fields.get("q").is_some() {
                "No request matches. Among those that were looked at, none is selected by the filter."
            } else {
                "There are no requests yet. The first one appears here as soon as it is accepted."
            }))
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Requests" {
                table.list {
                    thead { tr {
                        th scope="col" { "State" }
                        th scope="col" { "Request" }
                        th scope="col" { "Received" }
                        th.number scope="col" { "Took" }
                        th scope="col" { "Groups" }
                        th.number scope="col" { "Attempts" }
                        th.wide scope="col" { "Labels and cause" }
                    } }
                    tbody { @for row in &rows { (line(row, visit.now)) } }
                }
            }
        }
        (foot(visit, found))
        }
    }
}

fn statuses(visit: &Visit, filter: &RequestFilter) -> Markup {
    let here = filter.status();
    html! {
        nav.chips aria-label="Requests by status" {
            a href=(urls::REQUESTS) aria-current=[(visit.fields.get("q").is_none()).then_some("true")] { "all" }
            @for status in STATUSES {
                a href=(urls::filtered(&format!("status:{}", status.as_str())))
                    aria-current=[(here == Some(status)).then_some("true")] { (part::status(status)) }
            }
        }
    }
}

fn line(row: &Row, now: Timestamp) -> Markup {
    html! {
        tr {
            td { (part::status(row.status)) }
            td { (part::id(row.id)) }
            td { (part::ago(row.received_at, now)) }
            td.number { @if let Some(took) = &row.took { (took) } @else { span.faint { "–" } } }
            td.groups { @if let Some(progress) = &row.progress { (progress) } }
            td.number { (row.attempts) }
            td.wide { div.one-line {
                (part::labels(row.metadata.iter().copied()))
                @if let Some(cause) = &row.cause { span.cause { (words::short(cause, CAUSE_CHARS)) } }
            } }
        }
    }
}

/// What the list does not have, and the way to more.
fn foot(visit: &Visit, found: &Requests) -> Markup {
    html! {
        div.foot {
            @match found {
                Requests::Searched { found, since } => {
                    p {
                        "Searched the log since " (part::time(*since)) "; "
                        @if found.len() == PAGE { "the newest " (PAGE) " that match. Say " code { "since:" } " or " code { "until:" } " for others." }
                        @else { (words::count(found.len() as u64, "request")) " match. Say " code { "since:7d" } " to look further back." }
                    }
                }
                Requests::Listed(listed) => {
                    p {
                        "Looked at " (words::count(listed.page.looked_at as u64, "request"))
                        @if let Some(back) = listed.page.back_to { " back to " (part::time(back)) }
                        ", " (listed.page.views.len()) " shown"
                        @if listed.page.looked_at >= LOOKED_AT_MAX { "; there may be more before that" }
                        "."
                        @if listed.from_log { " Redis has no complete index now, so the list is read from the log." }
                    }
                    @if let Some(next) = listed.page.next {
                        a.more rel="next" href=(visit.with("after", Some(&format!("{}.{}", next.micros, next.request)))) { "Older requests" }
                    }
                }
            }
        }
    }
}
