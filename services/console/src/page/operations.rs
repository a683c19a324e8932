//! The list of bulk operations.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::access::Action;
use history::words;
use maud::{Markup, html};
use operations::Folded;

use crate::commands::{cli, curl, tenant_flag};
use crate::frame::{Page, Part};
use crate::page::operation;
use crate::part;
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::{Console, urls};

/// How many operations the list has.
const LIST_MAX: usize = 200;

/// Shows the list.
pub async fn show(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let page = page(&console, &visit).await;
    console.answer(&visit, page)
}

async fn page(console: &Console, visit: &Visit) -> Result<Page, Trouble> {
    let operations = console.questions.operations();
    let operations = operations.ok_or_else(operation::none_in_a_bundle)?;
    let scope = visit.reach(Action::Inspect)?.scope;
    let mut all = operations.bulk_operations(&scope).await?;
    let count = all.len();
    all.truncate(LIST_MAX);
    let mut commands = vec![cli(format!(
        "fanfold operation list{}",
        tenant_flag(scope.only())
    ))];
    if let Some(api) = console.origin.api() {
        commands.push(curl(format!("curl {api}/operations")));
    }
    Ok(Page {
        part: Some(Part::Operations),
        title: "Operations".into(),
        body: body(visit, &all, count),
        commands,
    })
}

/// The content of the page.
pub fn body(visit: &Visit, all: &[Folded], count: usize) -> Markup {
    html! {
        div.head { h1 { "Operations" } (part::tenants(visit, Action::Inspect)) }
        @if all.is_empty() {
            (part::nothing("There are no operations: nobody has acted on many things at once. Begin at the dead letters."))
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Operations" {
                table.list {
                    thead { tr {
                        th scope="col" { "Operation" }
                        th scope="col" { "Status" }
                        th scope="col" { "How the items ended" }
                        th.number scope="col" { "Selected" }
                        th scope="col" { "By" }
                        th scope="col" { "Drafted" }
                        th.wide scope="col" { "Reason" }
                    } }
                    tbody { @for folded in all { (row(visit, folded)) } }
                }
            }
        }
        div.foot { p { "The newest " (all.len()) " of " (words::count(count as u64, "operation")) "." } }
    }
}

fn row(visit: &Visit, folded: &Folded) -> Markup {
    html! {
        @if let (Some(state), Some(told)) = (folded.operation(), folded.told()) {
            tr {
                td { a href=(urls::operation(folded.id)) { (told.action) } }
                td { (operation::status(&state.phase)) }
                td { (operation::bar(&state.counts)) }
                td.number { (told.selected) }
                td { (told.by) }
                td { (part::ago(folded.drafted_at, visit.now)) }
                td.wide { (words::short(&told.reason, 200)) }
            }
        }
    }
}
